"""JAX: numpy's interface, compiled by XLA, on the CPU and on CUDA."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from collector.backends.base import Array, Backend


class JaxBackend(Backend):
    """Functions are compiled with jax.jit; every call is waited for, as calls are asynchronous.

    There is no device clock: JAX does not give its stream, so GPU cells are timed by the host
    (modes resident and end_to_end). Arrays cannot be changed in place, so outputs are not
    poisoned: each call returns a new one. Element types of 64 bits are switched on, and memory
    is not taken in advance (the parent sets XLA_PYTHON_CLIENT_PREALLOCATE).
    """

    name = "jax"

    def __init__(self, device: str) -> None:
        """Import the library. Raises RuntimeError where it has no such device."""
        super().__init__(device)
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", device)
        self._jax: Any = jax
        self.module = jax.numpy
        if device != "cpu":
            _ = self._device  # a CPU is always there, and waits for set_threads

    @cached_property
    def _device(self) -> Any:
        return self._jax.devices(self.device)[0]

    def set_threads(self, threads: int) -> None:
        """Size XLA's pool of CPU threads, which holds for the first array of a process only.

        XLA reads NPROC when its CPU client starts, before it counts the CPUs of the affinity
        mask. Measured with jax 0.10: with NPROC=1 a product of 1500 x 1500 and tanh of 1e7
        elements use 1.0 s of CPU time a second (1.9 without) and one thread named
        tf_XLAEigen runs instead of two; intra_op_parallelism_threads and
        xla_cpu_multi_thread_eigen in XLA_FLAGS change nothing. On a GPU the host's pool
        compiles and autotunes, and is left as it is.
        """
        if self.device == "cpu":
            os.environ["NPROC"] = str(threads)

    def host(self, array: Array, dtype: str) -> Any:
        # jax.numpy.dtype knows bfloat16 (of ml_dtypes), whatever else has been imported
        converted = np.asarray(array, dtype=self._jax.numpy.dtype(dtype))
        return converted if self.device != "cpu" else self.upload(converted)

    def upload(self, host_array: Any) -> Any:
        if self.device == "cpu":  # device_put would share an aligned numpy array's memory
            copied = self._jax.numpy.array(host_array, copy=True, device=self._device)
        else:
            copied = self._jax.device_put(host_array, self._device)
        return self._jax.block_until_ready(copied)

    def download(self, device_array: Any) -> Any:
        return np.asarray(device_array)

    def to_numpy(self, array: Any) -> Array:
        result = np.asarray(array)
        narrow = result.dtype.itemsize == 2 and result.dtype.kind not in "iub"
        return result.astype(np.float32) if narrow else result

    def empty(self, count: int, dtype: str) -> Any:
        return self.upload(np.ones(count, self._jax.numpy.dtype(dtype)))

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = self._jax.jit(function)
        return compiled

    def set_math_mode(self, math_mode: str) -> None:
        # on a GPU JAX multiplies float32 in tf32 unless it is told not to; the setting is part
        # of what jax.jit keys its compiled functions by
        precision = "tensorfloat32" if math_mode == "tf32" else "highest"
        self._jax.config.update("jax_default_matmul_precision", precision)

    def wait(self, output: Any) -> None:
        self._jax.block_until_ready(output)

    def time_wall(self, call: Callable[[], Any], calls: int) -> float:
        """Seconds of calls that are waited for one by one: XLA may run them side by side."""
        block = self._jax.block_until_ready
        start = time.perf_counter_ns()
        for _ in range(calls):
            block(call())
        return (time.perf_counter_ns() - start) * 1e-9

    def free_memory_bytes(self) -> float:
        """On a GPU what XLA's allocator may still take: its limit less what is in use."""
        if self.device == "cpu":
            return super().free_memory_bytes()
        stats = self._device.memory_stats() or {}
        if "bytes_limit" not in stats:
            return float("inf")
        return float(stats["bytes_limit"] - stats.get("bytes_in_use", 0))

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)

    def is_fatal(self, error: BaseException) -> bool:
        return "CUDA_ERROR" in str(error) or "illegal" in str(error).lower()
