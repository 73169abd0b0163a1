"""What a cost is computed from: the time of a step, the job, and how the machine is rented."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from collector.errors import EstimateError
from estimator.catalogue.rental_terms import TERMS, RentalTerms
from estimator.checks import check_number
from estimator.cost.interruptions import check_interval

AUTO: Literal["auto"] = "auto"

# What holds where neither the user nor the provider's terms say anything.
PLAIN_TERMS = {
    "start_up_s": 0.0,
    "billing_increment_s": 1.0,
    "minimum_billed_s": 0.0,
    "interruptions_per_h": 0.0,
    "storage_usd_per_gib_month": 0.0,
    "egress_usd_per_gib": 0.0,
}

# Far beyond any job, and small enough that no product of two of them overflows.
MOST_STEPS = 1e15
MOST_JOBS = 10**9
MOST_MACHINES = 10**6
_MOST = 1e12


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one step with their 90 % interval; ``basis``: how they are known (``text``)."""

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

    ``set_up_s`` is paid once per machine rented (install, load data) and ``storage_gib`` is kept
    on each of them; ``transfer_s`` and ``egress_gib`` (data that leave the provider) count once
    per job.
    """

    steps: float
    jobs: int = 1
    set_up_s: float = 0.0
    transfer_s: float = 0.0
    storage_gib: float = 0.0
    egress_gib: float = 0.0

    def __post_init__(self) -> None:
        check_number("steps", self.steps, 0.0, MOST_STEPS)
        check_number("jobs", self.jobs, 1, MOST_JOBS)
        if self.jobs != int(self.jobs):
            raise EstimateError(f"jobs is {self.jobs}; it must be a whole number")
        for name in ("set_up_s", "transfer_s", "storage_gib", "egress_gib"):
            check_number(name, getattr(self, name), 0.0, _MOST)


@dataclass(frozen=True, slots=True)
class CostOptions:
    """How the machine is rented. Times in seconds, rates per hour, money in USD.

    What each field is: ``cost_options``. A None in a field of :data:`PLAIN_TERMS` means what the
    provider's terms say, and the value there where they say nothing.

    ``restart_s`` is the time that an interruption costs beside the lost work; None takes start-up
    plus set-up. ``checkpoint_interval_s`` None means that an interrupted job starts over, "auto"
    the best interval for each machine (``checkpoint_s`` must then be above 0).

    ``deadline_s`` and ``budget_usd`` hold for all jobs together. With a deadline, up to
    ``most_machines`` of one kind share the jobs. ``usd_per_kwh`` prices measured energy.
    """

    spot: bool = False
    start_up_s: float | None = None
    billing_increment_s: float | None = None
    minimum_billed_s: float | None = None
    pack_one_job_per_gpu: bool = True
    probability_of_completion: float = 1.0
    interruptions_per_h: float | None = None
    checkpoint_interval_s: float | Literal["auto"] | None = None
    checkpoint_s: float = 0.0
    restart_s: float | None = None
    storage_usd_per_gib_month: float | None = None
    egress_usd_per_gib: float | None = None
    deadline_s: float | None = None
    budget_usd: float | None = None
    most_machines: int = 1
    usd_per_kwh: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, bool | str) and value is not None:
                check_number(item.name, value, 0.0, _MOST)
        check_number("probability_of_completion", self.probability_of_completion, 0.0, 1.0)
        if self.probability_of_completion == 0.0:
            raise EstimateError("probability_of_completion is 0; such a job never completes")
        check_number("most_machines", self.most_machines, 1, MOST_MACHINES)
        if self.most_machines != int(self.most_machines):
            raise EstimateError(f"most_machines is {self.most_machines}; it must be a whole number")
        if isinstance(self.checkpoint_interval_s, str):
            if self.checkpoint_interval_s != AUTO:
                raise EstimateError(
                    f"checkpoint_interval_s is {self.checkpoint_interval_s!r}; give seconds or "
                    f"{AUTO!r}"
                )
            if self.checkpoint_s == 0.0:
                raise EstimateError(
                    "the best checkpoint interval needs the time of one checkpoint; give "
                    "checkpoint_s above 0"
                )
        elif self.checkpoint_interval_s is not None:
            check_interval(self.checkpoint_interval_s)

    def term(self, name: str) -> float:
        """The value of a field of the terms, or what holds where nothing was said."""
        value = getattr(self, name)
        return PLAIN_TERMS[name] if value is None else float(value)

    def with_terms(self, terms: RentalTerms | None) -> CostOptions:
        """The same options with a provider's terms where they were left open."""
        if terms is None:
            return self
        known = {
            name: getattr(terms, name)
            for name in TERMS
            if getattr(self, name) is None and getattr(terms, name) is not None
        }
        return replace(self, **known) if known else self
