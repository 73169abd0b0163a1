"""The two rules of thumb beside the fitted estimate and the measurement of the same case.

A case is one operation on a CPU and on a GPU: the pair that ``fair_pair`` compares by default.
The rules' inputs come either from data sheets and the rules' own guesses, or from what was fitted
here, which is what they ask a reader to guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from collector.workloads import ITEM_BYTES
from estimator.catalogue.sheet_rates import sheet_rates
from estimator.decide.breakeven import Speedup, ratio_of_times
from estimator.decide.pairs import Wanted, find_pair
from estimator.decide.places import TIMES, PlaceQuestion
from estimator.rules.rules_of_thumb import (
    COMPUTE_BOUND,
    GUESSED_EFFICIENCY,
    WORKED_EXAMPLES,
    CoresInputs,
    ThroughputInputs,
    copy_seconds,
)

if TYPE_CHECKING:
    from estimator.model.model import Model

#: Where the rules' inputs come from: data sheets and the rules' own guesses, the model fitted to
#: the measurements, or the constants of the first calculator's worked examples.
InputSource = Literal["sheets", "fitted", "examples"]
INPUT_SOURCES: tuple[InputSource, ...] = get_args(InputSource)


@dataclass(frozen=True)
class Side:
    """One side of a case. Times in seconds of one call, NaN where not known.

    ``measured_s`` is the median of the fastest library that measured this very cell there,
    ``measured_backend``. ``alone_s`` is the estimate without starts of calls and copies,
    ``copies_s`` that of the copies, ``start_s`` that of the starts. ``sheet_flop_per_s`` and
    ``sheet_bytes_per_s`` are the data sheet's; ``basis`` is that of ``Model.predict``.
    """

    machine_id: str
    label: str
    boxes: int
    device: str
    backend: str
    threads: int
    mode: str
    dtype: str
    math_mode: str
    measured_s: float
    measured_backend: str
    measured_n: int
    seconds: tuple[float, float, float]
    alone_s: float
    start_s: float
    copies_s: float
    basis: str
    sheet_flop_per_s: float
    sheet_bytes_per_s: float

    @property
    def is_measured(self) -> bool:
        return bool(np.isfinite(self.measured_s))


@dataclass(frozen=True)
class RuleCase:
    """One operation on a CPU and a GPU, with what the rules read of it.

    ``flop`` and ``moved_bytes`` (read and written) are of one call, ``bus_bytes`` cross the host
    link in one call with copies, ``elements`` are those read and written. ``gpu_cores`` counts
    the GPU's float32 lanes, ``link_gb_per_s`` is its host link's nominal rate; NaN: not known.
    """

    workload: str
    cpu: Side
    gpu: Side
    flop: float
    moved_bytes: float
    bus_bytes: float
    elements: float
    gpu_cores: float
    link_gb_per_s: float

    @property
    def estimate(self) -> Speedup:
        """Speed-up of the GPU by the fitted model."""
        return ratio_of_times(self.cpu.seconds, self.gpu.seconds)

    @property
    def measured_speedup(self) -> float:
        """CPU median over GPU median; NaN where one was not measured."""
        return self.cpu.measured_s / self.gpu.measured_s

    @property
    def efficiency(self) -> float:
        """Share of the GPU's peak that the arithmetic reaches, by the fit: what they guess.

        NaN where the operation has no arithmetic or the peak is not known.
        """
        return self._share(self.gpu)

    @property
    def cpu_efficiency(self) -> float:
        """The same of the CPU."""
        return self._share(self.cpu)

    def _share(self, side: Side) -> float:
        return self.flop / side.alone_s / side.sheet_flop_per_s if self.flop else np.nan


def rule_case(
    model: Model,
    question: PlaceQuestion,
    gpu: str | None = None,
    cpu: str | None = None,
) -> RuleCase:
    """The case of a question; ``gpu`` and ``cpu`` are machine types, boxes or catalogue names.

    None: those that ``fair_pair`` compares. Raises SelectionError and EstimateError as
    ``fair_pair.find_pair`` does.
    """
    named = tuple(dict.fromkeys(name for name in (gpu, cpu) if name is not None))
    question = replace(question, named=(*question.named, *named))
    pair = find_pair(model, question, Wanted(cpu), Wanted(gpu))
    on_boxes = model.types.on_boxes(pd.DataFrame([pair.cpu, pair.gpu, pair.gpu]))
    work = model.described(on_boxes.assign(mode=["hot", pair.gpu["mode"], "end_to_end"]))
    names = [str(name) for name in on_boxes["machine_id"].iloc[:2]]
    rates = sheet_rates(work, _machines(model, *names))
    moved = float(work["bytes_read"].iloc[1] + work["bytes_written"].iloc[1])
    spec = model.donors.target(names[1]).gpu
    units, lanes = (None, None) if spec is None else (spec.sm_count, spec.fp32_lanes_per_sm)
    link = None if spec is None else spec.h2d_gb_per_s
    return RuleCase(
        workload=question.workload,
        cpu=_side(pair.cpu, pair.answers.table, rates.iloc[0]),
        gpu=_side(pair.gpu, pair.answers.table, rates.iloc[1]),
        flop=float(work["flop_count"].iloc[1]),
        moved_bytes=moved,
        bus_bytes=float(work["h2d_bytes"].iloc[2] + work["d2h_bytes"].iloc[2]),
        elements=moved / ITEM_BYTES.get(question.dtype, 4),
        gpu_cores=float(units * lanes) if units and lanes else np.nan,
        link_gb_per_s=np.nan if link is None else link,
    )


def _machines(model: Model, *names: str) -> pd.DataFrame:
    """``Model.machines`` with rows for names of data/hardware.csv, as data sheets are found by."""
    known = set(model.machines["machine_id"])
    others = [model.donors.target(name) for name in names if name not in known]
    rows = [
        {
            **{"machine_id": facts.machine_id, "gpu_model": facts.gpu_model or None},
            **{"cpu_model": facts.cpu_model or None, "physical_cores": facts.physical_cores},
        }
        for facts in others
    ]
    return pd.DataFrame([*model.machines.to_dict("records"), *rows])


def _side(row: pd.Series[Any], table: pd.DataFrame, rates: pd.Series[Any]) -> Side:
    """A side of a row of ``PlaceAnswers.table``, which tells what was measured there."""
    place = ["machine_id", "device", "threads"]
    same = table[(table[place] == row[place]).all(axis=1) & table["measured_median_s"].notna()]
    times = same["measured_median_s"].to_numpy(dtype=float)
    seen = same.iloc[int(times.argmin())] if len(same) else None
    words = ("machine_id", "label", "device", "backend", "mode", "dtype", "math_mode", "basis")
    low, middle, high = (float(row[name]) for name in TIMES)
    return Side(
        **{name: str(row[name]) for name in words},
        boxes=int(row["boxes"]),
        threads=int(row["threads"]),
        measured_s=np.nan if seen is None else float(seen["measured_median_s"]),
        measured_backend="" if seen is None else str(seen["backend"]),
        measured_n=0 if seen is None else int(seen["measured_n"]),
        seconds=(low, middle, high),
        alone_s=float(row["compute_s"] + row["memory_s"]),
        start_s=float(row["launch_s"]),
        copies_s=float(row["transfer_s"]),
        sheet_flop_per_s=float(rates["flop_per_s"]),
        sheet_bytes_per_s=float(rates["bytes_per_s"]),
    )


def cores_inputs(case: RuleCase, source: InputSource = "sheets") -> CoresInputs | None:
    """What the first calculator asks for, with the constants that it does not state.

    The constants are those that reproduce the data sheets' peaks (rates of arithmetic or of
    memory, by what it takes the operation to be bound by), the estimate ("fitted"), or its own
    worked example nearest in kind ("examples"). Copies go there and back at the rate of the GPU's
    memory, as it says, but fitted ones are the estimate's. None where a data sheet is not known.
    """
    bandwidth = case.gpu.sheet_bytes_per_s / 1e9
    example = WORKED_EXAMPLES[0 if case.workload == "conv2d" else 1].inputs
    cores = case.gpu_cores if np.isfinite(case.gpu_cores) else example.gpu_cores
    copies_ms = 0.0
    if source == "fitted":
        copies_ms = 1e3 * case.gpu.copies_s
    elif case.gpu.mode == "end_to_end":
        copies_ms = 1e3 * copy_seconds(case.bus_bytes, bandwidth) if bandwidth > 0.0 else np.nan
    if source == "fitted":
        gpu_s, cpu_s = case.gpu.alone_s + case.gpu.start_s, case.cpu.seconds[1]
    elif case.workload in COMPUTE_BOUND:
        gpu_s, cpu_s = (case.flop / one.sheet_flop_per_s for one in (case.gpu, case.cpu))
    else:
        gpu_s, cpu_s = (case.moved_bytes / one.sheet_bytes_per_s for one in (case.gpu, case.cpu))
    known = source == "examples" or (gpu_s > 0.0 and cpu_s > 0.0)
    if not (known and np.isfinite(copies_ms) and case.elements > 0.0):
        return None
    constants = 1e3 * gpu_s * cores / case.elements, 1e3 * cpu_s / case.elements
    if source == "examples":
        constants = example.gpu_core_ms, example.cpu_ms
    if not bandwidth > 0.0:
        bandwidth = example.gpu_bandwidth_gb_per_s
    return CoresInputs(case.elements, cores, 1.0, copies_ms, bandwidth, *constants)


def throughput_inputs(case: RuleCase, source: InputSource = "sheets") -> ThroughputInputs | None:
    """What the second calculator asks for; None where there is no arithmetic or no data sheet.

    From data sheets: the peaks of both, its guessed efficiency, and the copies at the host link's
    nominal rate as overhead; "examples" are the same. Fitted: the CPU's rate, the efficiency and
    the overhead (starts of calls and copies) that the model has for this case.
    """
    peak = case.gpu.sheet_flop_per_s
    if not (case.flop > 0.0 and peak > 0.0):
        return None
    gflop = case.flop / 1e9
    if source == "fitted":
        # a peak that is too low for what was measured stays the peak: the rest is overhead
        efficiency = min(1.0, case.efficiency)
        cpu_rate = gflop / case.cpu.seconds[1]
        overhead = max(0.0, case.gpu.seconds[1] - case.flop / peak / efficiency)
    elif not case.cpu.sheet_flop_per_s > 0.0:
        return None
    else:
        efficiency, cpu_rate = GUESSED_EFFICIENCY, case.cpu.sheet_flop_per_s / 1e9
        copies = case.gpu.mode == "end_to_end"
        overhead = case.bus_bytes / (1e9 * case.link_gb_per_s) if copies else 0.0
        if not np.isfinite(overhead):
            return None
    return ThroughputInputs(gflop, cpu_rate, peak / 1e12, efficiency, overhead)
