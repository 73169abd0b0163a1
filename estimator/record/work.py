"""Work of an operation from its shapes: FLOP, bytes and kernels, by simple formulas.

FLOP of products are two for each multiplication with addition; of decompositions the standard
counts (G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., Johns Hopkins 2013: LU 2/3
n^3, Cholesky 1/3 n^3, QR 2 n^2 (m - n/3), symmetric eigenvalues 4/3 n^3 and with vectors 9 n^3,
singular values 4 m n^2 - 4/3 n^3 and with vectors about 14 m n^2 + 8 n^3, eigenvalues 10 n^3 and
with vectors 25 n^3); of a complex transform of n points 5 n log2 n, of a real one half of it; of
sorts n log2 n; of all else one for each element. Complex numbers count four times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from collector.jobs import Tensor, Value

_FREE = frozenset({"view"})
_MADE = frozenset({"empty", "empty_like"})
_PRODUCTS = frozenset({"matmul", "dot", "inner", "vdot", "tensordot", "linalg.multi_dot"})
_SORTS = frozenset({"sort", "argsort", "lexsort", "unique", "sort_complex", "median", "nanmedian"})
#: kernels that CuPy starts for what takes several
_LAUNCHES: Mapping[str, int] = {
    **{"mean": 1, "var": 4, "std": 5, "sort": 3, "argsort": 3, "cumsum": 2, "cumprod": 2},
    **{"linalg.solve": 8, "linalg.inv": 8, "linalg.det": 8, "linalg.slogdet": 8},
    **{"linalg.cholesky": 4, "linalg.qr": 8, "linalg.svd": 20, "linalg.eigh": 20},
    **{"linalg.eigvalsh": 16, "linalg.norm": 3, "linalg.pinv": 24, "linalg.lstsq": 24},
    **{"histogram": 8, "bincount": 4, "unique": 8, "nonzero": 4, "argwhere": 6, "compress": 4},
    **{"median": 6, "percentile": 8, "quantile": 8, "roll": 2, "linspace": 2, "meshgrid": 2},
    **{"interp": 2, "clip": 1, "putmask": 1, "random.permutation": 4, "random.shuffle": 4},
    **{"random.choice": 4, "linalg.eig": 30, "linalg.eigvals": 24, "corrcoef": 8, "cov": 6},
    **{"allclose": 6, "isclose": 5, "gradient": 6, "trapezoid": 4, "cross": 8},
}


def flop(
    kind: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    attributes: Mapping[str, Value],
) -> float:
    """Floating-point operations of one call."""
    if kind in ("view", "item", "setitem", "copy", "copyto", "take", "compress", "put"):
        return 0.0
    both = (*inputs, *outputs)
    if not both:
        return 0.0
    factor = 4.0 if any(one.dtype.startswith("complex") for one in both) else 1.0
    name = kind.rpartition("linalg.")[2] if "linalg." in kind else kind
    if name in _PRODUCTS:
        return factor * _product(inputs, outputs)
    if kind == "einsum":
        return factor * _einsum(inputs, attributes)
    if name != kind and name in _DECOMPOSITIONS and inputs and len(inputs[0].shape) >= 2:
        *batch, m, n = inputs[0].shape
        return factor * math.prod(batch) * _DECOMPOSITIONS[name](float(m), float(n), inputs)
    if "fft." in kind and not kind.endswith(("freq", "shift")):
        return _transform(kind, inputs, outputs, attributes)
    count = float(max(one.count for one in both))
    if kind in _SORTS:
        return count * max(1.0, math.log2(max(count, 2.0)))
    if kind.startswith(("zeros", "ones", "full", "empty", "eye", "array", "asarray")):
        return 0.0
    return factor * count


def moved_bytes(
    kind: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> tuple[float, float]:
    """Bytes read and written of one call: its operands, its results."""
    if kind in _FREE or kind in _MADE:
        return 0.0, 0.0
    written = sum(one.bytes for one in outputs)
    read = sum(one.bytes for one in inputs)
    if kind == "take" and inputs:  # of the source no more than is taken
        read = min(read, written + sum(one.bytes for one in inputs[1:]))
    return read, written


def launches(kind: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    """Kernels that CuPy starts for a call."""
    if kind in _FREE or kind in _MADE or kind == "item":
        return 0
    if kind in _LAUNCHES:
        return _LAUNCHES[kind]
    if kind in ("concatenate", "stack", "vstack", "hstack", "column_stack", "dstack"):
        return max(1, len(inputs))
    if "fft." in kind:
        return 2
    return 1


def _product(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> float:
    """Two for each element of the result and each that is summed over."""
    if len(inputs) < 2:
        return 0.0
    a, b = inputs[0], inputs[1]
    count = math.prod(outputs[0].shape) if outputs else 1
    if not a.shape or not b.shape:
        return float(count)
    summed = math.sqrt(a.count * b.count / count) if count else 0.0
    if len(a.shape) >= 1 and len(b.shape) <= 2:
        summed = a.shape[-1]
    return 2.0 * count * summed


def _einsum(inputs: Sequence[Tensor], attributes: Mapping[str, Value]) -> float:
    """Two for each combination of indices."""
    text = str(attributes.get("subscripts", "")).replace(" ", "")
    sizes: dict[str, int] = {}
    for letters, one in zip(text.split("->")[0].split(","), inputs, strict=False):
        if "." in letters:
            return 2.0 * max((one.count for one in inputs), default=0)
        sizes.update(zip(letters, one.shape, strict=False))
    return 2.0 * math.prod(sizes.values()) if sizes else 0.0


def _transform(
    kind: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    attributes: Mapping[str, Value],
) -> float:
    shapes = [one.shape for one in (*inputs, *outputs) if one.shape]
    if not shapes:
        return 0.0
    shape = max(shapes, key=math.prod)
    name = kind.rpartition(".")[2]
    axes = len(shape) if name.endswith("n") else 2 if name.endswith("2") else 1
    given = attributes.get("axes")
    if isinstance(given, tuple):
        axes = len(given)
    count = math.prod(shape)
    if axes == 1:
        axis = attributes.get("axis", -1)
        points = shape[axis] if isinstance(axis, int) and -len(shape) <= axis < len(shape) else 1
    else:
        points = math.prod(shape[-axes:])
    whole = 5.0 * count * math.log2(max(points, 2))
    return whole / 2.0 if name.lstrip("i")[0] in "rhd" else whole


def _solve(m: float, n: float, inputs: Sequence[Tensor]) -> float:
    columns = 1.0
    if len(inputs) > 1 and len(inputs[1].shape) >= 2:
        columns = float(inputs[1].shape[-1])
    return 2 / 3 * n**3 + 2 * n**2 * columns


#: FLOP of a matrix of m rows and n columns
_DECOMPOSITIONS: Mapping[str, Callable[[float, float, Sequence[Tensor]], float]] = {
    "solve": _solve,
    "inv": lambda m, n, _: 2 * n**3,
    "det": lambda m, n, _: 2 / 3 * n**3,
    "slogdet": lambda m, n, _: 2 / 3 * n**3,
    "lu_factor": lambda m, n, _: 2 / 3 * n**3,
    "lu": lambda m, n, _: 2 / 3 * n**3,
    "cholesky": lambda m, n, _: n**3 / 3,
    "cho_factor": lambda m, n, _: n**3 / 3,
    "qr": lambda m, n, _: 4 * max(m, n) * min(m, n) ** 2 - 4 / 3 * min(m, n) ** 3,
    "svd": lambda m, n, _: 14 * max(m, n) * min(m, n) ** 2 + 8 * min(m, n) ** 3,
    "svdvals": lambda m, n, _: 4 * max(m, n) * min(m, n) ** 2 - 4 / 3 * min(m, n) ** 3,
    "pinv": lambda m, n, _: 16 * max(m, n) * min(m, n) ** 2 + 8 * min(m, n) ** 3,
    "lstsq": lambda m, n, _: 4 * max(m, n) * min(m, n) ** 2 + 8 * min(m, n) ** 3,
    "matrix_rank": lambda m, n, _: 4 * max(m, n) * min(m, n) ** 2,
    "eigh": lambda m, n, _: 9 * n**3,
    "eigvalsh": lambda m, n, _: 4 / 3 * n**3,
    "eig": lambda m, n, _: 25 * n**3,
    "eigvals": lambda m, n, _: 10 * n**3,
    "expm": lambda m, n, _: 20 * n**3,
    "matrix_power": lambda m, n, _: 4 * n**3,
}
