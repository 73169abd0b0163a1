"""The seconds that a cost is summed from: rounds, machines for a deadline, billed time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from collector.errors import EstimateError
from estimator.checks import check_number
from estimator.cost_inputs import AUTO, CostOptions, Job, Timing
from estimator.instances import Instance
from estimator.interruptions import best_checkpoints, expected_wall_s


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of one machine's parts, for one time of a step."""

    fixed_s: float  # start-up and set-up of one machine, with interruptions
    round_s: float  # one round, with interruptions, checkpoints and failed attempts


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
    if how.spot:
        rate = how.term("interruptions_per_h")
        round_s = expected_wall_s(round_s, rate, restart_s, interval_s, how.checkpoint_s)
        fixed_s = expected_wall_s(fixed_s, rate, 0.0)
    return Plan(fixed_s, round_s / how.probability_of_completion)


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
        count = _machines_for(plan, batches, how.deadline_s)
        if count is not None and count <= how.most_machines:
            return count
    return 1


def _machines_for(plan: Plan, batches: int, deadline_s: float) -> int | None:
    left_s = deadline_s - plan.fixed_s
    if plan.round_s > left_s:
        return None
    if plan.round_s * batches <= left_s:
        return 1
    return math.ceil(batches / math.floor(left_s / plan.round_s))


def machines_needed(
    instance: Instance, timing: Timing, job: Job, options: CostOptions, certain: bool = True
) -> int | None:
    """Machines of this kind that must share the jobs for ``options.deadline_s``; None: never.

    ``certain`` asks that of the slow end of the interval, not of the median.
    """
    if options.deadline_s is None:
        return 1
    seconds = timing.seconds_p95 if certain else timing.seconds_p50
    interval_s = checkpoint_interval(timing.seconds_p50, job, options)
    batches = math.ceil(job.jobs / slots_of(instance, options))
    return _machines_for(plan_of(seconds, job, options, interval_s), batches, options.deadline_s)


def billed_seconds(plan: Plan, batches: int, machines: int, how: CostOptions) -> float:
    """Billed seconds of all machines: some run one round more than the others."""
    rounds, more = divmod(batches, machines)

    def billed(count: int) -> float:
        run_s = max(plan.fixed_s + count * plan.round_s, how.term("minimum_billed_s"))
        return round_up(run_s, how.term("billing_increment_s"))

    longer = more * billed(rounds + 1) if more else 0.0
    return longer + (machines - more) * billed(rounds)
