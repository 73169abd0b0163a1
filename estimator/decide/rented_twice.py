"""The same machine type rented twice: by what factor a time differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from estimator.answer import NORMAL_95
from estimator.others.facts import relation
from estimator.others.spread import machine_deviation, typical_difference

if TYPE_CHECKING:
    from estimator.model.model import Model


@dataclass(frozen=True)
class RentedTwice:
    """What renting the same machine type twice does to a time.

    ``factor_p50`` and ``factor_p90``: by what factor two machines of the type differ in half and
    in nine tenths of the cases. ``machines``: label (with the id's start) and seconds of each
    measured machine of the type. ``measured``: False where the factors are the general fallback.
    """

    factor_p50: float
    factor_p90: float
    machines: tuple[tuple[str, float], ...]
    measured: bool


def rented_twice(model: Model, cell: dict[str, Any]) -> RentedTwice:
    """What the spread between machines of one type does to a cell (a question to ``predict``).

    Raises SelectionError and EstimateError as ``Model.predict`` does.
    """
    asked = pd.DataFrame([cell])
    answer = model.predict(asked)
    device = str(cell["device"])
    mode = cell.get("mode") or ("hot" if device == "cpu" else "resident")
    described = asked.assign(answer_mode=mode)
    deviation = float(machine_deviation(model.spread, answer, described)[0])
    seen = typical_difference(model.spread, described)
    facts = model.donors.facts
    own = model.donors.target(str(cell["machine_id"]))
    alike = [
        machine
        for machine in facts.values()
        if machine.cells.get(device, 0)
        and (machine.machine_id == own.machine_id or relation(own, machine, device) == "same")
    ]
    places = [{**cell, "machine_id": machine.machine_id} for machine in alike]
    times = model.predict(pd.DataFrame(places), strict=False)["seconds_p50"] if alike else ()
    listed = tuple(
        (f"{machine.label} ({machine.machine_id[:8]})", float(seconds))
        for machine, seconds in zip(alike, times, strict=True)
        if np.isfinite(seconds)
    )
    median, p90 = seen or (0.6745 * deviation, NORMAL_95 * deviation)
    return RentedTwice(float(np.exp(median)), float(np.exp(p90)), listed, seen is not None)
