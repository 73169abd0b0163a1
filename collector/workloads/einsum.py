"""Sums of products as scripts write them: einsum by its subscripts, without ``optimize``."""

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
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import COLUMNS, ROWS
from collector.workloads._limits import Limit
from collector.workloads._products import product_tolerance, relative_l2
from collector.workloads._projection import probe, projected, times
from collector.workloads._shape import Product, Question, Shape, product_shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, ITEM_BYTES
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_BOTH = (F64, F32)
_TABLE = {"rows": None, "cols": None}

_SUBSCRIPTS = {
    "row_dots": "ij,ij->i",
    "matrix_product": "ij,jk->ik",
    "outer": "i,j->ij",
    "bilinear": "bi,ij,bj->b",
}
_PRODUCTS = ("matrix_product", "bilinear")

#: NumPy starts a loop over the last subscript for each set of the others: as long as so many FLOP
#: (choices, from the residuals of a Xeon).
_LOOP_STEPS = {"matrix_product": 20.0, "bilinear": 60.0}

#: Operations of a standard suite by NumPy: its loop takes 30 ms for the largest.
_CPU: dict[str, tuple[dict[str, int], ...]] = {
    "row_dots": (
        {"rows": 1, "cols": 10},
        {"rows": 1000, "cols": 3},
        {"rows": 1000, "cols": 1000},
        {"rows": 100_000, "cols": 30},
    ),
    "matrix_product": (
        {"m": 10, "n": 10, "k": 10},
        {"m": 100, "n": 100, "k": 100},
        {"m": 250, "n": 250, "k": 250},
    ),
    "outer": ({"rows": 100, "cols": 100}, {"rows": 1000, "cols": 1000}),
    "bilinear": ({"batch": 100, "n": 3}, {"batch": 300, "n": 100}),
}
_CUDA: dict[str, tuple[dict[str, int], ...]] = {
    "row_dots": ({"rows": 1000, "cols": 3}, {"rows": 1000, "cols": 1000}),
    "matrix_product": ({"m": 100, "n": 100, "k": 100}, {"m": 1000, "n": 1000, "k": 1000}),
    "outer": ({"rows": 1000, "cols": 1000},),
    "bilinear": ({"batch": 1000, "n": 100},),
}
_FULL: dict[str, tuple[dict[str, int], ...]] = {
    "row_dots": ({"rows": 30, "cols": 3000}, {"rows": 2_000_000, "cols": 3}),
    "matrix_product": ({"m": 1000, "n": 3, "k": 1000}, {"m": 3, "n": 3, "k": 100_000}),
    "outer": ({"rows": 10, "cols": 100_000},),
    "bilinear": ({"batch": 10_000, "n": 10},),
}


class Einsum(Workload):
    """NumPy loops over all subscripts; PyTorch and CuPy multiply operands pair by pair."""

    name = "einsum"
    summary = "einsum: dot products of rows, a matrix product, outer products, bilinear forms"
    size_meaning = "terms that are multiplied"
    signatures = {
        "row_dots": _TABLE,
        "matrix_product": {"m": None, "n": None, "k": None},
        "outer": _TABLE,
        "bilinear": {"batch": None, "n": None},
    }
    support = {
        ("numpy", "cpu"): _BOTH,
        ("torch", "cpu"): _BOTH,
        ("torch", "cuda"): _BOTH,
        ("cupy", "cuda"): _BOTH,
    }
    threaded_backends = frozenset({"torch"})
    rank = 16
    label = "Einstein sums"
    case_labels = {
        "row_dots": "Dot product of each row, ij,ij->i",
        "matrix_product": "Matrix product, ij,jk->ik",
        "outer": "Outer product, i,j->ij",
        "bilinear": "Bilinear forms, bi,ij,bj->b",
    }
    parameter_labels = {
        "rows": ROWS,
        "cols": COLUMNS,
        "m": ("Rows of the first", "Rows of the first matrix and of the result."),
        "n": ("Columns of the second", "Columns of the second matrix and of the result."),
        "k": ("Inner dimension", "Columns of the first matrix, rows of the second."),
        "batch": ("Pairs of vectors", "Pairs of vectors, each with a result."),
    }
    labels_of_cases = {
        "bilinear": {"n": ("Length of the vectors", "Rows and columns of the matrix.")},
    }
    start_values = {"rows": 1000, "cols": 1000, "m": 200, "n": 200, "k": 200, "batch": 1000}
    survey = {
        "cuda": (
            Space("row_dots", {"rows": (1, 100_000), "cols": (2, 10_000)}, {F64: 12}),
            Space("matrix_product", {"m": (2, 4096), "n": (2, 4096), "k": (2, 4096)}, {F64: 12}),
            Space("outer", {"rows": (10, 10_000), "cols": (10, 10_000)}, {F64: 9}),
            Space("bilinear", {"batch": (10, 10_000), "n": (2, 500)}, {F64: 6}),
        ),
        "cpu": (
            Space("row_dots", {"rows": (1, 100_000), "cols": (2, 10_000)}, {F64: 10, F32: 3}),
            Space(
                "matrix_product",
                {"m": (2, 1000), "n": (2, 1000), "k": (2, 1000)},
                {F64: 12, F32: 3},
            ),
            Space("outer", {"rows": (10, 5000), "cols": (10, 5000)}, {F64: 7}),
            Space("bilinear", {"batch": (10, 3000), "n": (2, 200)}, {F64: 7}),
        ),
    }
    most_surveyed = {"numpy": 30_000_000}
    limits = frozenset({Limit.MEMORY})
    # NumPy's loop multiplies one by one, whatever its BLAS can
    kin = dict.fromkeys(_PRODUCTS, "einsum_products")
    kin_limits = {"einsum_products": frozenset({Limit.STEPPING})}

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values()) * (params["n"] if case == "bilinear" else 1)

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        if (backend, device) not in self.support or suite == "quick":
            return
        grid = _grid(suite, backend, device)
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Two FLOP a term, one of an outer product; operands read and the result written once.

        Of a bilinear form NumPy multiplies twice and adds; the others multiply the matrix and
        add the dot products of its rows, with a matrix between.
        """
        item = ITEM_BYTES[dtype]
        terms = 1.0 * self.principal_size(case, params)
        read, written = (item * 1.0 * count for count in _elements(case, params))
        flop, between, calls = (1.0 if case == "outer" else 2.0) * terms, 0.0 * terms, 1
        if case == "bilinear":
            vectors = 1.0 * params["batch"] * params["n"]
            if backend == "numpy":
                flop = 3.0 * terms
            else:
                flop, between, calls = flop + 2.0 * vectors, vectors * item, 2
        return Work(flop, read + between, written + between, read, written, calls)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result, with what lies between two products; operands may be laid anew."""
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes + (work.bytes_written - work.d2h_bytes)
        return JobMemory(own, own + (0.0 if backend == "numpy" else work.h2d_bytes))

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Products are products, but for NumPy, whose loop knows no blocks."""
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        fresh = work.bytes_written if asked.device == "cpu" else 0.0 * work.bytes_written
        if asked.case not in _PRODUCTS:
            return Shape(fresh=fresh, block=fresh)
        if asked.backend == "numpy":
            loops = self.principal_size(asked.case, params) / params["n"]
            return Shape(steps=_LOOP_STEPS[asked.case] * loops, fresh=fresh, block=fresh)
        one = 1.0 + 0.0 * params["n"]
        if asked.case == "bilinear":
            whole = Product(one, params["batch"], params["n"], params["n"])
        else:
            whole = Product(one, params["m"], params["n"], params["k"])
        return product_shape(asked, [whole], fresh=fresh, block=fresh)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Positive values for sums that stand alone: random signs would hide a part left out."""
        shapes = _shapes(case, params)
        arrays = [uniform(shape, dtype, seed + index) for index, shape in enumerate(shapes)]
        if case in ("row_dots", "bilinear"):
            arrays = [np.abs(array, out=array) for array in arrays]
        return tuple(arrays)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        einsum, subscripts = backend.module.einsum, _SUBSCRIPTS[case]
        if case == "bilinear":
            return lambda x, a, y: einsum(subscripts, x, a, y)
        return lambda a, b: einsum(subscripts, a, b)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape and, in float64, all sums; of a matrix its product with the probe."""
        if case == "row_dots":
            return (len(inputs[0]),), np.einsum("ij,ij->i", *inputs, dtype=np.float64)
        if case == "bilinear":
            x, a, y = inputs
            return (len(x),), np.einsum("ij,ij->i", times(x, a.astype(np.float64)), y)
        a, b = (inputs[0][:, None], inputs[1][None]) if case == "outer" else inputs
        return (len(a), b.shape[1]), times(a, times(b, probe(b.shape[1])))

    def fetch(self, backend: Backend, output: Any) -> Any:
        if output.ndim < 2:
            return tuple(output.shape), backend.to_numpy(output)
        return tuple(output.shape), projected(backend, output)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest relative error of a sum of positive terms; of a matrix Freivalds' check.

        Tolerance: that of sums of so many products (``product_tolerance``).
        """
        shape, expected = reference
        if output[0] != shape:
            return Check(math.inf, 0.0)
        if case in ("row_dots", "bilinear"):
            error = float(np.max(np.abs(output[1] - expected) / expected))
            terms = params["cols"] if case == "row_dots" else params["n"] ** 2
        else:
            error = relative_l2(output[1], expected)
            terms = params.get("k", 1)
        return Check(error, product_tolerance(terms, dtype, math_mode))


def _shapes(case: str, params: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    """Shapes of the operands."""
    if case == "matrix_product":
        return (params["m"], params["k"]), (params["k"], params["n"])
    if case == "bilinear":
        batch, n = params["batch"], params["n"]
        return (batch, n), (n, n), (batch, n)
    rows, cols = params["rows"], params["cols"]
    return ((rows,), (cols,)) if case == "outer" else ((rows, cols), (rows, cols))


def _elements(case: str, params: Mapping[str, Any]) -> tuple[Any, Any]:
    """Elements of all operands, and of the result."""
    operands = sum(product(shape) for shape in _shapes(case, params))
    if case == "matrix_product":
        return operands, params["m"] * params["n"]
    if case == "outer":
        return operands, params["rows"] * params["cols"]
    return operands, params["batch" if case == "bilinear" else "rows"]


def _grid(suite: str, backend: str, device: str) -> Iterator[GridPoint]:
    hot = ("hot",)
    chosen = _CPU if device == "cpu" else _CUDA
    for case, shapes in chosen.items():
        few = shapes if backend != "torch" else shapes[-1:]
        if backend == "torch" and case not in ("row_dots", "matrix_product"):
            continue
        modes = hot if device == "cpu" else ("hot", "resident")
        yield from points(case, few[:1], [F64], modes)
        yield from points(case, few[1:], [F64], hot)
        if suite == "full":
            yield from points(case, _FULL[case], [F64], hot)
            yield from points(case, few[-1:], [F32], hot)
