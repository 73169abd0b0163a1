"""Small readings of a fleet's table of machines that several checks of health share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from estimator.findings import Severity

#: median absolute deviation of a normal distribution to its standard deviation
MADN = 1.4826

#: machine_id -> its row
Rows = dict[str, dict[str, Any]]


def rows_of(machines: pd.DataFrame) -> Rows:
    """The table of machines (``FleetTables.machines``) by machine_id."""
    return {
        str(row["machine_id"]): {str(key): value for key, value in row.items()}
        for row in machines.to_dict("records")
    }


def peer_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes two machines peers in all: the same processor, cores and GPU."""
    return tuple(str(row[name]) for name in ("cpu_model", "physical_cores", "gpu_model"))


def peers_of(machines: Rows, machine: str) -> list[str]:
    """Other machines with a GPU of the same name."""
    own = machines[machine]["gpu_model"]
    if not isinstance(own, str) or not own:
        return []
    return [one for one, row in machines.items() if row["gpu_model"] == own and one != machine]


def below(share: float, limits: tuple[float, float]) -> Severity | None:
    """Unwell below the first limit, to be looked at below the second; None for NaN."""
    if share < limits[0]:
        return "unwell"
    return "look at it" if share < limits[1] else None


def usual_of(values: Iterable[Any]) -> float:
    """Median of the known values, NaN where there is none."""
    known = [found for found in (number(value) for value in values) if found == found]
    return float(np.median(known)) if known else np.nan


def number(value: Any) -> float:
    """The value as a float, NaN for None, NaN and pandas' NA."""
    return float(value) if value is not None and not pd.isna(value) else np.nan
