"""A GPU left out whole: predicted from its data sheet and 0, 3 or 12 measured cells.

Everything that is learnt (parameters, covariance, width of the interval) comes from the other
GPUs: each of them is left out in turn, together with the tested one, and predicted from the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchmarks.published_donors import Known, Outlook, Transfer, learn, outlook
from benchmarks.published_experiments import (
    NEAREST,
    NORMAL_90,
    OURS,
    PLAIN,
    nearest_log_times,
    radius,
    scored,
)
from benchmarks.published_kernels import Gpu, log_times, roofline_seconds
from benchmarks.published_model import form_of
from benchmarks.published_pool import Pool, pool
from estimator.arrays import Array

LEARN_ROWS = 160  # cells of each known GPU whose errors tell the covariance
CANDIDATES = 300  # cells offered to the choice of probes


@dataclass(frozen=True)
class Answer:
    split: str
    predicted: Array  # (n,), log seconds
    deviation: Array  # (n,)
    cells: pd.DataFrame

    def scores(self) -> Array:
        """Errors in units of the half width that the process gives."""
        error = np.abs(self.predicted - log_times(self.cells))
        scores: Array = error / (NORMAL_90 * self.deviation)
        return scores


@dataclass
class Unseen:
    """Leave one GPU out, on one operation; ``cells`` of each GPU in random order."""

    cells: Mapping[str, pd.DataFrame]
    gpus: Mapping[str, Gpu]
    rows: int
    tests: int
    probe_counts: tuple[int, ...] = (3, 12)
    probe_sets: int = 3
    results: list[pd.DataFrame] = field(default_factory=list)

    def run(self) -> pd.DataFrame:
        names = list(self.cells)
        form = form_of(str(self.cells[names[0]]["operation"].iloc[0]), algorithms=False)
        known = Known.of(self.cells, self.gpus)
        pairs: dict[frozenset[str], Pool] = {}
        for pair in itertools.combinations(names, 2):
            theirs = known.without(*pair).cells
            pairs[frozenset(pair)] = pool(form, theirs, self.gpus, self.rows // 2)
        for name in names:
            others = [other for other in names if other != name]
            inner = {other: pairs[frozenset((name, other))] for other in others}
            transfer = self._learn(known.without(name), inner)
            scores: dict[str, list[Array]] = {}
            for other in others:
                rest = known.without(name, other)
                answers = self._ask(inner[other], rest, transfer, other, self.tests // 3, 1)
                for answer in answers:
                    scores.setdefault(answer.split, []).append(answer.scores())
            rest = known.without(name)
            pooled = pool(form, rest.cells, self.gpus, self.rows)
            for answer in self._ask(pooled, rest, transfer, name, self.tests, self.probe_sets):
                factor = NORMAL_90 * radius(np.concatenate(scores[answer.split]))
                width = factor * answer.deviation
                ours = scored(answer.cells, answer.split, OURS, answer.predicted, width)
                self.results.append(ours)
                self._simple(answer, name)
        return pd.concat(self.results, ignore_index=True)

    def _learn(self, known: Known, inner: Mapping[str, Pool]) -> Transfer:
        """``inner`` has a pool without each GPU of ``known``."""
        outlooks, times = [], []
        for name, pooled in inner.items():
            cells = known.cells[name][:LEARN_ROWS]
            outlooks.append(outlook(pooled, known.without(name), cells, self.gpus[name]))
            times.append(log_times(cells))
        return learn(outlooks, times)

    def _ask(
        self, pooled: Pool, known: Known, transfer: Transfer, name: str, tests: int, sets: int
    ) -> list[Answer]:
        """Answers on the GPU ``name``, which is not in the pool.

        Tests come from the front of its cells; candidates for probes from behind them.
        """
        gpu, cells = self.gpus[name], self.cells[name]
        spare = min(CANDIDATES * sets, len(cells) // 2)
        test, others = cells[: min(tests, len(cells) - spare)], cells[len(cells) - spare :]
        asked = outlook(pooled, known, test, gpu)
        answers = [_answer(pooled, transfer, asked, test, "from specs", asked.take([]), [])]
        for part in range(sets):
            offered = others[part::sets]
            offer = outlook(pooled, known, offered, gpu)
            for count in self.probe_counts:
                chosen = transfer.choose(offer, count)
                times = log_times(offered)[chosen]
                split = f"{count} probes"
                probes = offer.take(chosen)
                answers.append(_answer(pooled, transfer, asked, test, split, probes, times))
        return answers

    def _simple(self, answer: Answer, name: str) -> None:
        """Roofline, and the closest shape on the GPU with the closest data sheet, scaled."""
        gpu, test, split = self.gpus[name], answer.cells, answer.split
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


def _answer(
    pooled: Pool,
    transfer: Transfer,
    asked: Outlook,
    test: pd.DataFrame,
    split: str,
    probes: Outlook,
    times: Array | list[float],
) -> Answer:
    seen = np.asarray(times, dtype=float)
    predicted, deviation = transfer.predict(pooled, probes, seen, asked)
    return Answer(split, predicted, deviation, test)
