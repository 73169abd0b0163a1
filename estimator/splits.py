"""Which rows a calibration holds out: shapes, larger shapes, whole operations. Pure.

A shape is an operation with its parameters, on whatever machine, library, element type and mode:
held out, it is held out everywhere at once, so that no sister gives its time away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

ALL, REHEARSAL = "all", "rehearsal"
SHAPE_TURNS = 4
MOST_TIMES_LARGER = 16.0  # larger shapes are asked at most for this multiple of the work seen
FEWEST_SHAPES = 4  # of an operation whose larger half is held out

_OPERATION = ["workload", "operation"]
_SHAPE = [*_OPERATION, "params_key"]


def shape_rank(table: pd.DataFrame) -> tuple[Codes, Codes]:
    """Rank of each row's shape by work among those of its operation, from 0, and their count.

    Shapes of equal work are told apart, in a fixed order.
    """
    shapes = table.groupby(_SHAPE, sort=True)["amount"].median().reset_index()
    shapes = shapes.sort_values([*_OPERATION, "amount", "params_key"], ignore_index=True)
    by_operation = shapes.groupby(_OPERATION, sort=False)
    shapes["rank"] = by_operation.cumcount()
    shapes["count"] = by_operation["amount"].transform("size")
    found = table[_SHAPE].merge(shapes, on=_SHAPE, how="left")
    return found["rank"].to_numpy(dtype=np.int64), found["count"].to_numpy(dtype=np.int64)


def shape_folds(table: pd.DataFrame, turns: int = SHAPE_TURNS) -> dict[str, Mask]:
    """Every fourth shape of each operation of several, in four turns: "shape 0" and so on."""
    rank, count = shape_rank(table)
    return {f"shape {i}": (rank % turns == i) & (count > 1) for i in range(turns)}


def larger_shapes(table: pd.DataFrame) -> dict[str, Mask]:
    """The larger half of each operation's shapes by work on a device: "larger cpu" and so on.

    On all devices at once, as the other device's rows would give them away. Operations of fewer
    than four shapes on the device stay.
    """
    shape = table.groupby(_SHAPE, sort=False).ngroup().to_numpy()
    held: dict[str, Mask] = {}
    for device in sorted(set(table["device"])):
        here = (table["device"] == device).to_numpy()
        rank, count = shape_rank(table[here])
        larger = (count >= FEWEST_SHAPES) & (rank >= (count + 1) // 2)
        held[f"larger {device}"] = np.isin(shape, shape[here][larger])
    return held


def operation_folds(table: pd.DataFrame) -> dict[str, Mask]:
    """One operation of each family at a time: "operation 0" and so on."""
    names = table["operation"].astype(str)
    turn = names.groupby(table["workload"]).rank(method="dense").to_numpy(dtype=np.int64) - 1
    return {f"operation {i}": turn == i for i in range(int(turn.max(initial=-1)) + 1)}


def rehearsal_fold(table: pd.DataFrame) -> Mask:
    """The shapes that a second fit goes without, to see how well errors are foreseen."""
    return shape_folds(table)["shape 1"]


def replicate(table: pd.DataFrame, held: Mapping[str, Mask]) -> pd.DataFrame:
    """The table once for each split without its held-out rows, told apart by ``replica``."""
    copies = [table[~mask].assign(replica=name) for name, mask in held.items()]
    return pd.concat(copies, ignore_index=True)
