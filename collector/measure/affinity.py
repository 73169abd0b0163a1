"""Which logical CPUs a worker process is bound to, so that threads neither move nor pile up."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def choose_cpus(
    threads: int, allowed: Iterable[int], siblings: Mapping[int, frozenset[int]]
) -> frozenset[int]:
    """One logical CPU for each of ``threads`` threads, each on a core of its own.

    ``siblings`` maps a logical CPU to those of the same core, itself included; one that is not
    listed is a core of its own. The highest numbers are taken, as the kernel serves most
    interrupts on the first CPUs. More threads than cores take every allowed CPU.
    """
    remaining = sorted(allowed, reverse=True)
    chosen: set[int] = set()
    taken: set[int] = set()
    for cpu in remaining:
        if cpu not in taken:
            chosen.add(cpu)
            taken |= siblings.get(cpu, frozenset({cpu}))
        if len(chosen) == threads:
            return frozenset(chosen)
    return frozenset(remaining)


def bind(threads: int, device: str) -> int | None:
    """Bind this process; the number of CPUs that it may now use, None where that is not told.

    Workers of a CPU get a core for each thread. A worker of a GPU keeps all CPUs that are near
    its GPU, as NVML tells: a copy from the far side of a two-socket host takes three times as
    long, while the library's own helper threads need room.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = os.sched_getaffinity(0)
    wanted: Iterable[int]
    if device == "cpu":
        wanted = choose_cpus(threads, allowed, {cpu: _siblings(cpu) for cpu in allowed})
    else:
        wanted = (_cpus_near_gpu() & allowed) or allowed
    with contextlib.suppress(OSError):  # a sandbox may forbid it: the number tells what holds
        os.sched_setaffinity(0, wanted)
    return len(os.sched_getaffinity(0))


def _siblings(cpu: int) -> frozenset[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return parse_cpu_list(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return frozenset({cpu})


def parse_cpu_list(text: str) -> frozenset[int]:
    """The kernel's list format: "0-2,8" is {0, 1, 2, 8}. Raises ValueError on other text."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def _cpus_near_gpu() -> set[int]:
    """CPUs of the GPU's NUMA node; empty where NVML does not tell."""
    from collector.machine.fingerprint import measured_gpu_index

    try:
        import pynvml as nvml

        nvml.nvmlInit()
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(measured_gpu_index() or 0)
            words = nvml.nvmlDeviceGetCpuAffinity(handle, ((os.cpu_count() or 1) + 63) // 64)
        finally:
            nvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - NVML raises one class per code; each means "not told"
        return set()
    return {64 * i + bit for i, word in enumerate(words) for bit in range(64) if word >> bit & 1}
