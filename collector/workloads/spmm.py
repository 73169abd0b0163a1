"""A sparse matrix in compressed rows times a dense one, as in graph networks and solvers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.errors import SelectionError
from collector.jobs import Operation
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
from collector.workloads._labels import ROWS
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured
from collector.workloads._projection import times
from collector.workloads._shape import LINE_BYTES, Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32, F64, ITEM_BYTES, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Truths, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_INDEX_BYTES = 4

_Sizes = tuple[int, int, int]

# rows, nonzeros of a row, columns of the dense matrix
_TINY: _Sizes = (1000, 8, 16)
_SMALL: _Sizes = (10_000, 10, 32)
_MIDDLE: _Sizes = (30_000, 16, 33)
_DENSER: _Sizes = (4096, 200, 64)
_LARGE: _Sizes = (100_000, 32, 64)


class Spmm(Workload):
    """Square matrix, the same number of nonzeros in each row, at random columns, sorted.

    Operands are values, column indices, row pointers (32-bit) and the dense matrix. The
    library's sparse object is made of them once: a call with the same arrays uses it again,
    a call with new ones (mode end_to_end) makes it anew.
    """

    name = "spmm"
    summary = "sparse matrix (CSR) times dense matrix"
    size_meaning = "nonzeros times dense columns"
    signatures = {"csr_dense": {"rows": None, "nonzeros_per_row": None, "width": None}}
    support = {
        ("numpy", "cpu"): (F64, F32),
        ("torch", "cpu"): (F64, F32),
        ("torch", "cuda"): (F64, F32),
        ("cupy", "cuda"): (F64, F32),
    }
    threaded_backends = frozenset({"torch"})
    rank = 100
    label = "Sparse matrix product"
    case_labels = {
        "csr_dense": "Sparse (CSR) times dense",
    }
    parameter_labels = {
        "rows": ROWS,
        "nonzeros_per_row": (
            "Nonzeros in a row",
            "Stored values in each row of the sparse matrix.",
        ),
        "width": ("Dense columns", "Columns of the dense matrix."),
    }
    start_values = {"rows": 100_000, "nonzeros_per_row": 10, "width": 64}
    survey = {
        "cuda": (
            Space(
                "csr_dense",
                {"rows": (1000, 100_000), "nonzeros_per_row": (2, 256), "width": (1, 256)},
                {F32: 20},
            ),
        ),
        "cpu": (
            Space(
                "csr_dense",
                {"rows": (1000, 30_000), "nonzeros_per_row": (2, 64), "width": (1, 64)},
                {F32: 10},
            ),
        ),
    }
    limits = frozenset({Limit.STEPPING, Limit.SCATTERED})
    recognised_kinds = frozenset({"_sparse_mm"})

    def complete(self, case: str, params: Params) -> dict[str, int]:
        """As for every family; a row has no more nonzeros than columns."""
        complete = super().complete(case, params)
        if not self.allowed(complete):
            raise SelectionError(
                f"{self.name} {case}: nonzeros_per_row={complete['nonzeros_per_row']} is more "
                f"than the {complete['rows']} columns of the square matrix"
            )
        return complete

    def allowed(self, given: Mapping[str, Count]) -> bool | Truths:
        return given["nonzeros_per_row"] <= given["rows"]

    def possible(self, params: Params) -> dict[str, int]:
        return {**params, "nonzeros_per_row": min(params["nonzeros_per_row"], params["rows"])}

    def recognise(self, operation: Operation) -> Measured | None:
        """A square sparse matrix, of ``nonzeros`` in all, times a dense one."""
        nonzeros = operation.attribute("nonzeros", 0)
        if len(operation.inputs) < 2 or not isinstance(nonzeros, int):
            return None
        sparse, dense = operation.inputs[:2]
        if len(sparse.shape) != 2 or len(dense.shape) != 2 or len(set(sparse.shape)) > 1:
            return None
        rows, width = sparse.shape[0], dense.shape[1]
        params = {
            "rows": rows,
            "nonzeros_per_row": round(nonzeros / max(rows, 1)),
            "width": width,
        }
        return self.measured("csr_dense", params, sparse.dtype)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        grid = self._grid(suite, backend, device)
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def _grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        place = (backend, device)
        if place not in self.support:
            return
        if suite == "quick":
            if place == ("numpy", "cpu"):
                yield from _points([_SMALL], ("hot",))
            if place == ("torch", "cuda"):
                yield from _points([_LARGE], ("hot", "resident"))
            return
        if suite == "full":
            yield from _points([(5000, 20, 8), (20_000, 50, 16), (50_000, 5, 100)], ("hot",))
            yield from _points([_SMALL], ("hot",), [F64])
        if device == "cpu":
            yield from _points([_SMALL, _MIDDLE, (2000, 200, 64)], ("hot",))
        elif place == ("cupy", "cuda"):
            yield from _points([_MIDDLE, _LARGE], ("hot",))
        else:
            yield from _points([_TINY], ("hot", "resident"))
            yield from _points([_SMALL, _MIDDLE, _DENSER, (100_000, 5, 100)], ("hot",))
            yield from _points([_LARGE], ("hot", "resident", "end_to_end"))
            yield from _points([_MIDDLE], ("hot",), [F64])

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """2 FLOP per nonzero and dense column; each operand read once, the product written.

        One kernel with the product, one that prepares it (cuSPARSE); torch fills the result and
        scales it first. cupy copies the dense matrix into column order in every call: one more
        kernel, read and written once more.
        """
        rows, width = params["rows"], params["width"]
        nonzeros = 1.0 * rows * params["nonzeros_per_row"]
        item = ITEM_BYTES[dtype]
        dense = 1.0 * rows * width * item
        operands = nonzeros * (item + _INDEX_BYTES) + (rows + 1) * _INDEX_BYTES + dense
        copied = dense if backend == "cupy" else 0.0
        return Work(
            flop_count=2 * nonzeros * width,
            bytes_read=operands + copied,
            bytes_written=dense + copied,
            h2d_bytes=operands,
            d2h_bytes=dense,
            kernel_count={"cupy": 3, "torch": 4}.get(backend, 2),
        )

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result; a copy of the dense matrix; what cuSPARSE and MKL may take.

        CuPy copies the matrix into column order, and torch holds one more array of its size
        (seen on an H200 and on a CPU). The buffers of cuSPARSE and MKL depend on the algorithm
        (cusparseSpMM_bufferSize): taken as up to another one.
        """
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes
        if backend == "numpy":
            return JobMemory(own, own)
        return JobMemory(own + work.d2h_bytes, own + 2 * work.d2h_bytes)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Each nonzero brings a row of the dense matrix, from a cache where that fits one."""
        item, line = ITEM_BYTES[asked.dtype], LINE_BYTES[asked.device]
        nonzeros = params["rows"] * params["nonzeros_per_row"]
        work = self.operation_work(asked.case, params, asked.dtype, asked.backend)
        moved = work.bytes_read + work.bytes_written
        row = line * np.ceil(params["width"] * item / line)
        brought = nonzeros * (item + _INDEX_BYTES + row)
        dense = params["rows"] * params["width"] * item
        fresh = dense if asked.device == "cpu" else 0.0
        others = moved - nonzeros * (item + _INDEX_BYTES) - dense
        return Shape(passes=(brought + np.maximum(others, 0.0)) / moved, fresh=fresh, block=fresh)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Column j of a row is drawn from the j-th of as many equal parts: sorted, no two alike."""
        rows, count = params["rows"], params["nonzeros_per_row"]
        edges = np.arange(count + 1) * rows // count
        draws = np.random.default_rng(seed + 1).random((rows, count), dtype=np.float32)
        offsets = (draws * np.diff(edges)).astype(np.int32)
        # a draw just below 1 may round up to the next part's first column
        np.minimum(offsets, np.diff(edges).astype(np.int32) - 1, out=offsets)
        columns = (offsets + edges[:-1].astype(np.int32)).reshape(-1)
        pointers = np.arange(0, rows * count + 1, count, dtype=np.int32)
        values = uniform(rows * count, dtype, seed)
        return values, columns, pointers, uniform((rows, params["width"]), dtype, seed + 2)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """scipy.sparse for numpy, torch.sparse_csr_tensor, cupyx.scipy.sparse for cupy."""
        make = _maker(backend, params["rows"])
        held: tuple[Any, ...] = ()
        matrix: Any = None

        def call(values: Any, columns: Any, pointers: Any, dense: Any) -> Any:
            nonlocal held, matrix
            # identity is safe: arrays that are held cannot be freed and their place reused
            if not held or any(
                a is not b for a, b in zip(held, (values, columns, pointers), strict=True)
            ):
                matrix = make(values, columns, pointers)
                held = (values, columns, pointers)
            return matrix @ dense

        return call

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """A probe v, A (X v) and |A| (|X| |v|), in float64, without any sparse library."""
        values, columns, _, dense = inputs
        probe = np.random.default_rng(7).uniform(0.5, 1.5, params["width"])
        probe *= np.random.default_rng(8).choice([-1.0, 1.0], params["width"])
        shape = (params["rows"], params["nonzeros_per_row"])
        products = values * times(dense, probe[:, None])[columns, 0]
        sizes = np.abs(dense) @ np.abs(probe).astype(dense.dtype)
        magnitudes = np.abs(values * sizes[columns])
        return probe, products.reshape(shape).sum(axis=1), magnitudes.reshape(shape).sum(axis=1)

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest error of a row's product with the probe, relative to that of magnitudes.

        Tolerance 4 u_in + 4 sqrt(K) u_acc + u_out as for dense products, with K nonzeros a row.
        """
        probe, expected, magnitude = reference
        if output.shape != (len(expected), len(probe)):
            return Check(math.inf, 0.0)
        rows = times(output, probe[:, None])[:, 0]
        error = float(np.max(np.abs(rows - expected) / magnitude))
        unit = UNIT_ROUNDOFF[dtype]
        return Check(error, (5 + 4 * math.sqrt(params["nonzeros_per_row"])) * unit)


def _maker(backend: Backend, rows: int) -> Callable[[Any, Any, Any], Any]:
    """Function of values, column indices and row pointers that makes the library's object."""
    shape = (rows, rows)
    if backend.name == "torch":
        torch = backend.module

        def make(values: Any, columns: Any, pointers: Any) -> Any:
            with warnings.catch_warnings():
                # torch says both once per process; some versions the second one even though
                # the argument that it asks for is given
                for text in ("Sparse CSR tensor support is in beta", "Sparse invariant checks"):
                    warnings.filterwarnings("ignore", text, UserWarning)
                return torch.sparse_csr_tensor(
                    pointers, columns, values, shape, check_invariants=False
                )

        return make
    sparse = _scipy_sparse(backend.name)
    return lambda values, columns, pointers: sparse.csr_matrix(
        (values, columns, pointers), shape=shape
    )


def _scipy_sparse(backend_name: str) -> Any:
    try:
        if backend_name == "cupy":
            import cupyx.scipy.sparse

            return cupyx.scipy.sparse
        import scipy.sparse

        return scipy.sparse
    except ImportError as error:
        raise NotImplementedError(f"needs scipy: pip install scipy ({error})") from error


def _points(
    shapes: list[_Sizes], modes: tuple[str, ...], dtypes: list[tuple[str, str]] | None = None
) -> Iterator[GridPoint]:
    grid = [
        {"rows": rows, "nonzeros_per_row": nonzeros, "width": width}
        for rows, nonzeros, width in shapes
    ]
    return points("csr_dense", grid, dtypes or [F32], modes)
