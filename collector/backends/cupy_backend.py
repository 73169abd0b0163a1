"""CuPy: numpy's interface on CUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from collector.backends.base import Array, Backend
from collector.backends.cuda import DELAY_SOURCE, cycles_for, flush_bytes


class CupyBackend(Backend):
    """Everything runs on CuPy's current stream."""

    name = "cupy"

    def __init__(self, device: str) -> None:
        super().__init__(device)
        import cupy

        self._cupy: Any = cupy
        self.module = cupy
        attributes = cupy.cuda.Device(0).attributes
        self._flush_target = cupy.empty(flush_bytes(attributes["L2CacheSize"]) // 4, cupy.int32)
        self._delay = cupy.RawKernel(DELAY_SOURCE, "delay")
        self._events = [cupy.cuda.Event() for _ in range(2)]

    def host(self, array: Array, dtype: str) -> Any:
        return np.asarray(array, dtype=dtype)

    def upload(self, host_array: Any) -> Any:
        return self._cupy.asarray(host_array)

    def download(self, device_array: Any) -> Any:
        return self._cupy.asnumpy(device_array)

    def to_numpy(self, array: Any) -> Array:
        result: Array = self._cupy.asnumpy(array)
        return result.astype(np.float32) if result.dtype == np.float16 else result

    def poison(self, array: Any) -> None:
        if isinstance(array, np.ndarray | self._cupy.ndarray):
            array.fill(np.nan if array.dtype.kind in "fc" else -1)

    def empty(self, count: int, dtype: str) -> Any:
        return self._cupy.ones(count, dtype)

    def empty_host(self, count: int, dtype: str, pinned: bool) -> Any:
        if not pinned:
            return np.ones(count, dtype)
        item = np.dtype(dtype).itemsize
        memory = self._cupy.cuda.alloc_pinned_memory(count * item)
        return np.frombuffer(memory, dtype, count)

    def copy(self, target: Any, source: Any) -> Any:
        if isinstance(target, np.ndarray):
            return source.get(out=target)
        if isinstance(source, np.ndarray):
            target.set(source)
        else:
            target[...] = source
        return target

    def synchronize(self) -> None:
        self._cupy.cuda.runtime.deviceSynchronize()

    def time_device(self, call: Callable[[], Any], calls: int, lead_s: float) -> float:
        start, end = self._events
        if lead_s > 0:
            self._delay((1,), (1,), (np.int64(cycles_for(lead_s)),))
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(start, end)) * 1e-3

    def flush_cache(self) -> None:
        self._flush_target.fill(0)

    def free_memory_bytes(self) -> float:
        free, _ = self._cupy.cuda.runtime.memGetInfo()
        return float(free + self._cupy.get_default_memory_pool().free_bytes())

    def release(self) -> None:
        self._cupy.get_default_memory_pool().free_all_blocks()
        self._cupy.get_default_pinned_memory_pool().free_all_blocks()

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError | self._cupy.cuda.memory.OutOfMemoryError)

    def is_fatal(self, error: BaseException) -> bool:
        runtime = self._cupy.cuda.runtime.CUDARuntimeError
        driver = self._cupy.cuda.driver.CUDADriverError
        return isinstance(error, runtime | driver)
