"""Elementwise maps over a vector: add, triad, polynomial, tanh."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads.base import (
    ITEM_BYTES,
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Work,
    Workload,
    checked_parts,
    points,
    sizes,
    uniform,
)

if TYPE_CHECKING:
    from collector.backends.base import Backend

_F64 = ("float64", "ieee")
_F32 = ("float32", "ieee")
_F16 = ("float16", "ieee")
_BF16 = ("bfloat16", "ieee")

_SCALE = 0.75  # the triad's factor, exact in every element type
_POLYNOMIALS = ("polynomial", "polynomial_1e6_float32")

_CPU_SIZES = (1000, 10_000, 65_536, 250_001, 1_000_000, 3_000_000, 10_000_000)
_CUDA_SIZES = (*(1000, 10_000, 100_000, 500_001, 1_000_000, 4_194_304, 10_000_000, 33_554_432),)

#: rtol and atol by element type, those of torch.testing.assert_close; but for float64, where
#: 1e-7 would let arithmetic in float32 pass
_TOLERANCES = {
    "float64": (1e-12, 1e-12),
    "float32": (1.3e-6, 1e-5),
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
}


class Elementwise(Workload):
    """Memory-bound maps; results go to memory that was allocated and touched before."""

    name = "elementwise"
    summary = "add, triad, polynomial x^2 + 2x + 1 and tanh over a vector"
    size_meaning = "elements of the vector"
    signatures = {
        "add": {"n": None},
        "triad": {"n": None},
        "polynomial": {"n": None},
        "tanh": {"n": None},
        "polynomial_1e6_float32": {"n": 1_000_000},
    }
    support = {
        ("numpy", "cpu"): (_F64, _F32),
        ("numba", "cpu"): (_F64, _F32),
        ("torch", "cpu"): (_F64, _F32),
        ("torch", "cuda"): (_F64, _F32, _F16, _BF16),
        ("cupy", "cuda"): (_F64, _F32),
        ("numba", "cuda"): (_F64, _F32),
    }
    threaded_backends = frozenset({"torch", "numba"})

    def size(self, case: str, params: Params) -> int:
        return self.complete(case, params)["n"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        yield from points(
            "polynomial_1e6_float32",
            [{"n": 1_000_000}],
            [_F32],
            ("hot",) if device == "cpu" else ("hot", "resident", "end_to_end"),
        )
        if suite == "quick":
            quick_modes = ("hot",) if device == "cpu" else ("hot", "resident")
            for case in ("add", "tanh") if backend == "torch" else ("add",):
                yield from points(
                    case, sizes("n", (10_000, 1_000_001, 10_000_000)), [_F32], quick_modes
                )
        elif device == "cpu":
            yield from self._cpu_grid(backend)
        else:
            yield from self._cuda_grid(backend, dtypes)

    def _cpu_grid(self, backend: str) -> Iterator[GridPoint]:
        everything = sizes("n", _CPU_SIZES)
        yield from points("add", everything, [_F32, _F64], ("hot",))
        yield from points("polynomial", everything, [_F32], ("hot",))
        yield from points("add", sizes("n", (1_000_000,)), [_F32], ("cold",))
        if backend != "numba":
            yield from points("triad", everything, [_F32], ("hot",))
            yield from points("tanh", everything, [_F32], ("hot",))

    def _cuda_grid(self, backend: str, dtypes: tuple[tuple[str, str], ...]) -> Iterator[GridPoint]:
        every, some = sizes("n", _CUDA_SIZES), sizes("n", _CUDA_SIZES[1::2])
        with_transfers = sizes("n", _CUDA_SIZES[1:7:2])
        if backend != "torch":
            yield from points("add", some, [_F32], ("hot", "resident"))
            yield from points("polynomial", some, [_F32], ("hot",))
            return
        yield from points("add", every, [_F32], ("hot", "resident"))
        yield from points("add", some, [_F32], ("cold",))
        yield from points("add", sizes("n", (100_000_000,)), [_F32], ("hot",))
        yield from points("add", some, [d for d in dtypes if d != _F32], ("hot",))
        for case in ("triad", "polynomial", "tanh"):
            yield from points(case, every, [_F32], ("hot",))
        yield from points("add", with_transfers, [_F32], ("end_to_end",))
        yield from points("polynomial", with_transfers, [_F32], ("resident", "end_to_end"))

    def operation_work(self, case: str, params: Params, dtype: str, backend: str) -> Work:
        """Bytes of each library call that the expression makes, n elements each.

        add: 2 reads, 1 write, n FLOP. triad b + s c: 2 reads, 1 write, 2 n FLOP where one
        call does it (torch, numba), else a product into the result and a sum: 3 reads,
        2 writes, 2 calls. polynomial: 4 n FLOP; as written it is four calls with temporaries
        (5 reads, 4 writes), compiled by numba one (1 read, 1 write). tanh: 1 read, 1 write,
        counted as n FLOP whatever the library's approximation costs.
        """
        n, item = params["n"], ITEM_BYTES[dtype]
        if case in _POLYNOMIALS:
            reads, writes, calls, flop = (1, 1, 1, 4) if backend == "numba" else (5, 4, 4, 4)
            operands = 1
        elif case == "triad":
            reads, writes, calls = (2, 1, 1) if backend in ("torch", "numba") else (3, 2, 2)
            operands, flop = 2, 2
        elif case == "add":
            reads, writes, calls, operands, flop = 2, 1, 1, 2, 1
        else:
            reads, writes, calls, operands, flop = 1, 1, 1, 1, 1
        vector = float(n * item)
        return Work(
            float(flop * n), reads * vector, writes * vector, operands * vector, vector, calls
        )

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        n = params["n"]
        first = uniform(n, dtype, seed)
        if case in ("add", "triad"):
            return first, uniform(n, dtype, seed + 1)
        return (first,)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        if backend.name == "numba":
            return _numba_function(backend, case, params["n"], dtype)
        xp = backend.module
        if case in _POLYNOMIALS:
            return lambda x: x**2 + 2 * x + 1
        result = backend.upload(backend.host(np.full(params["n"], np.nan, np.float32), dtype))
        if case == "add":
            return lambda b, c: xp.add(b, c, out=result)
        if case == "tanh":
            return lambda x: xp.tanh(x, out=result)
        if backend.name == "torch":
            return lambda b, c: xp.add(b, c, alpha=_SCALE, out=result)

        def triad(b: Any, c: Any) -> Any:
            xp.multiply(c, _SCALE, out=result)
            return xp.add(b, result, out=result)

        return triad

    def fetch(self, backend: Backend, output: Any) -> Any:
        """The checked parts only: large results stay on the device."""
        if backend.name == "numba":  # its device arrays cannot be taken in strided pieces
            output = backend.to_numpy(output)
            return len(output), checked_parts(output)
        return len(output), [backend.to_numpy(part) for part in checked_parts(output)]

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Expected values and the magnitude that rounding acts on, for the checked parts.

        The polynomial is near zero at x = -1, where each of its terms has rounded at the
        size of 1: its error is measured against the sum of its terms' magnitudes.
        """
        parts = []
        for operands in zip(*map(checked_parts, inputs), strict=True):
            x = operands[0].astype(np.float64)
            if case in _POLYNOMIALS:
                parts.append((x * x + 2 * x + 1, x * x + 2 * np.abs(x) + 1))
            elif case == "tanh":
                parts.append((np.tanh(x), np.abs(np.tanh(x))))
            else:
                factor = 1.0 if case == "add" else _SCALE
                y = factor * operands[1].astype(np.float64)
                parts.append((x + y, np.abs(x) + np.abs(y)))
        return parts

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest |actual - expected| / (magnitude + atol / rtol), tolerance rtol."""
        length, parts = output
        if length != params["n"]:
            return Check(math.inf, 0.0)
        rtol, atol = _TOLERANCES[dtype]
        errors = [
            np.max(np.abs(actual - expected) / (magnitude + atol / rtol))
            for actual, (expected, magnitude) in zip(parts, reference, strict=True)
        ]
        return Check(float(np.max(errors)), rtol)


@cache
def _numba_kernel(device: str, case: str) -> Any:
    import numba

    if device == "cpu":
        # numba's own types are dynamic; the decorated function is opaque to a type checker
        if case == "add":

            @numba.njit(parallel=True)
            def cpu_add(b, c, out):  # type: ignore[no-untyped-def]
                for i in numba.prange(out.size):
                    out[i] = b[i] + c[i]

            return cpu_add

        @numba.njit(parallel=True)
        def cpu_polynomial(x, out):  # type: ignore[no-untyped-def]
            for i in numba.prange(out.size):
                out[i] = x[i] ** 2 + 2 * x[i] + 1

        return cpu_polynomial

    from numba import cuda

    if case == "add":

        @cuda.jit
        def cuda_add(b, c, out):  # type: ignore[no-untyped-def]
            i = cuda.grid(1)
            if i < out.size:
                out[i] = b[i] + c[i]

        return cuda_add

    @cuda.jit
    def cuda_polynomial(x, out):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < out.size:
            out[i] = x[i] ** 2 + 2 * x[i] + 1

    return cuda_polynomial


def _numba_function(backend: Backend, case: str, n: int, dtype: str) -> Function:
    result = backend.upload(backend.host(np.full(n, np.nan, np.float32), dtype))
    kernel = _numba_kernel(backend.device, "add" if case == "add" else "polynomial")
    if backend.device == "cuda":
        kernel = kernel[(n + 255) // 256, 256]

    def call(*operands: Any) -> Any:
        kernel(*operands, result)
        return result

    return call
