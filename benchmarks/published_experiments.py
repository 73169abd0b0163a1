"""Sizes on a GPU that was measured: between the measured ones, larger, and as published.

Every function returns a table with a row per held-out cell and method: ``operation``, ``split``,
``gpu``, ``method``, ``error`` (log of predicted over measured) and, for our own method, ``inside``
(whether the 90 % interval held the measured time, NaN for the other methods).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.published_corrector import Corrector
from benchmarks.published_form import FORMULA_SIGMA, Form, Operands, operands
from benchmarks.published_kernels import Gpu, log_times, roofline_seconds
from benchmarks.published_model import form_of
from estimator.arrays import Array

OURS, PLAIN, NEAREST, CORRECTED = "structured", "roofline", "nearest", "structured + residual"
COVERAGE = 0.9
FIT_ROWS = 700
NORMAL_90 = 1.645  # half width of a normal 90 % interval, in standard deviations
_SHAPE = ("batch", "m", "n", "k", "rows", "cols")
Index = np.ndarray[Any, np.dtype[np.intp]]


def scored(
    cells: pd.DataFrame, split: str, method: str, predicted: Array, half_width: Array | float
) -> pd.DataFrame:
    """Rows of the result for ``cells`` of one operation and GPU; ``half_width`` in log units."""
    error = predicted - log_times(cells)
    known = np.isfinite(np.broadcast_to(half_width, error.shape))
    inside = np.where(known, np.abs(error) <= half_width, np.nan)
    return pd.DataFrame(
        {
            "operation": cells["operation"].iloc[0],
            "split": split,
            "gpu": cells["gpu"].iloc[0],
            "method": method,
            "error": error,
            "inside": inside,
        }
    )


def radius(scores: Array) -> float:
    """Split-conformal half width: the ceil((n + 1) 0.9)-th smallest score."""
    rank = int(np.ceil((len(scores) + 1) * COVERAGE))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def _banded_radius(score_at: Array, scores: Array, at: Array, bands: int = 4) -> Array:
    """Half widths by band of predicted time (Mondrian conformal), for predictions ``at``."""
    edges = np.quantile(score_at, np.linspace(0.0, 1.0, bands + 1)[1:-1])
    own, asked = np.digitize(score_at, edges), np.digitize(at, edges)
    widths = np.array([radius(scores[own == band]) for band in range(bands)])
    result: Array = widths[asked]
    return result


def _fit_one(form: Form, cells: pd.DataFrame, gpu: Gpu, rows: int = FIT_ROWS) -> Array:
    part = cells[:rows]
    centre, spread = form.priors("centre"), form.priors("spread")
    solution = form.fit(operands(part, gpu), log_times(part), centre, spread, FORMULA_SIGMA)
    theta: Array = solution.theta[0]
    return theta


def nearest_log_times(known: pd.DataFrame, asked: pd.DataFrame) -> tuple[Array, Index]:
    """log t of the measured cell with the closest shape (logs of its sides), and its position."""
    names = [name for name in _SHAPE if known[name].notna().all()]
    cases = known["case_index"].to_numpy(dtype=float), asked["case_index"].to_numpy(dtype=float)
    # another case is farther than any shape
    left, right = (
        np.column_stack([np.log(table[names].to_numpy(dtype=float)), 100.0 * case])
        for table, case in zip((known, asked), cases, strict=True)
    )
    position = cKDTree(left).query(right)[1]
    return log_times(known)[position], position


def same_machine(cells: pd.DataFrame, gpu: Gpu, rows: int, tests: int) -> pd.DataFrame:
    """Held-out sizes between measured ones, on one GPU. ``cells`` come in random order."""
    tests = min(tests, len(cells) // 4)
    test, train = cells[:tests], cells[tests : tests + rows]
    form = form_of(str(cells["operation"].iloc[0]))
    theta = _fit_one(form, train, gpu)
    calibration = len(train) // 5
    kept, scoring = train[:-calibration], train[-calibration:]
    predicted, on_scoring, on_kept = (
        form.predict(theta, operands(part, gpu)) for part in (test, scoring, kept)
    )
    split = "same machine"
    width = _banded_radius(on_scoring, np.abs(on_scoring - log_times(scoring)), predicted)
    results = [
        scored(test, split, OURS, predicted, width),
        scored(test, split, PLAIN, np.log(roofline_seconds(test, gpu)), np.nan),
        scored(test, split, NEAREST, nearest_log_times(train, test)[0], np.nan),
    ]
    corrector = Corrector.fit(kept, gpu, on_kept, log_times(kept) - on_kept)
    if corrector is not None:
        better = predicted + corrector(test, gpu, predicted)
        better_scoring = on_scoring + corrector(scoring, gpu, on_scoring)
        scores = np.abs(better_scoring - log_times(scoring))
        width = _banded_radius(better_scoring, scores, better)
        results.append(scored(test, split, CORRECTED, better, width))
    return pd.concat(results, ignore_index=True)


def larger(by_gpu: Mapping[str, pd.DataFrame], gpus: Mapping[str, Gpu], tests: int) -> pd.DataFrame:
    """Fit below the median work, predict 4 to 16 times above it; cells in random order.

    The interval's width has a scale of the GPU's own (``_larger_on``); the factor on it is what
    covers 90 % of the errors of the same kind on the other GPUs.
    """
    asked = {name: _larger_on(cells, gpus[name], tests) for name, cells in by_gpu.items()}
    scores = {
        name: np.abs(one.predicted - log_times(one.test)) / one.width for name, one in asked.items()
    }
    results = []
    for name, one in asked.items():
        theirs = [score for other, score in scores.items() if other != name]
        factor = radius(np.concatenate(theirs)) if theirs else 1.0
        width = factor * one.width
        results.append(
            _beside_simple(one.below, one.test, gpus[name], one.predicted, width, "4-16x larger")
        )
    return pd.concat(results, ignore_index=True)


@dataclass(frozen=True)
class _Larger:
    below: pd.DataFrame
    test: pd.DataFrame
    predicted: Array
    width: Array


def _larger_on(cells: pd.DataFrame, gpu: Gpu, tests: int) -> _Larger:
    """The scale of the width comes from the same question asked within the smaller half: fitted
    below an eighth of the median, scored 4 to 16 times above that.
    """
    form = form_of(str(cells["operation"].iloc[0]))
    work = cells["flop"].where(cells["flop"] > 0.0, cells["bytes"])
    limit = float(work.median())
    below = cells[work <= limit]
    test = cells[(work >= 4.0 * limit) & (work < 16.0 * limit)][:tests]
    inner = limit / 8.0
    scoring = cells[(work >= 4.0 * inner) & (work <= limit)][:tests]
    theta, inner_theta = (_fit_one(form, part, gpu) for part in (below, cells[work <= inner]))
    scores = form.predict(inner_theta, operands(scoring, gpu)) - log_times(scoring)
    predicted = form.predict(theta, operands(test, gpu))
    # small cells may say little of a rate that rules large ones: what the fit leaves open is added
    open_variance = _posterior_variance(form, theta, operands(below[:FIT_ROWS], gpu), test, gpu)
    width = np.sqrt(radius(np.abs(scores)) ** 2 + NORMAL_90**2 * open_variance)
    return _Larger(below, test, predicted, width)


def _posterior_variance(
    form: Form, theta: Array, fitted: Operands, asked: pd.DataFrame, gpu: Gpu
) -> Array:
    """Variance (n,) of log t that the parameters' posterior (Laplace) leaves."""

    def slopes(rows: Operands) -> Array:
        return form.with_slopes(np.broadcast_to(theta, (len(rows), len(theta))), rows)[1]

    seen = slopes(fitted) / FORMULA_SIGMA
    covariance = np.linalg.inv(seen.T @ seen + np.diag(form.priors("spread") ** -2.0))
    at = slopes(operands(asked, gpu))
    variance: Array = ((at @ covariance) * at).sum(axis=1)
    return variance


def published_split(cells: pd.DataFrame, gpu: Gpu) -> pd.DataFrame:
    """Fit on the published training rows, predict the published test rows (no interval)."""
    form = form_of(str(cells["operation"].iloc[0]))
    train, test = cells[cells["split"] == "train"], cells[cells["split"] == "test"]
    theta = _fit_one(form, train, gpu)
    predicted = form.predict(theta, operands(test, gpu))
    return _beside_simple(train, test, gpu, predicted, np.nan, "published test rows")


def _beside_simple(
    train: pd.DataFrame, test: pd.DataFrame, gpu: Gpu, ours: Array, width: Array | float, split: str
) -> pd.DataFrame:
    return pd.concat(
        [
            scored(test, split, OURS, ours, width),
            scored(test, split, PLAIN, np.log(roofline_seconds(test, gpu)), np.nan),
            scored(test, split, NEAREST, nearest_log_times(train, test)[0], np.nan),
        ],
        ignore_index=True,
    )
