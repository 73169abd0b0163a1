"""From the answers to a job's cells to seconds of its operations, and how far they may be off."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd

from estimator.answer import NORMAL_95
from estimator.cells.defaults import WELL_KNOWN
from estimator.jobs.asked import AskedJob
from estimator.text import BASIS

Array = np.ndarray[Any, Any]

#: Basis of an operation that no family measures: the nearest kind answers (``text.BASIS``).
NEAREST_KIND = "nearest_kind"

#: Deviation in logarithms of the nearest kind's time from a kind's own: a stated choice.
_NEAREST_SIGMA = 0.4
#: Share of an error's variance that operations of one family on one machine have in common, where
#: the machine measured such sizes, and where not: a stated choice.
_SHARED_MEASURED, _SHARED_ELSE = 0.5, 0.9

_ENDS = ("seconds_p5", "seconds_p50", "seconds_p95")
_WORDS = ("basis", "bound")


@dataclass(frozen=True)
class OperationTimes:
    """Of each operation, (m,): seconds of one call with its ends, deviation, basis and bound."""

    low: Array
    middle: Array
    sigma: Array
    shared: Array
    basis: list[str]
    bound: list[str]
    family: list[str]

    def spread(self, spent: Array, of_job: float) -> float:
        """Deviation of a sum of operations (m,) in logarithms, from those of its parts.

        What operations of one family share of an error adds up, the rest of it averages out.
        """
        total = spent.sum()
        if not total > 0.0:
            return 0.0
        part = spent / total * self.sigma
        families: dict[str, float] = {}
        for name, common in zip(self.family, part * np.sqrt(self.shared), strict=True):
            families[name] = families.get(name, 0.0) + float(common)
        alone = float((part**2 * (1.0 - self.shared)).sum())
        return sqrt(sum(common**2 for common in families.values()) + alone + of_job**2)


def operation_times(asked: AskedJob, answers: pd.DataFrame, elsewhere: Array) -> OperationTimes:
    """The cells of an operation add up; their errors are taken as one.

    ``elsewhere`` (m,): seconds of a call where nothing but the recording knows it.
    """
    of, cell, times = asked.cells_of
    count = len(asked.operations)
    ends = answers[list(_ENDS)].to_numpy(dtype=float)
    spent = ends[cell] * times[:, None]
    low, middle, high = (np.bincount(of, spent[:, end], count) for end in range(3))
    basis, bound, family = [""] * count, [""] * count, [""] * count
    names = {name: rank for rank, name in enumerate(BASIS)}
    columns = [answers[name].to_numpy(dtype=object)[cell] for name in _WORDS]
    families = asked.cells["workload"].to_numpy(dtype=object)[cell]
    longest = np.zeros(count)
    for row, at in enumerate(of):
        if names.get(columns[0][row], 0) >= names.get(basis[at], -1):
            basis[at] = str(columns[0][row])
        if spent[row, 1] >= longest[at]:
            longest[at], bound[at], family[at] = spent[row, 1], str(columns[1][row]), families[row]
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.where(middle > 0.0, np.log(high / low) / (2.0 * NORMAL_95), 0.0)
    alone = np.array([answer.recorded for answer in asked.answers], dtype=bool)
    low, middle = np.where(alone, elsewhere, low), np.where(alone, elsewhere, middle)
    near = np.array([not answer.exact for answer in asked.answers], dtype=bool) & (middle > 0.0)
    sigma = np.where(near, np.hypot(sigma, _NEAREST_SIGMA), sigma)
    known = np.array([name in WELL_KNOWN for name in basis], dtype=bool)
    shared = np.where(known, _SHARED_MEASURED, _SHARED_ELSE)
    basis = [NEAREST_KIND if away else name for name, away in zip(basis, near, strict=True)]
    return OperationTimes(low, middle, np.nan_to_num(sigma), shared, basis, bound, family)
