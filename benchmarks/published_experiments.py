"""The three questions of ``validate_published_kernels`` on one operation's cells.

Every function returns a table with a row per held-out cell and method: ``operation``, ``split``,
``gpu``, ``method``, ``error`` (log of predicted over measured) and, for our own method, ``inside``
(whether the 90 % interval held the measured time, NaN for the other methods).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.published_corrector import Corrector
from benchmarks.published_form import FORMULA_SIGMA, Form, Operands, operands
from benchmarks.published_kernels import Gpu, kernel_work, log_times, roofline_seconds
from benchmarks.published_model import form_of
from benchmarks.published_pool import Pool, choose_probes, from_specs, pool, with_probes
from estimator.kernel_model import KERNEL_PARAMETERS, Array, kernel_log_seconds
from estimator.priors import KERNEL_PRIORS
from estimator.solver import Problems, solve

OURS, PLAIN, NEAREST, CORRECTED = "structured", "roofline", "nearest", "structured + residual"
PRESENT = "estimator's formula"
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


def present_log_times(train: pd.DataFrame, test: pd.DataFrame, gpu: Gpu) -> Array:
    """log t of ``test`` by the kernel formula that the estimator has now, fitted to ``train``.

    One level, with the priors of the estimator's first level about the data sheet's rates.
    """
    priors = [KERNEL_PRIORS[name] for name in KERNEL_PARAMETERS]
    sheet = {
        "launch_s": float(log_times(train).min()),
        "compute_flop_per_s": np.log(gpu.flop_per_s),
        "memory_bytes_per_s": np.log(gpu.bytes_per_s),
        "cache_bytes": np.log(gpu.cache_bytes),
    }
    centre = np.array([[sheet.get(name, KERNEL_PRIORS[name].centre) for name in KERNEL_PARAMETERS]])
    problems = Problems(
        rows=kernel_work(train, gpu),
        log_seconds=log_times(train),
        sigma=np.full(len(train), FORMULA_SIGMA),
        group=np.zeros(len(train), dtype=np.intp),
        centre=centre,
        spread=np.array([[prior.spreads[0] for prior in priors]]),
        low=np.array([[prior.low for prior in priors]]),
        high=np.array([[max(prior.high, 60.0) for prior in priors]]),
    )
    theta = solve(problems, kernel_log_seconds, centre).theta
    return kernel_log_seconds(np.repeat(theta, len(test), axis=0), kernel_work(test, gpu))[0]


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
        scored(test, split, PRESENT, present_log_times(train[:FIT_ROWS], test, gpu), np.nan),
    ]
    corrector = Corrector.fit(kept, gpu, on_kept, log_times(kept) - on_kept)
    if corrector is not None:
        better = predicted + corrector(test, gpu, predicted)
        better_scoring = on_scoring + corrector(scoring, gpu, on_scoring)
        scores = np.abs(better_scoring - log_times(scoring))
        width = _banded_radius(better_scoring, scores, better)
        results.append(scored(test, split, CORRECTED, better, width))
    return pd.concat(results, ignore_index=True)


def larger(cells: pd.DataFrame, gpu: Gpu, tests: int) -> pd.DataFrame:
    """Fit below the median work, predict 4 to 16 times above it. ``cells`` in random order.

    The interval's scores come from the same question asked within the smaller half: fitted
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
    return _beside_simple(below, test, gpu, predicted, width, "4-16x larger")


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


@dataclass
class Unseen:
    """Leave one GPU out, on one operation; ``cells`` of each GPU in random order."""

    cells: Mapping[str, pd.DataFrame]
    gpus: Mapping[str, Gpu]
    rows: int
    tests: int
    probe_counts: tuple[int, ...] = (3, 12)
    probe_sets: int = 3
    candidates: int = 300
    results: list[pd.DataFrame] = field(default_factory=list)

    def run(self) -> pd.DataFrame:
        names = list(self.cells)
        form = form_of(str(self.cells[names[0]]["operation"].iloc[0]))
        # the interval of a GPU is made of the errors on the others, each left out as well
        inner: dict[str, dict[str, list[Array]]] = {name: {} for name in names}
        for pair in itertools.combinations(names, 2):
            rest = {name: self.cells[name] for name in names if name not in pair}
            pooled = pool(form, rest, self.gpus, self.rows // 2)
            for left, other in (pair, pair[::-1]):
                for split, predicted, test in self._ask(pooled, other, self.tests // 3, 1):
                    error = np.abs(predicted - log_times(test))
                    inner[left].setdefault(split, []).append(error)
        for name in names:
            rest = {other: self.cells[other] for other in names if other != name}
            pooled = pool(form, rest, self.gpus, self.rows)
            for split, predicted, test in self._ask(pooled, name, self.tests, self.probe_sets):
                width = radius(np.concatenate(inner[name][split]))
                self.results.append(scored(test, split, OURS, predicted, width))
                self._simple(split, test, name)
        return pd.concat(self.results, ignore_index=True)

    def _ask(
        self, pooled: Pool, name: str, tests: int, sets: int
    ) -> list[tuple[str, Array, pd.DataFrame]]:
        """Split, prediction and cells of the GPU ``name``, which is not in the pool.

        Tests come from the front of its cells; candidates for probes from behind them.
        """
        gpu, cells = self.gpus[name], self.cells[name]
        spare = min(self.candidates * sets, len(cells) // 2)
        test, others = cells[: min(tests, len(cells) - spare)], cells[len(cells) - spare :]
        rows = operands(test, gpu)
        answers = [("from specs", from_specs(pooled, rows, gpu, self.gpus), test)]
        kin = pooled.related(gpu, self.gpus)
        for count, part in itertools.product(self.probe_counts, range(sets)):
            offered = others[part::sets]
            offer = operands(offered, gpu)
            chosen = choose_probes(pooled, offer, count)
            times = log_times(offered)[chosen]
            predicted = with_probes(pooled, offer.take(chosen), times, rows, kin)
            answers.append((f"{count} probes", predicted, test))
        return answers

    def _simple(self, split: str, test: pd.DataFrame, name: str) -> None:
        """Roofline, and the closest shape on the GPU with the closest data sheet, scaled."""
        gpu = self.gpus[name]
        distance = {
            other: abs(np.log(self.gpus[other].flop_per_s / gpu.flop_per_s))
            + abs(np.log(self.gpus[other].bytes_per_s / gpu.bytes_per_s))
            for other in self.cells
            if other != name
        }
        closest = min(distance, key=lambda other: distance[other])
        known = self.cells[closest]
        times, position = nearest_log_times(known, test)
        roof = np.log(roofline_seconds(test, gpu))
        theirs = np.log(roofline_seconds(known.iloc[position], self.gpus[closest]))
        self.results.append(scored(test, split, PLAIN, roof, np.nan))
        self.results.append(scored(test, split, NEAREST, times + roof - theirs, np.nan))
