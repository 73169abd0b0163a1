"""What the data sheets of ``data/hardware.csv`` say of a measured machine; NaN where nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from app_pages.frame.text import split_dtype
from collector.errors import EstimateError
from estimator.catalogue.hardware import match_cpu, match_gpu
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec
from estimator.checks import known_number

Machine = Mapping[str, Any]


def gpu(machine: Machine) -> GpuSpec | None:
    """Data sheet of the machine's GPU."""
    name = machine.get("gpu_model")
    return match_gpu(name) if isinstance(name, str) and name else None


def cpu(machine: Machine) -> CpuSpec | None:
    """Data sheet of the machine's processor; CPUID numbers help where the name is hidden."""
    name = machine.get("cpu_model")
    if not isinstance(name, str):
        return None
    family, number = (known_number(machine.get(key)) for key in ("family", "model_number"))
    return match_cpu(name, family, number)


def peak_flop_per_s(machine: Machine, device: str, precision: str) -> float:
    """Peak of matrix products in FLOP/s: one GPU, or all physical cores of the processor."""
    dtype, math_mode = split_dtype(precision)
    try:
        if device == "cuda":
            spec = gpu(machine)
            return spec.peak_flop_per_s(dtype, math_mode) if spec else math.nan
        processor = cpu(machine)
        if processor is None:
            return math.nan
        return processor.core_flop_per_s(dtype) * float(machine["physical_cores"])
    except EstimateError:
        return math.nan


def memory_bytes_per_s(machine: Machine, device: str) -> float:
    """Memory bandwidth in B/s: of one GPU, or of one socket."""
    spec = gpu(machine) if device == "cuda" else cpu(machine)
    try:
        return spec.memory_bytes_per_s if spec else math.nan
    except EstimateError:
        return math.nan


def link_bytes_per_s(machine: Machine) -> float:
    """Nominal rate of the link between host and GPU, one direction, in B/s."""
    spec = gpu(machine)
    try:
        return spec.h2d_bytes_per_s if spec else math.nan
    except EstimateError:
        return math.nan


def sources(machines: Iterable[Machine]) -> list[str]:
    """One line per matched data sheet with its source; plain text."""
    lines = []
    for machine in machines:
        for spec in (cpu(machine), gpu(machine)):
            if spec is not None:
                note = ""
                if isinstance(spec, CpuSpec) and spec.clock_kind == "max":
                    note = " (rate at the highest clock, which all cores at once do not reach)"
                lines.append(f"{spec.name}{note}: {spec.source}")
    return list(dict.fromkeys(lines))
