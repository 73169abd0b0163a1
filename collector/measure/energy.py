"""Energy of one call on a GPU, from the driver's counter. Clock and counter are passed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

#: ticks of the counter that the calls must span: the driver updates it some ten to fifty times a
#: second, and the first tick still holds energy of what ran before
_TICKS = 3

ReadEnergy = Callable[[], float]


def energy_per_call(
    run_batch: Callable[[], None],
    calls_per_batch: int,
    read_energy_j: ReadEnergy,
    cap_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> float | None:
    """Joules of one call: energy over calls between two ticks of the counter.

    ``run_batch`` does ``calls_per_batch`` calls and returns when they are complete; it should
    take a few milliseconds, much less than the time between ticks. Batches follow each other, so
    the device's idle power counts where it waits for the host. None if the counter did not tick
    often enough within ``cap_s``.
    """
    started, last = clock(), read_energy_j()
    calls, ticks = 0, 0
    first_j: float | None = None
    while clock() - started < cap_s:
        run_batch()
        calls += calls_per_batch
        now_j = read_energy_j()
        if now_j == last:
            continue
        last = now_j
        if first_j is None:  # counting begins at a tick
            first_j, calls = now_j, 0
            continue
        ticks += 1
        if ticks == _TICKS:
            return (now_j - first_j) / calls if now_j > first_j else None
    return None


@cache
def open_energy_counter() -> ReadEnergy | None:
    """The measured GPU's energy counter in joules, None where there is none."""
    from collector.machine.fingerprint import measured_gpu_index

    try:
        import pynvml as nvml

        nvml.nvmlInit()
        handle: Any = nvml.nvmlDeviceGetHandleByIndex(measured_gpu_index() or 0)
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # noqa: BLE001 - no binding, no driver, an older GPU: no counter
        return None
    return lambda: float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1e-3
