"""The fit of all groups of a table, level by level, each a prior for the next.

    place    type of machine, device, threads: from the streaming families
    family   and family and library of routines
    dtype    and element type and math mode
    case     and operation
    group    and machine, backend and mode: the groups that answer

Machines of one type and backends that call one library of routines (cuBLAS under PyTorch, CuPy and
JAX) share all levels but the last. A group of one row is thus an estimate near its siblings', and a
group of many goes where its rows say. A ``replica`` column keeps copies of the table apart: the
fits of held-out folds run in the same batch as the fit of everything.

What is fitted has no unit: FLOP/s relative to a data sheet's peak or to the best of the place in
that precision, bytes/s to the best of the place, launch costs to the smallest of the library
(``priors``). Efficiencies carry over between element types and modes where rates do not.

A level is solved in blocks, whose groups read the same few parameters. A parameter that a block
does not read keeps its prior. Groups of held-out folds start from the solution of the same group
fitted to everything, from which they differ by few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from estimator.arrays import Array, Flags, Indices, Names
from estimator.cells.work import KernelWork
from estimator.fitting.corrections import NO_CORRECTIONS, Corrections
from estimator.fitting.priors import (
    BLOCKS,
    BUS,
    BUS_CASE,
    BUS_FAMILY,
    BUS_LEVELS,
    CASE,
    DTYPE,
    LEVELS,
    STEPS,
    PriorRows,
    blocks,
    first_level,
    is_streaming,
    modes_of_places,
    next_level,
    relative_work,
    transfer_level,
    with_kind,
    with_references,
)
from estimator.fitting.solver import Problems, Solution, solve
from estimator.formula.copies import TransferWork, transfer_log_seconds
from estimator.formula.kernel import KERNEL_PARAMETERS, kernel_log_seconds

_Codes = np.ndarray[Any, np.dtype[np.int64]]

_LARGEST = 2**62  # that a number for a combination of keys may reach


class Places:
    """Positions in a table of unique rows by its key columns; built once, asked often.

    Each column's values are numbered, and the numbers of a row joined to one.
    """

    def __init__(self, index: pd.DataFrame, keys: Sequence[str]) -> None:
        self._numbers: list[tuple[str, dict[Any, int]]] = []
        self._merged: dict[str, _Codes] = {}  # numbers so far, where the next would be too large
        joint, span = np.zeros(len(index), dtype=np.int64), 1
        for name in keys:
            codes, values = pd.factorize(index[name])
            size = len(values) + 1
            if span * size > _LARGEST:
                self._merged[name], joint = np.unique(joint, return_inverse=True)
                span = len(self._merged[name])
            self._numbers.append((name, {value: i for i, value in enumerate(values, start=1)}))
            joint, span = joint * size + codes + 1, span * size
        # of rows with the same keys the last one counts
        order = np.argsort(joint, kind="stable")
        last = np.append(np.diff(joint[order]) != 0, True)[: len(order)]
        self._joint, self._place = joint[order[last]], order[last]

    def find(self, cells: pd.DataFrame) -> Indices:
        """Position of each row's keys, (n,), -1 where the table has no such row."""
        joint, known = np.zeros(len(cells), dtype=np.int64), np.ones(len(cells), dtype=bool)
        for name, numbers in self._numbers:
            if name in self._merged:
                joint, known = _among(self._merged[name], joint, known)
            codes, values = pd.factorize(cells[name])
            number = np.array([*(numbers.get(value, 0) for value in values), 0], dtype=np.int64)
            found = number[codes]
            known &= found > 0
            joint = joint * (len(numbers) + 1) + found
        place, known = _among(self._joint, joint, known)
        found_at = np.full(len(cells), -1, dtype=np.intp)
        found_at[known] = self._place[place[known]]
        return found_at


def match(cells: pd.DataFrame, index: pd.DataFrame, keys: Sequence[str]) -> Indices:
    """Position in ``index`` (unique rows) of each row of ``cells`` by the key columns, or -1."""
    return Places(index, keys).find(cells)


def _among(
    values: _Codes, joint: _Codes, known: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[_Codes, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Places in ordered ``values``, and which of the numbers are there."""
    if not len(values):
        return np.zeros_like(joint), np.zeros_like(known)
    place = np.minimum(np.searchsorted(values, joint), len(values) - 1)
    return place, known & (values[place] == joint)


_TOLERANCE = 1e-4  # of the objective, whose unit is a row's expected error
_MOST_STEPS = 25  # by then all but a few groups have settled, and those creep
_STEPS_FROM_TWIN = 10  # of a group that starts from the solution of nearly the same rows


@dataclass(frozen=True)
class _Rows:
    """Operands with the parameters (n, p) of each row, of which a block changes some."""

    work: KernelWork
    theta: Array

    def __len__(self) -> int:
        return len(self.theta)

    def take(self, index: Indices) -> _Rows:
        return _Rows(self.work.take(index), self.theta[index])


def solve_level(
    problems: Problems[KernelWork], block: Names, first: Flags, twin: Indices
) -> Solution:
    """Solve all groups (g,), each a member of the block of that name in ``priors.BLOCKS``.

    The groups marked ``first`` are solved first; each other one starts from its ``twin`` among
    them (-1: from its prior's centre).
    """
    theta, variance = problems.centre.copy(), problems.spread**2
    cost = np.zeros(len(theta))
    for turn in (first, ~first):
        start = np.where((twin >= 0)[:, None] & ~first[:, None], theta[twin], problems.centre)
        for name, parameters in BLOCKS.items():
            chosen = np.flatnonzero(turn & (block == name))
            if not len(chosen):
                continue
            columns = np.array([KERNEL_PARAMETERS.index(one) for one in parameters])
            steps = _MOST_STEPS if turn is first else _STEPS_FROM_TWIN
            solution = _solve_block(problems, chosen, columns, start, parameters, steps)
            theta[np.ix_(chosen, columns)] = solution.theta
            variance[np.ix_(chosen, columns)] = solution.variance
            cost[chosen] = solution.cost
    return Solution(theta, variance, cost)


def _solve_block(
    problems: Problems[KernelWork],
    chosen: Indices,
    columns: Indices,
    start: Array,
    parameters: tuple[str, ...],
    steps: int,
) -> Solution:
    position = np.full(len(problems.centre), -1)
    position[chosen] = np.arange(len(chosen))
    kept = np.flatnonzero(position[problems.group] >= 0)
    part = np.ix_(chosen, columns)

    def formula(theta: Array, rows: _Rows) -> tuple[Array, Array]:
        every = rows.theta.copy()
        every[:, columns] = theta
        return kernel_log_seconds(every, rows.work, parameters)

    group = position[problems.group[kept]]
    rows = _Rows(problems.rows.take(kept), problems.centre[chosen][group])
    smaller = replace(
        problems,
        log_seconds=problems.log_seconds[kept],
        sigma=problems.sigma[kept],
        group=group,
        centre=problems.centre[part],
        spread=problems.spread[part],
        low=problems.low[part],
        high=problems.high[part],
    )
    return solve(_with_rows(smaller, rows), formula, start[part], steps, _TOLERANCE)


def _with_rows(problems: Problems[KernelWork], rows: _Rows) -> Problems[_Rows]:
    values = {name: value for name, value in vars(problems).items() if name != "rows"}
    return Problems(rows=rows, **values)


#: Parameters whose posterior standard deviation (logs) the groups' index tells, in columns of
#: this prefix.
UNCERTAIN = ("launch_s", "compute_flop_per_s", "memory_bytes_per_s", "cache_bytes")
SPREAD_OF = "spread_of_"

_RATE = KERNEL_PARAMETERS.index("compute_flop_per_s")
_BANDWIDTH = KERNEL_PARAMETERS.index("memory_bytes_per_s")
_CALL = KERNEL_PARAMETERS.index("call_s")
_LAUNCH = KERNEL_PARAMETERS.index("launch_s")
_H2D, _D2H = 1, 2  # the bandwidths among the transfer parameters


@dataclass(frozen=True)
class Level:
    """Fitted groups of one level: ``index`` has the key columns, ``theta`` (g, p) belongs.

    ``sensitivity`` (g, p) is the share of the prior's variance that is left after the fit: 1
    where the rows said nothing about a parameter, near 0 where they fixed it. ``pull`` (g, p) is
    how far ``theta`` lies from the centre of the prior of its family (of its machine, for copies).
    """

    keys: tuple[str, ...]
    index: pd.DataFrame
    theta: Array
    sensitivity: Array
    pull: Array

    def find(self, cells: pd.DataFrame) -> Indices:
        """Row of each cell's group in ``theta``, -1 where no such group was fitted."""
        return self._places.find(cells)

    @cached_property
    def _places(self) -> Places:
        return Places(self.index, self.keys)

    def keep(self, rows: Indices) -> Level:
        """The chosen groups alone."""
        index = self.index.iloc[rows].reset_index(drop=True)
        return Level(self.keys, index, self.theta[rows], self.sensitivity[rows], self.pull[rows])


@dataclass(frozen=True)
class Fit:
    """All fitted groups: of the kernel formula with absolute rates, and of the copies.

    ``dtype`` and ``case`` answer where no group of the asked mode or case was fitted. ``modes``
    (``MODE`` and ``added_s``) tells what a mode adds to each call of a library. ``bus`` are
    the levels of the copies from the general to the particular; empty where the table has no
    end-to-end rows.
    """

    dtype: Level
    case: Level
    group: Level
    modes: pd.DataFrame
    bus: tuple[Level, ...] = ()
    corrections: Corrections = NO_CORRECTIONS


def fit_kernels(table: pd.DataFrame) -> Fit:
    """Fit the kernel formula.

    ``table`` has the key columns of ``GROUP``, the features of ``features.describe``,
    ``log_seconds`` and ``sigma``, and of the machine ``last_level_cache_bytes``, the GPU's data
    sheet and, where known, ``machine_type_id``. Raises EstimateError on times that are no number.
    """
    table = with_references(with_kind(table.reset_index(drop=True)))
    work = relative_work(table)
    streaming = is_streaming(table).to_numpy()
    levels: list[Level] = []
    origin: Array = np.zeros((0, 0))
    variance: Array = np.zeros((0, 0))
    for name, keys in zip(LEVELS, STEPS, strict=True):
        group, index = _groups(table, keys)
        if levels:
            parent = levels[-1]
            above = parent.find(index)
            prior = next_level(index, parent.theta[above], name)
            origin = prior.centre if name == "family" else origin[above]
            rows = np.arange(len(table))
        else:
            prior = first_level(index)
            origin = prior.centre
            rows = np.flatnonzero(streaming)
        solution = _solve(table, work, group, index, keys, prior, rows)
        left = solution.variance / prior.spread**2
        # what the rows leave open is also open in the centre, the parent's estimate
        above_it = left**2 * variance[above] if levels else 0.0
        variance = solution.variance + above_it
        levels.append(Level(keys, index, solution.theta, left, solution.theta - origin))
    dtype, case = (
        _absolute(_of_machines(level, table, keys))
        for level, keys in ((levels[2], DTYPE), (levels[3], CASE))
    )
    group_level = _absolute(levels[4])
    for name in UNCERTAIN:
        doubt = np.sqrt(variance[:, KERNEL_PARAMETERS.index(name)])
        group_level.index[f"{SPREAD_OF}{name}"] = doubt
    return Fit(dtype, case, group_level, modes_of_places(table))


def _of_machines(level: Level, table: pd.DataFrame, keys: tuple[str, ...]) -> Level:
    """A level of types of machines as one of the machines and backends in the table."""
    _, index = _groups(table.sort_values("launch_floor_s", kind="stable"), keys)
    found = level.find(index)
    return Level(keys, index, level.theta[found], level.sensitivity[found], level.pull[found])


def _solve(
    table: pd.DataFrame,
    work: KernelWork,
    group: Indices,
    index: pd.DataFrame,
    keys: Sequence[str],
    prior: PriorRows,
    rows: Indices,
) -> Solution:
    """Solve one level: the largest replica (that of all rows) first, the folds from there."""
    relative = np.log(table["launch_floor_s"].to_numpy())
    whole = str(table["replica"].value_counts().idxmax())
    first = (index["replica"] == whole).to_numpy()
    problems = Problems(
        rows=work.take(rows),
        log_seconds=(table["log_seconds"].to_numpy() - relative)[rows],
        sigma=table["sigma"].to_numpy()[rows],
        group=group[rows],
        centre=prior.centre,
        spread=prior.spread,
        low=prior.low,
        high=prior.high,
    )
    twin = match(index.assign(replica=whole), index, keys)
    return solve_level(problems, blocks(index), first, twin)


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
    origin: Array = np.zeros((0, 0))
    for name, keys in zip(BUS_LEVELS, (BUS, BUS_FAMILY, BUS_CASE), strict=True):
        group, index = _groups(table, keys)
        parent = levels[-1].find(index) if levels else None
        above = None if parent is None else levels[-1].theta[parent]
        prior: PriorRows = transfer_level(len(index), name, above)
        if parent is None:
            rate = np.log(index["byte_rate"].to_numpy(dtype=float))
            prior.centre[:, [_H2D, _D2H]] += rate[:, None]
            origin = prior.centre
        else:
            origin = origin[parent]
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
        left = solution.variance / prior.spread**2
        levels.append(Level(keys, index, solution.theta, left, solution.theta - origin))
    return tuple(levels)


def _groups(table: pd.DataFrame, keys: Sequence[str]) -> tuple[Indices, pd.DataFrame]:
    """Group of each row, and one row of the table per group, in the groups' order."""
    grouped = table.groupby(list(keys), sort=False, dropna=False)
    codes = np.asarray(grouped.ngroup(), dtype=np.intp)
    _, first = np.unique(codes, return_index=True)
    return codes, table.iloc[first].reset_index(drop=True)


def _absolute(level: Level) -> Level:
    """Rates and launch costs in FLOP/s, bytes/s and seconds, not relative to the references."""
    theta = level.theta.copy()
    floor = np.log(level.index["launch_floor_s"].to_numpy(dtype=float))
    theta[:, [_CALL, _LAUNCH]] += floor[:, None]
    theta[:, _RATE] += np.log(level.index["flop_rate"].to_numpy(dtype=float))
    theta[:, _BANDWIDTH] += np.log(level.index["byte_rate"].to_numpy(dtype=float))
    return Level(level.keys, level.index, theta, level.sensitivity, level.pull)
