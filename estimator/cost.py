"""Cost per completed job: pure functions, no input/output.

    cost per job = price per hour x billed time / 3600 / jobs done in that time + egress
    billed time  = start-up + set-up + rounds x (transfers + steps x seconds per step)
                   x restarts / probability of completion, rounded up to the billing increment

Jobs are packed one per GPU, so ``rounds = ceil(jobs / GPUs)``: an instance that is not filled is
paid for all the same, and ``share_used`` says how far it was filled. Spot interruptions and
checkpoints are in :mod:`estimator.interruptions`, machines of one's own in
:mod:`estimator.ownership`; both are exported here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from collector.errors import EstimateError
from estimator.checks import check_number
from estimator.cost_inputs import CostOptions, Job, Timing
from estimator.instances import Instance
from estimator.interruptions import HOUR_S, best_checkpoint_interval_s, expected_wall_s
from estimator.ownership import (
    CostLine,
    breakeven_jobs,
    own_machine,
    own_machine_usd_per_h,
    purchase_line,
)

__all__ = [
    "CostLine",
    "CostOptions",
    "Interval",
    "Job",
    "JobCost",
    "Timing",
    "best_checkpoint_interval_s",
    "breakeven_jobs",
    "cheapest_within_deadline",
    "expected_wall_s",
    "job_cost",
    "own_machine",
    "own_machine_usd_per_h",
    "pareto_front",
    "purchase_line",
    "round_up",
    "sensitivity",
]

Interval: TypeAlias = tuple[float, float, float]  # p5, p50, p95


@dataclass(frozen=True, slots=True)
class JobCost:
    """Time and money for all jobs on one instance, with the 90 % interval of the step time.

    ``wall_s``, ``billed_s`` and ``total_usd`` are for all jobs, ``cost_usd`` for one completed
    job; each is (p5, p50, p95). ``fixed_usd`` and ``marginal_usd_per_job`` leave rounding and
    unfilled GPUs out: they are for :func:`breakeven_jobs`.
    """

    instance: Instance
    spot: bool
    price_usd_per_h: float
    basis: str
    jobs: int
    jobs_at_once: int
    share_used: float
    wall_s: Interval
    billed_s: Interval
    total_usd: Interval
    cost_usd: Interval
    fixed_usd: float
    marginal_usd_per_job: float

    @property
    def as_of(self) -> str:
        """Date of the price, or "undated"."""
        return self.instance.as_of

    def meets_deadline(self, deadline_s: float) -> str:
        """One of "yes" (even the slow end of the interval does), "likely" (the median) and "no"."""
        check_number("deadline_s", deadline_s)
        return _meets(self.wall_s, deadline_s)

    def meets_budget(self, budget_usd: float) -> str:
        """One of "yes" (even the dear end of the interval does), "likely" (the median) and "no"."""
        check_number("budget_usd", budget_usd)
        return _meets(self.total_usd, budget_usd)


def _meets(interval: Interval, limit: float) -> str:
    return "yes" if interval[2] <= limit else "likely" if interval[1] <= limit else "no"


def round_up(seconds: float, increment_s: float) -> float:
    """Seconds rounded up to a multiple of the billing increment (0: no rounding); never lower."""
    check_number("seconds", seconds)
    check_number("increment_s", increment_s)
    units = seconds / increment_s if increment_s > 0.0 else math.inf
    if units > 2.0**52:  # an increment below the resolution of the number
        return seconds
    nearest = float(round(units))
    count = nearest if math.isclose(units, nearest, rel_tol=1e-12) else math.ceil(units)
    return max(seconds, count * increment_s)


def job_cost(
    instance: Instance, timing: Timing, job: Job, options: CostOptions | None = None
) -> JobCost:
    """What ``job`` costs on ``instance`` if one step takes ``timing`` (see the module).

    Raises EstimateError for spot without a spot price, and for a job that never ends.
    """
    how = CostOptions() if options is None else options
    price = instance.spot_usd_per_h if how.spot else instance.on_demand_usd_per_h
    if price is None:
        raise EstimateError(f"{instance.key} has no spot price; ask for on-demand")
    check_number("price_usd_per_h", price)
    gpus = max(1, instance.gpu_count)
    slots = gpus if how.pack_one_job_per_gpu else 1
    rounds = math.ceil(job.jobs / slots)
    fixed_s = how.start_up_s + job.set_up_s
    usd_per_s = (price + how.storage_usd_per_h) / HOUR_S

    def round_s(seconds_per_step: float) -> float:
        return _attempts_s(job.transfer_s + job.steps * seconds_per_step, fixed_s, how)

    def billed_s(wall_s: float) -> float:
        return round_up(max(wall_s, how.minimum_billed_s), how.billing_increment_s)

    each_s = _map(round_s, (timing.seconds_p5, timing.seconds_p50, timing.seconds_p95))
    wall_s = _map(lambda s: fixed_s + rounds * s, each_s)
    billed = _map(billed_s, wall_s)
    total_usd = _map(lambda s: usd_per_s * s + job.jobs * how.egress_usd_per_job, billed)
    return JobCost(
        instance=instance,
        spot=how.spot,
        price_usd_per_h=price,
        basis=timing.basis,
        jobs=job.jobs,
        jobs_at_once=min(slots, job.jobs),
        share_used=job.jobs / (rounds * gpus),
        wall_s=wall_s,
        billed_s=billed,
        total_usd=total_usd,
        cost_usd=_map(lambda usd: usd / job.jobs, total_usd),
        fixed_usd=usd_per_s * fixed_s,
        marginal_usd_per_job=usd_per_s * each_s[1] / slots + how.egress_usd_per_job,
    )


def _attempts_s(work_s: float, fixed_s: float, how: CostOptions) -> float:
    """Mean seconds until a job of ``work_s`` completes: interruptions, then failed attempts."""
    if how.spot:
        work_s = expected_wall_s(
            work_s,
            how.interruptions_per_h,
            fixed_s if how.restart_s is None else how.restart_s,
            how.checkpoint_interval_s,
            how.checkpoint_s,
        )
    return work_s / how.probability_of_completion


def _map(function: Callable[[float], float], interval: Interval) -> Interval:
    p5, p50, p95 = interval
    return function(p5), function(p50), function(p95)


def pareto_front(costs: Iterable[JobCost]) -> tuple[JobCost, ...]:
    """The costs that no other beats: none is as fast and as cheap, and better in one (medians).

    Fastest first. Costs that tie in both are all kept.
    """
    front: list[JobCost] = []
    for cost in sorted(costs, key=_point):
        cheaper = not front or cost.total_usd[1] < front[-1].total_usd[1]
        if cheaper or _point(cost) == _point(front[-1]):
            front.append(cost)
    return tuple(front)


def _point(cost: JobCost) -> tuple[float, float]:
    return cost.wall_s[1], cost.total_usd[1]


def cheapest_within_deadline(
    costs: Iterable[JobCost], deadline_s: float, certain: bool = False
) -> JobCost | None:
    """The cheapest (median) that meets the deadline, the faster of equals; None if none does.

    ``certain`` asks the slow end of the interval to meet it, not just the median.
    """
    enough = ("yes",) if certain else ("yes", "likely")
    meeting = [cost for cost in costs if cost.meets_deadline(deadline_s) in enough]
    return min(meeting, key=lambda cost: (cost.total_usd[1], cost.wall_s[1]), default=None)


def sensitivity(
    instance: Instance,
    timing: Timing,
    job: Job,
    options: CostOptions | None = None,
    change: float = 0.2,
) -> dict[str, tuple[float, float]]:
    """USD per job (median) with one input at a time lowered and raised by the share ``change``."""
    check_number("change", change, 0.0, 1.0)
    how = CostOptions() if options is None else options

    def at(name: str, factor: float) -> float:
        rented, step, rules = instance, timing, how
        if name == "price":
            spot = instance.spot_usd_per_h
            rented = replace(
                instance,
                on_demand_usd_per_h=factor * instance.on_demand_usd_per_h,
                spot_usd_per_h=None if spot is None else factor * spot,
            )
        elif name == "seconds_per_step":
            step = timing.scaled(factor)
        elif name == "start_up_s":
            rules = replace(how, start_up_s=factor * how.start_up_s)
        else:
            rules = replace(how, interruptions_per_h=factor * how.interruptions_per_h)
        return job_cost(rented, step, job, rules).cost_usd[1]

    names = ["price", "seconds_per_step", "start_up_s"]
    if how.spot:
        names.append("interruptions_per_h")
    return {name: (at(name, 1.0 - change), at(name, 1.0 + change)) for name in names}
