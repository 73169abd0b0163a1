"""What a fit uses of a dataset: some machines, runs, families or sizes; and of a fleet the best.

A fit grows with its cells (17,000 take about 5 s and 460 MB), and more machines of a type tell
little that is new: a large fleet is fitted to representatives of its types, each with so many cells
that all have room and that still span what was measured. Through them the model answers for the
others as for any machine that was not measured (``donors``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from collector.workloads import get_workload
from estimator.dataset.measurements import Measurements, measured_cells

if TYPE_CHECKING:
    from estimator.model.model import Model


#: Cells that differ in size and shape only are one series.
SERIES = ("workload", "case", "dtype", "math_mode", "backend", "device", "threads", "mode")


def thinned(cells: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many cells of each machine, spread over all series and over each one's sizes.

    ``cells`` as of ``measured_cells``; their order is kept. Each series gives its largest
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


#: Of a fleet with more machines or more cells than this, representatives are fitted.
MOST_MACHINES = 12
MOST_CELLS = 20_000
#: How many then; with fewer cells each a type is not known well enough to stand for it.
MOST_REPRESENTATIVES = 16
LEAST_CELLS_EACH = 1000


@dataclass(frozen=True)
class Selection:
    """Which measurements a fit uses; None: all. Sizes are those of ``Workload.size``.

    ``machines`` and ``without_machines`` are identifiers, ``runs`` and ``without_runs`` those of
    runs; ``smallest`` and ``largest`` are included. ``most_per_machine``: of each machine at most
    so many cells (``thinned``), which is no filter of its own: it comes after the others.
    """

    machines: tuple[str, ...] | None = None
    without_machines: tuple[str, ...] = ()
    runs: tuple[str, ...] | None = None
    without_runs: tuple[str, ...] = ()
    workloads: tuple[str, ...] | None = None
    without_workloads: tuple[str, ...] = ()
    smallest: float | None = None
    largest: float | None = None
    most_per_machine: int | None = None


EVERYTHING = Selection()


def cell_counts(measurements: Measurements) -> pd.DataFrame:
    """Measured cells that can enter a fit: machine_id, device, cells."""
    return measurements.query(
        "select machine_id, device, count(*) as cells from fit_cells "
        "group by machine_id, device order by machine_id, device"
    )


def representatives(
    machines: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    most_machines: int = MOST_REPRESENTATIVES,
    most_cells: int = MOST_CELLS,
    most_each: int | None = None,
) -> tuple[str, ...]:
    """Identifiers of the machines that stand for a fleet, in order of choice.

    ``machines`` has machine_id and machine_type_id, ``cells`` machine_id and cells (several rows
    of a machine add up). First the best measured machine of each type, the types by its cells;
    then second ones of these types, which tell how far machines of one type differ; then all
    others. A machine that would pass ``most_cells`` is passed over, but for the first;
    ``most_each``: a machine counts for at most so many cells.
    """
    count = cells.groupby("machine_id")["cells"].sum()
    count = count[count > 0]
    ids = machines["machine_id"].astype(str)
    types = machines["machine_type_id"].where(machines["machine_type_id"].notna(), "")
    kinds = dict(zip(ids, types.astype(str), strict=True))
    table = pd.DataFrame({"machine": count.index.astype(str), "cells": count.to_numpy()})
    # a machine of no known type is one of its own
    table["kind"] = [kinds.get(name) or name for name in table["machine"]]
    table = table.sort_values(["cells", "machine"], ascending=[False, True], ignore_index=True)
    table["rank"] = table.groupby("kind").cumcount()
    # the best of each type, then the second of each, and so on
    order = table.sort_values("rank", kind="stable")
    counted = order["cells"] if most_each is None else order["cells"].clip(upper=most_each)
    cells_of = dict(zip(order["machine"], counted.tolist(), strict=True))
    chosen: dict[str, int] = {}
    for name in cells_of:
        if len(chosen) == most_machines:
            break
        if not chosen or sum(chosen.values()) + cells_of[name] <= most_cells:
            chosen[name] = cells_of[name]
    return tuple(chosen)


def fleet_selection(
    measurements: Measurements,
    *,
    most_machines: int = MOST_MACHINES,
    most_cells: int = MOST_CELLS,
) -> Selection:
    """Everything, or of a large fleet its representatives, thinned where they need room."""
    cells = cell_counts(measurements)
    if cells["machine_id"].nunique() <= most_machines and cells["cells"].sum() <= most_cells:
        return EVERYTHING
    places = max(most_machines, MOST_REPRESENTATIVES)
    each = max(most_cells // places, LEAST_CELLS_EACH)
    chosen = sorted(
        representatives(
            measurements.machines,
            cells,
            most_machines=places,
            most_cells=most_cells,
            most_each=each,
        )
    )
    counts = cells.groupby("machine_id")["cells"].sum()[chosen].tolist()
    share = max(shared_out(counts, most_cells), each)
    thin = share if max(counts) > share else None
    return Selection(machines=tuple(chosen), most_per_machine=thin)


def selected_cells(measurements: Measurements, selection: Selection = EVERYTHING) -> pd.DataFrame:
    """``measured_cells`` of a selection. Raises EstimateError where nothing is left."""
    runs = selection.runs
    if selection.without_runs:
        known = measurements.query("select distinct run_id from runs")["run_id"].astype(str)
        kept = set(known if runs is None else runs) - set(selection.without_runs)
        runs = tuple(sorted(kept))
    cells = measured_cells(measurements, selection.machines, runs)
    kept_rows = _kept(cells["machine_id"], None, selection.without_machines)
    kept_rows &= _kept(cells["workload"], selection.workloads, selection.without_workloads)
    cells = cells[kept_rows].reset_index(drop=True)
    if selection.smallest is not None or selection.largest is not None:
        low, high = selection.smallest or 0.0, selection.largest or np.inf
        size = sizes(cells)
        cells = cells[(size >= low) & (size <= high)].reset_index(drop=True)
    if selection.most_per_machine is not None:
        cells = thinned(cells, selection.most_per_machine)
    if cells.empty:
        raise EstimateError("nothing measured is left to fit a model to: select more")
    return cells


def coverage(model: Model) -> str:
    """Such as ``fitted to 12 of 200 machines``; empty where it is all of them."""
    fitted, known = model.measured["machine_id"].nunique(), len(model.machines)
    return "" if fitted >= known else f"fitted to {fitted} of {known} machines"


def find_machines(machines: pd.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
    """Identifiers of machines by id, its start or a part of the label; one name may mean several.

    Raises SelectionError for a name that none has.
    """
    found: dict[str, None] = {}
    labels: Mapping[Any, Any] = dict(zip(machines["machine_id"], machines["label"], strict=True))
    for name in names:
        like = [
            str(machine)
            for machine, label in labels.items()
            if str(machine).startswith(name) or name.lower() in str(label).lower()
        ]
        if not name or not like:
            listed = ", ".join(
                f"{machine} ({label})" for machine, label in list(labels.items())[:20]
            )
            raise SelectionError(f"machine {name!r} is not in the dataset; it has {listed}")
        found.update(dict.fromkeys([name] if name in like else like))
    return tuple(found)


def _kept(
    values: pd.Series[Any], only: Sequence[str] | None, without: Sequence[str]
) -> pd.Series[bool]:
    kept = ~values.isin(list(without))
    return kept if only is None else kept & values.isin(list(only))
