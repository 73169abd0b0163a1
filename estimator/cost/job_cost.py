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
being in time is that of all of them; both are in ``interruptions``. A round whose attempt
fails is done again as a whole.

"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from collector.errors import EstimateError
from estimator.catalogue.instances import Instance
from estimator.checks import check_number
from estimator.cost.inputs import AUTO, CostOptions, Job, Timing
from estimator.cost.interruptions import (
    HOUR_S,
    Lateness,
    best_checkpoints,
    expected_wall_s,
    wall_variance_s2,
)
from estimator.cost.ownership import HOURS_PER_YEAR

_MORE_LIKELY_THAN_NOT = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of one machine's parts, for one time of a step."""

    fixed_s: float  # start-up and set-up of one machine, with interruptions
    round_s: float  # one round, with interruptions, checkpoints and failed attempts
    calm_fixed_s: float  # without interruptions
    calm_round_s: float  # without interruptions and failed attempts
    attempt_s: float  # one attempt at a round, with interruptions and checkpoints
    fixed_s2: float  # variance of fixed_s
    round_s2: float  # variance of round_s
    rate_per_s: float  # of interruptions
    completion: float  # share of attempts that succeed

    def lateness(self, rounds: int) -> Lateness:
        """Time of a machine that does ``rounds`` of them, and its spread."""
        calm_s = self.calm_fixed_s + rounds * self.calm_round_s
        return Lateness(
            calm_s=calm_s,
            mean_s=max(0.0, self.fixed_s + rounds * self.round_s - calm_s),
            variance_s2=self.fixed_s2 + rounds * self.round_s2,
            calm_probability=math.exp(-self.rate_per_s * calm_s) * self.completion**rounds,
            rounds=rounds,
            round_s=self.attempt_s,
            completion=self.completion,
            interrupted=self.rate_per_s > 0.0,
        )


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


def slots_of(instance: Instance, how: CostOptions) -> int:
    """Jobs that run at once on one machine."""
    return max(1, instance.gpu_count) if how.pack_one_job_per_gpu else 1


def plan_of(seconds_per_step: float, job: Job, how: CostOptions, interval_s: float | None) -> Plan:
    """Mean seconds of start and round: interruptions, then failed attempts."""
    fixed_s = how.term("start_up_s") + job.set_up_s
    round_s = job.transfer_s + job.steps * seconds_per_step
    restart_s = fixed_s if how.restart_s is None else how.restart_s
    if not math.isfinite(round_s):
        raise EstimateError("the job is too long to price; ask for fewer steps")
    calm_fixed_s, calm_round_s, rate = fixed_s, round_s, 0.0
    fixed_s2 = attempt_s2 = 0.0
    if how.spot:
        rate = how.term("interruptions_per_h")
        calm_round_s += checkpoints(round_s, interval_s) * how.checkpoint_s
        # the means first: they refuse what never ends
        fixed_s = expected_wall_s(calm_fixed_s, rate, 0.0)
        work_s = round_s
        round_s = expected_wall_s(work_s, rate, restart_s, interval_s, how.checkpoint_s)
        fixed_s2 = wall_variance_s2(calm_fixed_s, rate, 0.0)
        attempt_s2 = wall_variance_s2(work_s, rate, restart_s, interval_s, how.checkpoint_s)
    share = how.probability_of_completion  # attempts are geometric
    return Plan(
        fixed_s=fixed_s,
        round_s=round_s / share,
        calm_fixed_s=calm_fixed_s,
        calm_round_s=calm_round_s,
        attempt_s=round_s,
        fixed_s2=fixed_s2,
        round_s2=attempt_s2 / share + round_s * round_s * (1.0 - share) / share**2,
        rate_per_s=rate / HOUR_S,
        completion=share,
    )


def checkpoint_interval(seconds_per_step: float, job: Job, how: CostOptions) -> float | None:
    """Seconds of work between checkpoints at the median time of a step; None: none are written."""
    if how.checkpoint_interval_s != AUTO:
        return None if how.checkpoint_interval_s is None else float(how.checkpoint_interval_s)
    restart_s = how.restart_s
    if restart_s is None:
        restart_s = how.term("start_up_s") + job.set_up_s
    work_s = job.transfer_s + job.steps * seconds_per_step
    if not how.spot or not math.isfinite(work_s):
        return None
    rate = how.term("interruptions_per_h")
    return best_checkpoints(work_s, rate, restart_s, how.checkpoint_s)


def checkpoints(work_s: float, interval_s: float | None) -> int:
    """How many are written: after each interval of work, but not after the last stretch."""
    if interval_s is None or work_s <= interval_s:
        return 0
    return math.ceil(work_s / interval_s) - 1


def machines_of(plans: Sequence[Plan], batches: int, how: CostOptions) -> int:
    """Machines that share the batches: one, or as many as the deadline asks for."""
    if how.deadline_s is None:
        return 1
    for plan in (plans[2], plans[1]):  # surely in time, else at least likely
        count = _machines_for(plan, batches, how.deadline_s, how.most_machines)
        if count is not None and count <= how.most_machines:
            return count
    return 1


def _machines_for(plan: Plan, batches: int, deadline_s: float, most: int) -> int | None:
    """As few as are done in time on average, the last of them, and more likely than not.

    Where something may go wrong, counts are tried in steps of at most 5 %, so it may be a few more.
    """
    left_s = deadline_s - plan.fixed_s
    if plan.round_s > left_s:
        return None
    rounds = batches if plan.round_s * batches <= left_s else math.floor(left_s / plan.round_s)
    if plan.rate_per_s == 0.0 and plan.completion == 1.0:
        return math.ceil(batches / rounds)
    while rounds >= 1:
        machines = math.ceil(batches / rounds)
        if machines > most:
            return None
        lateness = plan.lateness(rounds)
        if (
            lateness.chance(deadline_s, machines) > _MORE_LIKELY_THAN_NOT
            and lateness.last_s(machines) <= deadline_s
        ):
            return machines
        rounds = min(rounds - 1, math.floor(0.95 * rounds))
    return None


def billed_seconds(plan: Plan, batches: int, machines: int, how: CostOptions) -> float:
    """Billed seconds of all machines: some run one round more than the others."""
    rounds, more = divmod(batches, machines)

    def billed(count: int) -> float:
        run_s = max(plan.fixed_s + count * plan.round_s, how.term("minimum_billed_s"))
        return round_up(run_s, how.term("billing_increment_s"))

    longer = more * billed(rounds + 1) if more else 0.0
    return longer + (machines - more) * billed(rounds)


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
    attempt fails either. ``interruptions`` is one machine's at the median and at the slow end.

    One machine without rounding costs ``fixed_usd + ceil(n / slots) x round_usd`` and egress for n
    jobs (:mod:`estimator.cost.table`); a round takes ``round_s``. ``marginal_usd_per_job`` is one
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
