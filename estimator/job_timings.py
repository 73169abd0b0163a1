"""For one operation, a time on each instance of a catalogue, and what a job of it costs there.

``instance_timings`` is the join of the fitted model, the hardware catalogue and the instances:
an instance with a measured machine's GPU gets that machine's estimate, another one the estimate
of the nearest measured machine scaled by data sheets, and one that cannot do the operation (or
of which too little is known) a row that says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from collector.workloads import get_workload
from estimator.cost import CostOptions, Job, Timing, job_cost
from estimator.from_specs import (
    Donor,
    as_row,
    donors,
    nearest_gpu,
    scale_cpu_estimate,
    scale_gpu_estimate,
)
from estimator.hardware import shipped_hardware
from estimator.hardware_specs import CpuSpec, GpuSpec
from estimator.instances import Instance
from estimator.model import PREDICTION_COLUMNS, Model
from estimator.specs_scaling import CpuShare, vcpu_share

#: Relative spread between two machines of one name, by part of the time, as 90 % half-widths.
#: From a trial with other tools before this dataset (390 cases on two H100 machines with 16-core
#: hosts; not in data/): median deviation 2 % in GPU kernels and 4 % in elementwise ones, taken
#: times 2.44 (a normal distribution's 90 % half-width over its median deviation); copies 27 % at
#: the 90th percentile; what the host does up to 40 %.
BETWEEN_MACHINES = {"launch_s": 0.40, "compute_s": 0.05, "memory_s": 0.10, "transfer_s": 0.27}

_GIB = 2.0**30


@dataclass(frozen=True)
class _Answer:
    """One instance's timing: a row of ``Model.predict``, whose measurements, through what."""

    estimate: Mapping[str, Any]
    donor: Donor
    backend: str
    note: str = ""


def instance_timings(
    model: Model, instances: Sequence[Instance], question: Mapping[str, Any]
) -> pd.DataFrame:
    """A row per instance, in the given order.

    ``question``: workload, case, params, dtype and where present math_mode, mode (of GPU
    instances; "resident" by default) and backend (None: the fastest on each machine).

    Columns: key, provider, instance, region, gpu, gpu_count, vcpu, as_of, device, backend,
    machine (label of the machine whose measurements answer), note, excluded ("" or why the
    instance cannot be timed), and the columns of ``Model.predict``. On an instance of a
    measured machine's GPU the basis is that machine's, and the interval is widened by the
    spread between machines of one name.
    Raises SelectionError for an unknown workload, case or parameter.
    """
    family = get_workload(str(question["workload"]))
    params = family.complete(str(question["case"]), dict(question["params"]))
    asked = {"math_mode": "ieee", "mode": None, "backend": None, **question, "params": params}
    known = donors(model)
    estimates = _estimates(model, known, asked)
    answer = partial(_answer, known=known, estimates=estimates, asked=asked)
    rows = []
    for instance in instances:
        row: dict[str, Any] = {
            "key": instance.key,
            "provider": instance.provider,
            "instance": instance.instance,
            "region": instance.region,
            "gpu": instance.gpu,
            "gpu_count": instance.gpu_count,
            "vcpu": instance.vcpu,
            "as_of": instance.as_of,
            "device": instance.device,
            "backend": "",
            "machine": "",
            "note": "",
            "excluded": "",
            **dict.fromkeys(PREDICTION_COLUMNS, np.nan),
            "bound": "",
            "basis": "",
        }
        try:
            found = answer(instance)
            row |= {"backend": found.backend, "machine": found.donor.label, "note": found.note}
            row |= {name: found.estimate[name] for name in PREDICTION_COLUMNS}
        except EstimateError as error:
            row["excluded"] = str(error)
        rows.append(row)
    return pd.DataFrame(rows)


def instance_costs(
    timings: pd.DataFrame,
    instances: Sequence[Instance],
    job: Job,
    options: CostOptions | None = None,
) -> pd.DataFrame:
    """``timings`` with the cost of one completed job, cheapest first, excluded ones last.

    Adds cost_usd_p5, _p50, _p95 (one job), wall_s_p5, _p50, _p95 and total_usd_p50 (all jobs),
    price_usd_per_h and share_used. An instance that cannot be priced (spot without a spot
    price) is excluded with the reason.
    """
    by_key = {instance.key: instance for instance in instances}
    rows = []
    for row in timings.to_dict("records"):
        if not row["excluded"]:
            timing = Timing(row["seconds_p5"], row["seconds_p50"], row["seconds_p95"], row["basis"])
            try:
                cost = job_cost(by_key[row["key"]], timing, job, options)
            except EstimateError as error:
                row["excluded"] = str(error)
            else:
                for i, end in enumerate(("p5", "p50", "p95")):
                    row[f"cost_usd_{end}"] = cost.cost_usd[i]
                    row[f"wall_s_{end}"] = cost.wall_s[i]
                row["total_usd_p50"] = cost.total_usd[1]
                row["price_usd_per_h"] = cost.price_usd_per_h
                row["share_used"] = cost.share_used
        rows.append(row)
    columns = [
        *(f"{name}_{end}" for name in ("cost_usd", "wall_s") for end in ("p5", "p50", "p95")),
        *("total_usd_p50", "price_usd_per_h", "share_used"),
    ]
    table = pd.DataFrame(rows, columns=[*timings.columns, *columns])
    return table.sort_values("cost_usd_p50", na_position="last", ignore_index=True)


def _estimates(
    model: Model, known: Sequence[Donor], asked: Mapping[str, Any]
) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """(machine_id, device) -> backend and estimate of its fastest (or the asked) backend."""
    measured = model.fit.group.index[["machine_id", "device", "backend", "workload"]]
    measured = measured[measured["workload"] == asked["workload"]].drop_duplicates()
    found: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for machine, device, backend, _ in measured.itertuples(index=False, name=None):
        if asked["backend"] not in (None, backend):
            continue
        cell = {
            **{name: asked[name] for name in ("workload", "case", "params", "dtype", "math_mode")},
            "machine_id": machine,
            "device": device,
            "backend": backend,
            "threads": None,
            "mode": asked["mode"] if device == "cuda" or asked["mode"] == "cold" else None,
        }
        try:
            estimate = dict(model.predict(pd.DataFrame([cell])).iloc[0])
        except (EstimateError, SelectionError):
            continue  # this library does not answer here; another one may
        best = found.get((machine, device))
        if best is None or _preference(estimate) < _preference(best[1]):
            found[machine, device] = (backend, estimate)
    return found


def _preference(estimate: Mapping[str, Any]) -> tuple[bool, float]:
    """The fastest library, but one that was measured at such sizes before one that was not."""
    return estimate["basis"] not in ("measured", "interpolated"), float(estimate["seconds_p50"])


def _answer(
    instance: Instance,
    known: Sequence[Donor],
    estimates: Mapping[tuple[str, str], tuple[str, dict[str, Any]]],
    asked: Mapping[str, Any],
) -> _Answer:
    """Raises EstimateError with the reason why the instance cannot be timed."""
    spec = next((spec for spec in shipped_hardware() if spec.name == instance.hardware), None)
    able = [donor for donor in known if (donor.machine_id, instance.device) in estimates]
    if not able:
        where = "GPU" if instance.device == "cuda" else "CPU"
        raise EstimateError(f"no measured {where} has this operation")
    if isinstance(spec, GpuSpec):
        answer = _on_gpu(spec, able, estimates, asked)
        room = None if instance.gpu_memory_gib is None else instance.gpu_memory_gib * _GIB
    elif isinstance(spec, CpuSpec):
        if spec.architecture.startswith("Neoverse"):
            raise EstimateError("no ARM processor has been measured, and libraries differ")
        answer = _on_cpu(instance, spec, able, estimates, asked)
        room = instance.memory_gib * _GIB
    else:
        raise EstimateError("the provider does not say which processor it is")
    needed = get_workload(asked["workload"]).memory_bytes(
        asked["case"], asked["params"], asked["dtype"], answer.backend
    )
    if room is not None and needed > room:
        raise EstimateError(
            f"does not fit its memory: needs {needed / _GIB:.3g} GiB, has {room / _GIB:.3g} GiB"
        )
    return answer


def _on_gpu(
    spec: GpuSpec,
    able: Sequence[Donor],
    estimates: Mapping[tuple[str, str], tuple[str, dict[str, Any]]],
    asked: Mapping[str, Any],
) -> _Answer:
    donor = nearest_gpu(able, spec)
    backend, estimate = estimates[donor.machine_id, "cuda"]
    assert donor.gpu is not None
    if donor.gpu.name == spec.name:
        return _Answer(between_machines(estimate), donor, backend)
    scaled = scale_gpu_estimate(estimate, dict(asked), donor.gpu, spec)
    return _Answer(as_row(scaled, int(estimate["n_fit"])), donor, backend, scaled.note)


def _on_cpu(
    instance: Instance,
    spec: CpuSpec,
    able: Sequence[Donor],
    estimates: Mapping[tuple[str, str], tuple[str, dict[str, Any]]],
    asked: Mapping[str, Any],
) -> _Answer:
    """Scaled by cores, clock and memory rate: from the same CPU, else the one of most cores."""
    donor = max(able, key=lambda one: (one.cpu == spec, one.cpu is not None, _cores(one)))
    backend, estimate = estimates[donor.machine_id, "cpu"]
    one_core = len(get_workload(asked["workload"]).thread_counts(backend, "cpu", 2)) == 1
    target = CpuShare(spec, 1.0) if one_core else vcpu_share(spec, instance.vcpu)
    reference = donor.cpu_share(one_core)
    scaled = scale_cpu_estimate(estimate, dict(asked), reference, target)
    return _Answer(as_row(scaled, int(estimate["n_fit"])), donor, backend, scaled.note)


def _cores(donor: Donor) -> int:
    return donor.physical_cores or 0


def between_machines(estimate: Mapping[str, Any]) -> dict[str, Any]:
    """The estimate with its interval widened from this very machine to any of its name."""
    seconds = float(estimate["seconds_p50"])
    spread = (
        sum(share * float(estimate[name]) for name, share in BETWEEN_MACHINES.items()) / seconds
    )
    wider = np.log1p(spread)
    low = np.hypot(np.log(seconds / float(estimate["seconds_p5"])), wider)
    high = np.hypot(np.log(float(estimate["seconds_p95"]) / seconds), wider)
    ends = {"seconds_p5": seconds * np.exp(-low), "seconds_p95": seconds * np.exp(high)}
    return {**estimate, **ends}
