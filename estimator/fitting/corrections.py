"""The residuals of a table of cells: which rows belong together, and what they say of a cell.

Rows are gathered into blocks (a family on one type of machine and device; all copies of a type
of machine), described as ``residuals`` reads them, and solved. The correction of a cell is what
its block expects there, bounded: a factor of up to 2 as it is, up to 3 ever less of it.

Two cells are related as they are near in size, alike in class and equal in kind. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from estimator.arrays import Array, Indices
from estimator.fitting.residuals import Block, Codes, Relation, Rows, Scales, fit_block

#: Length scales in natural logarithms: a factor of 20 in one parameter of an operation, of 150
#: in its work and its bytes, 64 halvings of an even parameter; and of class features, most of
#: which run from 0 to 1, some in whole steps. Choices of the model, near the median of what the
#: likeliest fits of the survey's families have; how far a family is smooth in these units is
#: fitted.
_DIMENSION, _AMOUNT, _CLASS = 3.0, 5.0, 4.0
_CLASSES = {"class_radix": 1.0, "class_algorithm": 1.0, "class_waves": 12.0}
_HALVINGS, _MOST_HALVINGS = 6.0, 5  # the sixth halving of an even parameter means nothing

Columns = tuple[tuple[str, ...], ...]

#: Columns of text that relate rows, the share of the correlation that rows keep where they
#: differ in it (choices of the model, as above), and the levels of the fit that they tell apart.
KERNEL_COLUMNS: Columns = (
    ("library", "threads"),
    ("dtype", "math_mode"),
    ("operation",),
    ("answer_mode",),
    ("machine_id",),
    ("backend",),
)
KERNELS = Relation((0.5, 0.6, 0.5, 0.4, 0.95, 0.9), ((0,), (1,), (2,), (3, 4, 5)), 4)
COPY_COLUMNS: Columns = (
    ("machine_id", "backend", "threads"),
    ("workload",),
    ("dtype", "math_mode", "operation"),
)
COPIES = Relation((0.6, 0.5, 0.7), ((0,), (1,), (2,)), 0)


@dataclass(frozen=True)
class Labels:
    """Texts of cells, column by column: ``codes`` (n, c) are places in ``names``."""

    codes: Codes
    names: tuple[tuple[str, ...], ...]

    def of(self, rows: Indices) -> Labels:
        """Some of the cells, with the names that they have."""
        found = [np.unique(column, return_inverse=True) for column in self.codes[rows].T]
        names = tuple(
            tuple(known[i] for i in kept)
            for known, (kept, _) in zip(self.names, found, strict=True)
        )
        return Labels(np.column_stack([places for _, places in found]).astype(np.int64), names)

    def among(self, rows: Indices, names: Sequence[Sequence[str]]) -> Codes:
        """Places of some cells' texts in other names, (n, c), -1 for those not among them."""
        found = []
        for column, own, other in zip(self.codes[rows].T, self.names, names, strict=True):
            place = {name: i for i, name in enumerate(other)}
            found.append(np.array([place.get(name, -1) for name in own], dtype=np.int64)[column])
        return np.column_stack(found)


def label(cells: pd.DataFrame, columns: Columns) -> Labels:
    """The text of each group of columns of each cell, between bars."""
    codes, names = [], []
    for group in columns:
        parts = [pd.factorize(cells[name].to_numpy(dtype=object)) for name in group]
        joint = np.zeros(len(cells), dtype=np.int64)
        for places, known in parts:
            joint = joint * (len(known) + 1) + places
        _, first, inverse = np.unique(joint, return_index=True, return_inverse=True)
        codes.append(inverse.ravel())
        texts = ([str(known[places[i]]) for places, known in parts] for i in first)
        names.append(tuple("|".join(text) for text in texts))
    return Labels(np.column_stack(codes).astype(np.int64), tuple(names))


def grouped(labels: Labels, column: int = 0) -> list[tuple[str, Indices]]:
    """The cells of each text of a column."""
    codes = labels.codes[:, column]
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(labels.names[column]))
    places = np.split(order, np.cumsum(counts)[:-1])
    return [
        (name, rows) for name, rows in zip(labels.names[column], places, strict=True) if len(rows)
    ]


def kernel_position(cells: pd.DataFrame) -> Array:
    """Logarithms of an operation's work and parameters over their length scales, (n, d).

    First the work, then the parameters, so that tables with more parameters than others have
    the same columns in front.
    """
    amount = np.log(np.maximum(cells["amount"].to_numpy(dtype=float), 1.0)) / _AMOUNT
    moved = np.log(np.maximum(cells["bytes"].to_numpy(dtype=float), 1.0)) / _AMOUNT
    names = [name for name in cells.columns if str(name).startswith("dimension_")]
    values = np.maximum(np.nan_to_num(cells[names].to_numpy(dtype=float), nan=1.0), 1.0)
    whole = values.astype(np.int64)
    even = np.minimum(np.log2(whole & -whole), _MOST_HALVINGS) / _HALVINGS
    both = np.stack([np.log(values) / _DIMENSION, even], axis=2).reshape(len(cells), -1)
    return np.column_stack([amount, moved, both])


def kernel_classes(cells: pd.DataFrame) -> Array:
    """What sets an operation apart from others of its size, over its scale, (n, k)."""
    further = sorted(str(name) for name in cells.columns if str(name).startswith("class_"))
    names = ["awkward", "special", *further]
    scales = np.array([_CLASSES.get(name, _CLASS) for name in names])
    classes: Array = np.nan_to_num(cells[names].to_numpy(dtype=float), nan=0.0) / scales
    return classes


def copy_position(cells: pd.DataFrame) -> Array:
    """Logarithms of the bytes of the copies each way and of the call's work."""
    up, down = (np.log1p(cells[name].to_numpy(dtype=float)) for name in ("h2d_bytes", "d2h_bytes"))
    amount = np.log(np.maximum(cells["amount"].to_numpy(dtype=float), 1.0)) / _AMOUNT
    return np.column_stack([up / _DIMENSION, down / _DIMENSION, amount])


def copy_classes(cells: pd.DataFrame) -> Array:
    """Copies have no classes: (n, 0)."""
    return np.zeros((len(cells), 0))


def padded(values: Array, width: int) -> Array:
    """As many columns as a block has: parameters that it never saw differ are left out."""
    missing = width - values.shape[1]
    result: Array = np.pad(values, ((0, 0), (0, max(0, missing))))[:, :width]
    return result


#: A block solves in the cube of its rows: beyond so many it is split (``_PARTS``), and a part
#: that is still larger is thinned evenly (the parameters of the formula have seen all its rows).
MOST_ROWS = 1_500

#: How a block of too many rows is split, one column more at a time.
_PARTS: Columns = (
    (),
    ("machine_id",),
    ("machine_id", "backend", "threads"),
    ("machine_id", "backend", "threads", "dtype", "math_mode"),
    ("machine_id", "backend", "threads", "dtype", "math_mode", "operation", "answer_mode"),
)

#: Decimals kept of positions and derivatives: 0.01 % of a length scale.
DIGITS = 4

_FREE, _BOUND = float(np.log(2.0)), float(np.log(3.0))

Key = tuple[str, ...]


@dataclass(frozen=True)
class Gathered:
    """A block with the words behind its codes.

    Known while fitting only: ``members`` (n,), the rows' places in the whole table, and
    ``residual`` (n,), their log time less the formula's.
    """

    names: tuple[tuple[str, ...], ...]
    block: Block
    members: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    residual: Array = field(default_factory=lambda: np.zeros(0))

    def held_out(self, held: Indices) -> tuple[Array, Array]:
        """Errors of rows (h,) that the rest of the block predicts, and their deviations."""
        error, deviation = self.block.held_out(held)
        residual = self.residual[held]
        return residual - bounded(residual - error), deviation

    def fitted_error(self) -> Array:
        """What the block leaves of its own rows' residuals, (n,)."""
        return self.residual - bounded(self.residual - self.block.fitted_error())


@dataclass(frozen=True)
class Cells:
    """Described cells as blocks read them: of kernels, or of copies around calls."""

    table: pd.DataFrame
    keys: Columns
    columns: Columns
    relation: Relation
    position: Array
    classes: Array


def kernel_cells(table: pd.DataFrame, kinds: Mapping[str, str]) -> Cells:
    """Cells of any mode but end to end; ``kinds`` says of what type a machine is."""
    keys = ("replica", "kind", "device", "family")
    places = kernel_position(table), kernel_classes(table)
    return Cells(_with_kinds(table, kinds), (keys,), KERNEL_COLUMNS, KERNELS, *places)


def copy_cells(table: pd.DataFrame, kinds: Mapping[str, str]) -> Cells:
    """Cells end to end on a GPU."""
    places = copy_position(table), copy_classes(table)
    return Cells(_with_kinds(table, kinds), (("replica", "kind"),), COPY_COLUMNS, COPIES, *places)


def _with_kinds(table: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    names = table["machine_id"].astype(str)
    return table.assign(kind=names.map({name: kinds.get(name, name) for name in set(names)}))


def kinds_of(table: pd.DataFrame) -> dict[str, str]:
    """machine_id -> ``kind``, the type of machine, of a table that has both."""
    pairs = table[["machine_id", "kind"]].drop_duplicates("machine_id")
    return dict(zip(pairs["machine_id"].astype(str), pairs["kind"].astype(str), strict=True))


@dataclass(frozen=True)
class Corrections:
    """Blocks by key; ``kinds`` says of what type a machine is, ``depths`` how keys were split."""

    blocks: Mapping[Key, Gathered] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    depths: Mapping[str, int] = field(default_factory=dict)

    def of_replica(self, replica: str) -> Corrections:
        """The blocks of one copy of the table."""
        start = f"{replica}|"
        return Corrections(
            {key: found for key, found in self.blocks.items() if key[0].startswith(start)},
            self.kinds,
            {name: depth for name, depth in self.depths.items() if name.startswith(start)},
        )

    def predict(self, cells: Cells, jacobian: Array, pull: Array) -> tuple[Array, Array]:
        """Log correction of each cell, and the deviation of its time around it, (n,).

        ``jacobian`` and ``pull`` (n, p): derivatives of the formula, and how far the parameters
        that answer are from their origin. No block: 0 and NaN. Copies are corrected on top of
        the corrected call.
        """
        words = label(cells.table, cells.columns)
        correction, deviation = np.zeros(len(cells.table)), np.full(len(cells.table), np.nan)
        for name, rows in grouped(label(cells.table, cells.keys)):
            for key, at in _split(name, cells.table, rows, self.depths.get(name, 0)):
                found = self.blocks.get(key)
                if found is None:
                    continue
                like = found.block.rows
                asked = Rows(
                    padded(cells.position[at], like.position.shape[1]),
                    padded(cells.classes[at], like.classes.shape[1]),
                    words.among(at, found.names),
                    jacobian[at],
                )
                mean, spread = found.block.predict(asked)
                correction[at] = bounded(mean - (jacobian[at] * pull[at]).sum(axis=1))
                deviation[at] = np.hypot(spread, found.block.row_noise())
        return correction, deviation


NO_CORRECTIONS = Corrections()


def bounded(correction: Array) -> Array:
    """A log correction that never exceeds a factor of 3, and is itself up to a factor of 2."""
    size = np.minimum(np.abs(np.nan_to_num(correction, nan=0.0)), 10.0)
    room = _BOUND - _FREE
    beyond = _FREE + room * np.tanh((size - _FREE) / room)
    result: Array = np.sign(correction) * np.where(size > _FREE, beyond, size)
    return np.nan_to_num(result, nan=0.0)


def fit_corrections(
    cells: Cells, residual: Array, jacobian: Array, pull: Array, spreads: Array
) -> Corrections:
    """Solve the blocks of a table.

    Its rows have ``position`` in the whole table, ``kind`` of the machine and ``sigma``;
    ``residual`` (n,) is log measured less log formula, ``spreads`` (n, levels, p) the deviations
    of the priors of each row's groups.
    """
    table = cells.table
    jacobian, position, classes = map(_kept, (jacobian, cells.position, cells.classes))
    offset = residual + (jacobian * pull).sum(axis=1)
    noise = np.round(table["sigma"].to_numpy(dtype=float), 5)
    members = table["position"].to_numpy(dtype=np.intp)
    words = label(table, cells.columns)
    blocks: dict[Key, Gathered] = {}
    depths: dict[str, int] = {}
    scales: dict[Key, Scales] = {}
    groups = grouped(label(table, cells.keys))
    # a held-out copy of the table has the scales of the whole one, which has more rows
    for name, rows in sorted(groups, key=lambda group: -len(group[1])):
        depths[name] = _depth(table, rows)
        for key, places in _split(name, table, rows, depths[name]):
            at = places
            if len(at) > MOST_ROWS:
                at = at[np.linspace(0, len(at) - 1, MOST_ROWS).astype(int)]
            own = words.of(at)
            described = Rows(position[at], classes[at], own.codes, jacobian[at])
            where = (name.partition("|")[2], *key[1:])
            known = scales.get(where)
            block = fit_block(
                cells.relation, described, spreads[at[0]], offset[at], noise[at], known
            )
            scales.setdefault(where, block.scales)
            blocks[key] = Gathered(own.names, block, members[at], residual[at])
    return Corrections(blocks, kinds_of(table), depths)


def _kept(values: Array) -> Array:
    """Numbers as they are stored."""
    return np.asarray(np.round(np.nan_to_num(values), DIGITS), dtype=float)


def merged(one: Corrections, other: Corrections) -> Corrections:
    """The blocks of both."""
    return Corrections(
        {**one.blocks, **other.blocks},
        {**one.kinds, **other.kinds},
        {**one.depths, **other.depths},
    )


def _depth(table: pd.DataFrame, rows: Indices) -> int:
    """How finely a block must be split so that no part has too many rows."""
    if len(rows) <= MOST_ROWS:
        return 0
    part = table.iloc[rows]
    for depth, columns in enumerate(_PARTS[1:], start=1):
        if part.groupby(list(columns)).size().max() <= MOST_ROWS:
            return depth
    return len(_PARTS) - 1


def _split(name: str, table: pd.DataFrame, rows: Indices, depth: int) -> list[tuple[Key, Indices]]:
    columns = _PARTS[depth]
    if not columns:
        return [((name,), rows)]
    parts = grouped(label(table.iloc[rows], (columns,)))
    return [((name, part), rows[places]) for part, places in parts]
