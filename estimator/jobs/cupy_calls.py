"""What the host spends to ask a GPU for a call of CuPy, by the name of the function."""

from __future__ import annotations

from collections.abc import Mapping

from collector.jobs import Operation
from estimator.jobs.array_operands import plain_name

#: Microseconds of a call on small arrays, and the functions that take so long: CuPy 14.2 on the
#: 16-core Xeon of an H200 machine (``benchmarks/array_calls.py``, 2026-12-01). What is written in
#: Python of other calls (roll, var, gradient) costs each of them.
_MICROSECONDS: tuple[tuple[float, str], ...] = (
    (6.0, "zeros empty empty_like zeros_like ones full full_like ones_like"),
    (10.0, "sum prod max min"),
    (12.0, "random.random random.standard_normal random.uniform random.normal"),
    (14.0, "any all setitem"),
    (15.0, "take copy ascontiguousarray searchsorted digitize where"),
    (*(17.0, "power clip array asarray matmul outer astype repeat tile diff random.randn"),),
    (21.0, "mean average arange put fft.fft fft.ifft fft.rfft fft.irfft tensordot"),
    (24.0, "random.rand random.random_sample sort cumsum cumprod pad"),
    (30.0, "linalg.norm add.at random.integers random.exponential argmax argmin"),
    (37.0, "concatenate linspace dot inner vdot argsort"),
    (47.0, "stack vstack hstack column_stack dstack meshgrid nonzero compress argwhere"),
    (53.0, "roll putmask nan_to_num random.permutation random.shuffle random.choice"),
    (57.0, "linalg.solve_triangular"),
    (67.0, "var std"),
    (
        78.0,
        "einsum fft.fft2 fft.ifft2 fft.rfft2 fft.irfft2 fft.fftn fft.ifftn interp linalg.cholesky",
    ),
    (87.0, "median percentile quantile isclose allclose"),
    (100.0, "linalg.solve linalg.inv bincount cross linalg.cho_factor linalg.cho_solve"),
    (120.0, "gradient fft.fftshift fft.ifftshift"),
    (150.0, "unique random.randint"),
    (260.0, "linalg.eigh linalg.eigvalsh linalg.qr"),
    (355.0, "histogram"),
    (630.0, "linalg.det linalg.slogdet"),
    (1700.0, "linalg.svd linalg.pinv linalg.lstsq linalg.eig linalg.matrix_rank"),
)
_BY_KIND: Mapping[str, float] = {
    kind: 1e-6 * cost for cost, kinds in _MICROSECONDS for kind in kinds.split()
}
_VIEW_S, _OTHER_S = 3.5e-6, 13e-6
_ALONG_AXIS_S = 7e-6  # of a reduction beyond one of everything
_COPY_OF_ARRAY_S, _FILL_S = 14e-6, 7e-6


def call_seconds(operation: Operation) -> float:
    """Seconds of the reference host to ask for a call."""
    if not operation.launches:
        return _VIEW_S
    kind = plain_name(operation.kind)
    if kind == "copyto":
        return _COPY_OF_ARRAY_S if operation.inputs else _FILL_S
    along = (
        kind in ("sum", "max", "min", "mean", "prod") and operation.attribute("axis") is not None
    )
    return _BY_KIND.get(kind, _OTHER_S) + along * _ALONG_AXIS_S
