"""Questions to the table of costs: the front, the cheapest, the fastest, one against the others.

The table is that of :func:`estimator.cost.instance_costs.instance_costs`; rows with a reason in
``excluded`` never win.

For one against another, cost is a function of the number of jobs: one machine with ``slots`` jobs
at a time costs ``fixed + ceil(n / slots) x round + n x each`` for n jobs: a staircase, whose first
step is a whole round even for one job. Rounding to a billing increment, minimum charges and further
machines are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from estimator.cost.inputs import MOST_JOBS
from estimator.cost.ownership import OwnMachine

_ROUNDING = 1e-12  # relative difference that is rounding error
_MOST_JOBS = 1000 * MOST_JOBS  # beyond this the difference per job is rounding error

ALWAYS, NEVER, SAME = "always cheaper", "never cheaper", "costs the same"


@dataclass(frozen=True, slots=True)
class JobLine:
    """USD on one machine: once, for each round of ``slots`` jobs, and for each job."""

    fixed_usd: float
    round_usd: float
    slots: int = 1
    each_usd: float = 0.0

    def total_usd(self, jobs: int) -> float:
        """All of ``jobs`` jobs."""
        return self.fixed_usd + math.ceil(jobs / self.slots) * self.round_usd + jobs * self.each_usd


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where one choice costs less than another.

    ``from_jobs``: it does from this count on, for good (None: never for good); ``up_to_jobs``: the
    last count at which it does (None: none, or no last one); ``verdict``: the same in words.
    """

    verdict: str
    from_jobs: int | None = None
    up_to_jobs: int | None = None


def compare_lines(one: JobLine, base: JobLine) -> Comparison:
    """At which counts of jobs ``one`` is cheaper than ``base``; exact, for all counts.

    The difference repeats itself every lcm(slots) jobs but for a constant gain or loss.
    """
    period = math.lcm(one.slots, base.slots)
    counts = np.arange(1, period + 1)
    totals = [
        line.fixed_usd + np.ceil(counts / line.slots) * line.round_usd + counts * line.each_usd
        for line in (one, base)
    ]
    alike = _ROUNDING * np.maximum(*totals)
    more = totals[0] - totals[1]
    more[np.abs(more) <= alike] = 0.0
    gains = [period // line.slots * line.round_usd + period * line.each_usd for line in (one, base)]
    drift = gains[0] - gains[1]  # USD more for each further period
    if abs(drift) * _MOST_JOBS <= float(np.abs(more).max()) * period or (
        abs(drift) <= _ROUNDING * max(gains)
    ):
        drift = 0.0
    cheaper = more < 0.0
    if drift == 0.0:
        if cheaper.all():
            return Comparison(ALWAYS, 1)
        if cheaper.any():
            return Comparison("cheaper at some counts")
        return Comparison(NEVER if more.any() else SAME)
    if drift < 0.0:
        dear = ~cheaper
        if not dear.any():
            return Comparison(ALWAYS, 1)
        periods = np.floor(more[dear] / -drift)
        last = int((counts[dear] + period * periods).max())
        starts = np.where(cheaper, counts, counts + period * (np.floor(more / -drift) + 1))
        clean = int(starts.min()) > last
        words = f"cheaper from {_jobs(last + 1)} on"
        return Comparison(words if clean else f"{words}, at times before", last + 1)
    if not cheaper.any():
        return Comparison(NEVER)
    periods = np.ceil(-more[cheaper] / drift) - 1
    last = int((counts[cheaper] + period * periods).max())
    ends = np.where(cheaper, counts + period * np.ceil(-more / drift), counts)
    clean = int(ends.min()) > last
    words = f"up to {_jobs(last)}"
    return Comparison(f"cheaper {words}" if clean else f"at times cheaper, {words}", None, last)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


def line_of(row: Mapping[Any, Any], bought: OwnMachine | None = None) -> JobLine:
    """The line of a row of the table of costs.

    ``bought``: the row is this machine of one's own, bought only for these jobs: the purchase
    once, then the electricity of each round.
    """
    slots = int(row["slots"])
    if bought is not None:
        energy = bought.purchase_line(float(row["round_s"])).marginal_usd_per_job
        return JobLine(bought.purchase_usd, energy, slots)
    jobs = row["total_usd_p50"] / row["cost_usd_p50"] if row["cost_usd_p50"] > 0.0 else 1.0
    each = float(row["egress_usd"]) / jobs
    return JobLine(float(row["fixed_usd"]), float(row["round_usd"]), slots, each)


Row: TypeAlias = "pd.Series[Any]"
_ALIKE = 1e-9


def priced(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with a cost."""
    return table[table["excluded"] == ""]


def mark_front(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``on_front``: no other row is as fast and as cheap, and better in one.

    Medians of wall_s and cost_usd; rows that tie in both are all on it. Keeps the order.
    """
    able = priced(table).sort_values(["wall_s_p50", "cost_usd_p50"], kind="stable")
    cost, wall = able["cost_usd_p50"].to_numpy(float), able["wall_s_p50"].to_numpy(float)
    before = np.minimum.accumulate(np.concatenate([[np.inf], cost]))[:-1]
    front = cost < before
    for i in range(1, len(front)):  # a twin of the row before it shares its place
        front[i] |= front[i - 1] and cost[i] == cost[i - 1] and wall[i] == wall[i - 1]
    marked = pd.Series(front, index=able.index, dtype=bool).reindex(table.index, fill_value=False)
    return table.assign(on_front=marked)


def cheapest(table: pd.DataFrame) -> Row | None:
    """The row of the lowest cost (median), the faster of equals; None if nothing is priced."""
    return _first(priced(table), ["cost_usd_p50", "wall_s_p50"])


def fastest(table: pd.DataFrame) -> Row | None:
    """The row of the shortest time (median), the cheaper of equals; None if nothing is priced."""
    return _first(priced(table), ["wall_s_p50", "cost_usd_p50"])


def cheapest_in_time(table: pd.DataFrame, certain: bool = False) -> Row | None:
    """The cheapest row that meets the deadline and the budget, as far as they were asked for.

    ``certain`` asks the far ends of the intervals to meet them, not just the medians.
    """
    enough = ["", "yes"] if certain else ["", "yes", "likely"]
    able = priced(table)
    meets = able["meets_deadline"].isin(enough) & able["meets_budget"].isin(enough)
    return cheapest(able[meets])


def _first(able: pd.DataFrame, order: list[str]) -> Row | None:
    if able.empty:
        return None
    return able.sort_values(order, kind="stable").iloc[0]


def overlapping(table: pd.DataFrame) -> int:
    """Other instances that may cost as little as the answer, as far as the intervals tell.

    The answer is the cheapest in time and budget, or the cheapest if none is. Counted are those
    that are in time too and whose 90 % interval of cost begins at or below the upper end of the
    answer's; other prices and regions of one instance count once, those of the answer not at all.
    """
    best = cheapest_in_time(table)
    able = priced(table)
    if best is not None:
        able = able[(able["meets_deadline"] != "no") & (able["meets_budget"] != "no")]
    else:
        best = cheapest(table)
    if best is None:
        return 0
    near = able[able["cost_usd_p5"] <= best["cost_usd_p95"]]
    names = near[["provider", "instance"]].drop_duplicates()
    return len(names) - 1


def compare_with(table: pd.DataFrame, key: str, market: str | None = None) -> pd.DataFrame:
    """The table with each priced row set against the baseline ``key`` (provider/instance/region).

    Adds cost_ratio and time_ratio (to the baseline's medians; below 1 is better),
    cheaper_from_jobs (count of jobs from which the row costs less than the baseline for good,
    missing if never) and verdict. The counts are of :mod:`estimator.cost.table`, one machine of
    each kind and no rounding; where the costs as rented for the jobs asked say otherwise, the
    verdict is theirs. Raises SelectionError if the baseline is not in the table, or has no cost.
    """
    able = priced(table)
    found = able[able["key"] == key]
    found = found if market is None else found[found["market"] == market]
    if found.empty:
        raise SelectionError(f"{key}: no priced instance of this table to compare with")
    base = found.iloc[0]
    line = line_of(base.to_dict())
    jobs = round(base["total_usd_p50"] / base["cost_usd_p50"]) if base["cost_usd_p50"] else 1
    counts: list[int | None] = []
    verdicts: list[str] = []
    for position, row in zip(table.index, table.to_dict("records"), strict=True):
        count, verdict = (None, "")
        if position == base.name:
            verdict = "the baseline"
        elif not row["excluded"]:
            other = line_of(row)
            against = compare_lines(other, line)
            count = against.from_jobs
            saved = line.total_usd(jobs) - other.total_usd(jobs)
            ratio = row["cost_usd_p50"] / base["cost_usd_p50"] if base["cost_usd_p50"] else 1.0
            verdict = _as_rented(against.verdict, saved, ratio, jobs)
        counts.append(count)
        verdicts.append(verdict)
    return table.assign(
        cost_ratio=table["cost_usd_p50"] / base["cost_usd_p50"],
        time_ratio=table["wall_s_p50"] / base["wall_s_p50"],
        cheaper_from_jobs=pd.array(counts, dtype="Int64"),
        verdict=verdicts,
    )


def _as_rented(verdict: str, saved_usd: float, ratio: float, jobs: int) -> str:
    """The verdict, unless minimum, increment or more machines turn it at the count asked for."""
    count = "1 job" if jobs == 1 else f"{jobs:,} jobs"
    if ratio > 1.0 + _ALIKE and saved_usd > 0.0:
        return f"dearer as rented for {count}"
    if ratio < 1.0 - _ALIKE and saved_usd <= 0.0:
        return f"cheaper as rented for {count}"
    return verdict


def rented_to_compare(table: pd.DataFrame) -> Row | None:
    """What buying is set against: the cheapest rented row in time, else the cheapest rented."""
    rented = table[table["provider"] != "own"]
    in_time = cheapest_in_time(rented)
    return cheapest(rented) if in_time is None else in_time


def row_of_own(table: pd.DataFrame, machine: OwnMachine) -> Row | None:
    """The priced row of a machine of one's own; None if there is none."""
    name = machine.name or machine.hardware
    able = table["excluded"] == ""
    mine = table[able & (table["provider"] == "own") & (table["instance"] == name)]
    return None if mine.empty else mine.iloc[0]
