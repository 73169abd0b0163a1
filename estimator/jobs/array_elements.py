"""Sums, scans, selection and access by index of NumPy, and its generators."""

from __future__ import annotations

from collections.abc import Callable

from collector.jobs import ITEM_BYTES, Operation
from estimator.jobs.answered import Cells, element_type
from estimator.jobs.array_operands import (
    FLOATS,
    is_whole,
    largest_operand,
    one_cell,
    result_of,
    scaled,
    sides_of,
)


def summed(operation: Operation) -> Cells:
    x = largest_operand(operation)
    dtype = element_type(operation, "reduction", "float64" if is_whole(x.dtype) else x.dtype)
    n = x.bytes / ITEM_BYTES[dtype] if not is_whole(x.dtype) else x.count
    rows, cols, last = sides_of(x, operation.attribute("axis"))
    if rows == 1:
        return one_cell(operation, "reduction", "sum", dtype, n=n)
    factor = n / max(x.count, 1)
    if last:
        return one_cell(operation, "reduction", "row_sum", dtype, rows=rows, cols=cols * factor)
    return one_cell(operation, "reduction", "column_sum", dtype, rows=cols, cols=rows * factor)


def variance(operation: Operation) -> Cells:
    x = largest_operand(operation)
    dtype = element_type(operation, "reduction", x.dtype)
    rows, _, _ = sides_of(x, operation.attribute("axis"))
    cells = one_cell(operation, "reduction", "variance", dtype, n=x.count)
    return cells if rows == 1 else scaled(summed(operation), 3.0)


def extreme(operation: Operation) -> Cells:
    x = largest_operand(operation)
    dtype = element_type(operation, "select", "float64" if is_whole(x.dtype) else x.dtype)
    rows, cols, last = sides_of(x, operation.attribute("axis"))
    if rows == 1:
        return one_cell(operation, "select", "max", dtype, n=x.bytes / ITEM_BYTES[dtype])
    if last:
        return one_cell(operation, "select", "argmin_rows", dtype, rows=rows, cols=cols)
    return summed(operation)


def argmin(operation: Operation) -> Cells:
    x = largest_operand(operation)
    dtype = element_type(operation, "select", "float64" if is_whole(x.dtype) else x.dtype)
    rows, cols, _ = sides_of(x, operation.attribute("axis"))
    if rows == 1:
        return one_cell(operation, "select", "argmin", dtype, n=x.count)
    return one_cell(operation, "select", "argmin_rows", dtype, rows=rows, cols=cols)


def counted_true(operation: Operation) -> Cells:
    """any, all and counts: of truths as they are, of numbers as a comparison besides."""
    x = largest_operand(operation)
    return one_cell(operation, "select", "count_nonzero", "bool", n=max(1.0, x.count))


def scan(operation: Operation) -> Cells:
    x = largest_operand(operation)
    dtype = element_type(operation, "scan", "float64" if is_whole(x.dtype) else x.dtype)
    rows, cols, _ = sides_of(x, operation.attribute("axis"))
    if rows == 1:
        return one_cell(operation, "scan", "cumsum", dtype, n=x.count)
    return one_cell(operation, "scan", "cumsum_rows", dtype, rows=rows, cols=cols)


def selected(case: str) -> Callable[[Operation], Cells]:
    """A case of the family select on the largest operand's elements."""

    def make(operation: Operation) -> Cells:
        x = largest_operand(operation)
        dtype = element_type(operation, "select", "float64" if is_whole(x.dtype) else x.dtype)
        dtype = "bool" if case == "nonzero" else dtype
        return one_cell(operation, "select", case, dtype, n=x.count)

    return make


nonzero = selected("nonzero")


def ordered(operation: Operation) -> Cells:
    x = largest_operand(operation)
    dtype = element_type(operation, "sort", "int64" if is_whole(x.dtype) else x.dtype)
    case = "argsort" if "arg" in operation.kind or "lex" in operation.kind else "sort"
    axis = operation.attribute("axis", -1)
    rows, cols, _ = sides_of(x, axis)
    if rows == 1 or len(x.shape) < 2:
        return one_cell(operation, "sort", case, dtype, n=x.count)
    return one_cell(operation, "sort", "sort_rows", dtype, rows=rows, cols=cols)


def taken(operation: Operation) -> Cells:
    """Elements, or rows of a matrix, by an array of indices."""
    x, result = operation.inputs[0], result_of(operation)
    index = [one for one in operation.inputs[1:] if one.dtype.startswith("int")]
    count = max((one.count for one in index), default=result.count)
    width = result.count / max(count, 1)
    if width >= 2.0 and x.shape:
        dtype = element_type(operation, "gather", x.dtype)
        rows = x.count / width
        return one_cell(operation, "gather", "rows", dtype, rows=rows, width=width, count=count)
    dtype = element_type(operation, "select", x.dtype if x.dtype in FLOATS else "float64")
    return one_cell(operation, "select", "take", dtype, n=result.count)


def put(operation: Operation) -> Cells:
    """As many elements written by index."""
    index = [one for one in operation.inputs if one.dtype.startswith("int")]
    count = max((one.count for one in index), default=largest_operand(operation).count)
    return one_cell(operation, "select", "put", "float64", n=max(1, count))


def added_at(operation: Operation) -> Cells:
    table = (operation.outputs or operation.inputs)[0]
    index = [one for one in operation.inputs[1:] if one.dtype.startswith("int")]
    count = max((one.count for one in index), default=largest_operand(operation).count)
    return one_cell(
        operation, "scatter_add", "histogram", "float64", count=max(1, count), bins=table.count
    )


def binned(case: str, dtype: str = "float64") -> Callable[[Operation], Cells]:
    """A case of the family histogram: so many values among the entries of the other array."""

    def make(operation: Operation) -> Cells:
        given = operation.attribute("bins")
        tensors = sorted((*operation.inputs, *operation.outputs), key=lambda one: one.count)
        largest = tensors[-1].count if not operation.inputs else largest_operand(operation).count
        other = [one.count for one in (*operation.outputs, *operation.inputs[1:])]
        bins = given if isinstance(given, int | float) and given > 0 else max(min(other or [1]), 1)
        size = "values" if case == "unique" else "bins"
        return one_cell(operation, "histogram", case, dtype, n=largest, **{size: float(bins)})

    return make


def searched(operation: Operation) -> Cells:
    """Needles among sorted bins: the result has an entry a needle."""
    needles = max(1, result_of(operation).count)
    others = [one.count for one in operation.inputs if one.count != needles]
    bins = max(others, default=needles)
    return one_cell(operation, "histogram", "searchsorted", "float64", n=needles, bins=bins)


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
LAWS = {kind: case for case, kinds in _LAWS_ALIKE.items() for kind in kinds.split()}
#: laws that take several draws
_DRAWS = {"gamma": 3.0, "beta": 6.0, "poisson": 5.0, "binomial": 5.0, "lognormal": 2.0}


def drawn(operation: Operation) -> Cells:
    kind = operation.kind.removeprefix("random.")
    law = LAWS[kind]
    n = result_of(operation).count
    legacy = bool(operation.attribute("legacy", False))
    old = {"uniform": "legacy_uniform", "normal": "legacy_normal", "integers": "legacy_integers"}
    case = old.get(law, law) if legacy else law
    single = result_of(operation).dtype == "float32" and case in ("uniform", "normal")
    dtype = "float32" if single else "float64"
    if law in ("integers", "permutation"):
        dtype = "int64"
    return scaled(one_cell(operation, "random", case, dtype, n=n), _DRAWS.get(kind, 1.0))
