"""What it costs to start work at all: an empty kernel, and a chain of tiny dependent calls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.errors import SelectionError
from collector.workloads.base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Work,
    Workload,
    points,
    sizes,
    uniform,
)

if TYPE_CHECKING:
    from collector.backends.base import Backend

_F32 = ("float32", "ieee")
_ELEMENTS = 16
_FACTOR = 0.5  # a power of two, so that a chain of products rounds nothing


class Launch(Workload):
    """The floor under every small operation, on the host and on the device."""

    name = "launch"
    summary = "an empty kernel, and a chain of dependent calls on 16 elements"
    size_meaning = "calls in the chain"
    signatures = {"empty_kernel": {}, "chain": {"length": None}}
    support = {
        ("numpy", "cpu"): (_F32,),
        ("torch", "cpu"): (_F32,),
        ("torch", "cuda"): (_F32,),
        ("cupy", "cuda"): (_F32,),
        ("numba", "cuda"): (_F32,),
    }
    threaded_backends = frozenset()

    def size(self, case: str, params: Params) -> int:
        return self.complete(case, params).get("length", 1)

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        modes = ("hot",) if device == "cpu" else ("hot", "resident")
        if device == "cuda" and backend in ("cupy", "numba"):
            yield from points("empty_kernel", [{}], dtypes, modes)
        if backend != "numba":
            lengths = (1, 10, 100) if suite == "quick" else (1, 2, 5, 10, 20, 50, 100)
            yield from points("chain", sizes("length", lengths), dtypes, modes)

    def operation_work(self, case: str, params: Params, dtype: str, backend: str) -> Work:
        """One kernel per call, 16 elements read and written by each; an empty one does nothing."""
        if case == "empty_kernel":
            return Work(0.0, 0.0, 0.0)
        length = params["length"]
        moved = 4.0 * _ELEMENTS
        return Work(float(length * _ELEMENTS), length * moved, length * moved, moved, moved, length)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        return (uniform(_ELEMENTS, dtype, seed),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if case == "empty_kernel":
            return _empty_kernel(backend.name)
        xp, length = backend.module, params["length"]
        result = backend.empty(_ELEMENTS, dtype)

        def chain(x: Any) -> Any:
            xp.multiply(x, _FACTOR, out=result)
            for _ in range(length - 1):
                xp.multiply(result, _FACTOR, out=result)
            return result

        return chain

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        return inputs[0].astype(np.float64) * _FACTOR ** params.get("length", 0)

    def fetch(self, backend: Backend, output: Any) -> Any:
        return None if output is None else backend.to_numpy(output)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Products with a power of two are exact while they are normal numbers."""
        if case == "empty_kernel":
            return Check(None, 0.0)
        error = float(np.max(np.abs(output - reference)))
        return Check(error / float(np.max(np.abs(reference))), 1e-6)


@cache
def _empty_kernel(backend_name: str) -> Function:
    if backend_name == "cupy":
        import cupy

        kernel = cupy.RawKernel('extern "C" __global__ void empty_kernel() {}', "empty_kernel")
        return lambda x: kernel((1,), (1,), ())
    if backend_name == "numba":
        from numba import cuda

        @cuda.jit
        def empty_kernel():  # type: ignore[no-untyped-def]
            pass

        configured = empty_kernel[1, 1]
        return lambda x: configured()
    raise SelectionError(f"launch empty_kernel has no form for backend {backend_name!r}")
