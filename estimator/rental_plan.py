"""The seconds that a cost is summed from: rounds, machines for a deadline, billed time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from collector.errors import EstimateError
from estimator.checks import check_number
from estimator.cost_inputs import AUTO, MOST_MACHINES, CostOptions, Job, Timing
from estimator.instances import Instance
from estimator.interruptions import HOUR_S, best_checkpoints, expected_wall_s
from estimator.lateness import Lateness, wall_variance_s2

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
    plan = plan_of(seconds, job, options, interval_s)
    return _machines_for(plan, batches, options.deadline_s, MOST_MACHINES)


def billed_seconds(plan: Plan, batches: int, machines: int, how: CostOptions) -> float:
    """Billed seconds of all machines: some run one round more than the others."""
    rounds, more = divmod(batches, machines)

    def billed(count: int) -> float:
        run_s = max(plan.fixed_s + count * plan.round_s, how.term("minimum_billed_s"))
        return round_up(run_s, how.term("billing_increment_s"))

    longer = more * billed(rounds + 1) if more else 0.0
    return longer + (machines - more) * billed(rounds)
