"""What the machine did while a cell was measured, read by the parent process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from statistics import median
from typing import Any

_INTERVAL_S = 0.1
_FEWEST_JIFFIES = 20  # of fewer a share says nothing

#: NVML clock event reasons (nvml.h, nvmlClocksEventReasons); idle (0x1) is not of interest
CLOCK_EVENT_REASONS = {
    0x2: "applications_clocks",
    0x4: "power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "hw_power_brake",
    0x100: "display_clocks",
}
#: reasons that mean the GPU was slowed down by heat or failing power
THROTTLED = frozenset({"hw_slowdown", "sw_thermal", "hw_thermal", "hw_power_brake"})


@dataclass(frozen=True)
class CpuTimes:
    """Jiffies since boot, all CPUs together."""

    total: int
    steal: int


def read_cpu_times() -> CpuTimes | None:
    """First line of /proc/stat."""
    try:
        with open("/proc/stat", encoding="ascii") as lines:
            values = [int(word) for word in lines.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    return CpuTimes(sum(values), values[7] if len(values) > 7 else 0)


def steal_fraction(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """Share of CPU time that the hypervisor gave to others between two readings."""
    if before is None or after is None or after.total - before.total < _FEWEST_JIFFIES:
        return None
    return (after.steal - before.steal) / (after.total - before.total)


def read_cpu_mhz() -> float | None:
    """Mean of the kernel's "cpu MHz" lines."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            values = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    except (OSError, ValueError, IndexError):
        return None
    return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class GpuReading:
    """One reading of NVML; None where the driver does not offer a value."""

    sm_clock_mhz: float | None
    temperature_c: float | None
    power_w: float | None
    reasons: int
    memory_clock_mhz: float | None = None
    power_limit_w: float | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None


class GpuMonitor:
    """Reads one GPU at 10 Hz in a thread, between ``begin`` and ``end`` of a cell."""

    def __init__(self, index: int = 0) -> None:
        import pynvml as nvml

        nvml.nvmlInit()
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._readings: list[GpuReading] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        with self._lock:
            self._readings = [self._read()]

    def end(self) -> dict[str, Any]:
        """Quality columns of the cell."""
        with self._lock:
            readings = [*self._readings, self._read()]
            self._readings = []
        return summarise_readings(readings)

    def process_ids(self) -> frozenset[int]:
        """Processes that compute on the GPU, as the driver numbers them; empty if it won't tell."""
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except self._nvml.NVMLError:
            return frozenset()
        return frozenset(process.pid for process in processes)

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._nvml.nvmlShutdown()

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL_S):
            with self._lock:
                if self._readings:
                    self._readings.append(self._read())

    def _read(self) -> GpuReading:
        nvml, handle = self._nvml, self._handle

        def query(read: Callable[[], Any]) -> Any:
            try:
                return read()
            except nvml.NVMLError:
                return None

        return GpuReading(
            query(lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            query(lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
            query(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
            query(lambda: int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))) or 0,
            query(lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM))),
            query(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
            query(lambda: int(nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle))),
            query(lambda: int(nvml.nvmlDeviceGetCurrPcieLinkWidth(handle))),
        )


def summarise_readings(readings: list[GpuReading]) -> dict[str, Any]:
    """Medians of clocks, power and its limit; highest temperature and PCIe link; all reasons.

    A PCIe link sleeps when it is idle, so its highest state is the one under load.
    """

    def over(name: str, reduce: Callable[[list[Any]], Any]) -> Any:
        values = [getattr(r, name) for r in readings if getattr(r, name) is not None]
        return reduce(values) if values else None

    mask = 0
    for reading in readings:
        mask |= reading.reasons
    medians = ("sm_clock_mhz", "memory_clock_mhz", "power_w", "power_limit_w")
    highest = ("temperature_c", "pcie_generation", "pcie_width")
    return {
        **{name: over(name, median) for name in medians},
        **{name: over(name, max) for name in highest},
        "throttle_reasons": ",".join(
            name for bit, name in CLOCK_EVENT_REASONS.items() if mask & bit
        ),
    }


def other_processes(seen: Collection[int], own: Collection[int]) -> int | None:
    """Processes on the GPU beside our own; None where ours are not among those that are seen.

    In a container the driver counts processes by numbers that mean nothing inside.
    """
    if not set(own) & set(seen):
        return None
    return len(set(seen) - set(own))


class Telemetry:
    """Everything that is read around a cell, CPU and, where there is one, GPU."""

    def __init__(self, gpu_index: int | None) -> None:
        self._gpu = None if gpu_index is None else GpuMonitor(gpu_index)
        self._cpu = read_cpu_times()
        self._began = time.monotonic()

    def begin(self) -> None:
        self._cpu = read_cpu_times()
        if self._gpu:
            self._gpu.begin()

    def end(self, device: str, worker_ids: Collection[int] = ()) -> dict[str, Any]:
        """Quality columns; GPU columns only for a cell of the GPU."""
        columns: dict[str, Any] = {
            "steal_fraction": steal_fraction(self._cpu, read_cpu_times()),
            "cpu_mhz": read_cpu_mhz(),
        }
        if self._gpu:
            readings = self._gpu.end()
            if device == "cuda":
                columns.update(readings)
                columns["other_gpu_processes"] = other_processes(
                    self._gpu.process_ids(), worker_ids
                )
        return columns

    def close(self) -> None:
        if self._gpu:
            self._gpu.close()
