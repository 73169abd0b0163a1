"""The fit of all groups of a table, level by level, each a prior for the next.

    place    machine, device, threads: from the streaming families, all libraries together
    family   and library and workload
    dtype    and element type and math mode
    case     and operation
    mode     and mode: the groups that answer

A group of one row is thus an estimate near its siblings', and a group of many goes where its
rows say. A ``replica`` column keeps copies of the table apart: the fits of held-out folds run
in the same batch as the fit of everything.

What is fitted has no unit: FLOP/s relative to the best of the family and element type, bytes/s
to the best of the place, launch costs to the smallest of the library in that mode. Efficiencies
carry over between element types and modes where rates do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from estimator.features import kernel_work
from estimator.kernel_model import (
    KERNEL_PARAMETERS,
    Array,
    KernelWork,
    kernel_log_seconds,
)
from estimator.priors import BUS_LEVELS, PriorRows, first_level, next_level, transfer_level
from estimator.solver import Problems, Solution, solve
from estimator.transfer_model import TransferWork, transfer_log_seconds

Indices = np.ndarray[tuple[int], np.dtype[np.intp]]

PLACE = ("replica", "machine_id", "device", "threads")
LIBRARY = (*PLACE, "backend", "answer_mode")
FAMILY = (*PLACE, "backend", "family")
DTYPE = (*FAMILY, "dtype", "math_mode")
CASE = (*DTYPE, "operation")
GROUP = (*CASE, "answer_mode")
BUS = ("replica", "machine_id", "backend", "threads")
BUS_FAMILY = (*BUS, "workload")
BUS_CASE = (*BUS_FAMILY, "dtype", "math_mode", "operation")

#: Families that only stream through memory, from which a place's caches are known.
STREAMING = ("elementwise", "reduction", "device_copy")

_NOT_STREAMING = ("softmax", "layer_norm")  # cases of those families with much arithmetic

#: Element types whose arithmetic, outside of matrix units, is that of another.
_PRECISIONS = {"complex64": "float32", "complex128": "float64"}

_TOLERANCE = 1e-5  # of the objective, whose unit is a row's expected error

_RATE = KERNEL_PARAMETERS.index("compute_flop_per_s")
_BANDWIDTH = KERNEL_PARAMETERS.index("memory_bytes_per_s")
_CALL = KERNEL_PARAMETERS.index("call_s")
_LAUNCH = KERNEL_PARAMETERS.index("launch_s")
_H2D, _D2H = 1, 2  # the bandwidths among the transfer parameters


@dataclass(frozen=True)
class Level:
    """Fitted groups of one level: ``index`` has the key columns, ``theta`` (g, p) belongs.

    ``sensitivity`` (g, p) is the share of the prior's variance that is left after the fit: 1
    where the rows said nothing about a parameter, near 0 where they fixed it.
    """

    keys: tuple[str, ...]
    index: pd.DataFrame
    theta: Array
    sensitivity: Array

    def find(self, cells: pd.DataFrame) -> Indices:
        """Row of each cell's group in ``theta``, -1 where no such group was fitted."""
        return match(cells, self.index, self.keys)

    def keep(self, rows: Indices) -> Level:
        """The chosen groups alone."""
        index = self.index.iloc[rows].reset_index(drop=True)
        return Level(self.keys, index, self.theta[rows], self.sensitivity[rows])


def match(cells: pd.DataFrame, index: pd.DataFrame, keys: Sequence[str]) -> Indices:
    """Position in ``index`` (unique rows) of each row of ``cells`` by the key columns, or -1."""
    names = list(keys)
    columns = (index[name].to_numpy(dtype=object).tolist() for name in names)
    known = {key: i for i, key in enumerate(zip(*columns, strict=True))}
    codes = cells.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    chosen = cells[names].iloc[first]
    unique = zip(*(chosen[name].to_numpy(dtype=object).tolist() for name in names), strict=True)
    found = np.array([known.get(key, -1) for key in unique], dtype=np.intp)
    return found[codes]


@dataclass(frozen=True)
class Fit:
    """All fitted groups: of the kernel formula with absolute rates, and of the copies.

    ``dtype`` and ``case`` answer where no group of the asked mode or case was fitted; their
    launch costs are relative to ``launch_floors`` (``LIBRARY`` and ``launch_floor_s``), as the
    mode is not theirs. ``group`` is absolute throughout. ``bus`` are the levels of the copies
    from the general to the particular; empty where the table has no end-to-end rows.
    """

    dtype: Level
    case: Level
    group: Level
    launch_floors: pd.DataFrame
    bus: tuple[Level, ...] = ()


def fit_kernels(table: pd.DataFrame) -> Fit:
    """Fit the kernel formula.

    ``table`` has the key columns of ``GROUP``, the features of ``features.describe``,
    ``log_seconds`` and ``sigma``, and ``last_level_cache_bytes`` of the machine.
    """
    table = _with_references(table.reset_index(drop=True))
    work = _relative(table)
    streaming = _streaming(table).to_numpy()
    levels: list[Level] = []
    for name, keys in (
        ("place", PLACE),
        ("family", FAMILY),
        ("dtype", DTYPE),
        ("case", CASE),
        ("mode", GROUP),
    ):
        group, index = _groups(table, keys)
        if levels:
            parent = levels[-1]
            prior = next_level(index, parent.theta[parent.find(index)], name)
            rows = np.arange(len(table))
        else:
            prior = first_level(index)
            rows = np.flatnonzero(streaming)
        solution = _solve(table, work, group, prior, rows)
        levels.append(Level(keys, index, solution.theta, solution.variance / prior.spread**2))
    dtype, case, group_level = (_absolute(level) for level in levels[2:])
    floors = table[[*LIBRARY, "launch_floor_s"]].drop_duplicates(list(LIBRARY), ignore_index=True)
    floor = np.log(group_level.index["launch_floor_s"].to_numpy(dtype=float))
    group_level.theta[:, [_CALL, _LAUNCH]] += floor[:, None]
    return Fit(dtype, case, group_level, floors)


def _with_references(table: pd.DataFrame) -> pd.DataFrame:
    """Add the rates and the launch cost that the fit is relative to.

    Copies over a bus have nothing to do with the rate of a device's memory: each is relative
    to its own best.
    """
    is_copy = table["family"] == "bus"
    seconds = np.exp(table["log_seconds"])
    scaled = table.assign(
        _launch=seconds / table["launches"],
        _flop_rate=table["flop"] / seconds,
        _byte_rate=table["bytes"] / seconds,
    )
    # a start that is no kernel (a view) says nothing of what a kernel's costs
    plain = scaled["_launch"].where(scaled["starts"] == 0.0)
    library = [scaled[name] for name in LIBRARY]
    floor = plain.groupby(library).transform("min")
    floor = floor.fillna(scaled["_launch"].groupby(library).transform("min"))
    flop_rate = scaled.groupby(list(DTYPE))["_flop_rate"].transform("max").clip(lower=1.0)
    place = [scaled[name] for name in PLACE]
    streamed = scaled["_byte_rate"].where(_streaming(table)).groupby(place).transform("max")
    byte_rate = streamed.fillna(
        scaled["_byte_rate"].where(~is_copy).groupby(place).transform("max")
    )
    own = scaled.groupby(list(CASE))["_byte_rate"].transform("max")
    byte_rate = own.where(is_copy | byte_rate.isna(), byte_rate).clip(lower=1.0)
    precision = table["dtype"].map(_PRECISIONS).fillna(table["dtype"])
    keys = [*(table[name] for name in PLACE), precision]
    best = scaled["_flop_rate"].groupby(keys).transform("max").clip(lower=1.0)
    return table.assign(
        launch_floor_s=floor, flop_rate=flop_rate, byte_rate=byte_rate, place_flop_rate=best
    )


def _streaming(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows only stream through memory."""
    return table["family"].isin(STREAMING) & ~table["operation"].isin(_NOT_STREAMING)


def _relative(table: pd.DataFrame) -> KernelWork:
    """Work in units of what the references do in one second.

    The cost per call and per launch is scaled through ``launches``: with a time of 1 s scaled
    to the floor's, a launch of the floor's cost has the relative cost 1.
    """
    work = kernel_work(table)
    floor = table["launch_floor_s"].to_numpy()
    return KernelWork(
        **{
            **vars(work),
            "flop": work.flop / table["flop_rate"].to_numpy() / floor,
            "bytes": work.bytes / table["byte_rate"].to_numpy() / floor,
            "fresh": work.fresh / floor,
            "forks": work.forks / floor,
        }
    )


def _solve(
    table: pd.DataFrame, work: KernelWork, group: Indices, prior: PriorRows, rows: Indices
) -> Solution:
    relative = np.log(table["launch_floor_s"].to_numpy())
    return solve(
        Problems(
            rows=work.take(rows),
            log_seconds=(table["log_seconds"].to_numpy() - relative)[rows],
            sigma=table["sigma"].to_numpy()[rows],
            group=group[rows],
            centre=prior.centre,
            spread=prior.spread,
            low=prior.low,
            high=prior.high,
        ),
        kernel_log_seconds,
        start=prior.centre,
        tolerance=_TOLERANCE,
    )


def fit_transfers(table: pd.DataFrame) -> tuple[Level, ...]:
    """Fit the copies of end-to-end rows, whose time without copies is ``base_s``.

    ``table`` has the key columns of ``BUS_CASE``, ``h2d_bytes``, ``d2h_bytes``, ``base_s``,
    ``log_seconds`` and ``sigma``. Bandwidths are fitted relative to the best of the machine.
    """
    table = table.reset_index(drop=True)
    moved = table["h2d_bytes"] + table["d2h_bytes"]
    beyond = np.maximum(np.exp(table["log_seconds"]) - table["base_s"], 1e-7)
    best = (moved / beyond).groupby([table[name] for name in BUS]).transform("max")
    table = table.assign(byte_rate=best.clip(lower=1e6))
    rows = TransferWork(
        base_s=table["base_s"].to_numpy(),
        h2d_bytes=table["h2d_bytes"].to_numpy(),
        d2h_bytes=table["d2h_bytes"].to_numpy(),
    )
    levels: list[Level] = []
    for name, keys in zip(BUS_LEVELS, (BUS, BUS_FAMILY, BUS_CASE), strict=True):
        group, index = _groups(table, keys)
        above = levels[-1].theta[levels[-1].find(index)] if levels else None
        prior: PriorRows = transfer_level(len(index), name, above)
        if above is None:
            rate = np.log(index["byte_rate"].to_numpy(dtype=float))
            prior.centre[:, [_H2D, _D2H]] += rate[:, None]
        solution = solve(
            Problems(
                rows=rows,
                log_seconds=table["log_seconds"].to_numpy(),
                sigma=table["sigma"].to_numpy(),
                group=group,
                centre=prior.centre,
                spread=prior.spread,
                low=prior.low,
                high=prior.high,
            ),
            transfer_log_seconds,
            start=prior.centre,
        )
        levels.append(Level(keys, index, solution.theta, solution.variance / prior.spread**2))
    return tuple(levels)


def _groups(table: pd.DataFrame, keys: Sequence[str]) -> tuple[Indices, pd.DataFrame]:
    """Group of each row, and one row of the table per group, in the groups' order."""
    grouped = table.groupby(list(keys), sort=False, dropna=False)
    codes = np.asarray(grouped.ngroup(), dtype=np.intp)
    _, first = np.unique(codes, return_index=True)
    return codes, table.iloc[first].reset_index(drop=True)


def _absolute(level: Level) -> Level:
    """Rates in FLOP/s and bytes/s instead of relative to the reference rates."""
    theta = level.theta.copy()
    theta[:, _RATE] += np.log(level.index["flop_rate"].to_numpy(dtype=float))
    theta[:, _BANDWIDTH] += np.log(level.index["byte_rate"].to_numpy(dtype=float))
    return Level(level.keys, level.index, theta, level.sensitivity)
