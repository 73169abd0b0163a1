"""Maps of NumPy, which compute each element by itself, and what only moves elements."""

from __future__ import annotations

from collections.abc import Mapping

from collector.jobs import ITEM_BYTES, Operation, Tensor
from estimator.jobs.answered import Cells, element_type
from estimator.jobs.array_elements import nonzero
from estimator.jobs.array_operands import (
    FLOATS,
    computed_in,
    is_complex,
    is_whole,
    one_cell,
    plain_name,
    result_of,
    scaled,
)

#: case of the family map, how often, and the maps that take as long
_MAPS_ALIKE = (
    ("multiply", 1.0, "multiply add subtract square deg2rad rad2deg radians degrees ldexp"),
    ("multiply", 1.5, "diff ediff1d cross"),
    ("multiply", 3.0, "gradient"),
    ("divide", 1.0, "divide true_divide reciprocal"),
    ("divide", 3.0, "modf divmod"),
    (
        *("abs", 1.0),
        "absolute abs fabs negative positive conjugate conj sign floor ceil rint round trunc fix "
        "around copysign real imag",
    ),
    ("sqrt", 1.0, "sqrt"),
    ("exp", 1.0, "exp exp2 expm1 scipy.special.expit"),
    ("exp", 1.5, "sinh cosh tanh arctanh arcsinh arccosh"),
    (
        *("exp", 3.0),
        "scipy.special.erf scipy.special.erfc scipy.special.gammaln scipy.special.ndtr "
        "scipy.special.gamma scipy.special.j0 scipy.special.j1",
    ),
    ("log", 1.0, "log log2 log10 log1p logaddexp"),
    ("sin", 1.0, "sin cos sinc"),
    ("sin", 2.0, "tan"),
    ("power", 1.0, "power float_power cbrt"),
    ("arctan2", 1.0, "arctan2 arctan arcsin arccos hypot angle interp"),
    (
        *("compare", 1.0),
        "greater greater_equal less less_equal equal not_equal isnan isfinite isinf signbit",
    ),
    ("compare", 5.0, "isclose"),
    ("clip", 1.0, "maximum minimum fmax fmin clip heaviside"),
    ("where", 2.0, "nan_to_num unwrap"),
)
MAPS: Mapping[str, tuple[str, float]] = {
    kind: (case, times) for case, times, kinds in _MAPS_ALIKE for kind in kinds.split()
}
#: maps whose time is that of memory and of the loop, not of the function
_CHEAP = frozenset({"multiply", "abs", "clip", "compare", "where", "divide"})
#: a column that is repeated over rows no longer than so many elements costs a loop each
_LONG_ROW = 256

#: scalar exponents that are something else (numpy/_core/src/multiarray/number.c, fast_scalar_power)
_EXPONENTS = {2.0: "multiply", 1.0: "abs", 0.5: "sqrt", -1.0: "divide"}


def mapped(operation: Operation) -> Cells:
    case, times = MAPS[plain_name(operation.kind)]
    exponent = operation.attribute("exponent")
    if case == "power" and isinstance(exponent, int | float):
        case = _EXPONENTS.get(float(exponent), case)
    dtype = computed_in(operation)
    n = result_of(operation).count
    if is_whole(dtype):
        return scaled(_of_whole(operation, case, n), times)
    if is_complex(dtype):
        return scaled(_of_complex(operation, case, dtype, n), times)
    dtype = element_type(operation, "map", dtype)
    if operation.device == "cpu" and n > _NEW_PAGES and _writes_over(operation):
        if case == "multiply":
            return scaled(one_cell(operation, "elementwise", "add", dtype, n=n), times)
        some = one_cell(operation, "map", case, dtype, n=_NEW_PAGES)
        return scaled(some, times * n / _NEW_PAGES)
    return scaled(laid(operation, case, dtype, n), times)


#: elements of a result from which a CPU's system hands out its memory page by page; a map into
#: memory that is there takes as long for each element as for so many
_NEW_PAGES = 100_000


def _writes_over(operation: Operation) -> bool:
    """Whether the result goes where an operand was: by the program's wish or NumPy's own."""
    return bool(operation.attribute("in_place", False) or operation.attribute("reused", False))


def laid(operation: Operation, case: str, dtype: str, n: int) -> Cells:
    """A map of n elements as its operands lie: in order, slices, turned, or columns repeated."""
    result = result_of(operation)
    if case not in _CHEAP or len(result.shape) < 2 or n < 2:
        return one_cell(operation, "map", case, dtype, n=n)
    rows, cols = n // max(result.shape[-1], 1), result.shape[-1]
    arrays = [one for one in operation.inputs if one.count > 1]
    if any(_turned(one) for one in (*arrays, *operation.outputs)):
        return one_cell(operation, "map", "copy_transposed", dtype, rows=rows, cols=cols)
    if any(_repeated(one, result) for one in arrays) or (
        cols < _LONG_ROW and any(one.shape != result.shape for one in arrays)
    ):
        return one_cell(operation, "map", "multiply_column", dtype, rows=rows, cols=cols)
    if any(one.strides is not None for one in (*arrays, *operation.outputs)):
        return one_cell(operation, "map", "add_slices", dtype, rows=rows, cols=cols)
    return one_cell(operation, "map", case, dtype, n=n)


def _turned(x: Tensor) -> bool:
    """Whether neighbours along the last dimension do not lie side by side."""
    return x.strides is not None and len(x.shape) > 1 and x.strides[-1] > 1 and x.shape[-1] > 1


def _repeated(x: Tensor, result: Tensor) -> bool:
    """Whether one element goes with a whole row of the result."""
    return len(x.shape) == len(result.shape) and x.shape[-1] == 1 < result.shape[-1]


def _of_whole(operation: Operation, case: str, n: float) -> Cells:
    """Of whole numbers: sums like sums; bool like bool."""
    types = {tensor.dtype for tensor in (*operation.inputs, *operation.outputs)}
    if types <= {"bool"}:
        return one_cell(operation, "map", "logical", "bool", n=n)
    item = min(ITEM_BYTES[tensor.dtype] for tensor in operation.inputs or operation.outputs)
    return one_cell(operation, "map", "add_integers", "int64", n=max(1.0, n * item / 8))


def remainder(operation: Operation) -> Cells:
    dtype, n = computed_in(operation), result_of(operation).count
    if is_whole(dtype):
        return one_cell(operation, "map", "remainder", "int64", n=n)
    cells = one_cell(operation, "map", "divide", element_type(operation, "map", dtype), n=n)
    return scaled(cells, 4.0)


def _of_complex(operation: Operation, case: str, dtype: str, n: float) -> Cells:
    """Complex maps: functions, products, and those that are two real ones."""
    if case in ("exp", "sin", "log", "power", "arctan2", "sqrt"):
        kind = plain_name(operation.kind)
        if kind == "angle":
            return one_cell(operation, "map", "arctan2", "float64", n=n)
        return one_cell(operation, "map", "exp_complex", "complex128", n=n)
    real = "float64" if dtype == "complex128" else "float32"
    kind = plain_name(operation.kind)
    if kind in ("absolute", "abs"):
        return scaled(one_cell(operation, "map", "sqrt", real, n=n), 2.0)
    if kind in ("real", "imag"):
        return one_cell(operation, "map", "abs", real, n=n)
    if case in ("divide",) or kind in ("multiply", "square", "power"):
        cells = one_cell(operation, "map", "multiply_complex", dtype, n=n)
        return scaled(cells, 2.0 if case == "divide" else 1.0)
    return one_cell(operation, "map", "multiply", real, n=2 * n)


def logical(operation: Operation) -> Cells:
    n = result_of(operation).count
    types = {tensor.dtype for tensor in operation.inputs}
    if types <= {"bool"}:
        return one_cell(operation, "map", "logical", "bool", n=n)
    if all(map(is_whole, types)):
        return _of_whole(operation, "logical", n)
    return one_cell(operation, "map", "compare", real_type(operation, "map"), n=n)


def real_type(operation: Operation, workload: str) -> str:
    dtype = computed_in(operation)
    return element_type(operation, workload, dtype if not is_complex(dtype) else "float64")


def where(operation: Operation) -> Cells:
    """Chosen of two; with the condition alone it is nonzero."""
    if len(operation.inputs) == 1 and all(one.dtype == "int64" for one in operation.outputs):
        return nonzero(operation)
    dtype = element_type(operation, "map", result_of(operation).dtype)
    return one_cell(operation, "map", "where", dtype, n=result_of(operation).count)


# -- moving


def moved(operation: Operation) -> Cells:
    """Bytes read and written once: absolute values of as many; turned ones as transposed copies."""
    result = result_of(operation)
    dtype = result.dtype if result.dtype in FLOATS else "float64"
    read = sum(tensor.bytes for tensor in operation.inputs)
    count = max(1.0, (min(read, result.bytes) + result.bytes) / 2 / ITEM_BYTES[dtype])
    if any(_turned(tensor) for tensor in (*operation.inputs, *operation.outputs)):
        cols = result.shape[-1] if result.shape else 1
        rows = count / max(cols, 1)
        return one_cell(operation, "map", "copy_transposed", dtype, rows=rows, cols=cols)
    types = {tensor.dtype for tensor in (*operation.inputs, *operation.outputs)}
    if types == set(FLOATS):
        dtype = operation.inputs[0].dtype
        return one_cell(operation, "map", "cast", dtype, n=result.count)
    return one_cell(operation, "map", "abs", dtype, n=count)


def filled(operation: Operation) -> Cells:
    """Written only: half of a copy."""
    result = result_of(operation)
    count = sum(tensor.bytes for tensor in operation.outputs) / ITEM_BYTES["float64"]
    dtype = result.dtype if result.dtype in FLOATS else "float64"
    n = count * ITEM_BYTES["float64"] / ITEM_BYTES[dtype]
    return one_cell(operation, "map", "abs", dtype, n=max(1.0, n / 2))
