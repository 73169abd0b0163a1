"""From fitted groups to the seconds of described cells, and their parts. No I/O, no fitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from estimator.arrays import Array, Flags, Indices
from estimator.cells.features import dimensions, kernel_work
from estimator.fitting.corrections import copy_cells, kernel_cells
from estimator.fitting.levels import Fit, Level, match
from estimator.fitting.priors import MODE
from estimator.formula.copies import (
    TRANSFER_PARAMETERS,
    TransferWork,
    transfer_log_seconds,
    transfer_seconds,
)
from estimator.formula.kernel import (
    KERNEL_PARAMETERS,
    KernelParts,
    kernel_log_seconds,
    kernel_parts,
)

#: Share of the copies' time by the formula that a correction leaves them at least; where it
#: would leave less, the call and the copies shrink alike.
_LEAST_COPIES = 0.5

_CACHE = KERNEL_PARAMETERS.index("cache_bytes")


@dataclass(frozen=True)
class Points:
    """Point estimates, each (n,): the parts, and how near to measurements they stand.

    ``group`` is the group of the cell's mode that answers (-1: none, a level above did) and
    ``known`` is False where no group at all could answer; the parts are NaN there. ``direct``
    is False where another mode's group stands in. ``distance`` is how far the parameters lie
    outside the group's measured range, in log units (0 inside). ``deviation`` is what a
    measurement is expected to miss the estimate by, in log units (NaN: nothing tells), and
    ``correction`` the logarithm of what the formula's time was multiplied by.
    """

    launch_s: Array
    compute_s: Array
    memory_s: Array
    transfer_s: Array
    group: Indices
    known: Flags
    direct: Flags
    distance: Array
    deviation: Array
    correction: Array

    @property
    def seconds(self) -> Array:
        return self.launch_s + self.compute_s + self.memory_s + self.transfer_s


@dataclass(frozen=True)
class Base:
    """Cells without copies: parts by the formula, times exp(``correction``), each (n,)."""

    parts: KernelParts
    correction: Array
    deviation: Array
    group: Indices
    known: Flags
    direct: Flags

    @property
    def seconds(self) -> Array:
        formula = self.parts.launch_s + self.parts.compute_s + self.parts.memory_s
        result: Array = formula * np.exp(self.correction)
        return result


def predict_points(fit: Fit, cells: pd.DataFrame, cache_shift: Array | None = None) -> Points:
    """Estimate described cells (``features.describe`` with the key columns and replica).

    ``cache_shift`` (n,): logarithms by which the caches are larger than the fitted ones.
    """
    base = predict_base(fit, cells, cache_shift)
    known, direct, deviation = base.known.copy(), base.direct.copy(), base.deviation.copy()
    count = len(cells)
    end_to_end = ((cells["device"] == "cuda") & (cells["answer_mode"] == "end_to_end")).to_numpy()
    copies, distance, around = np.zeros(count), np.zeros(count), np.zeros(count)
    if end_to_end.any():
        asked = cells[end_to_end]
        theta, pull, bus_case = bus_parameters(fit, asked)
        work = copy_work(asked, base.seconds[end_to_end])
        copies[end_to_end] = transfer_seconds(theta, work)
        told = ~np.isnan(theta[:, 0])
        known[end_to_end] &= told
        direct[end_to_end] &= bus_case >= 0
        if fit.bus:
            distance[end_to_end] = outside(fit.bus[-1], bus_case, asked)
        _, jacobian = transfer_log_seconds(theta, work)
        jacobian = np.nan_to_num(jacobian)
        around[end_to_end], doubt = fit.corrections.predict(
            copy_cells(asked, fit.corrections.kinds), jacobian, np.nan_to_num(pull)
        )
        share = work.base_s / (work.base_s + copies[end_to_end])
        deviation[end_to_end] = np.hypot(doubt, share * base.deviation[end_to_end])
    distance = np.maximum(distance, outside(fit.group, base.group, cells))
    seconds = base.seconds
    # what the copies' rows say beyond the call itself is the copies', unless little is left
    corrected = (seconds + copies) * np.exp(around) - seconds
    rest = corrected >= _LEAST_COPIES * copies
    copies = np.where(rest, corrected, copies * np.exp(around))
    factor = np.exp(base.correction + np.where(rest, 0.0, around))
    factor = np.where(known, factor, np.nan)
    bus_copy = _is_bus_copy(cells)
    memory = np.where(bus_copy, 0.0, base.parts.memory_s)
    return Points(
        base.parts.launch_s * factor,
        base.parts.compute_s * factor,
        memory * factor,
        np.where(known, copies, np.nan) + bus_copy * base.parts.memory_s * factor,
        base.group,
        known,
        direct,
        distance,
        deviation,
        base.correction + around,
    )


def predict_base(fit: Fit, cells: pd.DataFrame, cache_shift: Array | None = None) -> Base:
    """Estimate described cells without the copies of those end to end."""
    theta, pull, group, known, direct = kernel_parameters(fit, cells)
    if cache_shift is not None:
        theta[:, _CACHE] += cache_shift
    work = kernel_work(with_added(fit, cells))
    parts = kernel_parts(theta, work)
    correction, deviation = np.zeros(len(cells)), np.full(len(cells), np.nan)
    if fit.corrections.blocks:
        _, jacobian = kernel_log_seconds(theta, work)
        timed = cells.assign(answer_mode=_timed(cells))
        described = kernel_cells(timed, fit.corrections.kinds)
        correction, deviation = fit.corrections.predict(described, jacobian, pull)
    return Base(parts, correction, deviation, group, known, direct)


def copy_work(cells: pd.DataFrame, base_s: Array) -> TransferWork:
    """The operands of the formula of copies, around calls of ``base_s`` (n,)."""
    return TransferWork(
        base_s=base_s,
        h2d_bytes=cells["h2d_bytes"].to_numpy(dtype=float),
        d2h_bytes=cells["d2h_bytes"].to_numpy(dtype=float),
    )


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


def kernel_parameters(fit: Fit, cells: pd.DataFrame) -> tuple[Array, Array, Indices, Flags, Flags]:
    """Parameters of each cell and their pull, its group or -1, known or not, of its own mode.

    Its own group comes first; end to end is answered by the group of mode resident, then of
    mode hot. Where none was fitted, the levels above answer, if the library has the mode at all:
    the case in other modes, then the element type over all cases.
    """
    count = len(cells)
    theta = np.zeros((count, len(KERNEL_PARAMETERS)))
    pull = np.zeros_like(theta)
    group = np.full(count, -1)
    known, direct = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    asked = cells.assign(answer_mode=_timed(cells))
    found = fit.group.find(asked)
    hit = found >= 0
    theta[hit], group[hit] = fit.group.theta[found[hit]], found[hit]
    pull[hit] = fit.group.pull[found[hit]]
    known |= hit
    direct |= hit
    if known.all():
        return theta, pull, group, known, direct
    able = np.isfinite(with_added(fit, asked)["added_s"].to_numpy(dtype=float))
    for level in (fit.case, fit.dtype):
        todo = np.flatnonzero(~known & able)
        if not len(todo):
            continue
        found = level.find(asked.iloc[todo])
        rows, above = todo[found >= 0], found[found >= 0]
        theta[rows], pull[rows] = level.theta[above], level.pull[above]
        known[rows] = True
    return theta, pull, group, known, direct


def _timed(cells: pd.DataFrame) -> Any:
    """The mode whose groups answer: end to end is a resident call with copies around it."""
    modes = cells["answer_mode"].to_numpy(dtype=object)
    return np.where(modes == "end_to_end", "resident", modes)


def with_added(fit: Fit, cells: pd.DataFrame) -> pd.DataFrame:
    """With ``added_s``: what each cell's mode adds to a call of its library, NaN: not measured."""
    found = match(cells.assign(answer_mode=_timed(cells)), fit.modes, MODE)
    added = fit.modes["added_s"].to_numpy(dtype=float)
    return cells.assign(added_s=np.where(found >= 0, added[found], np.nan))


def bus_parameters(fit: Fit, cells: pd.DataFrame) -> tuple[Array, Array, Indices]:
    """Parameters of the copies (NaN where the machine has none), their pull, the case or -1."""
    theta = np.full((len(cells), len(TRANSFER_PARAMETERS)), np.nan)
    pull = np.full_like(theta, np.nan)
    case = np.full(len(cells), -1)
    for level in fit.bus:
        found = level.find(cells)
        rows, groups = np.flatnonzero(found >= 0), found[found >= 0]
        theta[rows], pull[rows] = level.theta[groups], level.pull[groups]
        case = found
    return theta, pull, case
