"""The case that the rules of thumb are put to: its estimate, its measurement, its data sheets.

A case is one operation on a CPU and on a GPU: the pair that ``fair_pair`` compares by default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.workloads import ITEM_BYTES
from estimator.catalogue.sheet_rates import sheet_rates
from estimator.decide.breakeven import Speedup, ratio_of_times
from estimator.decide.pairs import Wanted, find_pair
from estimator.decide.places import TIMES, PlaceQuestion

if TYPE_CHECKING:
    from estimator.model.model import Model


@dataclass(frozen=True)
class RuleCase:
    """One operation on a CPU and a GPU, with what the rules read of it; NaN: not known.

    ``cpu`` and ``gpu`` are places, as ``words.place_text`` reads them, with ``seconds`` of a call
    (p5, p50, p95): ``alone_s`` without starts of calls and copies, ``start_s``, ``copies_s``.
    ``measured_s`` is the median of the fastest library that measured this very cell there,
    ``measured_backend``. ``sheet_flop_per_s`` and ``sheet_bytes_per_s`` are the data sheet's.

    ``flop`` and ``moved_bytes`` (read and written) are of one call, ``bus_bytes`` cross the host
    link in one call with copies, ``elements`` are those read and written. ``gpu_cores`` counts
    the GPU's float32 lanes, ``link_gb_per_s`` is its host link's nominal rate.
    """

    workload: str
    cpu: dict[str, Any]
    gpu: dict[str, Any]
    flop: float
    moved_bytes: float
    bus_bytes: float
    elements: float
    gpu_cores: float
    link_gb_per_s: float

    @property
    def estimate(self) -> Speedup:
        """Speed-up of the GPU by the fitted model."""
        return ratio_of_times(self.cpu["seconds"], self.gpu["seconds"])

    @property
    def measured_speedup(self) -> float:
        """CPU median over GPU median; NaN where one was not measured."""
        return float(self.cpu["measured_s"] / self.gpu["measured_s"])

    def efficiency(self, side: dict[str, Any]) -> float:
        """Share of a side's peak that the arithmetic reaches, by the fit; NaN: not known."""
        return self.flop / side["alone_s"] / side["sheet_flop_per_s"] if self.flop else np.nan


def rule_case(
    model: Model, question: PlaceQuestion, gpu: str | None = None, cpu: str | None = None
) -> RuleCase:
    """The case of a question; ``gpu`` and ``cpu`` are machine types, boxes or catalogue names.

    None: those that ``fair_pair`` compares. Raises SelectionError and EstimateError as
    ``pairs.find_pair`` does.
    """
    named = tuple(dict.fromkeys(name for name in (gpu, cpu) if name is not None))
    question = replace(question, named=(*question.named, *named))
    pair = find_pair(model, question, Wanted(cpu), Wanted(gpu))
    on_boxes = model.types.on_boxes(pd.DataFrame([pair.cpu, pair.gpu, pair.gpu]))
    work = model.described(on_boxes.assign(mode=["hot", pair.gpu["mode"], "end_to_end"]))
    machines = [model.donors.target(str(name)) for name in on_boxes["machine_id"].iloc[:2]]
    facts = ("machine_id", "gpu_model", "cpu_model", "physical_cores")
    named_only = pd.DataFrame([{name: getattr(one, name) for name in facts} for one in machines])
    rates = sheet_rates(work, pd.concat([named_only, model.machines]))  # the measured one's hold
    moved = float(work["bytes_read"].iloc[1] + work["bytes_written"].iloc[1])

    def of_sheet(name: str) -> float:
        return float(getattr(machines[1].gpu, name, None) or np.nan)

    return RuleCase(
        workload=question.workload,
        cpu=_side(pair.cpu, pair.answers.table, rates.iloc[0]),
        gpu=_side(pair.gpu, pair.answers.table, rates.iloc[1]),
        flop=float(work["flop_count"].iloc[1]),
        moved_bytes=moved,
        bus_bytes=float(work["h2d_bytes"].iloc[2] + work["d2h_bytes"].iloc[2]),
        elements=moved / ITEM_BYTES.get(question.dtype, 4),
        gpu_cores=of_sheet("sm_count") * of_sheet("fp32_lanes_per_sm"),
        link_gb_per_s=of_sheet("h2d_gb_per_s"),
    )


def _side(row: pd.Series[Any], table: pd.DataFrame, rates: pd.Series[Any]) -> dict[str, Any]:
    """A side of a row of ``PlaceAnswers.table``, which tells what was measured there."""
    place = ["machine_id", "device", "threads"]
    shown = [*place, "label", "boxes", "backend", "mode", "dtype", "math_mode", "basis"]
    same = table[(table[place] == row[place]).all(axis=1) & table["measured_median_s"].notna()]
    seen = same.sort_values("measured_median_s").to_dict("records")[0] if len(same) else {}
    return {
        **{name: row[name] for name in shown},
        "measured_s": float(seen.get("measured_median_s", np.nan)),
        "measured_backend": seen.get("backend", ""),
        "measured_n": int(seen.get("measured_n", 0)),
        "seconds": tuple(float(row[name]) for name in TIMES),
        "alone_s": float(row["compute_s"] + row["memory_s"]),
        "start_s": float(row["launch_s"]),
        "copies_s": float(row["transfer_s"]),
        "sheet_flop_per_s": float(rates["flop_per_s"]),
        "sheet_bytes_per_s": float(rates["bytes_per_s"]),
    }
