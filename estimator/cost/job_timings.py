"""For a job, the time of one of its steps on each instance of a catalogue, as of an operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from collector.errors import EstimateError
from collector.jobs import Job
from collector.workloads import JobMemory
from estimator.catalogue.instance_families import cpu_hardware
from estimator.catalogue.instances import Instance
from estimator.cost.timings import (
    InstanceAnswer,
    require_target,
    target_of,
    timing_rows,
    who_answers,
)
from estimator.decide.jobs import pace
from estimator.decide.memory import GIB, Memory
from estimator.jobs import host
from estimator.jobs.estimate import JobEstimate
from estimator.jobs.place import Device, Place
from estimator.model.jobs import ANSWERED_BY, estimate_on, host_speeds

if TYPE_CHECKING:
    from estimator.model.model import Model

#: (whom to ask, device, whose host)
_Target = tuple[str, Device, str]


def job_timings(model: Model, instances: Sequence[Instance], job: Job) -> pd.DataFrame:
    """The columns of ``instance_timings``, a row per instance; seconds of a step in a row of many.

    The host is that of the instance where its CPU is known, else that of the measured machine with
    its GPU. An instance whose memory the job does not fit has a reason in ``excluded``.
    """
    targets = {instance.key: _target(model, instance) for instance in instances}
    wanted = sorted({target for target in targets.values() if target is not None})
    speeds = host_speeds(model, sorted({cpu for _, _, cpu in wanted if cpu}))
    places = [
        Place(name, name, device, ANSWERED_BY[job.library][device], *speeds.get(cpu, host.Speed()))
        for name, device, cpu in wanted
    ]
    found = dict(zip(wanted, estimate_on(model, job, places), strict=True))

    def answer(instance: Instance) -> InstanceAnswer:
        target = targets[instance.key]
        name, device = require_target(instance, None if target is None else target[:2])
        assert target is not None  # else the line above has raised
        estimate = found[target]
        if not estimate.answered:
            raise EstimateError(estimate.reason)
        _check_memory(estimate, instance)
        label, note = who_answers(model, instance, (name, device))
        return InstanceAnswer(_row(estimate), label, estimate.backend, note)

    return timing_rows(instances, answer)


def _target(model: Model, instance: Instance) -> _Target | None:
    target = target_of(model, instance)
    if target is None:
        return None
    name = target[0]
    if target[1] == "cpu":
        return name, "cpu", name
    known = cpu_hardware(instance.provider, instance.instance)
    return name, "cuda", known or (name if name in model.types.types else "")


def _row(estimate: JobEstimate) -> dict[str, object]:
    low, middle, high = pace(estimate)
    return {
        **{"seconds_p5": low, "seconds_p50": middle, "seconds_p95": high},
        **{"basis": estimate.basis, "bound": estimate.bound},
    }


def _check_memory(estimate: JobEstimate, instance: Instance) -> None:
    """Raises EstimateError where the job does not fit the instance."""
    gpu = estimate.device == "cuda"
    given = instance.gpu_memory_gib if gpu else instance.memory_gib
    needed = JobMemory(estimate.needed_bytes, estimate.needed_bytes)
    memory = Memory(needed, float("nan") if given is None else given * GIB, estimate.device)
    if memory.shortage:
        raise EstimateError(memory.shortage)
