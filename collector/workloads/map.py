"""One expression over whole arrays with a new result, as scripts write them: x * y, np.exp(x)."""

from __future__ import annotations

import math
import operator
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
    uniform,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._labels import COLUMNS, ELEMENTS, ROWS
from collector.workloads._limits import Limit
from collector.workloads._sampled import fetch_parts, part_positions, share_that_differs
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import (
    BOOL,
    C64,
    C128,
    F32,
    F64,
    I64,
    ITEM_BYTES,
    UNIT_ROUNDOFF,
    ElementType,
)
from collector.workloads._work import Count, Floats, Work, product

if TYPE_CHECKING:
    from collector.backends.base import Backend

#: case -> element types of its operands, the one that scripts use first
_TYPES: Mapping[str, tuple[ElementType, ...]] = {
    **dict.fromkeys(("multiply", "divide", "sqrt", "exp", "log", "sin", "power"), (F64, F32)),
    **dict.fromkeys(("arctan2", "compare", "where", "clip", "abs", "cast"), (F64, F32)),
    **dict.fromkeys(("add_integers", "remainder"), (I64,)),
    "multiply_complex": (C128, C64),
    "exp_complex": (C128,),
    "logical": (BOOL,),
    **dict.fromkeys(("add_slices", "copy_transposed", "multiply_column"), (F64, F32)),
}
_MATRICES = ("add_slices", "copy_transposed", "multiply_column")
_TWO_OPERANDS = frozenset(
    {
        *("multiply", "divide", "power", "arctan2", "compare", "where"),
        *("add_integers", "remainder", "multiply_complex", "logical"),
    }
)
_OPERATORS: Mapping[str, Function] = {
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "compare": operator.gt,
    "add_integers": operator.add,
    "remainder": operator.mod,
    "multiply_complex": operator.mul,
    "logical": operator.and_,
}
_NAMED = {"exp_complex": "exp"}  # where the libraries' name is not the case's

_MOVES = frozenset({"cast", "where", "copy_transposed"})  # compute nothing
_COMPLEX_PRODUCT_FLOP = 6
_OTHER_WIDTH = {"float64": "float32", "float32": "float64"}  # what a cast makes of each
#: results that are rounded; all others are exact
_ROUNDED = frozenset(
    {
        *("multiply", "divide", "sqrt", "exp", "log", "sin", "power", "arctan2"),
        *("multiply_complex", "exp_complex", "add_slices", "multiply_column"),
    }
)
#: Units of round-off that a result may be off: libraries state up to 4 units in the last place
#: of their functions (NumPy's SIMD loops, CUDA Math API), which is 8, and complex ones have two.
_TOLERANCE = 16.0

#: NumPy starts an inner loop for each row of what is no single block of memory, in about the
#: time of so many elements (a choice; 10 to 20 ns on a Xeon).
_ROW_STEPS = 20.0
_PAGE_BYTES = 4096  # columns of rows of whole pages lie in few sets of a CPU's caches

_LIMIT = 1.0  # of clip: half of what is clipped lies beyond
_LARGEST_DIVISOR = 1_000_000
_WHOLE_NUMBERS = 2.0**40  # magnitude of those that are added and divided

_CPU_SIZES = (1000, 100_003, 3_000_000)
_CUDA_SIZES = (1000, 1_000_003, 10_000_000)
_SMALLEST = ("multiply", "exp", "compare", "where")  # of which one element is measured too
_CPU_SHAPES = ((100, 100), (100_000, 3), (1001, 1000), (2048, 1024))
_CUDA_SHAPES = ((100, 100), (1_000_000, 3), (4096, 4096))


class Map(Workload):
    """Each library's operator or function; its result is a new array in each call.

    ``elementwise`` writes to memory that is there already. Rows and columns are those of the
    result but for the transposed copy, where they are those of its operand.
    """

    name = "map"
    summary = "an expression of whole arrays with a new result: x * y, exp(x), where(m, x, y)"
    size_meaning = "elements of the result"
    signatures = {
        case: {"rows": None, "cols": None} if case in _MATRICES else {"n": None} for case in _TYPES
    }
    support = {
        ("numpy", "cpu"): (F64, F32, I64, C128, C64, BOOL),
        ("torch", "cpu"): (F64, F32, I64, C128, C64, BOOL),
        ("torch", "cuda"): (F64, F32, I64, C128, C64, BOOL),
        ("cupy", "cuda"): (F64, F32, I64, C128, C64, BOOL),
    }
    case_dtypes = {case: frozenset(name for name, _ in types) for case, types in _TYPES.items()}
    threaded_backends = frozenset({"torch"})
    rank = 52
    label = "Expressions with new results"
    case_labels = {
        "multiply": "Product x * y",
        "divide": "Quotient x / y",
        "sqrt": "Square root",
        "exp": "Exponential",
        "log": "Logarithm",
        "sin": "Sine",
        "power": "Power x ** y",
        "arctan2": "Angle arctan2(x, y)",
        "compare": "Comparison x > y",
        "where": "Choice where(mask, x, y)",
        "clip": "Clip to limits",
        "abs": "Magnitude",
        "cast": "To the other float type",
        "add_integers": "Sum of whole numbers",
        "remainder": "Remainder of whole numbers",
        "multiply_complex": "Complex product",
        "exp_complex": "Complex exponential",
        "logical": "And of two masks",
        "add_slices": "Sum of shifted slices",
        "copy_transposed": "Copy of the transpose",
        "multiply_column": "Matrix times a column",
    }
    case_help = "The expression. The element type is that of what it reads."
    parameter_labels = {"n": ELEMENTS, "rows": ROWS, "cols": COLUMNS}
    labels_of_cases = {
        "add_slices": {
            "rows": ("Rows", "Rows of the slices; the matrix has two more."),
            "cols": ("Columns", "Columns of the slices; the matrix has two more."),
        }
    }
    start_values = {"n": 3_000_000, "rows": 2048, "cols": 1024}
    survey = {
        device: tuple(
            Space(
                case,
                {"rows": (8, longest), "cols": (2, longest)}
                if case in _MATRICES
                else {"n": (10, largest)},
                dict(zip(types, (6, 3), strict=False)),
            )
            for case, types in _TYPES.items()
        )
        for device, largest, longest in (("cpu", 10_000_000, 8192), ("cuda", 30_000_000, 32_768))
    }
    limits = frozenset({Limit.STREAMING, Limit.GRAINED, Limit.AWKWARD})
    kin = {
        **dict.fromkeys(
            ("exp", "log", "sin", "power", "arctan2", "where", "remainder", "exp_complex"),
            "map_steps",
        ),
        "copy_transposed": "map_transposed",
    }
    kin_limits = {
        "map_steps": frozenset({Limit.STEPPING}),
        "map_transposed": frozenset({Limit.SCATTERED, Limit.AWKWARD}),
    }

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return product(params.values())

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        """By size, so that the last point of each case is its largest."""
        grid = _grid(suite, backend, device) if (backend, device) in self.support else iter(())
        yield from sorted(grid, key=lambda point: self.size(point.case, dict(point.params)))

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """Operands read once, the result written once, a FLOP for each of its elements.

        That is a convention where a function costs more; complex products have six, and what only
        moves elements has none. A mask has a byte an element. Of two shifted slices each row but
        one is read for both at once.
        """
        n, item = product(params.values()), ITEM_BYTES[dtype]
        vector, result = 1.0 * (n * item), 1.0 * (n * ITEM_BYTES[_result_type(case, dtype)])
        read = (2.0 if case in _TWO_OPERANDS else 1.0) * vector
        if case == "where":
            read = read + 1.0 * n
        elif case == "multiply_column":
            read = read + 1.0 * (params["rows"] * item)
        sent = read
        if case == "add_slices":
            rows, cols = params["rows"], params["cols"]
            read = 1.0 * ((rows + 1) * cols * item)
            sent = 1.0 * ((rows + 2) * (cols + 2) * item)
        each = 0 if case in _MOVES else _COMPLEX_PRODUCT_FLOP if case == "multiply_complex" else 1
        return Work(1.0 * (each * n), read, result, sent, result, 1)

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """Operands and result: no expression of this family has an intermediate one."""
        work = self.operation_work(case, params, dtype, backend)
        own = work.h2d_bytes + work.d2h_bytes
        return JobMemory(own, own)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """A new array for the result; NumPy starts a loop for each row of what is no one block.

        What moves elements takes its time for each of them too. On a CPU the transpose of rows
        of whole pages is awkward: the elements of a column compete for the same places of a cache.
        """
        n = self.principal_size(asked.case, params)
        result = n * ITEM_BYTES[_result_type(asked.case, asked.dtype)]
        steps = n if asked.case in _MOVES else 0.0
        if asked.device != "cpu":
            return Shape(steps=steps)
        awkward: Any = 0.0
        if asked.case == "copy_transposed":
            row = params["cols"] * ITEM_BYTES[asked.dtype]
            awkward = np.where(row % _PAGE_BYTES == 0, 1.0, 0.0)
        elif asked.case in _MATRICES and asked.backend == "numpy":
            steps = _ROW_STEPS * params["rows"]
        return Shape(steps=steps, awkward=awkward, fresh=result, block=result)

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Random operands of magnitude 1, but where a function is asked more of."""
        if case == "add_slices":
            return (uniform((params["rows"] + 2, params["cols"] + 2), dtype, seed),)
        shape = tuple(params[name] for name in self.signatures[case])
        drawn_type = "float64" if dtype in ("int64", "bool") else dtype
        first = uniform(shape, drawn_type, seed)
        if case in ("sqrt", "log", "power"):
            first = np.abs(first, out=first)
        elif case in ("exp", "sin", "clip"):
            first *= {"exp": 10, "sin": 3, "clip": 2 * _LIMIT}[case]
        elif dtype == "int64":
            return _whole_numbers(case, first, uniform(shape, drawn_type, seed + 1))
        elif dtype == "bool":
            return first > 0, uniform(shape, drawn_type, seed + 1) > 0
        if case == "multiply_column":
            return first, uniform(params["rows"], dtype, seed + 1)
        if case not in _TWO_OPERANDS:
            return (first,)
        second = uniform(shape, dtype, seed + 1)
        if case == "power":
            second *= 2
        if case == "where":
            return uniform(shape, dtype, seed + 2) > 0, first, second
        return first, second

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        """The operator or the library's function itself where there is one: no call around it."""
        xp = backend.module
        if case in _OPERATORS:
            return _OPERATORS[case]
        torch = backend.name == "torch"
        if case == "clip":
            return lambda x: xp.clip(x, -_LIMIT, _LIMIT)
        if case == "cast":
            other = getattr(xp, _OTHER_WIDTH[dtype])
            return (lambda x: x.to(other)) if torch else (lambda x: x.astype(other))
        if case == "add_slices":
            return lambda u: u[1:-1, 1:-1] + u[:-2, 1:-1]
        if case == "copy_transposed":
            return (lambda x: x.T.contiguous()) if torch else (lambda x: xp.ascontiguousarray(x.T))
        if case == "multiply_column":
            return lambda x, column: x * column[:, None]
        function: Function = getattr(xp, _NAMED.get(case, case))
        return function

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        """Shape of the result and its checked parts, computed in float64 (complex128)."""
        shape = tuple(params[name] for name in self.signatures[case])
        if case == "copy_transposed":
            shape = shape[::-1]
        positions = part_positions(shape)
        return shape, [_expected(case, _operands_of(case, inputs, shape, p)) for p in positions]

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
        """Largest error of an element relative to it; share of wrong ones where all are exact."""
        shape, expected = reference
        found_shape, parts = output
        result = _result_type(case, dtype)
        if found_shape != shape or any(part.dtype != np.dtype(result) for part in parts):
            return Check(math.inf, 0.0)
        if case not in _ROUNDED:
            return Check(share_that_differs(parts, [part.astype(result) for part in expected]), 0.0)
        errors = [
            np.max(np.abs(part - exact) / np.abs(exact))
            for part, exact in zip(parts, expected, strict=True)
        ]
        return Check(float(np.max(errors)), _TOLERANCE * UNIT_ROUNDOFF[dtype])


def _result_type(case: str, dtype: str) -> str:
    if case == "compare":
        return "bool"
    return _OTHER_WIDTH.get(dtype, dtype) if case == "cast" else dtype


def _whole_numbers(case: str, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> Arrays:
    """Two arrays of int64 without zeros from values in [-1, 1]; divisors are positive."""
    first = (x * _WHOLE_NUMBERS).astype(np.int64) | 1
    if case == "remainder":
        return first, 1 + (np.abs(y) * _LARGEST_DIVISOR).astype(np.int64)
    return first, (y * _WHOLE_NUMBERS).astype(np.int64) | 1


def _operands_of(
    case: str, inputs: Arrays, shape: tuple[int, ...], positions: np.ndarray[Any, Any]
) -> list[np.ndarray[Any, Any]]:
    """What makes the elements at some positions of the result made flat, floats as float64."""
    if case not in _MATRICES:
        chosen = [array[positions] for array in inputs]
    else:
        rows, cols = np.divmod(positions, shape[1])
        x = inputs[0]
        if case == "add_slices":
            chosen = [x[rows + 1, cols + 1], x[rows, cols + 1]]
        elif case == "copy_transposed":
            chosen = [x[cols, rows]]
        else:
            chosen = [x[rows, cols], inputs[1][rows]]
    wide = {"f": np.float64, "c": np.complex128}
    return [array.astype(wide.get(array.dtype.kind, array.dtype)) for array in chosen]


def _expected(case: str, operands: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The elements that ``operands`` make."""
    x = operands[0]
    result: np.ndarray[Any, Any]
    if case in _OPERATORS:
        result = _OPERATORS[case](*operands)
    elif case == "add_slices":
        result = x + operands[1]
    elif case == "multiply_column":
        result = x * operands[1]
    elif case == "clip":
        result = np.minimum(np.maximum(x, -_LIMIT), _LIMIT)
    elif case in ("cast", "copy_transposed"):
        result = x
    else:
        result = getattr(np, _NAMED.get(case, case))(*operands)
    return result


def _grid(suite: str, backend: str, device: str) -> Iterator[GridPoint]:
    """All cases in their first type; the second at one size."""
    cpu, torch, full = device == "cpu", backend == "torch", suite == "full"
    hot = ("hot",)
    if suite == "quick":
        if not torch:
            both = hot if cpu else ("hot", "resident")
            yield from points("exp", sizes("n", (100_003,)), [F64], both)
        return
    for case, types in _TYPES.items():
        if case in _MATRICES:
            shapes = _CPU_SHAPES if cpu else _CUDA_SHAPES
            every = [{"rows": rows, "cols": cols} for rows, cols in shapes]
        else:
            smallest = (1,) if case in _SMALLEST else ()
            every = sizes("n", (*smallest, *(_CPU_SIZES if cpu else _CUDA_SIZES)))
        chosen = every if full or not torch else every[-2:-1] if cpu else []
        yield from points(case, chosen, types[:1], hot)
        if full or not torch:
            yield from points(case, every[-2:] if full else every[-2:-1], types[1:], hot)
    if cpu:
        if full:
            yield from points("multiply", sizes("n", (10, 30_000)), [F64], hot)
        if not torch:  # results that the system hands out page by page
            for case in ("multiply", "exp"):
                yield from points(case, sizes("n", (10_000_000,)), [F64], hot)
        return
    # what waiting and copies add is the same for all cases
    for case in ("multiply", "exp"):
        yield from points(case, sizes("n", _CUDA_SIZES[:2]), [F64], ("resident", "end_to_end"))
