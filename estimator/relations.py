"""How cells are related for ``corrections``: near in size, alike in class, equal in kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from estimator.covariance import Array, Codes, Indices, Relation

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
