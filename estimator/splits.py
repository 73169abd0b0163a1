"""Which rows are held out: folds by size, the larger half, whole cases. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from estimator.levels import DTYPE, GROUP

Mask = np.ndarray[Any, np.dtype[np.bool_]]

FOLDS = 3
MOST_TIMES_LARGER = 16.0  # the "larger" split asks at most for this multiple of the work seen
ALL = "all"

_GROUP_KEYS = [name for name in GROUP if name != "replica"]
_DTYPE_KEYS = [name for name in DTYPE if name != "replica"]


def size_rank(table: pd.DataFrame, *classes: str) -> tuple[pd.Series[int], pd.Series[int]]:
    """Rank of each row's amount of work in its case group from 0, and the count of ranks.

    ``classes`` are further columns that tell groups apart.
    """
    groups = table.groupby([*_GROUP_KEYS, *classes], sort=False)["amount"]
    rank = groups.rank(method="dense").astype(int) - 1
    return rank, groups.transform("nunique").astype(int)


def size_folds(table: pd.DataFrame) -> dict[str, Mask]:
    """Every third size of each group held out, in three turns; the group keeps some."""
    rank, count = size_rank(table)
    offset = rank % FOLDS
    return {f"fold {i}": ((offset == i) & (count > 1)).to_numpy() for i in range(FOLDS)}


def interior_folds(table: pd.DataFrame) -> dict[str, Mask]:
    """Every other interior size held out, in two turns; the ends always stay.

    Awkward shapes and others are counted apart, so that each turn keeps some of both.
    """
    rank, count = size_rank(table)
    interior = (rank > 0) & (rank < count - 1)
    turn = size_rank(table, "awkward")[0] % 2
    return {f"interior {i}": (interior & (turn == i)).to_numpy() for i in range(2)}


def larger_half(table: pd.DataFrame) -> Mask:
    """Sizes above the middle of each group of at least four, whatever their distance."""
    rank, count = size_rank(table)
    return ((count >= 4) & (rank >= (count + 1) // 2)).to_numpy()


def within_reach(table: pd.DataFrame, held: Mask) -> Mask:
    """Held-out rows with at most 16 times the work of their group's largest kept row."""
    kept = table["amount"].where(~held)
    largest = kept.groupby([table[name] for name in _GROUP_KEYS]).transform("max")
    reach: Mask = (table["amount"] <= MOST_TIMES_LARGER * largest).to_numpy()
    return held & reach


def case_folds(table: pd.DataFrame) -> dict[str, Mask]:
    """Half of the operations of each family and element type held out, in two turns."""
    code = table.groupby("operation").ngroup()
    rank = code.groupby([table[name] for name in _DTYPE_KEYS]).rank(method="dense").astype(int)
    several = code.groupby([table[name] for name in _DTYPE_KEYS]).transform("nunique") > 1
    return {f"case {i}": ((rank % 2 == i) & several).to_numpy() for i in range(2)}


def replicate(table: pd.DataFrame, held: Mapping[str, Mask]) -> pd.DataFrame:
    """The table once for each split without its held-out rows, told apart by ``replica``."""
    copies = [table[~mask].assign(replica=name) for name, mask in held.items()]
    return pd.concat(copies, ignore_index=True)
