"""Sums and variance of a vector, sums of rows and columns; softmax and layer norm of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.jobs import Operation
from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    sizes,
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import COLUMNS, ELEMENTS, ROWS
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured, contiguous
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import BF16, F32, F64, ITEM_BYTES, UNIT_ROUNDOFF
from collector.workloads._work import Count, Floats, Work, choose, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

_CPU_SIZES = (1000, 10_000, 65_536, 250_001, 1_000_000, 4_194_304, 20_000_000)
_CUDA_SIZES = (10_000, 65_536, 250_001, 1_000_000, 4_194_304, 10_000_000, 33_554_432)
_ROWS = ((64, 1000), (1000, 1000), (4096, 1024), (1024, 10_000), (10_000, 3001))
_CPU_NORM_ROWS = ((256, 1000), (2000, 1001))
_CUDA_NORM_ROWS = ((64, 1000), (4096, 1024), (10_000, 1001))

# in float64, as scripts have them; rows of few columns are one end of what they average
_CPU_SHORT_ROWS = ((40_000, 9), (300_000, 3))
_CPU_COLUMN_SUMS: tuple[tuple[int, int], ...] = ((1000, 3), (1000, 1000), (20_000, 100))
_CUDA_COLUMN_SUMS: tuple[tuple[int, int], ...] = ((1000, 3), (1000, 1000), (100_000, 100))
_CPU_VARIANCES: tuple[int, ...] = (10, 10_000, 1_000_000)
_CUDA_VARIANCES: tuple[int, ...] = (1000, 10_000_000)

_NORMALISING = ("softmax", "layer_norm")
_EPSILON = 1e-5  # the default of torch.nn.LayerNorm
_CHECKED_ELEMENTS = 2**20

#: Starting a block of threads for a row of torch's layer norm takes as long as so many FLOP of
#: the row (a choice, from the residuals of an H200).
_BLOCK_STEPS = 2500.0

#: torch's sum of so many elements needs one block; blocks of a longer one wait for each other
#: (a choice: on an H200 the step lies between 10,000 and 25,000 elements).
_ONE_BLOCK = 2**14


class Reduction(Workload):
    """Sums read everything once and write next to nothing; the others write as much as they read.

    softmax and layer_norm act on each row. NumPy and CuPy have no such functions: there they
    are the formulas that users write. layer_norm has no weights.
    """

    name = "reduction"
    summary = "sums of a vector, of rows and columns, variance, softmax and layer norm of rows"
    size_meaning = "elements that are read"
    signatures = {
        "sum": {"n": None},
        "row_sum": {"rows": None, "cols": None},
        "column_sum": {"rows": None, "cols": None},
        "variance": {"n": None},
        "softmax": {"rows": None, "cols": None},
        "layer_norm": {"rows": None, "cols": None},
    }
    support = {
        ("numpy", "cpu"): (F64, F32),
        ("torch", "cpu"): (F64, F32),
        ("jax", "cpu"): (F64, F32),
        ("torch", "cuda"): (F64, F32, BF16),
        ("cupy", "cuda"): (F64, F32),
        ("jax", "cuda"): (F64, F32),
    }
    threaded_backends = frozenset({"torch", "jax"})
    rank = 60
    label = "Sums and norms"
    case_labels = {
        "sum": "Sum of a vector",
        "row_sum": "Sum of each row",
        "softmax": "Softmax of each row",
        "layer_norm": "Layer norm of each row",
        "column_sum": "Sum of each column",
        "variance": "Variance of a vector",
    }
    parameter_labels = {
        "n": ELEMENTS,
        "rows": ROWS,
        "cols": COLUMNS,
    }
    start_values = {"n": 10_000_000, "rows": 4096, "cols": 1024}
    survey = {
        "cuda": (
            Space("sum", {"n": (1000, 50_000_000)}, {F32: 12, F64: 6, BF16: 6}),
            Space("row_sum", {"rows": (8, 65_536), "cols": (8, 65_536)}, {F32: 24}),
            Space("column_sum", {"rows": (8, 65_536), "cols": (2, 16_384)}, {F64: 12}),
            Space("variance", {"n": (100, 50_000_000)}, {F64: 9}),
            Space("softmax", {"rows": (8, 65_536), "cols": (8, 65_536)}, {F32: 24, BF16: 12}),
            Space("layer_norm", {"rows": (8, 65_536), "cols": (8, 65_536)}, {F32: 24, BF16: 12}),
        ),
        "cpu": (
            Space("sum", {"n": (1000, 20_000_000)}, {F32: 10, F64: 5}),
            Space("row_sum", {"rows": (8, 16_384), "cols": (8, 16_384)}, {F32: 12}),
            Space("column_sum", {"rows": (8, 65_536), "cols": (2, 4096)}, {F64: 10}),
            Space("variance", {"n": (1, 10_000_000)}, {F64: 8}),
            Space("softmax", {"rows": (8, 16_384), "cols": (8, 16_384)}, {F32: 12}),
            Space("layer_norm", {"rows": (8, 16_384), "cols": (8, 16_384)}, {F32: 12}),
        ),
    }
    limits = frozenset({Limit.STREAMING, Limit.ROWS, Limit.GRAINED, Limit.AWKWARD})
    rereading = frozenset({"softmax", "layer_norm", "variance"})
    recognised_kinds = frozenset(
        {"sum", "mean", "_softmax", "softmax", "_log_softmax", "log_softmax", "native_layer_norm"}
    )

    def recognise(self, operation: Operation) -> Measured | None:
        """Sums and means of a whole array or over its last dimensions; softmax and layer norm
        over them. Weights of a layer norm are a row to a matrix, and not counted.
        """
        kind = operation.kind
        if not operation.inputs or not operation.outputs or not operation.inputs[0].shape:
            return None
        x, y = operation.inputs[0], operation.outputs[0]
        if x.dtype != y.dtype or not contiguous(x):
            return None
        if kind in ("sum", "mean"):
            if y.count == 1:
                return self.measured("sum", {"n": x.count}, x.dtype)
            kept = tuple(size for size in y.shape if size > 1)
            leading = tuple(size for size in x.shape if size > 1)[: len(kept)]
            last = _dimensions(operation, len(x.shape))
            if kept != leading or last != set(range(len(x.shape) - len(last), len(x.shape))):
                return None
            return self.measured(
                "row_sum", {"rows": y.count, "cols": x.count // max(y.count, 1)}, x.dtype
            )
        if kind == "native_layer_norm":
            given = operation.attribute("normalized_shape", x.shape[-1:])
            cols = math.prod(map(int, given)) if isinstance(given, tuple) else 0
            case = "layer_norm"
        else:
            last = _dimensions(operation, len(x.shape))
            cols, case = x.shape[-1] if last == {len(x.shape) - 1} else 0, "softmax"
        if not cols:
            return None
        return self.measured(case, {"rows": x.count // cols, "cols": cols}, x.dtype)

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        if not self.dtypes(backend, device) or (suite == "quick" and backend == "jax"):
            return  # JAX takes longer to start and to compile than its quick cells would
        if suite == "quick":
            modes = ("hot",) if device == "cpu" else ("hot", "resident")
            yield from points("sum", sizes("n", (1_000_001,)), [F32], modes)
            yield from points("sum", sizes("n", (10_000, 10_000_000)), [F32], ("hot",))
        elif backend == "jax":
            yield from _jax_grid(device)
        elif device == "cpu":
            yield from _cpu_grid(suite, backend)
        else:
            yield from _cuda_grid(suite, backend)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Sums: n FLOP for n elements read once; one value written for each sum.

        variance: 4 n FLOP (mean, difference, square, mean). NumPy makes four calls, which read
        4 n and write 2 n elements; CuPy and JAX take the mean first and then read the operand
        again, PyTorch reads it once (Welford's algorithm).

        softmax and layer_norm: 5 n FLOP (maximum, difference, exponential, sum, quotient; mean,
        difference, square, mean, quotient). torch and JAX read and write each element once
        in one call; torch's layer norm on a GPU is two kernels where the rows are not multiples
        of 4 elements, and its statistics of each row are not counted. The formulas read
        5 n and write 3 n elements: softmax in 5 calls (maximum, difference, exponential, sum,
        quotient) with 2 values of each row, layer norm in 7 (mean, difference, square, mean,
        plus epsilon, root, quotient) with 4.
        """
        item = ITEM_BYTES[dtype]
        n = product(params.values())
        vector = 1.0 * (n * item)
        if case in _NORMALISING:
            reads, writes, values = 1, 1, 0
            calls: int | Count = 1
            if backend in ("numpy", "cupy"):
                reads, writes = 5, 3
                values, calls = (2, 5) if case == "softmax" else (4, 7)
            elif backend == "torch" and case == "layer_norm":
                calls = choose(params["cols"] % 4 > 0, 2, 1)
            rows = 1.0 * (values * params["rows"] * item)
            read, written = reads * vector + rows, writes * vector + rows
            return Work(5.0 * n, read, written, vector, vector, calls)
        if case == "variance":
            reads, writes, calls = _VARIANCE_PASSES.get(backend, (2, 0, 2))
            read, written = reads * vector, writes * vector + 1.0 * item
            return Work(4.0 * n, read, written, vector, 1.0 * item, calls)
        kept = {"row_sum": "rows", "column_sum": "cols"}
        sums = params[kept[case]] * item if case in kept else item
        return Work(1.0 * n, vector, 1.0 * sums, vector, 1.0 * sums, 1)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operand and result; NumPy's variance holds the differences beside them.

        As formulas softmax and layer norm hold a third matrix.

        The centred values and their powers, squares or quotients stand beside the operand. XLA
        may write the powers of a softmax out, too.
        """
        own = super().operation_memory(case, params, dtype, backend, device).bytes
        if case == "variance" and backend == "numpy":
            return JobMemory(2.0 * own, 2.0 * own)
        if case not in _NORMALISING or backend == "torch":
            return JobMemory(own, own)
        return JobMemory(1.5 * own if backend in ("numpy", "cupy") else own, 1.5 * own)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """Sums stream; what is a formula reads its intermediate results again.

        Of the eight arrays that a formula moves three are alive at a time. On a GPU rows are the
        width of torch's kernels: each has a block of threads (of softmax a warp or a block), which
        takes time to start. Awkward: rows that layer norm cannot load four elements at a time.
        """
        gpu, torch = asked.device == "cuda", asked.backend == "torch"
        if asked.case == "sum":
            waits = (torch and gpu) & (params["n"] > _ONE_BLOCK)
            return Shape(starts=np.where(waits, 2.0, 0.0))
        if asked.case == "variance":
            if asked.backend != "numpy":
                return Shape()
            differences = params["n"] * ITEM_BYTES[asked.dtype]
            return Shape(distinct=1.0 / 3.0, fresh=differences, block=differences)
        rows, cols = params["rows"], params["cols"]
        if asked.case in ("row_sum", "column_sum"):
            return Shape()
        formula = asked.backend in ("numpy", "cupy")
        distinct = 3.0 / 8.0 if formula else 1.0
        if gpu:
            if torch and asked.case == "layer_norm":
                steps = rows * _BLOCK_STEPS
                return Shape(width=rows, steps=steps, awkward=(cols % 4 > 0).astype(float))
            if torch:  # a block or a warp of threads for each row
                return Shape(width=rows, distinct=distinct)
            return Shape(distinct=distinct)
        block = rows * cols * ITEM_BYTES[asked.dtype]
        return Shape(distinct=distinct, fresh=(3.0 if formula else 1.0) * block, block=block)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Positive values: random signs would hide a block that is left out of a sum."""
        if case in _NORMALISING:
            return (uniform((params["rows"], params["cols"]), dtype, seed),)
        shape = (params["rows"], params["cols"]) if "rows" in params else (params["n"],)
        values = uniform(shape, dtype, seed)
        return (np.abs(values, out=values),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        xp = backend.module
        if case == "sum":
            return backend.compile(lambda x: xp.sum(x))
        if case == "row_sum":
            return backend.compile(lambda x: xp.sum(x, 1))
        if case == "column_sum":
            return backend.compile(lambda x: xp.sum(x, 0))
        if case == "variance" and backend.name == "torch":
            return lambda x: xp.var(x, correction=0)
        if case == "variance":
            return backend.compile(lambda x: xp.var(x))
        return _normalising(backend, case, params["cols"])

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Sums: sums and sums of magnitudes, along the last axis, accumulated in float64.

        The error of a variance is relative to the square of the mean where that is larger.
        softmax, layer_norm: some whole rows (all of a small matrix) in float64.
        """
        x = inputs[0]
        if case in _NORMALISING:
            rows = x[_checked_rows(*x.shape)].astype(np.float64)
            if case == "softmax":
                powers = np.exp(rows - rows.max(axis=1, keepdims=True))
                return powers / powers.sum(axis=1, keepdims=True)
            centred = rows - rows.mean(axis=1, keepdims=True)
            return centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + _EPSILON)
        if case == "variance":
            variance = np.atleast_1d(x.var(dtype=np.float64))
            return variance, np.maximum(variance, np.mean(x, dtype=np.float64) ** 2), len(x)
        axis = 0 if case == "column_sum" else -1
        total = np.atleast_1d(x.sum(axis=axis, dtype=np.float64))
        return total, total, x.shape[axis]  # positive values are their own magnitudes

    def fetch(self, backend: Backend, output: Any) -> Any:
        """Sums whole; of a matrix its shape, the checked rows, and of each row two sums."""
        if output.ndim < 2:
            return backend.to_numpy(output)
        matrix = backend.to_numpy(output)
        sums = np.stack([matrix.sum(axis=1), np.einsum("ij,ij->i", matrix, matrix)])
        return matrix.shape, matrix[_checked_rows(*matrix.shape)], sums

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Largest error of a sum, relative to the sum of magnitudes; or of an element.

        Tolerance of sums 8 log2(n) u: the error bound of pairwise summation (Higham, Accuracy
        and Stability of Numerical Algorithms, section 4.2) with room for unrolled leaves; NumPy
        adds the rows of a matrix one to another, with n u, and PyTorch updates a variance in
        n steps, whose errors add up like sqrt(n) u. The
        elements of a softmax (relative to their size) and of a layer norm (to their size plus
        1) inherit the error of their row's sums, made in float32 at least, and round once more.
        Beside the checked rows each row's sum (1; 0) and mean square (layer norm: 1) must hold.
        """
        if case in _NORMALISING:
            return _check_rows(reference, output, case, params, dtype)
        expected, magnitude, length = reference
        if isinstance(output, tuple):
            return Check(math.inf, 0.0)
        actual = np.atleast_1d(output).astype(np.float64)
        if actual.shape != expected.shape:
            return Check(math.inf, 0.0)
        error = float(np.max(np.abs(actual - expected) / magnitude))
        rounding = 8 * math.log2(length + 1)
        rounding += {"column_sum": length, "variance": math.sqrt(length)}.get(case, 0.0)
        return Check(error, rounding * UNIT_ROUNDOFF[dtype])


def _dimensions(operation: Operation, sides: int) -> set[int]:
    """The dimensions that are summed over, as places from the front."""
    given = operation.attribute("dim", -1)
    places = given if isinstance(given, tuple) else (given,)
    return {int(place) % sides for place in places if isinstance(place, (int, float))}


def _normalising(backend: Backend, case: str, cols: int) -> Function:
    xp = backend.module
    if backend.name == "torch":
        from torch.nn import functional

        if case == "softmax":
            return lambda x: functional.softmax(x, 1)
        return lambda x: functional.layer_norm(x, (cols,), eps=_EPSILON)
    if case == "softmax" and backend.name == "jax":
        from jax import nn

        return backend.compile(lambda x: nn.softmax(x, 1))
    if case == "softmax":

        def softmax(x: Any) -> Any:
            powers = xp.exp(x - x.max(1, keepdims=True))
            return powers / powers.sum(1, keepdims=True)

        return softmax

    def layer_norm(x: Any) -> Any:
        centred = x - x.mean(1, keepdims=True)
        return centred / xp.sqrt((centred * centred).mean(1, keepdims=True) + _EPSILON)

    return backend.compile(layer_norm)


def _checked_rows(rows: int, cols: int) -> np.ndarray[Any, Any]:
    """Numbers of rows at equal distances with about a million elements; the last one too."""
    step = max(1, math.ceil(rows * cols / _CHECKED_ELEMENTS))
    return np.unique(np.append(np.arange(0, rows, step), rows - 1))


def _check_rows(reference: Any, output: Any, case: str, params: Params, dtype: str) -> Check:
    shape, rows, sums = output if isinstance(output, tuple) else ((), None, None)
    cols = params["cols"]
    if shape != (params["rows"], cols):
        return Check(math.inf, 0.0)
    u_sum = UNIT_ROUNDOFF["float64" if dtype == "float64" else "float32"]
    tolerance = 8 * math.log2(cols + 1) * u_sum + UNIT_ROUNDOFF[dtype]
    floor = 0.0 if case == "softmax" else 1.0
    error = np.max(np.abs(rows - reference) / (np.abs(reference) + floor))
    if case == "softmax":
        others = np.max(np.abs(sums[0] - 1))
    else:
        # epsilon takes epsilon / variance off the mean square; a row left out takes all of it
        wrong = (np.abs(sums[1] / cols - 1) > 0.01) | np.isnan(sums[1])
        others = math.inf if wrong.any() else np.max(np.abs(sums[0])) / cols
    return Check(float(np.maximum(error, others)), tolerance)


def _shapes(shapes: tuple[tuple[int, int], ...]) -> list[dict[str, int]]:
    return [{"rows": rows, "cols": cols} for rows, cols in shapes]


#: Reads and writes of all elements, and calls.
_VARIANCE_PASSES = {"numpy": (4, 2, 4), "torch": (1, 0, 1)}


def _jax_grid(device: str) -> Iterator[GridPoint]:
    modes = ("hot",) if device == "cpu" else ("resident",)
    yield from points("sum", sizes("n", (4_194_304,)), [F32], modes)
    shapes = _CPU_NORM_ROWS[1:] if device == "cpu" else _CUDA_NORM_ROWS[2:]
    for case in _NORMALISING:
        yield from points(case, _shapes(shapes), [F32], modes)
    if device == "cuda":
        yield from points("row_sum", _shapes(_ROWS[1:3]), [F32], ("resident", "end_to_end"))


def _cpu_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    hot = ("hot",)
    every = 1 if suite == "full" else 2
    yield from points("sum", sizes("n", _CPU_SIZES), [F32], hot)
    yield from points("sum", sizes("n", _CPU_SIZES[2 :: every + 1]), [F64], hot)
    yield from points("row_sum", _shapes(_ROWS[::every]), [F32], hot)
    for case in _NORMALISING:
        yield from points(case, _shapes(_CPU_NORM_ROWS), [F32], hot)
    if backend == "numpy" or suite == "full":
        yield from points("row_sum", _shapes(_CPU_SHORT_ROWS), [F64], hot)
        yield from points("column_sum", _shapes(_CPU_COLUMN_SUMS), [F64], hot)
        yield from points("variance", sizes("n", _CPU_VARIANCES), [F64], hot)


def _cuda_grid(suite: str, backend: str) -> Iterator[GridPoint]:
    torch, full = backend == "torch", suite == "full"
    for index, n in enumerate(_CUDA_SIZES if torch or full else _CUDA_SIZES[::2]):
        modes: tuple[str, ...] = ("hot",)
        if index % 3 == 0 or full:
            modes = ("hot", "cold", "resident", "end_to_end") if torch else ("hot", "resident")
        yield from points("sum", sizes("n", (n,)), [F32], modes)
    yield from points("sum", sizes("n", _CUDA_SIZES[::3]), [F64], ("hot",))
    yield from points("row_sum", _shapes(_ROWS if torch or full else _ROWS[::2]), [F32], ("hot",))
    chosen = _CUDA_NORM_ROWS if torch else _CUDA_NORM_ROWS[1:]
    for case in _NORMALISING:
        yield from points(case, _shapes(chosen), [F32], ("hot",))
        if torch:
            yield from points(case, _shapes(chosen[1:2]), [BF16], ("hot",))
    few = slice(0, None) if backend == "cupy" or full else slice(1, 2)
    yield from points("column_sum", _shapes(_CUDA_COLUMN_SUMS[few]), [F64], ("hot",))
    yield from points("variance", sizes("n", _CUDA_VARIANCES[few]), [F64], ("hot",))
