"""What the collector asks of an array library on a device."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, Any]


class Backend(ABC):
    """One library on one device, inside a worker process.

    Three kinds of array occur: numpy arrays (what workloads make and checks compare), host
    arrays (the library's own form in main memory) and device arrays (what operations take).
    On a CPU the last two are the same.
    """

    name: ClassVar[str]
    #: the namespace with matmul, fft, add, ... ; None where the library has no such thing
    module: Any = None

    def __init__(self, device: str) -> None:
        self.device = device

    @abstractmethod
    def host(self, array: Array, dtype: str) -> Any:
        """A numpy array as a host array of the element type; may share its memory."""

    @abstractmethod
    def upload(self, host_array: Any) -> Any:
        """A device array with the same contents; always a copy."""

    @abstractmethod
    def download(self, device_array: Any) -> Any:
        """A host array with the same contents; complete on return."""

    @abstractmethod
    def to_numpy(self, array: Any) -> Array:
        """Contents as a numpy array; 16-bit floats come as float32."""

    def poison(self, array: Any) -> None:
        """Overwrite an output, so that what a later call leaves unwritten is seen as wrong."""

    @abstractmethod
    def empty(self, count: int, dtype: str) -> Any:
        """An uninitialised vector on the device."""

    def empty_host(self, count: int, dtype: str, pinned: bool) -> Any:
        """An uninitialised vector in main memory, page-locked if asked for."""
        raise NotImplementedError(f"{self.name} does not time copies")

    def copy(self, target: Any, source: Any) -> Any:
        """Copy between device or host vectors; may return before it is complete."""
        raise NotImplementedError(f"{self.name} does not time copies")

    def set_math_mode(self, math_mode: str) -> None:
        """ieee or tf32, for float32 products. A library without tf32 ignores it."""

    def set_threads(self, threads: int) -> None:
        """Limit the library to that many host threads, beyond the environment's limits."""

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What users of the library do before they call a function often (jax.jit); else itself."""
        return function

    def synchronize(self) -> None:
        """Return when the device has finished. Nothing to do on a CPU."""

    def wait(self, output: Any) -> None:
        """Return when an output is there."""
        self.synchronize()

    def time_wall(self, call: Callable[[], Any], calls: int) -> float:
        """Seconds that the host waits for ``calls`` calls, the device's end included."""
        self.synchronize()
        start = time.perf_counter_ns()
        for _ in range(calls):
            output = call()
        self.wait(output)
        return (time.perf_counter_ns() - start) * 1e-9

    def time_device(self, call: Callable[[], Any], calls: int, lead_s: float) -> float:
        """Seconds between device events around ``calls`` calls.

        The device is kept busy for ``lead_s`` first, so that the host has issued the calls
        before the first of them starts and the events see kernels and not the host.
        """
        raise NotImplementedError(f"{self.name} on {self.device} has no device clock")

    def flush_cache(self) -> None:
        """Overwrite the device's last-level cache. On a CPU operands rotate instead."""
        raise NotImplementedError(f"{self.name} on {self.device} has no cache flush")

    def free_memory_bytes(self) -> float:
        """Memory left on the device (main memory for a CPU)."""
        return available_memory_bytes()

    def release(self) -> None:
        """Give cached memory back."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)

    def is_fatal(self, error: BaseException) -> bool:
        """Whether the process cannot go on after this error (a poisoned CUDA context)."""
        return False


def available_memory_bytes() -> float:
    """MemAvailable of /proc/meminfo, infinity where there is none."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return float(line.split()[1]) * 1024
    except OSError:
        pass
    return float("inf")
