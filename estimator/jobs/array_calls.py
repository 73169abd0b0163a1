"""From a call of NumPy or SciPy to the cells whose times are its own, or the nearest there are.

Maps allocate their results as scripts have them do (family map); everything else is the family of
its name. A call that none measures is answered by the nearest with the same work; one that nobody
thought about has no cell, and the caller takes what it took where it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.jobs import Operation
from estimator.jobs.answered import NOTHING, Answered, Cells
from estimator.jobs.array_algebra import convolved, einsum, linear, norm, product, transform
from estimator.jobs.array_elements import (
    LAWS,
    added_at,
    argmin,
    binned,
    counted_true,
    drawn,
    extreme,
    nonzero,
    ordered,
    put,
    scan,
    searched,
    selected,
    summed,
    taken,
    variance,
)
from estimator.jobs.array_maps import MAPS, filled, logical, mapped, moved, remainder, where
from estimator.jobs.array_operands import alike, plain_name, scaled

#: calls that start nothing on a device: views of arrays, memory set aside, facts about arrays
NOTHING_CALLS = frozenset(
    {
        *("view", "item", "empty", "empty_like", "synchronize", "broadcast_to", "shape", "ndim"),
        *("size", "may_share_memory", "result_type", "iinfo", "finfo", "broadcast_arrays"),
        *("isscalar", "can_cast", "broadcast_shapes", "seed", "random.seed", "random.default_rng"),
    }
)


def array_call(operation: Operation) -> Answered:
    """The cells of a call on arrays; none for views, and ``known`` false where nothing is near."""
    kind = plain_name(operation.kind)
    if kind in NOTHING_CALLS or not operation.launches:
        return NOTHING
    tensors = (*operation.inputs, *operation.outputs)
    if not any(tensor.count for tensor in tensors):
        return NOTHING
    way = _WAYS.get(kind)
    if way is None and kind.endswith(_OF_INDEX):
        way = added_at, False
    if way is None:
        return Answered((), False, False, "where it was recorded")
    make, exact = way
    exact = exact and (kind in _ANY_ORDER or kind.startswith(("linalg.", "fft.")) or alike(tensors))
    cells = make(operation)
    if not cells:
        return Answered((), False, False, "where it was recorded")
    if exact and len(cells) == 1 and cells[0][1] == 1.0:
        return Answered(cells, True, True, "measured")
    return Answered(cells, False, True, "the nearest call of as much work")


#: kinds that libraries do as fast in another order
_ANY_ORDER = frozenset({"matmul", "dot", "inner", "vdot", "tensordot", "copyto"})
_OF_INDEX = ".at"
_Way = tuple[Callable[[Operation], Cells], bool]


def _ways() -> Mapping[str, _Way]:
    """Name -> how it is answered, and whether by a cell of its own kind."""
    exact = {
        *("multiply", "divide", "true_divide", "sqrt", "exp", "log", "sin", "cos", "power"),
        *("arctan2", "greater", "less", "greater_equal", "less_equal", "equal", "not_equal"),
        *("absolute", "abs", "negative", "add", "subtract", "square", "maximum", "minimum"),
    }
    named: list[tuple[str, Callable[[Operation], Cells], bool]] = [
        ("remainder mod fmod floor_divide", remainder, True),
        (
            "logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor "
            "invert bitwise_not left_shift right_shift",
            logical,
            True,
        ),
        ("where", where, True),
        ("choose select piecewise", where, False),
        (
            "copyto copy astype array asarray ascontiguousarray asfortranarray concatenate stack "
            "vstack hstack dstack column_stack tile repeat pad roll flip fliplr flipud rot90 "
            "append insert delete resize block c_ r_ triu tril diag array_split split tobytes "
            "asanyarray require",
            moved,
            False,
        ),
        (
            "zeros ones full zeros_like ones_like full_like arange linspace logspace geomspace "
            "eye identity meshgrid indices mgrid ogrid fill tri vander fromfunction setitem "
            "hanning hamming blackman triu_indices tril_indices",
            filled,
            False,
        ),
        ("sum mean nansum nanmean average trace trapezoid trapz", summed, True),
        ("prod nanprod logsumexp", summed, False),
        ("var std nanvar nanstd", variance, True),
        ("cov corrcoef", _times_of(variance, 2.0), False),
        ("max min amax amin nanmax nanmin ptp", extreme, True),
        ("argmax argmin nanargmax nanargmin", argmin, True),
        ("any all count_nonzero allclose array_equal", counted_true, True),
        ("cumsum cumprod nancumsum cumulative_sum add.accumulate", scan, True),
        ("multiply.accumulate maximum.accumulate minimum.accumulate", scan, False),
        ("partition argpartition", selected("partition"), True),
        ("median nanmedian percentile quantile nanpercentile", selected("median"), True),
        ("compress extract", selected("compress"), True),
        ("putmask place", selected("mask_assign"), True),
        ("nonzero argwhere flatnonzero", nonzero, True),
        ("sort argsort lexsort sort_complex", ordered, True),
        ("take take_along_axis", taken, True),
        ("put put_along_axis fill_diagonal", put, False),
        ("add.at", added_at, True),
        ("add.reduceat", summed, False),
        ("histogram", binned("histogram"), True),
        ("histogram2d histogramdd", _times_of(binned("histogram"), 2.5), False),
        ("bincount", binned("bincount", "int64"), True),
        ("unique isin in1d intersect1d union1d setdiff1d", binned("unique", "int64"), True),
        ("searchsorted digitize", searched, True),
        (
            "matmul dot inner vdot tensordot outer kron linalg.multi_dot vecdot matvec",
            product,
            True,
        ),
        ("einsum", einsum, True),
        ("convolve correlate scipy.signal.fftconvolve", convolved, False),
        ("linalg.solve", linear("solve"), True),
        ("linalg.inv", linear("inverse"), True),
        ("linalg.pinv", linear("svd", 1.3), False),
        ("linalg.matrix_rank linalg.cond linalg.svdvals", linear("svd", 0.5), False),
        ("linalg.det linalg.slogdet", linear("determinant"), True),
        ("linalg.lu_factor linalg.lu", linear("determinant"), False),
        ("linalg.cholesky linalg.cho_factor", linear("cholesky"), True),
        ("linalg.cho_solve linalg.lu_solve linalg.solve_triangular", linear("solve", 0.2), False),
        ("linalg.eigh", linear("eigh"), True),
        ("linalg.eigvalsh", linear("eigvalsh"), True),
        ("linalg.svd", linear("svd"), True),
        ("linalg.qr", linear("qr"), True),
        ("linalg.eig", linear("eig"), True),
        ("linalg.eigvals", linear("eig", 0.5), False),
        ("linalg.lstsq", linear("lstsq"), True),
        ("linalg.expm", linear("inverse", 8.0), False),
        ("linalg.matrix_power", linear("inverse", 3.0), False),
        ("linalg.norm", norm, False),
        (
            " ".join(
                f"fft.{name}{sides}"
                for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "dct", "idct")
                for sides in ("", "2", "n")
            )
            + " fft.dst fft.idst",
            transform,
            True,
        ),
        ("fft.fftshift fft.ifftshift", moved, False),
        ("fft.fftfreq fft.rfftfreq", filled, False),
        (" ".join(f"random.{name}" for name in LAWS), drawn, True),
    ]
    ways = {kind: (way, own) for kinds, way, own in named for kind in kinds.split()}
    return ways | {kind: (mapped, kind in exact) for kind in MAPS}


def _times_of(make: Callable[[Operation], Cells], factor: float) -> Callable[[Operation], Cells]:
    return lambda operation: scaled(make(operation), factor)


_WAYS = _ways()
