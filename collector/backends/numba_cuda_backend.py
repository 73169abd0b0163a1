"""Numba's CUDA target: kernels written in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from collector.backends.base import Array, Backend
from collector.backends.cuda import cycles_for


class NumbaCudaBackend(Backend):
    """Device arrays of numba; events and kernels on the default stream."""

    name = "numba"

    def __init__(self, device: str) -> None:
        super().__init__(device)
        import os
        import warnings

        os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")
        from numba import cuda
        from numba.core.errors import NumbaPerformanceWarning

        warnings.simplefilter("ignore", NumbaPerformanceWarning)  # one-block kernels are meant
        self._cuda: Any = cuda
        self._events = [cuda.event(timing=True) for _ in range(2)]

        @cuda.jit
        def delay(counter, rounds):  # type: ignore[no-untyped-def]
            # one dependent global update a round; rounds are calibrated below
            for _ in range(rounds):
                cuda.atomic.add(counter, 0, 1)

        self._delay = delay[1, 1]
        self._counter = cuda.to_device(np.zeros(1, np.int64))
        self._cycles_per_round = self._calibrate_delay()

    def _calibrate_delay(self) -> float:
        rounds = 10_000
        self._delay(self._counter, 10)
        seconds = self.time_device(lambda: self._delay(self._counter, rounds), 1, 0.0)
        return cycles_for(seconds) / rounds

    def host(self, array: Array, dtype: str) -> Any:
        return np.asarray(array, dtype=dtype)

    def upload(self, host_array: Any) -> Any:
        return self._cuda.to_device(host_array)

    def download(self, device_array: Any) -> Any:
        return device_array.copy_to_host()

    def to_numpy(self, array: Any) -> Array:
        result: Array = array.copy_to_host()
        return result

    def poison(self, array: Any) -> None:
        if array is not None:
            value = np.nan if array.dtype.kind in "fc" else -1
            array.copy_to_device(np.full(array.shape, value, array.dtype))

    def empty(self, count: int, dtype: str) -> Any:
        return self._cuda.to_device(np.ones(count, dtype))

    def synchronize(self) -> None:
        self._cuda.synchronize()

    def time_device(self, call: Callable[[], Any], calls: int, lead_s: float) -> float:
        start, end = self._events
        if lead_s > 0:
            self._delay(self._counter, int(cycles_for(lead_s) / self._cycles_per_round) + 1)
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return float(self._cuda.event_elapsed_time(start, end)) * 1e-3

    def free_memory_bytes(self) -> float:
        return float(self._cuda.current_context().get_memory_info().free)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError) or "OUT_OF_MEMORY" in str(error)

    def is_fatal(self, error: BaseException) -> bool:
        return "CUDA_ERROR" in str(error) or "CudaAPIError" in type(error).__name__
