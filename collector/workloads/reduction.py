"""Sums over a vector and along the rows of a matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads.base import (
    ITEM_BYTES,
    UNIT_ROUNDOFF,
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

_F64 = ("float64", "ieee")
_F32 = ("float32", "ieee")

_CPU_SIZES = (1000, 10_000, 65_536, 250_001, 1_000_000, 4_194_304, 20_000_000)
_CUDA_SIZES = (10_000, 65_536, 250_001, 1_000_000, 4_194_304, 10_000_000, 33_554_432)
_ROWS = ((64, 1000), (1000, 1000), (4096, 1024), (1024, 10_000), (10_000, 3001))


class Reduction(Workload):
    """Reads everything once and writes next to nothing."""

    name = "reduction"
    summary = "sum of a vector and of each row of a matrix"
    size_meaning = "elements that are summed"
    signatures = {"sum": {"n": None}, "row_sum": {"rows": None, "cols": None}}
    support = {
        ("numpy", "cpu"): (_F64, _F32),
        ("torch", "cpu"): (_F64, _F32),
        ("torch", "cuda"): (_F64, _F32),
        ("cupy", "cuda"): (_F64, _F32),
    }

    def size(self, case: str, params: Params) -> int:
        return math.prod(self.complete(case, params).values())

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        if suite == "quick":
            quick_modes = ("hot",) if device == "cpu" else ("hot", "resident")
            yield from points(
                "sum", sizes("n", (10_000, 1_000_001, 10_000_000)), [_F32], quick_modes
            )
            return
        rows = [{"rows": r, "cols": c} for r, c in _ROWS]
        if device == "cpu":
            yield from points("sum", sizes("n", _CPU_SIZES), dtypes, ("hot",))
            yield from points("row_sum", rows, [_F32], ("hot",))
            return
        modes: tuple[str, ...] = ("hot", "cold", "resident", "end_to_end")
        if backend == "cupy":
            modes = ("hot", "resident")
        yield from points("sum", sizes("n", _CUDA_SIZES), [_F32], modes)
        yield from points("sum", sizes("n", _CUDA_SIZES[::2]), [_F64], ("hot",))
        yield from points("row_sum", rows, [_F32], ("hot",))

    def operation_work(self, case: str, params: Params, dtype: str, backend: str) -> Work:
        """n FLOP for n elements read once; one value written for each sum."""
        item = ITEM_BYTES[dtype]
        n = math.prod(params.values())
        outputs = params["rows"] if case == "row_sum" else 1
        read, written = float(n * item), float(outputs * item)
        return Work(float(n), read, written, read, written, 1)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Positive values: random signs would hide a block that is left out of a sum."""
        shape = (params["rows"], params["cols"]) if case == "row_sum" else (params["n"],)
        return (np.abs(uniform(shape, dtype, seed)),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        xp = backend.module
        if case == "row_sum":
            return lambda x: xp.sum(x, 1)
        return lambda x: xp.sum(x)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Sums and sums of magnitudes, along the last axis, accumulated in float64."""
        x = inputs[0]
        total = np.atleast_1d(x.sum(axis=-1, dtype=np.float64))
        return total, np.atleast_1d(np.abs(x).sum(axis=-1, dtype=np.float64)), x.shape[-1]

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest |sum - expected| / sum of magnitudes.

        Tolerance 8 log2(n) u: the error bound of pairwise summation (Higham, Accuracy and
        Stability of Numerical Algorithms, section 4.2) with room for unrolled leaves.
        """
        expected, magnitude, length = reference
        actual = np.atleast_1d(output).astype(np.float64)
        if actual.shape != expected.shape:
            return Check(math.inf, 0.0)
        error = float(np.max(np.abs(actual - expected) / magnitude))
        return Check(error, 8 * math.log2(length + 1) * UNIT_ROUNDOFF[dtype])
