"""Estimates for hardware that nobody measured, scaled by data sheets from a machine that was.

Joins the fitted model (parts of a time on a measured machine) with ``specs_scaling`` (what a
data sheet says of another machine).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from estimator.hardware import MATRIX_WORKLOADS, match_cpu, match_gpu
from estimator.hardware_specs import CpuSpec, GpuSpec
from estimator.levels import STREAMING
from estimator.specs_scaling import CpuShare, Parts, ScaledTime, scale_cpu, scale_gpu

if TYPE_CHECKING:
    from estimator.model import Model


@dataclass(frozen=True)
class Donor:
    """A measured machine that the catalogue of hardware knows."""

    machine_id: str
    label: str
    gpu: GpuSpec | None
    cpu: CpuSpec | None
    clock_ghz: float | None
    physical_cores: int | None
    cpu_memory_bytes_per_s: float | None

    def cpu_share(self, one_core: bool = False) -> CpuShare:
        """The machine's cores (or one) as a reference to scale from. Raises EstimateError.

        Its memory rate is the measured one: a virtual machine's share of its socket is not
        known where the processor hides its model.
        """
        if self.cpu is None or not self.physical_cores or not self.cpu_memory_bytes_per_s:
            raise EstimateError(f"{self.label}: its CPU is not in data/hardware.csv")
        rate = self.cpu_memory_bytes_per_s / 1e9
        spec = replace(
            self.cpu, cores_per_socket=self.physical_cores, memory_bandwidth_gb_per_s=rate
        )
        return CpuShare(spec, 1.0 if one_core else float(self.physical_cores), self.clock_ghz)


def donors(model: Model) -> tuple[Donor, ...]:
    """Every measured machine with its rows of the catalogue of hardware."""
    found = []
    streamed = _streamed(model)
    for row in model.machines.to_dict("records"):
        gpu_model, cpu_model = _text(row["gpu_model"]), _text(row["cpu_model"])
        clock = _number(row["cpu_mhz"])
        cores = _number(row["physical_cores"])
        family, number = _number(row["cpu_family"]), _number(row["cpu_model_number"])
        found.append(
            Donor(
                machine_id=str(row["machine_id"]),
                label=str(row["label"]),
                gpu=match_gpu(gpu_model) if gpu_model else None,
                cpu=match_cpu(
                    cpu_model,
                    None if family is None else int(family),
                    None if number is None else int(number),
                ),
                clock_ghz=None if clock is None else clock / 1000.0,
                physical_cores=None if cores is None else int(cores),
                cpu_memory_bytes_per_s=streamed.get(str(row["machine_id"])),
            )
        )
    return tuple(found)


def _streamed(model: Model) -> dict[str, float]:
    """machine_id -> rate of its main memory in B/s with the most threads, as fitted."""
    groups = model.groups
    rows = groups[(groups["device"] == "cpu") & groups["workload"].isin(STREAMING)]
    rows = rows[rows["threads"] == rows.groupby("machine_id")["threads"].transform("max")]
    medians = rows.groupby("machine_id")["memory_bytes_per_s"].median()
    return {str(machine): float(rate) for machine, rate in medians.items()}


def nearest_gpu(known: Sequence[Donor], target: GpuSpec) -> Donor:
    """The donor whose GPU is most like the target: the same, its architecture, its bandwidth.

    Raises EstimateError where no measured machine has a GPU of the catalogue.
    """
    able = [donor for donor in known if donor.gpu is not None]
    if not able:
        raise EstimateError(
            "no machine with a GPU of data/hardware.csv has been measured, so none to scale from"
        )
    able = [donor for donor in able if donor.gpu and _is_amd(donor.gpu) == _is_amd(target)]
    if not able:
        raise EstimateError("no GPU of its vendor has been measured, and libraries differ")

    def unlikeness(donor: Donor) -> tuple[bool, bool, float]:
        gpu = donor.gpu
        assert gpu is not None
        rates = (gpu.memory_bandwidth_gb_per_s, target.memory_bandwidth_gb_per_s)
        far = abs(np.log(rates[0] / rates[1])) if rates[0] and rates[1] else np.inf
        return gpu.name != target.name, gpu.architecture != target.architecture, float(far)

    return min(able, key=unlikeness)


def _is_amd(gpu: GpuSpec) -> bool:
    return gpu.architecture.startswith("CDNA")


def predict_from_specs(model: Model, cells: pd.DataFrame) -> pd.DataFrame:
    """``Model.predict`` for cells whose machine_id is the name of a GPU of the catalogue.

    The host is taken to be that of the measured machine which is scaled. Raises
    SelectionError for a name that is neither a machine nor a GPU, EstimateError for a CPU.
    """
    known = donors(model)
    targets: dict[str, tuple[GpuSpec, Donor]] = {}
    for name in {str(name) for name in cells["machine_id"]}:
        target = match_gpu(name)
        if target is None:
            model.find_machine(name)  # raises, and lists the machines
            raise SelectionError(f"machine {name!r}: give its id, {model.find_machine(name)}")
        targets[name] = (target, nearest_gpu(known, target))
    if (cells["device"] != "cuda").any():
        raise EstimateError("a GPU's data sheet tells nothing of a CPU; name a measured machine")
    names = cells["machine_id"].astype(str)
    asked = cells.assign(machine_id=[targets[name][1].machine_id for name in names])
    estimates = model.predict(asked).to_dict("records")
    rows = []
    for name, question, estimate in zip(names, asked.to_dict("records"), estimates, strict=True):
        target, donor = targets[name]
        assert donor.gpu is not None
        scaled = scale_gpu_estimate(_named(estimate), _named(question), donor.gpu, target)
        rows.append(as_row(scaled, int(estimate["n_fit"])))
    return pd.DataFrame(rows)


def scale_gpu_estimate(
    estimate: dict[str, Any], question: dict[str, Any], reference: GpuSpec, target: GpuSpec
) -> ScaledTime:
    """One row of ``Model.predict`` on ``reference`` scaled to ``target``. EstimateError."""
    return scale_gpu(
        _parts(estimate),
        reference,
        target,
        str(question["dtype"]),
        str(question.get("math_mode", "ieee")),
        str(question["workload"]) in MATRIX_WORKLOADS,
        _factors(estimate),
    )


def scale_cpu_estimate(
    estimate: dict[str, Any], question: dict[str, Any], reference: CpuShare, target: CpuShare
) -> ScaledTime:
    """One row of ``Model.predict`` on ``reference`` scaled to ``target``. EstimateError."""
    return scale_cpu(
        _parts(estimate), reference, target, str(question["dtype"]), _factors(estimate)
    )


def as_row(scaled: ScaledTime, n_fit: int) -> dict[str, Any]:
    """A scaled time in the columns of ``Model.predict``."""
    return {
        "seconds_p5": scaled.seconds_p5,
        "seconds_p50": scaled.seconds_p50,
        "seconds_p95": scaled.seconds_p95,
        "launch_s": scaled.parts.launch_s,
        "compute_s": scaled.parts.compute_s,
        "memory_s": scaled.parts.memory_s,
        "transfer_s": scaled.parts.transfer_s,
        "bound": scaled.bound,
        "basis": "from_specs",
        "measured_median_s": np.nan,
        "measured_n": 0,
        "n_fit": n_fit,
    }


def _parts(estimate: dict[str, Any]) -> Parts:
    names = ("launch_s", "compute_s", "memory_s", "transfer_s")
    return Parts(*(max(0.0, float(estimate[name])) for name in names))


def _factors(estimate: dict[str, Any]) -> tuple[float, float]:
    middle = float(estimate["seconds_p50"])
    return float(estimate["seconds_p5"]) / middle, float(estimate["seconds_p95"]) / middle


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
