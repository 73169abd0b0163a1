"""What to say where nothing answers a question: one clear line on the first such cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.cpu_rates import has_instructions, no_instructions
from estimator.features import case_of
from estimator.gpu_scaling import why_not

if TYPE_CHECKING:
    from estimator.model import Model


def require_known(model: Model, table: pd.DataFrame, answer: pd.DataFrame) -> None:
    """Raises EstimateError on the first described question without an answer, if there is one."""
    unknown = ~np.isfinite(answer["seconds_p50"].to_numpy(dtype=float))
    if not unknown.any():
        return
    row = table.iloc[int(np.flatnonzero(unknown)[0])]
    place = model.fit.group.index
    _require_donors(model, row, place)
    steps = ("machine_id", "device", "backend", "workload", "dtype", "math_mode", "threads")
    for name in steps:
        kept = place[place[name] == row[name]]
        if kept.empty:
            options = ", ".join(str(value) for value in sorted(place[name].unique()))
            where = model.label(row["machine_id"])
            if name == "workload":
                raise EstimateError(
                    f"{where}: {row['workload']} was not measured with {row['backend']} on "
                    f"{row['device']}; measured there: {options}"
                )
            raise EstimateError(
                f"{where}: {row['workload']} was not measured with {name} '{row[name]}'"
                f" ({row['backend']} on {row['device']}); it has {options}"
            )
        place = kept
    modes = ", ".join(sorted(place["answer_mode"].unique()))
    raise EstimateError(
        f"{model.label(row['machine_id'])}: no measurement of {row['workload']} answers mode "
        f"{row['mode']!r} ({row['backend']} on {row['device']}); it has {modes}"
    )


def _require_donors(model: Model, row: pd.Series[Any], place: pd.DataFrame) -> None:
    """What to say of a cell on a machine that has nothing measured on that device."""
    machine, device = str(row["machine_id"]), str(row["device"])
    if ((place["machine_id"] == machine) & (place["device"] == device)).any():
        return
    target = model.donors.target(machine)
    name, cpu = target.label, target.cpu
    reason = model.donors.why_none(machine, device)
    if device == "cpu" and cpu is not None and not has_instructions(cpu, str(row["dtype"])):
        reason = reason or no_instructions(str(row["dtype"]))
    if reason:
        raise EstimateError(f"{name}: {reason}")
    gpu = model.donors.target(machine).gpu
    if device == "cuda" and gpu is not None:
        asked = (str(row[name]) for name in ("workload", "dtype", "math_mode"))
        unit = why_not(gpu, *asked)
        if unit:
            raise EstimateError(unit)
    raise EstimateError(
        f"{name}: no measured machine has {row['workload']} {case_of(row['operation'])} "
        f"{row['dtype']} ({row['math_mode']}) with {row['backend']} on {device} to scale from"
    )
