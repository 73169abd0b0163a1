"""Libraries that compute on the CPU only: plain Python, numpy, numba's CPU target."""

from __future__ import annotations

from typing import Any

import numpy as np

from collector.backends.base import Array, Backend


class NumpyBackend(Backend):
    """Arrays in main memory, touched when they are made."""

    name = "numpy"
    module = np

    def host(self, array: Array, dtype: str) -> Any:
        return np.asarray(array, dtype=dtype)

    def upload(self, host_array: Any) -> Any:
        return host_array.copy()

    def download(self, device_array: Any) -> Any:
        return device_array

    def to_numpy(self, array: Any) -> Array:
        return np.asarray(array)

    def poison(self, array: Any) -> None:
        if isinstance(array, np.ndarray):
            array.fill(np.nan if array.dtype.kind in "fc" else -1)

    def empty(self, count: int, dtype: str) -> Any:
        return np.ones(count, dtype)


class PythonBackend(Backend):
    """Lists of Python floats: what a loop without any library works on."""

    name = "python"

    def host(self, array: Array, dtype: str) -> Any:
        return array.tolist()

    def upload(self, host_array: Any) -> Any:
        return list(host_array)

    def download(self, device_array: Any) -> Any:
        return device_array

    def to_numpy(self, array: Any) -> Array:
        return np.asarray(array, dtype=np.float64)

    def empty(self, count: int, dtype: str) -> Any:
        return [0.0] * count


class NumbaCpuBackend(NumpyBackend):
    """Compiled loops over numpy arrays."""

    name = "numba"

    def set_threads(self, threads: int) -> None:
        import numba

        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
