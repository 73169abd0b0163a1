"""Who answers a cell: the machine itself, or others that were measured (``donors``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from estimator.answers import Answers, Flags
from estimator.donor_cells import deviation_of
from estimator.donors import Donors
from estimator.effects import PARTS
from estimator.intervals import NORMAL_95
from estimator.machine_facts import FEW_CELLS, MachineFacts
from estimator.sisters import not_above, sisters_of

_MOST_ROWS = 20_000  # put to donors at once


def with_donors(donors: Donors, asked: pd.DataFrame, answer: pd.DataFrame) -> pd.DataFrame:
    """The machines' own answers, with donors' where those are surer.

    Donors are asked for cells that the machine's own groups do not answer or only from other
    cases, and for all but its measured cells on a machine of few. The smaller deviation answers.
    ``asked``: described questions (``Donors.table``).
    """
    asked = asked.reset_index(drop=True)
    wanted = _wanted(donors, asked, answer)
    if not wanted.any():
        return answer
    answer = answer.copy()
    rows = np.flatnonzero(wanted)
    # together, as donors of many machines are the same; in parts, so that the memory is bounded
    for places in np.split(rows, range(_MOST_ROWS, len(rows), _MOST_ROWS)):
        part = asked.iloc[places]
        which, machines = pd.factorize(part["machine_id"])
        targets = [donors.target(str(machine)) for machine in machines]
        sisters, count = sisters_of(targets, which, part), len(part)
        every = donors.answers(
            [*targets, *sisters.machines],
            np.concatenate([which, len(targets) + sisters.which]),
            part.iloc[np.concatenate([np.arange(count), sisters.rows])],
        )
        found = not_above(sisters, every.first(count), every.log_seconds[count:])
        pairs = zip(which.tolist(), part["device"], strict=True)
        few = np.array([_is_few(targets[machine], device) for machine, device in pairs])
        better = found.known & (few | ~(deviation_of(answer.iloc[places]) <= found.deviation))
        _put(answer, places[better], found, better)
    return answer


def _wanted(donors: Donors, asked: pd.DataFrame, answer: pd.DataFrame) -> Flags:
    known = np.isfinite(answer["seconds_p50"].to_numpy(dtype=float))
    measured = np.isfinite(answer["measured_median_s"].to_numpy(dtype=float))
    wanted = (answer["basis"] == "new_workload").to_numpy()
    counts = donors.model.measured.groupby(["machine_id", "device"]).size()
    few = set(counts[counts <= FEW_CELLS].index)
    keys = zip(asked["machine_id"].astype(str), asked["device"], strict=True)
    if few:
        wanted = wanted | np.array([key in few for key in keys])
    result: Flags = ~known | (wanted & ~measured)
    return result


def _is_few(target: MachineFacts, device: str) -> bool:
    return target.cells.get(device, 0) <= FEW_CELLS


def _put(answer: pd.DataFrame, places: Any, found: Answers, chosen: Flags) -> None:
    seconds = np.exp(found.log_seconds[chosen])
    half = NORMAL_95 * found.deviation[chosen]
    parts = found.parts[chosen]
    columns: dict[str, Any] = {
        "seconds_p5": seconds * np.exp(-half),
        "seconds_p50": seconds,
        "seconds_p95": seconds * np.exp(half),
        **{f"{name}_s": parts[:, i] for i, name in enumerate(PARTS)},
        "bound": np.array(PARTS, dtype=object)[parts.argmax(axis=1)],
        "basis": np.where(found.probes[chosen] > 0, "probed", "from_specs"),
        "n_fit": found.n[chosen],
    }
    for name, values in columns.items():
        answer.loc[places, name] = values
