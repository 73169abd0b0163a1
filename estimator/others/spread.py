"""Three layers of spread, estimated apart: within a run, between runs, between machines of a type.

    within     the standard error of a run's median, from its own 95 % interval
    runs       how far two runs of one machine lie apart, cell by cell
    machines   how far two machines of one type lie apart beyond what two runs of one do

Times are logarithms throughout. A layer's figure for a family is the 90 % quantile of the absolute
differences over 1.645 x sqrt(2) (of standard errors: the quantile itself). Half the cells of two
GPUs of one name lie within 1 % of each other and a tenth lies beyond 15 %, so that a deviation by
least squares or by the median would be far from what a 90 % interval needs. Families lean on
their kind (a CPU; a GPU's kernels; what its host does) with the weight of ``_PARENT_WEIGHT``
cells, and each figure has its counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from estimator.answer import NORMAL_95
from estimator.arrays import Array
from estimator.dataset.tables import CELL_COLUMNS
from estimator.others.facts import MachineFacts, relation

KINDS = ("cpu", "gpu kernel", "gpu host")
SPREAD_COLUMNS = ("layer", "kind", "workload", "deviation", "median", "p90", "cells", "units")
_ANY = "*"
_PARENT_WEIGHT = 10.0
_FEWEST = 5  # differences below which a kind's figure is not told from data
_HOST_MODES = ("resident", "end_to_end")

#: Spread between two machines of one name by part of the time, as 90 % half-widths, for kinds of
#: which a dataset has no two machines of one type. From a trial with other tools before this
#: dataset (390 cases on two H100 machines with 16-core hosts; not in data/): median deviation 2 %
#: in GPU kernels and 4 % in elementwise ones, taken times 2.44 (a normal distribution's 90 %
#: half-width over its median deviation); copies 27 % at the 90th percentile; what the host does
#: up to 40 %.
FALLBACK = {"launch_s": 0.40, "compute_s": 0.05, "memory_s": 0.10, "transfer_s": 0.27}
FALLBACK_CPU = 0.40  # a CPU's times are what the host does, whatever their part


@dataclass(frozen=True)
class Spread:
    """Figures of all layers; ``table`` has ``SPREAD_COLUMNS``.

    deviation: of one run's median (within), of one run (runs), of one machine (machines), log
    units; median and p90: of the absolute log differences (of the standard errors for within);
    cells: differences behind it; units: the runs or machines that they are between.
    """

    table: pd.DataFrame

    def of(self, layer: str, kinds: Any, workloads: Any) -> Array:
        """Deviation of each cell, (n,): of the family, else of its kind; NaN where not known."""
        known = self.table[self.table["layer"] == layer]
        names = zip(known["kind"], known["workload"], strict=True)
        figures = dict(zip(names, known["deviation"].astype(float), strict=True))
        asked = pd.DataFrame({"kind": np.asarray(kinds), "workload": np.asarray(workloads)})
        codes = asked.groupby(["kind", "workload"], sort=False).ngroup().to_numpy()
        _, first = np.unique(codes, return_index=True)
        unique = asked.iloc[first].itertuples(index=False, name=None)
        found = [figures.get(key, figures.get((key[0], _ANY), np.nan)) for key in unique]
        result: Array = np.array(found, dtype=float)[codes]
        return result


def kinds_of_cells(cells: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.object_]]:
    """The kind of each cell from its device and mode (or answer_mode)."""
    mode = cells["answer_mode"] if "answer_mode" in cells else cells["mode"]
    host = mode.isin(_HOST_MODES).to_numpy()
    kinds = np.where(host, "gpu host", "gpu kernel").astype(object)
    return np.where((cells["device"] == "cpu").to_numpy(), "cpu", kinds).astype(object)


def estimate_spread(measured: pd.DataFrame, facts: dict[str, MachineFacts]) -> Spread:
    """Estimate the layers from ``Model.measured``, which has ``noise``, ``spread`` and ``runs``."""
    cells = measured.reset_index(drop=True)
    cells = cells.assign(kind=kinds_of_cells(cells), log_seconds=np.log(cells["median_s"]))
    within = cells[["kind", "workload", "noise"]].rename(columns={"noise": "difference"})
    several = cells[(cells["runs"] > 1) & cells["spread"].notna()]
    runs = several[["kind", "workload"]].assign(difference=several["spread"] * np.sqrt(2.0))
    on_all = sorted(set(cells["kind"]))
    tables = [
        _layer("within", within, dict.fromkeys(KINDS, 1)),
        _layer(
            "runs", runs, {on: int(cells.loc[cells["kind"] == on, "runs"].max()) for on in on_all}
        ),
    ]
    machines, count = _between_machines(cells, facts)
    tables.append(_beyond(_layer("machines", machines, count), tables[1]))
    return Spread(pd.concat(tables, ignore_index=True)[list(SPREAD_COLUMNS)])


def _between_machines(
    cells: pd.DataFrame, facts: dict[str, MachineFacts]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Differences of cells that two machines of one type measured, and the machines by kind."""
    keys = [name for name in CELL_COLUMNS if name != "machine_id"] + ["params_key"]
    found = [pd.DataFrame({"kind": [], "workload": [], "difference": []})]
    seen: dict[str, set[str]] = {}
    by_machine: dict[str, pd.DataFrame] = {}
    for name in sorted(set(cells["machine_id"])):
        by_machine[str(name)] = cells[cells["machine_id"] == name]
    for one, two in combinations(sorted(by_machine), 2):
        if one not in facts or two not in facts:
            continue
        pair = by_machine[one].merge(by_machine[two], on=keys, suffixes=("", "_other"))
        same = {on: relation(facts[one], facts[two], on) == "same" for on in ("cpu", "cuda")}
        pair = pair[pair["device"].map(same).to_numpy(dtype=bool)]
        for kind in pair["kind"].unique():
            seen.setdefault(str(kind), set()).update((one, two))
        difference = pair["log_seconds"] - pair["log_seconds_other"]
        found.append(pair[["kind", "workload"]].assign(difference=difference.abs()))
    count = {kind: len(machines) for kind, machines in seen.items()}
    return pd.concat(found, ignore_index=True), count


def _layer(name: str, rows: pd.DataFrame, units: dict[str, int]) -> pd.DataFrame:
    """A row per kind of at least ``_FEWEST`` differences ("*") and per family of it."""
    rows = rows.dropna(subset=["difference"])
    result: list[tuple[str, str, str, float, float, float, int, int]] = []
    for kind, of_kind in rows.groupby("kind", sort=True):
        if len(of_kind) < _FEWEST:
            continue
        count = units.get(str(kind), 0)
        all_of = of_kind["difference"].abs()
        parent = _p90(all_of)
        line = (_deviation(name, parent), float(all_of.median()), parent)
        result.append((name, str(kind), _ANY, *line, len(of_kind), count))
        for workload, group in of_kind.groupby("workload", sort=True):
            own = group["difference"].abs()
            weight = len(own) / (len(own) + _PARENT_WEIGHT)
            p90 = float(np.sqrt(weight * _p90(own) ** 2 + (1.0 - weight) * parent**2))
            line = (_deviation(name, p90), float(own.median()), p90)
            result.append((name, str(kind), str(workload), *line, len(own), count))
    return pd.DataFrame(result, columns=list(SPREAD_COLUMNS))


def _deviation(layer: str, p90: float) -> float:
    """From the 90 % quantile of differences; standard errors are deviations as they are."""
    return p90 if layer == "within" else p90 / (NORMAL_95 * float(np.sqrt(2.0)))


def _beyond(machines: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Machines' deviations less those of runs: a pair of machines is a pair of runs as well."""
    known = Spread(runs).of("runs", machines["kind"], machines["workload"])
    own = machines["deviation"].to_numpy(dtype=float)
    # at most three quarters of the variance: runs of other machines stand in for these machines'
    less = np.minimum(np.nan_to_num(known) ** 2, 0.75 * own**2)
    return machines.assign(deviation=np.sqrt(own**2 - less))


def _p90(values: pd.Series[float]) -> float:
    """The ceil(0.9 (n + 1))-th smallest, at most the largest (the rank of split conformal)."""
    rank = min(len(values), int(np.ceil(0.9 * (len(values) + 1))))
    return float(np.sort(values.to_numpy(dtype=float))[rank - 1])


def machine_deviation(spread: Spread, answer: pd.DataFrame, cells: pd.DataFrame) -> Array:
    """Deviation (n,) of another machine of the type about an answer that one machine gives.

    sqrt(2) times that of one machine: the answering machine has its own share of it. Kinds
    without two machines of one type have ``FALLBACK`` by the parts of the answer (the columns
    of ``Model.predict``); ``cells`` has device, workload and mode or answer_mode.
    """
    kinds = kinds_of_cells(cells)
    known = np.sqrt(2.0) * spread.of("machines", kinds, cells["workload"])
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    half = sum(share * answer[name].to_numpy(dtype=float) for name, share in FALLBACK.items())
    by_part = np.log1p(np.where(kinds == "cpu", FALLBACK_CPU, half / seconds)) / NORMAL_95
    result: Array = np.where(np.isfinite(known), known, by_part)
    return result


def about_type(spread: Spread, answer: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Answers with their intervals widened from one machine to any of its type.

    Those from data sheets alone are about a type already.
    """
    wider = NORMAL_95 * machine_deviation(spread, answer, cells)
    wider = np.where(answer["basis"] == "from_specs", 0.0, wider)
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    low = np.hypot(np.log(seconds / answer["seconds_p5"].to_numpy(dtype=float)), wider)
    high = np.hypot(np.log(answer["seconds_p95"].to_numpy(dtype=float) / seconds), wider)
    return answer.assign(seconds_p5=seconds * np.exp(-low), seconds_p95=seconds * np.exp(high))


def typical_difference(spread: Spread, cells: pd.DataFrame) -> tuple[float, float] | None:
    """Median and 90 % quantile of the difference of two machines, of the family or its kind."""
    table = spread.table[spread.table["layer"] == "machines"]
    kind, workload = str(kinds_of_cells(cells)[0]), str(cells["workload"].iloc[0])
    for name in (workload, _ANY):
        row = table[(table["kind"] == kind) & (table["workload"] == name)]
        if len(row):
            return float(row["median"].iloc[0]), float(row["p90"].iloc[0])
    return None
