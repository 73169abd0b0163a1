"""Fewer cells of a machine that still span what was measured on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from collector.workloads import get_workload

#: Cells that differ in size and shape only are one series.
SERIES = ("workload", "case", "dtype", "math_mode", "backend", "device", "threads", "mode")


def thinned(cells: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many cells of each machine, spread over all series and over each one's sizes.

    ``cells`` as of ``dataset.measured_cells``; their order is kept. Each series gives its largest
    size, then its smallest, then those between by halves, until there are ``most``: machines that
    measured the same cells keep the same ones, so that they can be compared. The result depends
    on the cells only, not on their order.
    """
    counts = cells["machine_id"].map(cells["machine_id"].value_counts())
    if not (counts > most).any():
        return cells
    names = ["machine_id", *SERIES]
    table = cells[names].astype(object).where(cells[names].notna(), "").astype(str)
    table["size"] = sizes(cells)
    # shapes of one size: in an order that no parameter has
    table["params"] = [repr(sorted(dict(params).items())) for params in cells["params"]]
    table = table.sort_values([*names, "size", "params"], kind="stable")
    table["turn"] = np.concatenate(
        [_turns(len(of_series)) for _, of_series in table.groupby(names, sort=True)]
    )
    table = table.sort_values(["machine_id", "turn", *SERIES], kind="stable")
    place = table.groupby("machine_id").cumcount()
    kept = place.index[place < most]
    return cells.loc[cells.index.isin(kept)].reset_index(drop=True)


def shared_out(counts: Sequence[int], most: int) -> int:
    """The largest count for each of several machines that keeps all of them within ``most``.

    Machines with fewer cells leave theirs to the others. At least 1.
    """
    left, rest = most, sorted(counts)
    for index, count in enumerate(rest):
        share = left // (len(rest) - index)
        if count > share:
            return max(share, 1)
        left -= count
    return max([*rest, 1])


def sizes(cells: pd.DataFrame) -> np.ndarray[Any, Any]:
    """``Workload.size`` of each cell, (n,)."""
    rows = zip(cells["workload"], cells["case"], cells["params"], strict=True)
    values = [get_workload(family).size(case, dict(params)) for family, case, params in rows]
    return np.array(values, dtype=float)


@cache
def _turns(count: int) -> np.ndarray[Any, Any]:
    """Turn at which each of so many ordered places is taken: the ends first, then by halves."""
    order = [count - 1, 0] if count > 1 else [0]
    spans = [(0, count - 1)]
    for low, high in spans:  # grows while it is read
        middle = (low + high) // 2
        if high - low > 1:
            order.append(middle)
            spans += [(low, middle), (middle, high)]
    turns = np.empty(count, dtype=int)
    turns[order] = np.arange(count)
    return turns
