"""Cost as a function of the number of jobs, and from how many jobs one choice is the cheaper. Pure.

One machine with ``slots`` jobs at a time costs ``fixed + ceil(n / slots) x round + n x each`` for
n jobs: a staircase, whose first step is a whole round even for one job. Rounding to a billing
increment, minimum charges and further machines are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.cost_inputs import MOST_JOBS
from estimator.own_machines import OwnMachine

_ALIKE = 1e-12  # relative difference that is rounding error
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
    alike = _ALIKE * np.maximum(*totals)
    more = totals[0] - totals[1]
    more[np.abs(more) <= alike] = 0.0
    gains = [period // line.slots * line.round_usd + period * line.each_usd for line in (one, base)]
    drift = gains[0] - gains[1]  # USD more for each further period
    if abs(drift) * _MOST_JOBS <= float(np.abs(more).max()) * period or (
        abs(drift) <= _ALIKE * max(gains)
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
