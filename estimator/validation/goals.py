"""What the estimator is to reach, and whether it does. Figures come from a validation alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
import pandas as pd

from estimator.validation.scores import CLOCKS, floor_of
from estimator.validation.splits import (
    ANOTHER_RUN,
    BETWEEN,
    LARGER,
    NEW_MACHINE,
    SAME,
    SISTER,
    SPECS,
)

MAPE, MEDIAN, P90 = "MAPE", "median", "p90"
COVERAGE, RIGHT, REGRET, BEATEN = "coverage", "right", "regret", "beaten"

_FLOOR = {MAPE: "mean", MEDIAN: "median", P90: "p90"}


@dataclass(frozen=True, slots=True)
class Goal:
    """An error in percent that a split shall not exceed, of each family named or of all."""

    split: str
    statistic: str
    limit: float
    families: tuple[str, ...] = ()


#: For cells that the host's clock times, the limit is the larger of it and the floor.
GOALS = (
    Goal(SAME, MAPE, 5.0, ("elementwise", "transfer")),
    Goal(ANOTHER_RUN, MAPE, 5.0, ("elementwise", "transfer")),
    Goal(BETWEEN, MAPE, 8.0, ("matmul", "conv2d", "fft")),
    Goal(BETWEEN, P90, 20.0, ("matmul", "conv2d", "fft")),
    Goal(LARGER, MAPE, 12.0),
    Goal(SISTER, MAPE, 12.0),
    Goal(NEW_MACHINE, MAPE, 12.0),
    Goal(SPECS, MEDIAN, 20.0),
)
COVERAGE_BAND = (87.0, 93.0)  # percent, of the 90 % interval
COVERAGE_LEAST_CELLS = 100
LEAST_RIGHT = 95.0  # percent of choices whose second best takes over 15 % longer
MOST_REGRET = 5.0  # percent
LEAST_ANSWERED = 0.9  # share of the asked cells that must have an answer for a goal to be met
SIMPLE = ("roofline", "nearest")
LEAST_COMPARED = 5  # cells of a row, to call one predictor better than another


@dataclass(frozen=True, slots=True)
class Verdict:
    """One goal against its figure, in percent.

    ``BEATEN`` is the share of families and clocks for which a simple method is nearer.

    ``scope`` names the family, device or kind of choice; ``limit`` is what was stated and
    ``floor`` the measured difference between runs where it counts (else NaN). ``met`` is None
    where no cell was answered.
    """

    split: str
    statistic: str
    scope: str
    asked: int
    n: int
    figure: float
    limit: float
    floor: float
    met: bool | None

    @property
    def target(self) -> str:
        """The limit as text, with the floor where that is larger."""
        if self.statistic == COVERAGE:
            return f"{COVERAGE_BAND[0]:g}-{COVERAGE_BAND[1]:g}"
        if self.statistic == RIGHT:
            return f">= {self.limit:g}"
        if not isnan(self.floor) and self.floor > self.limit:
            return f"<= {self.floor:.1f} floor"
        return f"<= {self.limit:g}"


def verdicts(
    results: pd.DataFrame,
    covered: pd.DataFrame,
    choices: pd.DataFrame,
    beside: Mapping[str, pd.DataFrame],
    floors: pd.DataFrame,
) -> tuple[Verdict, ...]:
    """Every goal whose split was run, in the order of ``GOALS``, then of the intervals' coverage,
    of the choices, and of the simple methods.

    ``results``, ``covered``, ``choices`` and ``beside`` are those of ``scores``.
    """
    run = set(results["split"])
    mine = results[results["predictor"] == "breakeven"]
    mine = mine.assign(ape=100.0 * (mine["predicted_s"] / mine["measured_s"] - 1.0).abs())
    found: list[Verdict] = []
    for goal in GOALS:
        if goal.split in run:
            found.extend(_errors(goal, mine, floors))
    found.extend(_coverage(covered))
    found.extend(_choices(choices))
    found.extend(_simple(beside))
    return tuple(found)


def _errors(goal: Goal, mine: pd.DataFrame, floors: pd.DataFrame) -> Iterator[Verdict]:
    asked = mine[mine["split"] == goal.split]
    for family in goal.families or ("",):
        cells = asked[asked["workload"] == family] if family else asked
        for clock in CLOCKS:
            of_clock = cells[cells["clock"] == clock]
            if of_clock.empty:
                continue
            answered = of_clock[np.isfinite(of_clock["ape"])]
            figure = _statistic(goal.statistic, answered["ape"])
            floor = nan
            if clock != "gpu":
                names = [str(name) for name in answered["workload"]]
                floor = floor_of(floors, clock, names)[_FLOOR[goal.statistic]]
            limit = goal.limit if isnan(floor) else max(goal.limit, floor)
            yield Verdict(
                goal.split,
                goal.statistic,
                f"{family or 'all families'}, {clock}",
                len(of_clock),
                len(answered),
                figure,
                goal.limit,
                floor,
                _met(figure <= limit, len(answered), len(of_clock)),
            )


def _met(reached: bool, answered: int, asked: int) -> bool | None:
    return None if not answered else reached and answered >= LEAST_ANSWERED * asked


def _statistic(name: str, errors: pd.Series[float]) -> float:
    if errors.empty:
        return nan
    if name == MAPE:
        return float(errors.mean())
    return float(errors.quantile(0.5 if name == MEDIAN else 0.9))


def _coverage(covered: pd.DataFrame) -> Iterator[Verdict]:
    low, high = COVERAGE_BAND
    for row in covered.to_dict("records"):
        if row["n"] >= COVERAGE_LEAST_CELLS:
            figure = 100.0 * float(row["coverage90"])
            n, met = int(row["n"]), low <= figure <= high
            scope = f"all families, {row['device']}"
            yield Verdict(str(row["split"]), COVERAGE, scope, n, n, figure, low, nan, met)


def _choices(choices: pd.DataFrame) -> Iterator[Verdict]:
    """The choices between held-out sizes: the split in which all options are estimates."""
    mine = choices[(choices["predictor"] == "breakeven") & (choices["split"] == BETWEEN)]
    for row in mine.to_dict("records"):
        scope, regret = str(row["kind"]), float(row["regret"])
        if row["clear"]:
            right = 100.0 * float(row["right"])
            met = right >= LEAST_RIGHT
            n = int(row["clear"])
            yield Verdict(BETWEEN, RIGHT, scope, n, n, right, LEAST_RIGHT, nan, met)
        n, met = int(row["n"]), regret <= MOST_REGRET
        yield Verdict(BETWEEN, REGRET, scope, n, n, regret, MOST_REGRET, nan, met)


def _simple(beside: Mapping[str, pd.DataFrame]) -> Iterator[Verdict]:
    for name in SIMPLE:
        table = beside[name]
        table = table[table["n"] >= LEAST_COMPARED]
        for split, rows in table.groupby("split", sort=False):
            worse = int((rows["ours"] > rows["theirs"]).sum())
            n, share = int(rows["n"].sum()), 100.0 * worse / len(rows)
            scope = f"by {name}: {worse} of {len(rows)}"
            yield Verdict(str(split), BEATEN, scope, n, n, share, 0.0, nan, worse == 0)
