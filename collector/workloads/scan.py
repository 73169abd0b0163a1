"""Running sums of a vector and of each row of a matrix: out[i] = x[0] + ... + x[i]."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    sizes,
)
from collector.workloads._labels import COLUMNS, ELEMENTS, ROWS
from collector.workloads._limits import Limit
from collector.workloads._sampled import checked_parts, fetch_parts, share_that_differs
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, ITEM_BYTES
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_BOTH = (F64, F32)

#: Terms are whole numbers up to this, of either sign: their sums stay far below 2**24, so that
#: float32 holds each exactly, in whatever order a library adds.
_LARGEST_TERM = 8

_CPU_SIZES = (1000, 100_003, 3_000_000)
_CUDA_SIZES = (1000, 1_000_003, 10_000_000)
_SHAPES = ((10_000, 100), (1000, 1001), (100, 10_000))


class Scan(Workload):
    """cumsum into a new array; each library's own function."""

    name = "scan"
    summary = "running sums (cumsum) of a vector and of each row of a matrix"
    size_meaning = "elements that are summed"
    signatures = {"cumsum": {"n": None}, "cumsum_rows": {"rows": None, "cols": None}}
    support = {
        ("numpy", "cpu"): _BOTH,
        ("torch", "cpu"): _BOTH,
        ("torch", "cuda"): _BOTH,
        ("cupy", "cuda"): _BOTH,
    }
    threaded_backends = frozenset({"torch"})
    rank = 64
    label = "Running sums"
    case_labels = {"cumsum": "Of a vector", "cumsum_rows": "Of each row"}
    parameter_labels = {"n": ELEMENTS, "rows": ROWS, "cols": COLUMNS}
    start_values = {"n": 3_000_000, "rows": 1000, "cols": 1000}
    survey = {
        "cuda": (
            Space("cumsum", {"n": (10, 30_000_000)}, {F64: 8, F32: 4}),
            Space("cumsum_rows", {"rows": (8, 32_768), "cols": (8, 32_768)}, {F64: 10, F32: 5}),
        ),
        "cpu": (
            Space("cumsum", {"n": (10, 10_000_000)}, {F64: 6, F32: 3}),
            Space("cumsum_rows", {"rows": (8, 8192), "cols": (8, 8192)}, {F64: 6, F32: 3}),
        ),
    }
    limits = frozenset({Limit.STEPPING, Limit.ROWS})
    serial_cases = frozenset({"cumsum"})  # each sum waits for the one before it

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        known = (backend, device) in self.support and suite != "quick"
        grid = _grid(suite, backend, device) if known else iter(())
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """An addition for each element; every element read once and written once.

        A scan of a vector that is shared out on a GPU needs a second kernel, which sets up or
        adds what the blocks before have come to (CUB, DeviceScan; CuPy's own).
        """
        n = 1.0 * product(params.values())
        moved = n * ITEM_BYTES[dtype]
        return Work(n, moved, moved, moved, moved, 2 if case == "cumsum" else 1)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Elements one by one into a new array; on a GPU rows are what is worked on at a time."""
        if asked.device == "cpu":
            size = self.principal_size(asked.case, params)
            result = size * ITEM_BYTES[asked.dtype]
            return Shape(fresh=result, block=result)
        return Shape(width=params["rows"]) if asked.case == "cumsum_rows" else Shape()

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Whole numbers from 1 to 8 of either sign: every running sum is exact."""
        shape = tuple(params[name] for name in self.signatures[case])
        drawn = np.random.default_rng(seed).integers(0, 2 * _LARGEST_TERM, shape, dtype=np.int8)
        drawn -= _LARGEST_TERM
        drawn += drawn >= 0  # -8 to -1 and 1 to 8
        return (drawn.astype(dtype),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        cumsum = backend.module.cumsum
        axis = 1 if case == "cumsum_rows" else 0
        return lambda x: cumsum(x, axis)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape of the result and parts of the sums, in float64."""
        sums = np.cumsum(inputs[0], axis=-1, dtype=np.float64)
        return sums.shape, [part.copy() for part in checked_parts(sums.reshape(-1))]

    def fetch(self, backend: Backend, output: Any) -> Any:
        return fetch_parts(backend, output)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Share of sums that are not exactly right; none may differ."""
        shape, expected = reference
        found, parts = output
        if found != shape or any(part.dtype != np.dtype(dtype) for part in parts):
            return Check(math.inf, 0.0)
        return Check(share_that_differs(parts, expected), 0.0)


def _grid(suite: str, backend: str, device: str) -> Iterator[GridPoint]:
    cpu, full = device == "cpu", suite == "full"
    hot = ("hot",)
    lengths = list(_CPU_SIZES if cpu else _CUDA_SIZES)
    shapes = [{"rows": rows, "cols": cols} for rows, cols in _SHAPES]
    if backend == "torch" and not full:
        lengths, shapes = lengths[1:], shapes[1:]
    yield from points("cumsum", sizes("n", lengths), [F64], hot)
    yield from points("cumsum", sizes("n", lengths[-2:-1]), [F32], hot)
    yield from points("cumsum_rows", shapes, [F64], hot)
    if full:
        yield from points("cumsum", sizes("n", (30_000, 300_000)), [F64], hot)
        yield from points("cumsum_rows", shapes, [F32], hot)
    if not cpu:
        host = ("resident", "end_to_end")
        yield from points("cumsum", sizes("n", (1_000_003,)), [F64], host)
