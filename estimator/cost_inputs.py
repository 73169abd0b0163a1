"""What a cost is computed from: the time of a step, the job, and how the machine is rented."""

from __future__ import annotations

from dataclasses import dataclass, fields

from collector.errors import EstimateError
from estimator.checks import check_number
from estimator.interruptions import check_interval


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one step with their 90 % interval; ``basis`` says how they are known.

    ``basis`` is the estimator's: measured, interpolated, extrapolated, new_workload, probed,
    from_specs.
    """

    seconds_p5: float
    seconds_p50: float
    seconds_p95: float
    basis: str

    def __post_init__(self) -> None:
        for name in ("seconds_p5", "seconds_p50", "seconds_p95"):
            check_number(name, getattr(self, name))
        if not self.seconds_p5 <= self.seconds_p50 <= self.seconds_p95:
            raise EstimateError(
                f"seconds_p5, _p50, _p95 are {self.seconds_p5:g}, {self.seconds_p50:g}, "
                f"{self.seconds_p95:g}; they must not fall"
            )

    def scaled(self, factor: float) -> Timing:
        """All three times multiplied by ``factor``."""
        check_number("factor", factor)
        p5, p50, p95 = (factor * s for s in (self.seconds_p5, self.seconds_p50, self.seconds_p95))
        return Timing(p5, p50, p95, self.basis)


@dataclass(frozen=True, slots=True)
class Job:
    """What has to be done: ``jobs`` equal jobs of ``steps`` steps each.

    ``set_up_s`` is paid once per rental (install, load data), ``transfer_s`` once per job.
    """

    steps: float
    jobs: int = 1
    set_up_s: float = 0.0
    transfer_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "set_up_s", "transfer_s"):
            check_number(name, getattr(self, name))
        check_number("jobs", self.jobs, 1)
        if self.jobs != int(self.jobs):
            raise EstimateError(f"jobs is {self.jobs}; it must be a whole number")


@dataclass(frozen=True, slots=True)
class CostOptions:
    """How the machine is rented. Times in seconds, rates per hour, money in USD.

    ``restart_s`` is the time that an interruption costs beside the lost work; None takes start-up
    plus set-up. ``checkpoint_interval_s`` None means that an interrupted job starts over.
    """

    spot: bool = False
    start_up_s: float = 0.0
    billing_increment_s: float = 1.0
    minimum_billed_s: float = 0.0
    pack_one_job_per_gpu: bool = True
    probability_of_completion: float = 1.0
    interruptions_per_h: float = 0.0
    checkpoint_interval_s: float | None = None
    checkpoint_s: float = 0.0
    restart_s: float | None = None
    storage_usd_per_h: float = 0.0
    egress_usd_per_job: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, bool) and value is not None:
                check_number(item.name, value)
        check_number("probability_of_completion", self.probability_of_completion, 0.0, 1.0)
        if self.probability_of_completion == 0.0:
            raise EstimateError("probability_of_completion is 0; such a job never completes")
        if self.checkpoint_interval_s is not None:
            check_interval(self.checkpoint_interval_s)
