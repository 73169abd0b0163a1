"""Why nothing answers a question: one true reason for all commands and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from collector.workloads import FAMILIES, Question
from estimator.catalogue.cpus import has_instructions, no_instructions
from estimator.cells.questions import check_forms, family_of
from estimator.others.facts import MachineFacts
from estimator.others.scaling import why_not

if TYPE_CHECKING:
    from estimator.others.donors import Donors

_KIND = {"cuda": "GPU", "cpu": "CPU"}


def require_known(donors: Donors, table: pd.DataFrame, answer: pd.DataFrame) -> None:
    """Raises EstimateError on the first described question without an answer, if there is one."""
    unknown = ~np.isfinite(answer["seconds_p50"].to_numpy(dtype=float))
    if not unknown.any():
        return
    row = table.iloc[int(np.flatnonzero(unknown)[0])].to_dict()
    asked = {str(name): value for name, value in row.items()}
    machine = str(asked["machine_id"])
    raise EstimateError(f"{donors.target(machine).label}: {why_unanswered(donors, asked)}")


def why_unanswered(donors: Donors, asked: Mapping[str, Any]) -> str:
    """What is missing for an answer: the first of these that no measurement has.

    A form of the case in the library; a machine that was measured and that the asked one can be
    scaled from; a unit of the asked one for the element type; the workload on that device; the
    library; the element type; the math mode; the number of threads; the mode. ``asked``:
    machine_id, device, workload, case, dtype, math_mode and, where the question fixes them,
    backend, threads and mode. Without a backend it is what holds for every library.
    """
    without_form = _without_form(donors, asked)
    if without_form:
        return without_form
    machine, device = str(asked["machine_id"]), str(asked["device"])
    place = donors.fitted.fit.group.index
    place = place[place["device"] == device]
    if not (place["machine_id"] == machine).any():
        target = donors.target(machine)
        nobody = donors.why_none(machine, device) or _without_unit(target, asked)
        if nobody:
            return nobody
    able = {machine, *(donor.machine_id for donor in donors.of(donors.target(machine), device))}
    return _missing(place[place["machine_id"].isin(able)], asked)


def _missing(place: pd.DataFrame, asked: Mapping[str, Any]) -> str:
    """The first thing that no fitted group of those machines has, and what there is instead."""
    backend, device = asked.get("backend"), str(asked["device"])
    names = [field.name for field in fields(Question)]
    family = family_of(Question(*(str(asked.get(name)) for name in names)))
    kept = place[place["family"] == family]
    # of families with cases that have nothing in common with the others the case is named
    what = str(asked["workload"])
    what += "" if family == what else f" {asked['case']}"
    if kept.empty:
        if backend is None:
            where, there = f"on a {_KIND[device]}", place
        else:
            where, there = f"with {backend} on {device}", place[place["backend"] == backend]
        if there.empty and len(place):
            libraries = _listed(place["backend"])
            return (
                f"{what} was not measured with backend '{backend}' ({device}); it has {libraries}"
            )
        listed = _listed(there["workload"]) or "nothing"
        return f"{what} was not measured {where}; measured there: {listed}"
    for name in ("backend", "dtype", "math_mode", "threads"):
        value = asked.get(name)
        if value is None or value != value or (name == "threads" and device == "cuda"):
            continue  # the question leaves it open
        rest = kept[kept[name] == value]
        if rest.empty:
            through = device if name == "backend" else f"{_listed(kept['backend'])} on {device}"
            return (
                f"{what} was not measured with {name} '{value}' ({through}); "
                f"it has {_listed(kept[name])}"
            )
        kept = rest
    mode = f"mode {asked['mode']!r}" if asked.get("mode") else str(asked["case"])
    return (
        f"no measurement of {what} answers {mode} ({_listed(kept['backend'])} on {device}); "
        f"it has {_listed(kept['answer_mode'])}"
    )


def _without_form(donors: Donors, asked: Mapping[str, Any]) -> str:
    """Why the library, or every one, has no form of the case; "" where one has."""
    device, backend = str(asked["device"]), asked.get("backend")
    family = FAMILIES.get(str(asked["workload"]))
    known = [] if family is None else [name for name, where in family.support if where == device]
    if family is not None and not known:
        others = _listed(pd.Series([where for _, where in family.support]))
        return f"no library has {family.name} on {device}; it is there on {others}"
    reasons = []
    for name in known if backend is None else [str(backend)]:
        try:
            check_forms(pd.DataFrame([{**asked, "backend": name}]), donors.fitted.forms)
        except EstimateError as error:
            reasons.append(str(error))
        else:
            return ""
    return reasons[0] if reasons else ""


def _without_unit(target: MachineFacts, asked: Mapping[str, Any]) -> str:
    """Why its data sheet does not answer for the element type; "" where it does."""
    dtype, workload = str(asked["dtype"]), str(asked["workload"])
    if asked["device"] == "cuda":
        mode = str(asked.get("math_mode") or "ieee")
        return "" if target.gpu is None else why_not(target.gpu, workload, dtype, mode)
    lacks = target.cpu is not None and not has_instructions(target.cpu, dtype)
    return no_instructions(dtype) if lacks else ""


def _listed(values: pd.Series[Any]) -> str:
    return ", ".join(map(str, sorted(values.unique())))
