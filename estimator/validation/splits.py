"""Which measured cells a validation hides from the fit, and which it then asks for. Pure.

A *shape* is an operation with its parameters, under whatever name of a case. Where a split is about
sizes, a held-out shape is out in all libraries, element types, modes and machines at once, so
that no sister library or sister machine gives its time away.

``DESCRIPTIONS`` says of each split what is held out and what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from estimator.arrays import Names

Mask = np.ndarray[Any, np.dtype[np.bool_]]

SAME, BETWEEN, EDGE = "same machine", "between", "edge"
LARGER, NEAR = "larger", "larger, < 4x"
NEW_WORKLOAD, ANOTHER_RUN = "new workload", "another run"
SISTER, NEW_MACHINE, SPECS = "sister, 12 probes", "new machine, 12 probes", "new machine, specs"

#: Split -> what is held out and what is asked, in the order of a report.
DESCRIPTIONS = {
    SAME: "A random fifth of all cells out in three turns, in all machines at once; other cells of "
    "their shapes stay (another library, element type or mode). Asked where the cell's group (one "
    "machine, library, element type, mode and operation) keeps two sizes. This is how published "
    "predictors are tested: rows of one machine drawn at random.",
    BETWEEN: "Every fourth shape of each operation out in four turns, never its smallest or "
    "largest. Asked where work and each parameter lie within the sizes that the group kept.",
    EDGE: "The same fits, asked where the work lies within the sizes that the group kept, but a "
    "parameter does not.",
    LARGER: "The larger half by work of each operation's shapes out, once for each device's sizes. "
    "Asked from 4 to 16 times the most work that the group kept, of groups of at least four sizes.",
    NEAR: "The same fits, asked up to 4 times the most work.",
    NEW_WORKLOAD: "One operation of each family out at a time, on all machines.",
    ANOTHER_RUN: "One run out of a machine that has several; asked for the cells that another run "
    "of the machine measured. The shapes were seen, so this is repetition, not prediction, and the "
    "nearest neighbour is the other run's own time.",
    SISTER: "One machine out but for 12 cells of each device, chosen without reading a time; "
    "others of the same type stay. The two most measured machines of each type take a turn.",
    NEW_MACHINE: "The same, with the other machines of its type out altogether.",
    SPECS: "All machines of one type out; their data sheets are known.",
}
SPLITS = tuple(DESCRIPTIONS)
#: Splits that need no other fits than those of the one they stand beside.
BESIDE = {EDGE: BETWEEN, NEAR: LARGER}

SAME_SHARE, SAME_TURNS = 5, 3  # a fifth at a time; two fifths are never asked
MOST_MACHINES = 2  # of a type, those of the most cells, take a turn as the new machine
BETWEEN_TURNS = 4
FEWEST_KEPT = 2  # sizes of the group of a cell drawn at random
FEWEST_SIZES = 4  # of a group whose larger half is asked for
LEAST_LARGER, MOST_LARGER = 4.0, 16.0  # times the most work that a group kept
PROBES = 12
_SEED = 20

OPERATION = ["workload", "operation"]
SHAPE = [*OPERATION, "params_key"]
_CELL = ["device", "backend", "threads", "dtype", "math_mode", "mode"]
_GROUP = ["machine_id", *_CELL, *OPERATION]


@dataclass(frozen=True)
class Fold:
    """One fit: the rows it may see, and the rows that each split asks of it."""

    turn: str
    train: Mask
    asked: dict[str, Mask]


#: Chooses up to so many rows of a table to measure first: (table, count) -> positions.
ProbeChoice = Callable[[pd.DataFrame, int], np.ndarray[Any, np.dtype[np.intp]]]


def folds(
    table: pd.DataFrame, machines: pd.DataFrame, choose: ProbeChoice, splits: Sequence[str] = SPLITS
) -> Iterator[Fold]:
    """All folds of the wanted splits that need no more than the table of described cells.

    ``machines`` (``Measurements.machines``) tells the types. Folds that ask nothing are left
    out. ``another run`` needs the runs apart and is not made here.
    """
    wanted = {BESIDE.get(name, name) for name in splits}
    made: list[Iterator[Fold]] = []
    if SAME in wanted:
        made.append(_same_machine(table))
    if BETWEEN in wanted:
        made.append(_between(table))
    if LARGER in wanted:
        made.append(_larger(table))
    if NEW_WORKLOAD in wanted:
        made.append(_new_workload(table))
    if wanted & {SISTER, NEW_MACHINE, SPECS}:
        made.append(_machines(table, machines, choose, wanted))
    for several in made:
        for fold in several:
            asked = {name: mask for name, mask in fold.asked.items() if name in splits}
            asked = {name: mask for name, mask in asked.items() if mask.any()}
            if asked and fold.train.any():
                yield Fold(fold.turn, fold.train, asked)


def _same_machine(table: pd.DataFrame) -> Iterator[Fold]:
    code = table.groupby([*_CELL, *SHAPE], sort=True, dropna=False).ngroup().to_numpy()
    order = np.random.default_rng(_SEED).permutation(code.max() + 1)
    turn = order[code] % SAME_SHARE
    for i in range(SAME_TURNS):
        held = turn == i
        yield Fold(f"{SAME} {i}", ~held, {SAME: held & (_kept_sizes(table, ~held) >= FEWEST_KEPT)})


def _kept_sizes(table: pd.DataFrame, kept: Mask) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of each row's group, how many shapes are among the kept rows."""
    shape = pd.Series(table.groupby(SHAPE, sort=False).ngroup().to_numpy()).where(kept)
    codes = table.groupby(_GROUP, sort=False, dropna=False).ngroup().to_numpy()
    counts: np.ndarray[Any, np.dtype[np.float64]] = (
        shape.groupby(codes).transform("nunique").to_numpy(dtype=float)
    )
    return counts


def shape_ranks(table: pd.DataFrame) -> tuple[pd.Series[int], pd.Series[int]]:
    """Rank of each row's shape among those of its operation by work, from 0, and their count.

    Shapes of equal work are told apart, in a fixed order.
    """
    shapes = table.groupby(SHAPE, sort=True)["amount"].median().reset_index()
    shapes = shapes.sort_values([*OPERATION, "amount", "params_key"])
    by_operation = shapes.groupby(OPERATION, sort=False)
    shapes["rank"] = by_operation.cumcount()
    shapes["count"] = by_operation["amount"].transform("size")
    found = table[SHAPE].merge(shapes, on=SHAPE, how="left").set_axis(table.index)
    return found["rank"], found["count"]


def _between(table: pd.DataFrame) -> Iterator[Fold]:
    rank, count = shape_ranks(table)
    interior = ((rank > 0) & (rank < count - 1)).to_numpy()
    turn = (rank % BETWEEN_TURNS).to_numpy()
    for i in range(BETWEEN_TURNS):
        held = interior & (turn == i)
        inside, within = _within(table, ~held)
        asked = {BETWEEN: held & inside, EDGE: held & within & ~inside}
        yield Fold(f"{BETWEEN} {i}", ~held, asked)


def _within(table: pd.DataFrame, kept: Mask) -> tuple[Mask, Mask]:
    """Rows whose parameters all lie in their group's kept ranges, and whose work does."""
    codes = table.groupby(_GROUP, sort=False, dropna=False).ngroup().to_numpy()
    dimensions = [name for name in table.columns if str(name).startswith("dimension_")]
    inside = np.ones(len(table), dtype=bool)
    for name in [*dimensions, "amount"]:
        values = table[name].astype(float)
        known = values.where(kept).groupby(codes)
        low, high = known.transform("min"), known.transform("max")
        inside &= (values.isna() | ((values >= low) & (values <= high))).to_numpy()
    amount = table["amount"].astype(float)
    known = amount.where(kept).groupby(codes)
    within = (amount >= known.transform("min")) & (amount <= known.transform("max"))
    return inside & within.to_numpy(), within.to_numpy()


def _larger(table: pd.DataFrame) -> Iterator[Fold]:
    """The larger half by work on one device, out on both; the devices' sizes differ."""
    shape = table.groupby(SHAPE, sort=False).ngroup().to_numpy()
    codes = table.groupby(_GROUP, sort=False, dropna=False).ngroup().to_numpy()
    amount = table["amount"].astype(float)
    sizes = amount.groupby(codes).transform("nunique").to_numpy()
    for device in sorted(set(table["device"])):
        on_device = (table["device"] == device).to_numpy()
        rank, count = shape_ranks(table[on_device])
        larger = np.zeros(len(table), dtype=bool)
        larger[on_device] = (rank >= (count + 1) // 2).to_numpy()
        held = np.isin(shape, shape[larger])
        most = amount.where(~held).groupby(codes).transform("max")
        times = (amount / most).to_numpy()
        asked = held & on_device & (sizes >= FEWEST_SIZES)
        yield Fold(
            f"{LARGER} {device}",
            ~held,
            {
                LARGER: asked & (times >= LEAST_LARGER) & (times <= MOST_LARGER),
                NEAR: asked & (times > 1.0) & (times < LEAST_LARGER),
            },
        )


def _new_workload(table: pd.DataFrame) -> Iterator[Fold]:
    names = table["operation"].astype(str)
    turn = names.groupby(table["workload"]).rank(method="dense").astype(int).to_numpy() - 1
    for i in range(int(turn.max()) + 1):
        held = turn == i
        yield Fold(f"{NEW_WORKLOAD} {i}", ~held, {NEW_WORKLOAD: held})


def _machines(
    table: pd.DataFrame, machines: pd.DataFrame, choose: ProbeChoice, wanted: set[str]
) -> Iterator[Fold]:
    types = table["machine_id"].map(machines.set_index("machine_id")["machine_type_id"])
    kind = types.fillna(table["machine_id"]).to_numpy(dtype=object)
    machine = table["machine_id"].to_numpy(dtype=object)
    for name in _most_measured(machine, kind):
        mine = machine == name
        same = kind == kind[mine][0]
        if same.all():
            continue  # nobody else to learn from
        probes = _probes(table, mine, choose)
        asked = mine & ~probes
        if SISTER in wanted and (same & ~mine).any():
            yield Fold(f"{SISTER} {name}", ~asked, {SISTER: asked})
        if NEW_MACHINE in wanted:
            yield Fold(f"{NEW_MACHINE} {name}", ~same | probes, {NEW_MACHINE: asked})
    if SPECS in wanted:
        for name in sorted(set(kind)):
            same = kind == name
            yield Fold(f"{SPECS} {name}", ~same, {SPECS: same})


def _most_measured(machine: Names, kind: Names) -> list[str]:
    """Of each type, its machines of the most cells."""
    cells = pd.DataFrame({"machine": machine, "kind": kind}).value_counts(sort=False)
    counts = cells.reset_index().sort_values(["count", "machine"], ascending=[False, True])
    chosen = counts.groupby("kind", sort=False)["machine"].head(MOST_MACHINES)
    return sorted(str(name) for name in chosen)


def _probes(table: pd.DataFrame, mine: Mask, choose: ProbeChoice) -> Mask:
    """Up to 12 cells of each device of one machine."""
    probes = np.zeros(len(table), dtype=bool)
    for device in sorted(set(table.loc[mine, "device"])):
        rows = np.flatnonzero(mine & (table["device"] == device).to_numpy())
        probes[rows[choose(table.iloc[rows], PROBES)]] = True
    return probes
