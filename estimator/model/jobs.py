"""A job on machines by name: which device of each, its host, its memory; asked in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import BreakevenError, EstimateError, SelectionError
from collector.jobs import Job
from collector.workloads import PRODUCT_KINDS
from estimator.answer import PREDICTION_COLUMNS
from estimator.catalogue.instance_families import cpu_hardware
from estimator.catalogue.instances import shipped_instances
from estimator.catalogue.names import instance_named
from estimator.jobs import host
from estimator.jobs.coverage import covered
from estimator.jobs.estimate import Ask, JobEstimate, estimate_job
from estimator.jobs.place import Device, Place
from estimator.model.ask import ask
from estimator.others.scaling import unit_note
from estimator.others.unanswered import why_unanswered

if TYPE_CHECKING:
    from estimator.model.model import Model

_FORM = ["workload", "case", "dtype", "backend", "device"]

#: library of a job -> device -> the library whose cells answer there
ANSWERED_BY: Mapping[str, Mapping[Device, str]] = {
    "torch": {"cuda": "torch", "cpu": "torch"},
    "numpy": {"cuda": "cupy", "cpu": "numpy"},
}


def predict_job(
    model: Model,
    job: Job,
    machines: Sequence[str] | None = None,
    backend: str | None = None,
    device: Device | None = None,
) -> list[JobEstimate]:
    """``Model.predict_job``."""
    names = sorted(model.types.types) if machines is None else list(machines)
    check_library(job, backend)
    devices: list[Device | None] = [device]
    if device is None and job.library == "numpy":
        by_library: dict[str, list[Device | None]] = {"cupy": ["cuda"], "numpy": ["cpu"]}
        devices = by_library.get(backend or "", ["cuda", "cpu"])
    wanted = [
        place
        for one in devices
        for place in places(model, names, one, job.library)
        if one == device or not place.reason  # of both devices those that are there
    ]
    return estimate_on(model, job, wanted)


def check_library(job: Job, backend: str | None) -> None:
    """Raises SelectionError for a library that cannot run the job."""
    able = set(ANSWERED_BY[job.library].values())
    if backend is not None and backend not in able:
        raise SelectionError(
            f"--backend {' '.join(backend.split())[:40]}: the job is a program for {job.library}, "
            f"which runs with {' or '.join(sorted(able))} only; leave it out"
        )


def estimate_on(model: Model, job: Job, wanted: Sequence[Place]) -> list[JobEstimate]:
    """The job on places, in their order."""

    ask_model = Ask(
        predict=partial(_ask_or_numpy if job.library == "numpy" else _ask_each, model),
        why=partial(_why, model),
        covered=partial(covered, measured=model.measured),
    )
    found = estimate_job(job, wanted, ask_model)
    return [replace(one, notes=(*one.notes, *_unit_notes(model, job, one))) for one in found]


def _unit_notes(model: Model, job: Job, estimate: JobEstimate) -> list[str]:
    """What to say of a GPU whose unit is not the one that the job's products suggest."""
    if estimate.device != "cuda" or not estimate.answered:
        return []
    box = model.types.boxes_of(estimate.machine_id, "cuda")[0]
    gpu = model.donors.target(box).gpu
    kinds = {(one.dtype, one.math_mode) for one in job.operations if one.kind in PRODUCT_KINDS}
    return sorted({unit_note(gpu, "matmul", *kind) for kind in kinds} - {""})


def places(
    model: Model, names: Sequence[str], device: Device | None = None, library: str = "torch"
) -> list[Place]:
    """The GPU of each machine, or its CPU where it has none or ``device`` asks for it.

    ``names``: machine types, boxes, or names of data/hardware.csv or data/instances.csv.
    """
    hosts = {name: host_of(model, name) for name in names}
    speeds = host_speeds(model, sorted({one for one in hosts.values() if one}))
    found = []
    for name in names:
        box = model.types.boxes_of(name, device or "")[0]
        facts = model.donors.target(box)
        chosen: Device = device or ("cuda" if facts.has("cuda") else "cpu")
        place = Place(
            name,
            model.types.label(name) if name in model.types.of_box else facts_label(model, name),
            chosen,
            ANSWERED_BY[library][chosen],
            *speeds.get(hosts[name], host.Speed()),
            model.room_bytes(model.types.boxes_of(name, chosen)[0], chosen),
        )
        if not facts.has(chosen):
            what = {"cuda": "GPU", "cpu": "CPU"}[chosen]
            place = replace(place, reason=f"{place.label}: it has no {what} that is known")
        found.append(place)
    return found


def facts_label(model: Model, name: str) -> str:
    """A type's name for people, or what the catalogue calls a name."""
    return model.types.label(name) if name in model.types.types else model.donors.target(name).label


def host_of(model: Model, name: str) -> str:
    """Whom to ask about the host of a machine; "" where nothing is known of it."""
    if name in model.types.types or name in model.types.of_box:
        return name
    facts = model.donors.target(name)
    if facts.has("cpu"):
        return name
    item = instance_named(name, shipped_instances())
    return "" if item is None else cpu_hardware(item.provider, item.instance)


def host_speeds(model: Model, names: Sequence[str]) -> dict[str, host.Speed]:
    """name -> how fast its host is, where anything is known of it."""
    if not names:
        return {}
    cells: Any = [
        {"machine_id": name, "device": "cpu", "threads": 1, "mode": "hot", "math_mode": "ieee"}
        | cell
        for cell in (host.CHAIN, host.LOOP)
        for name in names
    ]
    answer = _ask_each(model, pd.DataFrame(cells))
    chain, loop = answer["seconds_p50"].to_numpy(dtype=float).reshape(2, -1)
    lent = (answer["basis"] == "from_specs").to_numpy(dtype=bool)
    return {
        name: host.Speed.measured(chain[at], loop[at], bool(lent[at]))
        for at, name in enumerate(names)
        if np.isfinite(chain[at]) or np.isfinite(loop[at])
    }


def _ask_each(model: Model, cells: pd.DataFrame) -> pd.DataFrame:
    """``ask``, but a row of NaN for a cell that the model cannot or will not answer."""
    try:
        return ask(model, cells, strict=False)
    except (EstimateError, SelectionError):
        pass  # one form that a library does not have refuses the whole table
    parts = []
    for _, form in cells.groupby([*_FORM, "machine_id"], sort=False):
        try:
            parts.append(ask(model, form, strict=False))
        except (EstimateError, SelectionError):
            continue
    empty = pd.DataFrame(index=cells.index, columns=list(PREDICTION_COLUMNS), dtype=float)
    return pd.concat(parts).reindex(cells.index) if parts else empty


def _ask_or_numpy(model: Model, cells: pd.DataFrame) -> pd.DataFrame:
    """``_ask_each``; what torch has no form of on a CPU is left to NumPy."""
    found = _ask_each(model, cells)
    instead = (cells["backend"] == "torch") & found["seconds_p50"].isna()
    if instead.any():
        found = found.copy()
        numpy = _ask_each(model, cells[instead].assign(backend="numpy"))
        found.loc[instead, numpy.columns] = numpy
    return found


def _why(model: Model, cell: Mapping[str, Any]) -> str:
    """Why nothing answers a cell, in one line."""
    box = model.types.boxes_of(str(cell["machine_id"]), str(cell["device"]))[0]
    try:
        return why_unanswered(model.donors, {**cell, "machine_id": box, "threads": None})
    except BreakevenError as error:
        return str(error)
