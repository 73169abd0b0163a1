"""From a call of NumPy or SciPy to the cells whose times are its own, or the nearest there are.

Maps allocate their results as scripts have them do (family map); everything else is the family of
its name. A call that none measures is answered by the nearest with the same work; one that nobody
thought about has no cell, and the caller takes what it took where it was recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from collector.jobs import ITEM_BYTES, Operation, Tensor
from estimator.jobs.answered import NOTHING, Answered, Cells, cell_of, element_type, whole_size

#: calls that start nothing on a device: views of arrays, memory set aside, facts about arrays
NOTHING_CALLS = frozenset(
    {
        *("view", "item", "empty", "empty_like", "synchronize", "broadcast_to", "shape", "ndim"),
        *("size", "may_share_memory", "result_type", "iinfo", "finfo", "broadcast_arrays"),
        *("isscalar", "can_cast", "broadcast_shapes", "seed", "random.seed", "random.default_rng"),
    }
)

_INTEGERS = ("int", "uint", "bool")


def array_call(operation: Operation) -> Answered:
    """The cells of a call on arrays; none for views, and ``known`` false where nothing is near."""
    kind = _plain(operation.kind)
    if kind in NOTHING_CALLS or not operation.launches:
        return NOTHING
    tensors = (*operation.inputs, *operation.outputs)
    if not any(tensor.count for tensor in tensors):
        return NOTHING
    way = _WAYS.get(kind)
    if way is None and kind.endswith(_OF_INDEX):
        way = _added_at, False
    if way is None:
        return Answered((), False, False, "where it was recorded")
    make, exact = way
    cells = make(operation)
    if not cells:
        return Answered((), False, False, "where it was recorded")
    if exact and len(cells) == 1 and cells[0][1] == 1.0:
        return Answered(cells, True, True, "measured")
    return Answered(cells, False, True, "the nearest call of as much work")


_OF_INDEX = ".at"
#: names of SciPy's that do what NumPy's do
_SAME = {"scipy.linalg.": "linalg.", "scipy.fft.": "fft.", "scipy.fftpack.": "fft."}


def _plain(kind: str) -> str:
    """The name without the in-place mark; SciPy's that NumPy has too under NumPy's name."""
    for prefix, name in _SAME.items():
        if kind.startswith(prefix) and name + kind.removeprefix(prefix) in _WAYS:
            return name + kind.removeprefix(prefix)
    return kind


# -- operands ------------------------------------------------------------------------------------


def _result(operation: Operation) -> Tensor:
    """The largest result, else the largest operand."""
    return max(operation.outputs or operation.inputs, key=lambda tensor: tensor.count)


def _operand(operation: Operation) -> Tensor:
    """The largest operand, else the largest result."""
    return max(operation.inputs or operation.outputs, key=lambda tensor: tensor.count)


def _is_whole(dtype: str) -> bool:
    return dtype.startswith(_INTEGERS)


def _is_complex(dtype: str) -> bool:
    return dtype.startswith("complex")


def _computed_in(operation: Operation) -> str:
    """The element type of the work: the widest floating-point one, else of the first operand."""
    types = [tensor.dtype for tensor in (*operation.inputs, *operation.outputs)]
    floating = [name for name in types if not _is_whole(name)]
    if not floating:
        return types[0] if types else "float64"
    return max(floating, key=lambda name: (_is_complex(name), ITEM_BYTES[name]))


def _sides(x: Tensor, axis: object) -> tuple[int, int, bool]:
    """Rows and columns where the axis is laid as columns, and whether it lies side by side."""
    if not x.shape:
        return 1, 1, True
    axes = axis if isinstance(axis, tuple) else (axis,)
    named = [int(one) % len(x.shape) for one in axes if isinstance(one, int | float)]
    if not named or len(named) == len(x.shape):
        return 1, x.count, True
    cols = math.prod(x.shape[one] for one in named)
    last = len(x.shape) - 1 in named
    return x.count // max(cols, 1), cols, last


def _cell(operation: Operation, workload: str, case: str, dtype: str, **sizes: float) -> Cells:
    return ((cell_of(operation, workload, case, dtype, **sizes), 1.0),)


def _times(cells: Cells, factor: float) -> Cells:
    return tuple((cell, times * factor) for cell, times in cells)


# -- maps ----------------------------------------------------------------------------------------

_FLOATS = ("float64", "float32")

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
_MAPS: Mapping[str, tuple[str, float]] = {
    kind: (case, times) for case, times, kinds in _MAPS_ALIKE for kind in kinds.split()
}
#: maps whose time is that of memory and of the loop, not of the function
_CHEAP = frozenset({"multiply", "abs", "clip", "compare", "where", "divide"})
#: a column that is repeated over rows no longer than so many elements costs a loop each
_LONG_ROW = 256

#: scalar exponents that are something else (numpy/_core/src/multiarray/number.c, fast_scalar_power)
_EXPONENTS = {2.0: "multiply", 1.0: "abs", 0.5: "sqrt", -1.0: "divide"}


def _map(operation: Operation) -> Cells:
    case, times = _MAPS[_plain(operation.kind)]
    exponent = operation.attribute("exponent")
    if case == "power" and isinstance(exponent, int | float):
        case = _EXPONENTS.get(float(exponent), case)
    dtype = _computed_in(operation)
    n = _result(operation).count
    if case not in ("compare",) and _is_whole(dtype):
        return _times(_of_whole(operation, case, n), times)
    if _is_complex(dtype):
        return _times(_of_complex(operation, case, dtype, n), times)
    dtype = element_type(operation, "map", dtype)
    return _times(_laid(operation, case, dtype, n), times)


def _laid(operation: Operation, case: str, dtype: str, n: int) -> Cells:
    """A map of n elements as its operands lie: in order, slices, turned, or columns repeated."""
    result = _result(operation)
    if case not in _CHEAP or len(result.shape) < 2 or n < 2:
        return _cell(operation, "map", case, dtype, n=n)
    rows, cols = n // max(result.shape[-1], 1), result.shape[-1]
    arrays = [one for one in operation.inputs if one.count > 1]
    if any(_turned(one) for one in (*arrays, *operation.outputs)):
        return _cell(operation, "map", "copy_transposed", dtype, rows=rows, cols=cols)
    if any(_repeated(one, result) for one in arrays) or (
        cols < _LONG_ROW and any(one.shape != result.shape for one in arrays)
    ):
        return _cell(operation, "map", "multiply_column", dtype, rows=rows, cols=cols)
    if any(one.strides is not None for one in (*arrays, *operation.outputs)):
        return _cell(operation, "map", "add_slices", dtype, rows=rows, cols=cols)
    return _cell(operation, "map", case, dtype, n=n)


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
        return _cell(operation, "map", "logical", "bool", n=n)
    item = min(ITEM_BYTES[tensor.dtype] for tensor in operation.inputs or operation.outputs)
    return _cell(operation, "map", "add_integers", "int64", n=max(1.0, n * item / 8))


def _remainder(operation: Operation) -> Cells:
    dtype, n = _computed_in(operation), _result(operation).count
    if _is_whole(dtype):
        return _cell(operation, "map", "remainder", "int64", n=n)
    cells = _cell(operation, "map", "divide", element_type(operation, "map", dtype), n=n)
    return _times(cells, 4.0)


def _of_complex(operation: Operation, case: str, dtype: str, n: float) -> Cells:
    """Complex maps: functions, products, and those that are two real ones."""
    if case in ("exp", "sin", "log", "power", "arctan2", "sqrt"):
        kind = _plain(operation.kind)
        if kind == "angle":
            return _cell(operation, "map", "arctan2", "float64", n=n)
        return _cell(operation, "map", "exp_complex", "complex128", n=n)
    real = "float64" if dtype == "complex128" else "float32"
    kind = _plain(operation.kind)
    if kind in ("absolute", "abs"):
        return _times(_cell(operation, "map", "sqrt", real, n=n), 2.0)
    if kind in ("real", "imag"):
        return _cell(operation, "map", "abs", real, n=n)
    if case in ("divide",) or kind in ("multiply", "square", "power"):
        cells = _cell(operation, "map", "multiply_complex", dtype, n=n)
        return _times(cells, 2.0 if case == "divide" else 1.0)
    return _cell(operation, "map", "multiply", real, n=2 * n)


def _logical(operation: Operation) -> Cells:
    n = _result(operation).count
    types = {tensor.dtype for tensor in operation.inputs}
    if types <= {"bool"}:
        return _cell(operation, "map", "logical", "bool", n=n)
    if all(map(_is_whole, types)):
        return _of_whole(operation, "logical", n)
    return _cell(operation, "map", "compare", _real(operation, "map"), n=n)


def _real(operation: Operation, workload: str) -> str:
    dtype = _computed_in(operation)
    return element_type(operation, workload, dtype if not _is_complex(dtype) else "float64")


def _where(operation: Operation) -> Cells:
    """Chosen of two; with the condition alone it is nonzero."""
    if len(operation.inputs) == 1 and all(one.dtype == "int64" for one in operation.outputs):
        return _nonzero(operation)
    dtype = element_type(operation, "map", _result(operation).dtype)
    return _cell(operation, "map", "where", dtype, n=_result(operation).count)


# -- moving --------------------------------------------------------------------------------------


def _moved(operation: Operation) -> Cells:
    """Bytes read and written once: absolute values of as many; turned ones as transposed copies."""
    result = _result(operation)
    dtype = result.dtype if result.dtype in _FLOATS else "float64"
    read = sum(tensor.bytes for tensor in operation.inputs)
    count = max(1.0, (min(read, result.bytes) + result.bytes) / 2 / ITEM_BYTES[dtype])
    if any(_turned(tensor) for tensor in (*operation.inputs, *operation.outputs)):
        cols = result.shape[-1] if result.shape else 1
        rows = count / max(cols, 1)
        return _cell(operation, "map", "copy_transposed", dtype, rows=rows, cols=cols)
    types = {tensor.dtype for tensor in (*operation.inputs, *operation.outputs)}
    if types == set(_FLOATS):
        dtype = operation.inputs[0].dtype
        return _cell(operation, "map", "cast", dtype, n=result.count)
    return _cell(operation, "map", "abs", dtype, n=count)


def _filled(operation: Operation) -> Cells:
    """Written only: half of a copy."""
    result = _result(operation)
    count = sum(tensor.bytes for tensor in operation.outputs) / ITEM_BYTES["float64"]
    dtype = result.dtype if result.dtype in _FLOATS else "float64"
    n = count * ITEM_BYTES["float64"] / ITEM_BYTES[dtype]
    return _cell(operation, "map", "abs", dtype, n=max(1.0, n / 2))


# -- reductions, scans, selection ----------------------------------------------------------------


def _sum(operation: Operation) -> Cells:
    x = _operand(operation)
    dtype = element_type(operation, "reduction", "float64" if _is_whole(x.dtype) else x.dtype)
    n = x.bytes / ITEM_BYTES[dtype] if not _is_whole(x.dtype) else x.count
    rows, cols, last = _sides(x, operation.attribute("axis"))
    if rows == 1:
        return _cell(operation, "reduction", "sum", dtype, n=n)
    factor = n / max(x.count, 1)
    if last:
        return _cell(operation, "reduction", "row_sum", dtype, rows=rows, cols=cols * factor)
    return _cell(operation, "reduction", "column_sum", dtype, rows=cols, cols=rows * factor)


def _variance(operation: Operation) -> Cells:
    x = _operand(operation)
    dtype = element_type(operation, "reduction", x.dtype)
    rows, _, _ = _sides(x, operation.attribute("axis"))
    cells = _cell(operation, "reduction", "variance", dtype, n=x.count)
    return cells if rows == 1 else _times(_sum(operation), 3.0)


def _extreme(operation: Operation) -> Cells:
    x = _operand(operation)
    dtype = element_type(operation, "select", "float64" if _is_whole(x.dtype) else x.dtype)
    rows, cols, last = _sides(x, operation.attribute("axis"))
    if rows == 1:
        return _cell(operation, "select", "max", dtype, n=x.bytes / ITEM_BYTES[dtype])
    if last:
        return _cell(operation, "select", "argmin_rows", dtype, rows=rows, cols=cols)
    return _sum(operation)


def _argmin(operation: Operation) -> Cells:
    x = _operand(operation)
    dtype = element_type(operation, "select", "float64" if _is_whole(x.dtype) else x.dtype)
    rows, cols, _ = _sides(x, operation.attribute("axis"))
    if rows == 1:
        return _cell(operation, "select", "argmin", dtype, n=x.count)
    return _cell(operation, "select", "argmin_rows", dtype, rows=rows, cols=cols)


def _counted(operation: Operation) -> Cells:
    """any, all and counts: of truths as they are, of numbers as a comparison besides."""
    x = _operand(operation)
    return _cell(operation, "select", "count_nonzero", "bool", n=max(1.0, x.count))


def _scan(operation: Operation) -> Cells:
    x = _operand(operation)
    dtype = element_type(operation, "scan", "float64" if _is_whole(x.dtype) else x.dtype)
    rows, cols, _ = _sides(x, operation.attribute("axis"))
    if rows == 1:
        return _cell(operation, "scan", "cumsum", dtype, n=x.count)
    return _cell(operation, "scan", "cumsum_rows", dtype, rows=rows, cols=cols)


def _selected(case: str) -> Callable[[Operation], Cells]:
    """A case of the family select on the largest operand's elements."""

    def make(operation: Operation) -> Cells:
        x = _operand(operation)
        dtype = element_type(operation, "select", "float64" if _is_whole(x.dtype) else x.dtype)
        dtype = "bool" if case == "nonzero" else dtype
        return _cell(operation, "select", case, dtype, n=x.count)

    return make


_nonzero = _selected("nonzero")


def _sorted(operation: Operation) -> Cells:
    x = _operand(operation)
    dtype = element_type(operation, "sort", "int64" if _is_whole(x.dtype) else x.dtype)
    case = "argsort" if "arg" in operation.kind or "lex" in operation.kind else "sort"
    axis = operation.attribute("axis", -1)
    rows, cols, _ = _sides(x, axis)
    if rows == 1 or len(x.shape) < 2:
        return _cell(operation, "sort", case, dtype, n=x.count)
    return _cell(operation, "sort", "sort_rows", dtype, rows=rows, cols=cols)


# -- by index ------------------------------------------------------------------------------------


def _taken(operation: Operation) -> Cells:
    """Elements, or rows of a matrix, by an array of indices."""
    x, result = operation.inputs[0], _result(operation)
    index = [one for one in operation.inputs[1:] if one.dtype.startswith("int")]
    count = max((one.count for one in index), default=result.count)
    width = result.count / max(count, 1)
    if width >= 2.0 and x.shape:
        dtype = element_type(operation, "gather", x.dtype)
        rows = x.count / width
        return _cell(operation, "gather", "rows", dtype, rows=rows, width=width, count=count)
    dtype = element_type(operation, "select", x.dtype if x.dtype in _FLOATS else "float64")
    return _cell(operation, "select", "take", dtype, n=result.count)


def _put(operation: Operation) -> Cells:
    """As many elements written by index."""
    index = [one for one in operation.inputs if one.dtype.startswith("int")]
    count = max((one.count for one in index), default=_operand(operation).count)
    return _cell(operation, "select", "put", "float64", n=max(1, count))


def _added_at(operation: Operation) -> Cells:
    table = (operation.outputs or operation.inputs)[0]
    index = [one for one in operation.inputs[1:] if one.dtype.startswith("int")]
    count = max((one.count for one in index), default=_operand(operation).count)
    return _cell(
        operation, "scatter_add", "histogram", "float64", count=max(1, count), bins=table.count
    )


def _bins(case: str, dtype: str = "float64") -> Callable[[Operation], Cells]:
    """A case of the family histogram: so many values among the entries of the other array."""

    def make(operation: Operation) -> Cells:
        given = operation.attribute("bins")
        tensors = sorted((*operation.inputs, *operation.outputs), key=lambda one: one.count)
        largest = tensors[-1].count if not operation.inputs else _operand(operation).count
        other = [one.count for one in (*operation.outputs, *operation.inputs[1:])]
        bins = given if isinstance(given, int | float) and given > 0 else max(min(other or [1]), 1)
        size = "values" if case == "unique" else "bins"
        return _cell(operation, "histogram", case, dtype, n=largest, **{size: float(bins)})

    return make


def _searched(operation: Operation) -> Cells:
    """Needles among sorted bins: the result has an entry a needle."""
    needles = max(1, _result(operation).count)
    others = [one.count for one in operation.inputs if one.count != needles]
    bins = max(others, default=needles)
    return _cell(operation, "histogram", "searchsorted", "float64", n=needles, bins=bins)


# -- products ------------------------------------------------------------------------------------


def _multiplied(
    operation: Operation, dtype: str, batch: float, m: float, n: float, k: float
) -> Cells:
    """Products of m x k by k x n; complex ones are four real ones, whole ones a loop."""
    if _is_complex(dtype):
        real = "float64" if dtype == "complex128" else "float32"
        return _times(_multiplied(operation, real, batch, m, n, k), 4.0)
    if _is_whole(dtype):
        return _cell(operation, "einsum", "matrix_product", "float64", m=m * batch, n=n, k=k)
    dtype = element_type(operation, "matmul", dtype)
    if whole_size(batch) > 1:
        return _cell(operation, "matmul", "batched", dtype, batch=batch, m=m, n=n, k=k)
    if m == n == k:
        return _cell(operation, "matmul", "square", dtype, n=n)
    return _cell(operation, "matmul", "skinny", dtype, m=m, n=n, k=k)


def _product(operation: Operation) -> Cells:
    """matmul, dot, inner, outer, tensordot and kron by the sizes of operands and result."""
    arrays = [one for one in operation.inputs if one.shape]
    dtype = _computed_in(operation)
    if len(arrays) < 2:
        return _times(
            _laid(operation, "multiply", _real(operation, "map"), _result(operation).count), 1.0
        )
    a, b = arrays[0], arrays[1]
    result = operation.outputs[0].count if operation.outputs else 1
    kind = _plain(operation.kind)
    if kind in ("outer", "kron"):
        return _cell(operation, "einsum", "outer", _float(dtype), rows=a.count, cols=b.count)
    if kind in ("vdot", "inner") and len(a.shape) == len(b.shape) == 1:
        return _multiplied(operation, dtype, 1, 1, 1, a.count)
    k = a.shape[-1]
    if kind == "tensordot":
        k = round(math.sqrt(max(1.0, a.count * b.count / max(result, 1))))
    if kind == "matmul" and len(a.shape) > 2 and len(b.shape) > 2:
        batch = result / max(a.shape[-2] * b.shape[-1], 1)
        return _multiplied(operation, dtype, batch, a.shape[-2], b.shape[-1], k)
    m = a.count / max(k, 1)
    return _multiplied(operation, dtype, 1, m, max(1.0, result / max(m, 1)), k)


def _float(dtype: str) -> str:
    return "float32" if dtype in ("float32", "complex64") else "float64"


def _einsum(operation: Operation) -> Cells:
    """By its subscripts: rows' dots, outer products, matrices; else as many multiplications."""
    dtype = _float(_computed_in(operation))
    text = str(operation.attribute("subscripts", "")).replace(" ", "")
    left, _, right = text.partition("->")
    terms = left.split(",")
    sizes = _letters(terms, operation)
    if sizes is None or len(terms) != 2:
        flop = max(operation.flop, 1.0)
        return _cell(operation, "einsum", "row_dots", dtype, rows=1, cols=flop / 2)
    a, b = map(set, terms)
    kept = set(right)
    summed = (a | b) - kept

    def over(letters: set[str]) -> float:
        return float(math.prod(sizes[one] for one in letters))

    if not summed:
        rows, cols = over(kept - {right[-1:]} if right else set()), sizes.get(right[-1:], 1)
        return _cell(operation, "einsum", "outer", dtype, rows=rows, cols=cols)
    shared = a & b & kept
    if a - summed <= shared or b - summed <= shared:
        return _cell(operation, "einsum", "row_dots", dtype, rows=over(kept), cols=over(summed))
    m, n = over((a & kept) - b), over((b & kept) - a)
    return _cell(
        operation, "einsum", "matrix_product", dtype, m=m * over(shared), n=n, k=over(summed)
    )


def _letters(terms: list[str], operation: Operation) -> dict[str, int] | None:
    """Size of each letter of einsum's terms; None where they do not match the operands."""
    if "." in "".join(terms) or len(terms) != len(operation.inputs):
        return None
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, operation.inputs, strict=True):
        if len(term) != len(tensor.shape):
            return None
        sizes.update(zip(term, tensor.shape, strict=True))
    return sizes


# -- linear algebra, transforms, generators ------------------------------------------------------


def _matrix(operation: Operation) -> tuple[int, int, int]:
    """Batch, rows and columns of the first operand."""
    x = operation.inputs[0] if operation.inputs else _result(operation)
    if len(x.shape) < 2:
        return 1, 1, max(x.count, 1)
    rows, cols = x.shape[-2:]
    return x.count // max(rows * cols, 1), rows, cols


def _linear(case: str, factor: float = 1.0) -> Callable[[Operation], Cells]:
    """A case of the family linear_algebra; several matrices one after the other, as LAPACK does."""

    def make(operation: Operation) -> Cells:
        batch, rows, cols = _matrix(operation)
        dtype = element_type(operation, "linear_algebra", _float(_computed_in(operation)))
        n = max(rows, cols)
        together = {"solve": "batched_solve", "eigh": "batched_eigh"}
        if batch > 1 and case in together:
            sizes: dict[str, float] = {"batch": batch, "n": n}
            return _times(
                _cell(operation, "linear_algebra", together[case], dtype, **sizes), factor
            )
        if case in ("svd", "qr", "lstsq"):
            sizes = {"rows": max(rows, cols), "cols": min(rows, cols)}
        elif case == "solve":
            other = operation.inputs[1] if len(operation.inputs) > 1 else None
            rhs = 1 if other is None or len(other.shape) < 2 else other.shape[-1]
            sizes = {"n": n, "rhs": rhs}
        else:
            sizes = {"n": n}
        complex_factor = 4.0 if _is_complex(_computed_in(operation)) else 1.0
        cells = _cell(operation, "linear_algebra", case, dtype, **sizes)
        return _times(cells, factor * batch * complex_factor)

    return make


def _norm(operation: Operation) -> Cells:
    """A product with itself and a sum; rows' norms the same along an axis."""
    x = _operand(operation)
    dtype = element_type(operation, "map", _float(x.dtype))
    if _sides(x, operation.attribute("axis"))[0] == 1:
        return _multiplied(operation, _float(x.dtype), 1, 1, 1, x.count)
    return (*_cell(operation, "map", "multiply", dtype, n=x.count), *_sum(operation))


def _transform(operation: Operation) -> Cells:
    """A complex transform along each axis; of real numbers the real one."""
    tensors = [*operation.inputs[:1], *operation.outputs[:1]]
    x = max(tensors, key=lambda tensor: tensor.count)
    kind = _plain(operation.kind).removeprefix("fft.")
    real = kind.startswith(("r", "ir", "h")) or "dct" in kind or "dst" in kind
    dtype = (
        "complex64"
        if _float(_computed_in(operation)) == "float32" and _single(operation)
        else "complex128"
    )
    axes = 2 if kind.endswith("2") else len(x.shape) if kind.endswith("n") else 1
    named = operation.attribute("axes")
    axis = operation.attribute("axis", -1)
    dims: list[int] = [int(axis)] if isinstance(axis, int) else [-1]
    if axes > 1:
        dims = [int(one) for one in named] if isinstance(named, tuple) else list(range(-axes, 0))
    sides = [x.shape[one] for one in dims if -len(x.shape) <= one < len(x.shape)]
    if len(sides) == 2 and len(x.shape) == 2 and sides[0] == sides[1]:
        return _cell(operation, "fft", "real_2d" if real else "fft2", dtype, n=sides[0])
    cells: Cells = ()
    for at, n in enumerate(sides):
        case = "real_1d" if real and at == len(sides) - 1 else "batched_1d"
        cells += _times(
            _cell(operation, "fft", case, dtype, batch=x.count / max(n, 1), n=n),
            0.5 if real and at < len(sides) - 1 else 1.0,
        )
    return cells


def _single(operation: Operation) -> bool:
    """NumPy's transforms of float32 are of single precision since 2.0, as CuPy's."""
    return all(tensor.dtype in ("float32", "complex64") for tensor in operation.inputs)


#: case of the family random -> the laws that take as long, or whose draws do
_LAWS_ALIKE = {
    "uniform": "random rand uniform random_sample sample ranf",
    "normal": "randn standard_normal normal multivariate_normal",
    "integers": "integers randint random_integers bytes choice",
    "exponential": (
        "exponential standard_exponential gamma poisson binomial beta lognormal laplace chisquare "
        "geometric standard_gamma standard_cauchy standard_t weibull pareto rayleigh gumbel "
        "logistic triangular"
    ),
    "permutation": "permutation shuffle permuted",
}
_LAWS = {kind: case for case, kinds in _LAWS_ALIKE.items() for kind in kinds.split()}
#: laws that take several draws
_DRAWS = {"gamma": 3.0, "beta": 6.0, "poisson": 5.0, "binomial": 5.0, "lognormal": 2.0}


def _drawn(operation: Operation) -> Cells:
    kind = operation.kind.removeprefix("random.")
    law = _LAWS[kind]
    n = _result(operation).count
    legacy = bool(operation.attribute("legacy", False))
    old = {"uniform": "legacy_uniform", "normal": "legacy_normal", "integers": "legacy_integers"}
    case = old.get(law, law) if legacy else law
    dtype = "float32" if _result(operation).dtype == "float32" and not legacy else "float64"
    if law in ("integers", "permutation"):
        dtype = "int64"
    return _times(_cell(operation, "random", case, dtype, n=n), _DRAWS.get(kind, 1.0))


_Way = tuple[Callable[[Operation], Cells], bool]


def _ways() -> Mapping[str, _Way]:
    """Name -> how it is answered, and whether by a cell of its own kind."""
    exact = {
        *("multiply", "divide", "true_divide", "sqrt", "exp", "log", "sin", "cos", "power"),
        *("arctan2", "greater", "less", "greater_equal", "less_equal", "equal", "not_equal"),
        *("absolute", "abs", "negative", "add", "subtract", "square", "maximum", "minimum"),
    }
    named: list[tuple[str, Callable[[Operation], Cells], bool]] = [
        ("remainder mod fmod floor_divide", _remainder, True),
        (
            "logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor "
            "invert bitwise_not left_shift right_shift",
            _logical,
            True,
        ),
        ("where", _where, True),
        ("choose select piecewise", _where, False),
        (
            "copyto copy astype array asarray ascontiguousarray asfortranarray concatenate stack "
            "vstack hstack dstack column_stack tile repeat pad roll flip fliplr flipud rot90 "
            "append insert delete resize block c_ r_ triu tril diag array_split split tobytes "
            "asanyarray require",
            _moved,
            False,
        ),
        (
            "zeros ones full zeros_like ones_like full_like arange linspace logspace geomspace "
            "eye identity meshgrid indices mgrid ogrid fill tri vander fromfunction setitem "
            "hanning hamming blackman triu_indices tril_indices",
            _filled,
            False,
        ),
        ("sum mean nansum nanmean average trace trapezoid trapz", _sum, True),
        ("prod nanprod logsumexp", _sum, False),
        ("var std nanvar nanstd", _variance, True),
        ("cov corrcoef", _times_of(_variance, 2.0), False),
        ("max min amax amin nanmax nanmin ptp", _extreme, True),
        ("argmax argmin nanargmax nanargmin", _argmin, True),
        ("any all count_nonzero allclose array_equal", _counted, True),
        ("cumsum cumprod nancumsum cumulative_sum add.accumulate", _scan, True),
        ("multiply.accumulate maximum.accumulate minimum.accumulate", _scan, False),
        ("partition argpartition", _selected("partition"), True),
        ("median nanmedian percentile quantile nanpercentile", _selected("median"), True),
        ("compress extract", _selected("compress"), True),
        ("putmask place", _selected("mask_assign"), True),
        ("nonzero argwhere flatnonzero", _nonzero, True),
        ("sort argsort lexsort sort_complex", _sorted, True),
        ("take take_along_axis", _taken, True),
        ("put put_along_axis fill_diagonal", _put, False),
        ("add.at", _added_at, True),
        ("add.reduceat", _sum, False),
        ("histogram", _bins("histogram"), True),
        ("histogram2d histogramdd", _times_of(_bins("histogram"), 2.5), False),
        ("bincount", _bins("bincount", "int64"), True),
        ("unique isin in1d intersect1d union1d setdiff1d", _bins("unique", "int64"), True),
        ("searchsorted digitize", _searched, True),
        (
            "matmul dot inner vdot tensordot outer kron linalg.multi_dot vecdot matvec",
            _product,
            True,
        ),
        ("einsum", _einsum, True),
        ("convolve correlate scipy.signal.fftconvolve", _convolved, False),
        ("linalg.solve", _linear("solve"), True),
        ("linalg.inv", _linear("inverse"), True),
        ("linalg.pinv", _linear("svd", 1.3), False),
        ("linalg.matrix_rank linalg.cond linalg.svdvals", _linear("svd", 0.5), False),
        ("linalg.det linalg.slogdet", _linear("determinant"), True),
        ("linalg.lu_factor linalg.lu", _linear("determinant"), False),
        ("linalg.cholesky linalg.cho_factor", _linear("cholesky"), True),
        ("linalg.cho_solve linalg.lu_solve linalg.solve_triangular", _linear("solve", 0.2), False),
        ("linalg.eigh", _linear("eigh"), True),
        ("linalg.eigvalsh", _linear("eigvalsh"), True),
        ("linalg.svd", _linear("svd"), True),
        ("linalg.qr", _linear("qr"), True),
        ("linalg.eig", _linear("eig"), True),
        ("linalg.eigvals", _linear("eig", 0.5), False),
        ("linalg.lstsq", _linear("lstsq"), True),
        ("linalg.expm", _linear("inverse", 8.0), False),
        ("linalg.matrix_power", _linear("inverse", 3.0), False),
        ("linalg.norm", _norm, False),
        (
            " ".join(
                f"fft.{name}{sides}"
                for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "dct", "idct")
                for sides in ("", "2", "n")
            )
            + " fft.dst fft.idst",
            _transform,
            True,
        ),
        ("fft.fftshift fft.ifftshift", _moved, False),
        ("fft.fftfreq fft.rfftfreq", _filled, False),
        (" ".join(f"random.{name}" for name in _LAWS), _drawn, True),
    ]
    ways = {kind: (way, own) for kinds, way, own in named for kind in kinds.split()}
    return ways | {kind: (_map, kind in exact) for kind in _MAPS}


def _times_of(make: Callable[[Operation], Cells], factor: float) -> Callable[[Operation], Cells]:
    return lambda operation: _times(make(operation), factor)


def _convolved(operation: Operation) -> Cells:
    """As many multiplications in rows' dots, a row a result."""
    n = _result(operation).count
    width = min((one.count for one in operation.inputs if one.count), default=1)
    return _cell(operation, "einsum", "row_dots", "float64", rows=n, cols=width)


_WAYS = _ways()
