"""A job's estimates set against each other: the fastest machine, and whether a GPU pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import EstimateError
from collector.jobs import Job
from estimator.decide.breakeven import Speedup, ratio_of_times
from estimator.jobs.estimate import JobEstimate
from estimator.jobs.place import Device

if TYPE_CHECKING:
    from estimator.model.model import Model


def answered_first(found: Sequence[JobEstimate]) -> list[JobEstimate]:
    """Those with an answer, by the time of a step in a row and then what fits; others last."""
    return sorted(
        found,
        key=lambda one: (not one.answered, one.pipelined_seconds_p50 if one.answered else 0.0),
    )


def require_answer(found: Sequence[JobEstimate]) -> None:
    """Raises EstimateError, which says why, where no machine answers."""
    if not any(one.answered for one in found):
        reasons = dict.fromkeys(one.reason for one in found)
        raise EstimateError(f"no machine can do this job: {'; '.join(list(reasons)[:3])}")


@dataclass(frozen=True)
class JobPair:
    """A CPU and a GPU that do the same step, and the speed-up of the GPU."""

    cpu: JobEstimate
    gpu: JobEstimate
    speedup: Speedup


def job_pair(model: Model, job: Job, gpu: str | None = None, cpu: str | None = None) -> JobPair:
    """The GPU and the CPU that are named; else the fastest GPU where the job fits, and its CPU.

    Of a GPU whose machine's CPU cannot answer, the fastest CPU of all types. Raises EstimateError
    where a side has no answer.
    """
    gpus = _able(model, job, gpu, "cuda")
    best = gpus[0]
    wanted = [cpu] if cpu is not None else [best.machine_id, None]
    error = EstimateError("")
    for name in wanted:
        try:
            other = _able(model, job, name, "cpu")[0]
        except EstimateError as caught:
            error = caught
            continue
        return JobPair(other, best, speedup_of(other, best))
    raise error


def _able(model: Model, job: Job, name: str | None, device: Device) -> list[JobEstimate]:
    """The answers of a machine's device, or of all types' (None), those that fit first."""
    names = None if name is None else [name]
    found = answered_first(model.predict_job(job, names, device=device))
    require_answer(found)
    able = [one for one in found if one.answered]
    return sorted(able, key=lambda one: one.fits is False)


def beside(found: Sequence[JobEstimate]) -> list[tuple[JobEstimate, JobEstimate]]:
    """The CPU and the GPU of each machine that answers for both, in their order."""
    answered = [one for one in found if one.answered]
    cpus = {one.machine_id: one for one in answered if one.device == "cpu"}
    return [
        (cpus[one.machine_id], one)
        for one in answered
        if one.device == "cuda" and one.machine_id in cpus
    ]


def speedup_of(slow: JobEstimate, fast: JobEstimate) -> Speedup:
    """Time on one over time on the other, of a step of many in a row."""
    return ratio_of_times(pace(slow), pace(fast))


def pace(estimate: JobEstimate) -> tuple[float, float, float]:
    """Seconds of a step of many in a row, with the ends of its interval."""
    return (
        estimate.pipelined_seconds_p5,
        estimate.pipelined_seconds_p50,
        estimate.pipelined_seconds_p95,
    )
