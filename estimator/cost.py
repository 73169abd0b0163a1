"""Cost per completed job: pure functions, no input/output.

    cost per job = (price per hour x billed time / 3600 + storage) / jobs + egress
    billed time  = start-up + set-up + rounds x (transfers + steps x seconds per step)
                   x restarts / probability of completion, at least the minimum charge,
                   rounded up to the billing increment, summed over the machines

Jobs are packed one per GPU and go on in step: ``batches = ceil(jobs / GPUs)``, shared out evenly
over the machines, ``rounds = ceil(batches / machines)``. An instance that is not filled is paid
for all the same, and ``share_used`` says how far it was filled. Jobs on one instance share its
host and its links; the time of a step is taken as if each had its GPU and enough of the host to
itself, which is optimistic for jobs that are bound by the host. An interruption takes the whole
instance, and loses the round in progress (back to its last checkpoint), not the rounds before.
The increment and the minimum charge count once for each machine, not once for each restart.

``wall_s`` is a mean. Of several machines it is the mean of the last one's time, and the chance of
being in time is that of all of them; both are in :mod:`estimator.lateness`. A round whose attempt
fails is done again as a whole.

Spot interruptions and checkpoints are in :mod:`estimator.interruptions`, machines of one's own in
:mod:`estimator.ownership`; both are exported here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from collector.errors import EstimateError
from estimator.checks import check_number
from estimator.cost_inputs import CostOptions, Job, Timing
from estimator.instances import Instance
from estimator.interruptions import HOUR_S, best_checkpoint_interval_s, expected_wall_s
from estimator.lateness import Lateness
from estimator.ownership import (
    HOURS_PER_YEAR,
    CostLine,
    breakeven_jobs,
    own_machine,
    own_machine_usd_per_h,
    purchase_line,
)
from estimator.rental_plan import (
    Plan,
    billed_seconds,
    checkpoint_interval,
    checkpoints,
    machines_needed,
    machines_of,
    plan_of,
    round_up,
    slots_of,
)

__all__ = [
    "CostLine",
    "CostOptions",
    "CostParts",
    "Interval",
    "Job",
    "JobCost",
    "Timing",
    "best_checkpoint_interval_s",
    "breakeven_jobs",
    "cheapest_within_deadline",
    "expected_wall_s",
    "job_cost",
    "machines_needed",
    "own_machine",
    "own_machine_usd_per_h",
    "pareto_front",
    "purchase_line",
    "round_up",
]

Interval: TypeAlias = tuple[float, float, float]  # p5, p50, p95

HOURS_PER_MONTH = HOURS_PER_YEAR / 12.0
_MOST_YEARS = 100.0
_SURE = 0.95  # as likely as the time to stay below the slow end of its interval
_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class CostParts:
    """What ``total_usd`` (median) is made of, in USD for all jobs; the parts sum to it.

    ``interruptions`` holds lost work, restarts, checkpoints and failed attempts; ``rounding`` what
    the billing increment and the minimum charge add.
    """

    start: float
    transfer: float
    steps: float
    interruptions: float
    rounding: float
    storage: float
    egress: float


@dataclass(frozen=True, slots=True)
class JobCost:
    """Time and money for all jobs on one kind of instance, with the interval of the step time.

    ``wall_s`` (until the last job is done), ``billed_s`` (of all machines together) and
    ``total_usd`` are for all jobs, ``cost_usd`` for one completed job; each is (p5, p50, p95).
    Interruptions enter by their mean: the interval is that of the step time alone.
    ``uninterrupted`` is the probability that no machine is taken away, ``undisturbed`` that no
    attempt fails either. ``lateness`` is one machine's at the median and at the slow end.

    One machine without rounding costs ``fixed_usd + ceil(n / slots) x round_usd`` and egress for n
    jobs (:mod:`estimator.job_lines`); a round takes ``round_s``. ``marginal_usd_per_job`` is one
    more job where every GPU is filled.
    """

    instance: Instance
    spot: bool
    price_usd_per_h: float
    basis: str
    jobs: int
    machines: int
    rounds: int
    jobs_at_once: int
    share_used: float
    wall_s: Interval
    billed_s: Interval
    total_usd: Interval
    cost_usd: Interval
    parts: CostParts
    checkpoint_interval_s: float | None
    expected_interruptions: float
    interruption_overhead_s: float
    uninterrupted: float
    undisturbed: float
    lateness: tuple[Lateness, Lateness]
    slots: int
    round_s: float
    round_usd: float
    fixed_usd: float
    marginal_usd_per_job: float

    @property
    def as_of(self) -> str:
        """Date of the price, or "undated"."""
        return self.instance.as_of

    def meets_deadline(self, deadline_s: float) -> str:
        """One of "yes" (even the slow end of the interval does), "likely" (the median) and "no".

        "likely" also asks that all machines are in time with more than 50 % probability, "yes"
        with 95 % at the slow end, and a machine that is taken away with more than 5 % probability
        never gets a "yes".
        """
        check_number("deadline_s", deadline_s)
        if self.wall_s[1] > deadline_s or self.in_time_probability(deadline_s) <= _LIKELY:
            return "no"
        slow = self.lateness[1].chance(deadline_s, self.machines)
        sure = min(slow, self.uninterrupted) >= _SURE and self.wall_s[2] <= deadline_s
        return "yes" if sure else "likely"

    def in_time_probability(self, deadline_s: float) -> float:
        """Probability that all machines are done by then, at the median time of a step."""
        return self.lateness[0].chance(deadline_s, self.machines)

    def meets_budget(self, budget_usd: float) -> str:
        """One of "yes" (even the dear end of the interval does), "likely" (the median) and "no".

        What is interrupted, or has to be repeated, with more than 5 % probability gets no "yes".
        """
        check_number("budget_usd", budget_usd)
        if self.total_usd[2] <= budget_usd and self.undisturbed >= _SURE:
            return "yes"
        return "likely" if self.total_usd[1] <= budget_usd else "no"


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
    slots = slots_of(instance, how)
    batches = math.ceil(job.jobs / slots)
    seconds = (timing.seconds_p5, timing.seconds_p50, timing.seconds_p95)
    interval_s = checkpoint_interval(seconds[1], job, how)
    plans = [plan_of(s, job, how, interval_s) for s in seconds]
    machines = machines_of(plans, batches, how)
    rounds = math.ceil(batches / machines)
    _check_duration(_each(lambda plan: plan.fixed_s + rounds * plan.round_s, plans))
    wall_s = _each(lambda plan: plan.lateness(rounds).last_s(machines), plans)
    run_s = _each(lambda plan: machines * plan.fixed_s + batches * plan.round_s, plans)
    billed_s = _each(lambda plan: billed_seconds(plan, batches, machines, how), plans)
    usd_per_s = price / HOUR_S
    storage_usd_per_s = (
        job.storage_gib * how.term("storage_usd_per_gib_month") / (HOURS_PER_MONTH * HOUR_S)
    )
    egress_usd = job.jobs * job.egress_gib * how.term("egress_usd_per_gib")
    pairs = zip(billed_s, run_s, strict=True)
    total = [usd_per_s * billed + storage_usd_per_s * run + egress_usd for billed, run in pairs]
    total_usd: Interval = (total[0], total[1], total[2])
    fixed_s = how.term("start_up_s") + job.set_up_s
    calm_s = job.transfer_s + job.steps * seconds[1]  # one round if nothing goes wrong
    rate_per_s = how.term("interruptions_per_h") / HOUR_S if how.spot else 0.0
    written_s = checkpoints(calm_s, interval_s) * how.checkpoint_s
    exposed_s = machines * fixed_s + batches * (calm_s + written_s)
    usd_per_run_s = usd_per_s + storage_usd_per_s
    uninterrupted = math.exp(-rate_per_s * exposed_s)
    return JobCost(
        instance=instance,
        spot=how.spot,
        price_usd_per_h=price,
        basis=timing.basis,
        jobs=job.jobs,
        machines=machines,
        rounds=rounds,
        jobs_at_once=min(slots, job.jobs),
        share_used=job.jobs / (batches * max(1, instance.gpu_count)),
        wall_s=wall_s,
        billed_s=billed_s,
        total_usd=total_usd,
        cost_usd=(total[0] / job.jobs, total[1] / job.jobs, total[2] / job.jobs),
        parts=CostParts(
            start=usd_per_s * machines * fixed_s,
            transfer=usd_per_s * batches * job.transfer_s,
            steps=usd_per_s * batches * job.steps * seconds[1],
            interruptions=usd_per_s * max(0.0, run_s[1] - machines * fixed_s - batches * calm_s),
            rounding=usd_per_s * max(0.0, billed_s[1] - run_s[1]),
            storage=storage_usd_per_s * run_s[1],
            egress=egress_usd,
        ),
        checkpoint_interval_s=interval_s if how.spot else None,
        expected_interruptions=rate_per_s * run_s[1],
        interruption_overhead_s=max(0.0, wall_s[1] - fixed_s - rounds * calm_s),
        uninterrupted=uninterrupted,
        undisturbed=uninterrupted * how.probability_of_completion**batches,
        lateness=(plans[1].lateness(rounds), plans[2].lateness(rounds)),
        slots=slots,
        round_s=plans[1].round_s,
        round_usd=usd_per_run_s * plans[1].round_s,
        fixed_usd=usd_per_run_s * plans[1].fixed_s,
        marginal_usd_per_job=usd_per_run_s * plans[1].round_s / slots + egress_usd / job.jobs,
    )


def _each(function: Callable[[Plan], float], plans: list[Plan]) -> Interval:
    return function(plans[0]), function(plans[1]), function(plans[2])


def _check_duration(wall_s: Interval) -> None:
    years = wall_s[1] / (HOURS_PER_YEAR * HOUR_S)
    if years > _MOST_YEARS or not math.isfinite(wall_s[2]):
        raise EstimateError(
            f"it would take more than {_MOST_YEARS:g} years; ask for fewer steps or jobs"
        )


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
