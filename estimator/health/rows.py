"""Findings about machines: what is wrong, by how much, how sure; ranked.

A finding is measured, read from the driver or read from the fingerprint; nothing here is
estimated by the model. Three severities:

    unwell       act on it: a difference that chance explains in at most 1 % of such findings and
                 that costs at least 5 % of the time; or a fact that is never right (a GPU slowed
                 by heat, half the PCIe lanes, a wrong result where peers were right)
    look at it   at most 5 % and at least 3 %; or a fact that may be on purpose (a lower power
                 limit)
    note         for information: other library versions, nobody to compare with

Shares by chance are false discovery rates over all machines of the dataset (Benjamini and
Hochberg 1995), so that 200 healthy machines do not give two unwell ones a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

Severity = Literal["unwell", "look at it", "note"]

SEVERITIES: tuple[Severity, ...] = ("unwell", "look at it", "note")

#: Largest false discovery rate and smallest relative slowdown of a difference from peers.
UNWELL = (0.01, 0.05)
LOOK_AT_IT = (0.05, 0.03)

FINDING_COLUMNS = (
    *("machine_id", "severity", "check", "what", "amount", "size", "since"),
    *("evidence", "cells", "peers", "sure", "advice"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one machine, or worth knowing.

    ``amount``: by how much, in words; ``size``: the same as a number that ranks findings of one
    severity (0.08 for 8 %); ``since``: start of the first run that shows it, None where it is not
    told; ``cells``: measured cells or rows behind it; ``peers``: machines compared with, 0 for a
    fact or a data sheet; ``sure``: how sure that is. Strings may hold text of the dataset.
    """

    machine_id: str
    severity: Severity
    check: str
    what: str
    amount: str
    size: float
    evidence: str
    advice: str
    sure: str
    since: datetime | None = None
    cells: int = 0
    peers: int = 0


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first; equal ones by machine, so that the order is always the same."""
    return sorted(
        findings,
        key=lambda one: (
            SEVERITIES.index(one.severity),
            -one.size,
            one.machine_id,
            one.check,
            one.what,
        ),
    )


def severity_of(rate: float, slowdown: float) -> Severity | None:
    """Severity of a difference from peers; None where it is neither sure nor large enough.

    ``rate``: false discovery rate; ``slowdown``: relative (0.08: takes 8 % longer).
    """
    for severity, (most, least) in (("unwell", UNWELL), ("look at it", LOOK_AT_IT)):
        if rate <= most and slowdown >= least:
            return severity  # type: ignore[return-value]
    return None


def chance(rate: float) -> str:
    """A false discovery rate in words."""
    if rate < 1e-4:
        return "by chance: less than 0.01 %"
    return f"by chance: {100 * rate:.2g} %"


def findings_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """One row per finding, in their order; columns ``FINDING_COLUMNS``."""
    rows: list[dict[str, Any]] = [
        {field.name: getattr(one, field.name) for field in fields(Finding)} for one in findings
    ]
    frame = pd.DataFrame(rows, columns=list(FINDING_COLUMNS))
    return frame.assign(since=pd.to_datetime(frame["since"], utc=True))


def unwell_machines(findings: Iterable[Finding]) -> list[str]:
    """Machines with a finding of severity unwell, in the order of the findings."""
    return list(dict.fromkeys(one.machine_id for one in findings if one.severity == "unwell"))


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
