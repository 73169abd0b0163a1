"""The two rules of thumb beside the fitted estimate and the measurement of the same case.

A case is one operation on a CPU and on a GPU: of each, the library that is fastest where it was
measured, else by the estimate. ``rule_inputs`` makes the rules' inputs of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from collector.workloads import ITEM_BYTES, get_workload
from estimator.breakeven import Speedup, ratio_of_times
from estimator.rules_of_thumb import COMPUTE_BOUND
from estimator.sheet_rates import sheet_rates

if TYPE_CHECKING:
    from estimator.model import Model

_TIMES = ("seconds_p5", "seconds_p50", "seconds_p95")


@dataclass(frozen=True)
class Side:
    """One side of a case. Times in seconds of one call, NaN where not known.

    ``alone_s`` is the estimate without starts of calls and copies, ``copies_s`` that of the
    copies, ``start_s`` that of the starts. ``sheet_flop_per_s`` and ``sheet_bytes_per_s`` are the
    data sheet's; ``basis`` is that of ``Model.predict``.
    """

    machine_id: str
    backend: str
    threads: int
    mode: str
    measured_s: float
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
    def compute_bound(self) -> bool:
        """Whether the first calculator takes the operation as bound by arithmetic."""
        return self.workload in COMPUTE_BOUND

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
        return self.flop / self.gpu.alone_s / self.gpu.sheet_flop_per_s if self.flop else np.nan

    @property
    def cpu_efficiency(self) -> float:
        """The same of the CPU."""
        return self.flop / self.cpu.alone_s / self.cpu.sheet_flop_per_s if self.flop else np.nan


def rule_case(model: Model, question: Mapping[str, Any], gpu: str, cpu: str) -> RuleCase:
    """A case: ``question`` has workload, case, params, dtype, math_mode and mode (of the GPU).

    ``gpu`` and ``cpu`` are machine ids (or names of data/hardware.csv). Raises SelectionError and
    EstimateError as ``Model.predict`` does, and EstimateError where a side has no library.
    """
    asked = {name: question[name] for name in ("workload", "case", "params", "dtype")}
    on_cpu = {**asked, "machine_id": cpu, "device": "cpu", "math_mode": "ieee", "mode": "hot"}
    on_gpu = {**asked, "machine_id": gpu, "device": "cuda", "mode": question["mode"]}
    on_gpu["math_mode"] = question["math_mode"]
    cpu_row, cpu_answer = _fastest(model, on_cpu)
    gpu_row, gpu_answer = _fastest(model, on_gpu)
    with_copies = {**gpu_row, "mode": "end_to_end"}
    work = model.donors.table(_table([cpu_row, gpu_row, with_copies]))
    rates = sheet_rates(work, _machines(model, cpu, gpu))
    moved = float(work["bytes_read"].iloc[1] + work["bytes_written"].iloc[1])
    spec = model.donors.target(gpu).gpu
    units, lanes = (None, None) if spec is None else (spec.sm_count, spec.fp32_lanes_per_sm)
    link = None if spec is None else spec.h2d_gb_per_s
    return RuleCase(
        workload=str(question["workload"]),
        cpu=_side(cpu_row, cpu_answer, rates.iloc[0]),
        gpu=_side(gpu_row, gpu_answer, rates.iloc[1]),
        flop=float(work["flop_count"].iloc[1]),
        moved_bytes=moved,
        bus_bytes=float(work["h2d_bytes"].iloc[2] + work["d2h_bytes"].iloc[2]),
        elements=moved / ITEM_BYTES.get(str(question["dtype"]), 4),
        gpu_cores=float(units * lanes) if units and lanes else np.nan,
        link_gb_per_s=np.nan if link is None else link,
    )


def _fastest(model: Model, asked: dict[str, Any]) -> tuple[dict[str, Any], pd.Series[Any]]:
    """The question with the library that is fastest, and its estimate."""
    from estimator.validation_answers import predict_each

    backends = _libraries(model, asked)
    rows = [{**asked, "backend": name} for name in backends]
    for row in rows:
        row["threads"] = _threads(model, row)
    answers = predict_each(model, _table(rows))
    times = answers["measured_median_s"].astype(float)
    if times.isna().all():
        times = answers["seconds_p50"].astype(float)
    if times.isna().all():
        model.predict(_table(rows[:1]))  # raises, and says why
        raise EstimateError(f"{asked['workload']} {asked['case']}: nothing answers for it")
    best = int(np.nanargmin(times.to_numpy(dtype=float)))
    return rows[best], answers.iloc[best]


def _libraries(model: Model, asked: Mapping[str, Any]) -> list[str]:
    """Libraries that have the case and were measured on the machine, else anywhere."""
    index = model.fit.group.index
    same = (index["device"] == asked["device"]) & (index["workload"] == asked["workload"])
    own = index[same & (index["machine_id"] == asked["machine_id"])]
    names = sorted(set((own if len(own) else index[same])["backend"].astype(str)))
    family = get_workload(str(asked["workload"]))
    found = [name for name in names if family.supports(name, asked["device"], asked["case"])]
    if not found:
        raise EstimateError(
            f"{asked['workload']} {asked['case']}: no library was measured on "
            f"{'a CPU' if asked['device'] == 'cpu' else 'a GPU'}, so there is nothing to compare"
        )
    return found


def _threads(model: Model, row: Mapping[str, Any]) -> int:
    """The most that were measured of the family there, else all cores that it uses."""
    index = model.fit.group.index
    for name in ("machine_id", "device", "backend", "workload"):
        index = index[index[name] == row[name]]
    if len(index):
        return int(index["threads"].max())
    return int(model.donors.default_threads(_table([dict(row)])).iloc[0])


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


def _side(row: Mapping[str, Any], answer: pd.Series[Any], rates: pd.Series[Any]) -> Side:
    low, middle, high = (float(answer[name]) for name in _TIMES)
    return Side(
        machine_id=str(row["machine_id"]),
        backend=str(row["backend"]),
        threads=int(row["threads"]),
        mode=str(row["mode"]),
        measured_s=float(answer["measured_median_s"]),
        measured_n=int(answer["measured_n"]),
        seconds=(low, middle, high),
        alone_s=float(answer["compute_s"] + answer["memory_s"]),
        start_s=float(answer["launch_s"]),
        copies_s=float(answer["transfer_s"]),
        basis=str(answer["basis"]),
        sheet_flop_per_s=float(rates["flop_per_s"]),
        sheet_bytes_per_s=float(rates["bytes_per_s"]),
    )


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    params: Any = [row["params"] for row in rows]
    plain = [{key: value for key, value in row.items() if key != "params"} for row in rows]
    return pd.DataFrame(plain).assign(params=params)
