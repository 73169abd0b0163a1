"""Products, sums of products, linear algebra and transforms of NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

from collector.jobs import Operation
from estimator.jobs.answered import Cells, element_type, whole_size
from estimator.jobs.array_elements import summed
from estimator.jobs.array_maps import laid, real_type
from estimator.jobs.array_operands import (
    computed_in,
    float_of,
    is_complex,
    is_whole,
    largest_operand,
    one_cell,
    plain_name,
    result_of,
    scaled,
    sides_of,
)


def _multiplied(
    operation: Operation, dtype: str, batch: float, m: float, n: float, k: float
) -> Cells:
    """Products of m x k by k x n; complex ones are four real ones, whole ones a loop."""
    if is_complex(dtype):
        real = "float64" if dtype == "complex128" else "float32"
        return scaled(_multiplied(operation, real, batch, m, n, k), 4.0)
    if is_whole(dtype):
        return one_cell(operation, "einsum", "matrix_product", "float64", m=m * batch, n=n, k=k)
    dtype = element_type(operation, "matmul", dtype)
    if whole_size(batch) > 1:
        return one_cell(operation, "matmul", "batched", dtype, batch=batch, m=m, n=n, k=k)
    if m == n == k:
        return one_cell(operation, "matmul", "square", dtype, n=n)
    return one_cell(operation, "matmul", "skinny", dtype, m=m, n=n, k=k)


def product(operation: Operation) -> Cells:
    """matmul, dot, inner, outer, tensordot and kron by the sizes of operands and result."""
    arrays = [one for one in operation.inputs if one.shape]
    dtype = computed_in(operation)
    if len(arrays) < 2:
        return scaled(
            laid(operation, "multiply", real_type(operation, "map"), result_of(operation).count),
            1.0,
        )
    a, b = arrays[0], arrays[1]
    result = operation.outputs[0].count if operation.outputs else 1
    kind = plain_name(operation.kind)
    if kind in ("outer", "kron"):
        return one_cell(operation, "einsum", "outer", float_of(dtype), rows=a.count, cols=b.count)
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


def einsum(operation: Operation) -> Cells:
    """By its subscripts: rows' dots, outer products, matrices; else as many multiplications."""
    dtype = float_of(computed_in(operation))
    text = str(operation.attribute("subscripts", "")).replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if not arrow:  # what comes once is kept, in order
        right = "".join(sorted(one for one in set(left) - {","} if left.count(one) == 1))
    sizes = _letters(terms, operation)
    if sizes is not None and len(terms) == 3:  # a form of each row, as x' A y
        side = max(1, min(size for tensor in operation.inputs for size in tensor.shape))
        rows = max(1.0, operation.flop / 2 / side**2)
        return one_cell(operation, "einsum", "bilinear", dtype, batch=rows, n=side)
    if sizes is None or len(terms) != 2:
        flop = max(operation.flop, 1.0)
        return one_cell(operation, "einsum", "row_dots", dtype, rows=1, cols=flop / 2)
    a, b = map(set, terms)
    kept = set(right)
    summed = (a | b) - kept

    def over(letters: set[str]) -> float:
        return float(math.prod(sizes[one] for one in letters))

    if not summed:
        rows, cols = over(kept - {right[-1:]} if right else set()), sizes.get(right[-1:], 1)
        return one_cell(operation, "einsum", "outer", dtype, rows=rows, cols=cols)
    shared = a & b & kept
    if a - summed <= shared or b - summed <= shared:
        return one_cell(operation, "einsum", "row_dots", dtype, rows=over(kept), cols=over(summed))
    m, n = over((a & kept) - b), over((b & kept) - a)
    return one_cell(
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


def _matrix(operation: Operation) -> tuple[int, int, int]:
    """Batch, rows and columns of the first operand."""
    x = operation.inputs[0] if operation.inputs else result_of(operation)
    if len(x.shape) < 2:
        return 1, 1, max(x.count, 1)
    rows, cols = x.shape[-2:]
    return x.count // max(rows * cols, 1), rows, cols


def linear(case: str, factor: float = 1.0) -> Callable[[Operation], Cells]:
    """A case of the family linear_algebra; several matrices one after the other, as LAPACK does."""

    def make(operation: Operation) -> Cells:
        batch, rows, cols = _matrix(operation)
        dtype = element_type(operation, "linear_algebra", float_of(computed_in(operation)))
        n = max(rows, cols)
        together = {"solve": "batched_solve", "eigh": "batched_eigh"}
        if batch > 1 and case in together:
            sizes: dict[str, float] = {"batch": batch, "n": n}
            return scaled(
                one_cell(operation, "linear_algebra", together[case], dtype, **sizes), factor
            )
        if case in ("svd", "qr", "lstsq"):
            sizes = {"rows": max(rows, cols), "cols": min(rows, cols)}
        elif case == "solve":
            other = operation.inputs[1] if len(operation.inputs) > 1 else None
            rhs = 1 if other is None or len(other.shape) < 2 else other.shape[-1]
            sizes = {"n": n, "rhs": rhs}
        else:
            sizes = {"n": n}
        complex_factor = 4.0 if is_complex(computed_in(operation)) else 1.0
        cells = one_cell(operation, "linear_algebra", case, dtype, **sizes)
        return scaled(cells, factor * batch * complex_factor)

    return make


def norm(operation: Operation) -> Cells:
    """A product with itself and a sum; rows' norms the same along an axis."""
    x = largest_operand(operation)
    dtype = element_type(operation, "map", float_of(x.dtype))
    if sides_of(x, operation.attribute("axis"))[0] == 1:
        return _multiplied(operation, float_of(x.dtype), 1, 1, 1, x.count)
    return (*one_cell(operation, "map", "multiply", dtype, n=x.count), *summed(operation))


def transform(operation: Operation) -> Cells:
    """A complex transform along each axis; of real numbers the real one."""
    tensors = [*operation.inputs[:1], *operation.outputs[:1]]
    x = max(tensors, key=lambda tensor: tensor.count)
    kind = plain_name(operation.kind).removeprefix("fft.")
    real = kind.startswith(("r", "ir", "h")) or "dct" in kind or "dst" in kind
    dtype = (
        "complex64"
        if float_of(computed_in(operation)) == "float32" and _single(operation)
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
        return one_cell(operation, "fft", "real_2d" if real else "fft2", dtype, n=sides[0])
    cells: Cells = ()
    for at, n in enumerate(sides):
        case = "real_1d" if real and at == len(sides) - 1 else "batched_1d"
        cells += scaled(
            one_cell(operation, "fft", case, dtype, batch=x.count / max(n, 1), n=n),
            0.5 if real and at < len(sides) - 1 else 1.0,
        )
    return cells


def _single(operation: Operation) -> bool:
    """NumPy's transforms of float32 are of single precision since 2.0, as CuPy's."""
    return all(tensor.dtype in ("float32", "complex64") for tensor in operation.inputs)


def convolved(operation: Operation) -> Cells:
    """As many multiplications in rows' dots, a row a result."""
    n = result_of(operation).count
    width = min((one.count for one in operation.inputs if one.count), default=1)
    return one_cell(operation, "einsum", "row_dots", "float64", rows=n, cols=width)
