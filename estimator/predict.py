"""From fitted groups to the seconds of described cells, and their parts. No I/O, no fitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from estimator.features import dimensions, kernel_work
from estimator.kernel_model import KERNEL_PARAMETERS, Array, kernel_parts
from estimator.levels import LIBRARY, Fit, Indices, Level, match
from estimator.transfer_model import TRANSFER_PARAMETERS, TransferWork, transfer_seconds

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_HOST_COSTS = tuple(KERNEL_PARAMETERS.index(name) for name in ("call_s", "launch_s"))


@dataclass(frozen=True)
class Points:
    """Point estimates, each (n,): the parts, and how near to measurements they stand.

    ``group`` is the group of the cell's mode that answers (-1: none, a level above did) and
    ``known`` is False where no group at all could answer; the parts are NaN there. ``direct``
    is False where another mode's group stands in. ``distance`` is how far the parameters lie
    outside the group's measured range, in log units (0 inside).
    """

    launch_s: Array
    compute_s: Array
    memory_s: Array
    transfer_s: Array
    group: Indices
    known: Flags
    direct: Flags
    distance: Array

    @property
    def seconds(self) -> Array:
        return self.launch_s + self.compute_s + self.memory_s + self.transfer_s


def predict_points(fit: Fit, cells: pd.DataFrame) -> Points:
    """Estimate described cells (``features.describe`` with the key columns and replica)."""
    theta, group, known, direct = _kernel_parameters(fit, cells)
    parts = kernel_parts(theta, kernel_work(cells))
    end_to_end = ((cells["device"] == "cuda") & (cells["answer_mode"] == "end_to_end")).to_numpy()
    copies = np.zeros(len(cells))
    distance = np.zeros(len(cells))
    if end_to_end.any():
        asked = cells[end_to_end]
        bus_theta, bus_case = _bus_parameters(fit, asked)
        work = TransferWork(
            base_s=np.zeros(len(asked)),
            h2d_bytes=asked["h2d_bytes"].to_numpy(dtype=float),
            d2h_bytes=asked["d2h_bytes"].to_numpy(dtype=float),
        )
        copies[end_to_end] = transfer_seconds(bus_theta, work)
        known[end_to_end] &= ~np.isnan(bus_theta[:, 0])
        direct[end_to_end] &= bus_case >= 0
        if fit.bus:
            distance[end_to_end] = outside(fit.bus[-1], bus_case, asked)
    distance = np.maximum(distance, outside(fit.group, group, cells))
    bus_copy = _is_bus_copy(cells)
    memory, copies = np.where(bus_copy, 0.0, parts.memory_s), copies + bus_copy * parts.memory_s
    blank = np.where(known, 1.0, np.nan)
    return Points(
        parts.launch_s * blank,
        parts.compute_s * blank,
        memory * blank,
        copies * blank,
        group,
        known,
        direct,
        distance,
    )


def base_seconds(fit: Fit, cells: pd.DataFrame) -> Array:
    """Seconds of end-to-end cells without their copies, (n,); NaN where no group tells."""
    theta, _, known, _ = _kernel_parameters(fit, cells)
    parts = kernel_parts(theta, kernel_work(cells))
    seconds: Array = parts.launch_s + parts.compute_s + parts.memory_s
    return np.where(known, seconds, np.nan)


def outside(level: Level, group: Indices, cells: pd.DataFrame) -> Array:
    """Log distance of each cell's parameters from the measured range of its group, (n,)."""
    asked = dimensions(cells)
    # a parameter that one of the two tables has no column for is none of an answering group
    count = min(asked.shape[1], sum(name.startswith("low_") for name in level.index.columns))
    asked = asked[:, :count]
    low, high = (
        level.index[[f"{end}_{i}" for i in range(count)]].to_numpy(dtype=float)[group]
        for end in ("low", "high")
    )
    with np.errstate(invalid="ignore"):
        beyond = np.nan_to_num(np.maximum(asked - high, low - asked), nan=0.0)
    distance: Array = np.maximum(beyond, 0.0).max(axis=1, initial=0.0)
    distance[distance < 1e-9] = 0.0
    return np.where(group >= 0, distance, 0.0)


def _is_bus_copy(cells: pd.DataFrame) -> Flags:
    bus = (cells["h2d_bytes"] + cells["d2h_bytes"]).to_numpy() > 0.0
    copies: Flags = bus & (cells["workload"] == "transfer").to_numpy()
    return copies


def _kernel_parameters(fit: Fit, cells: pd.DataFrame) -> tuple[Array, Indices, Flags, Flags]:
    """Parameters of each cell, its group or -1, whether known, whether of its own mode.

    Its own group comes first; end to end is answered by the group of mode resident, then of
    mode hot. Where none was fitted, the levels above answer with the launch cost that the
    library has in that mode: the case in other modes, then the element type over all cases.
    """
    count = len(cells)
    theta = np.full((count, len(KERNEL_PARAMETERS)), 0.0)
    group = np.full(count, -1)
    known, direct = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    modes = cells["answer_mode"].to_numpy(dtype=object)
    timed = np.where(modes == "end_to_end", "resident", modes)
    asked = cells.assign(answer_mode=timed)
    found = fit.group.find(asked)
    hit = found >= 0
    theta[hit], group[hit] = fit.group.theta[found[hit]], found[hit]
    known |= hit
    direct |= hit
    floor = _launch_floors(fit, asked)
    for level in (fit.case, fit.dtype):
        todo = np.flatnonzero(~known & np.isfinite(floor))
        if not len(todo):
            continue
        found = level.find(asked.iloc[todo])
        rows, above = todo[found >= 0], found[found >= 0]
        theta[rows] = level.theta[above]
        for column in _HOST_COSTS:
            theta[rows, column] += floor[rows]
        known[rows] = True
    return theta, group, known, direct


def _launch_floors(fit: Fit, cells: pd.DataFrame) -> Array:
    """Log of the library's smallest launch cost in the cell's mode, NaN where not measured."""
    found = match(cells, fit.launch_floors, LIBRARY)
    floors = np.log(fit.launch_floors["launch_floor_s"].to_numpy(dtype=float))
    return np.where(found >= 0, floors[found], np.nan)


def _bus_parameters(fit: Fit, cells: pd.DataFrame) -> tuple[Array, Indices]:
    """Parameters of the copies (NaN where the machine has none) and the case group or -1."""
    theta = np.full((len(cells), len(TRANSFER_PARAMETERS)), np.nan)
    case = np.full(len(cells), -1)
    for level in fit.bus:
        found = level.find(cells)
        theta[found >= 0] = level.theta[found[found >= 0]]
        case = found
    return theta, case
