"""Peak rates of measured machines by their data sheets, for the rules that use nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.catalogue.hardware import match_cpu, match_gpu
from estimator.catalogue.hardware_specs import MATRIX_WORKLOADS, CpuSpec, GpuSpec
from estimator.checks import known_number

RATES = ("flop_per_s", "bytes_per_s", "bus_bytes_per_s")

_PLACE = ("machine_id", "device", "threads", "dtype", "math_mode")


def sheet_rates(cells: pd.DataFrame, machines: pd.DataFrame) -> pd.DataFrame:
    """Columns ``RATES`` for each cell, same index: arithmetic, memory and host link, per second.

    A GPU's are those of its data sheet, for the element type and math mode, of its matrix units
    for families that use them. A CPU's arithmetic is that of the cores it has or is asked to
    use, at the catalogue's clock; its memory rate is the cores' share of the socket's. NaN
    where data/hardware.csv does not know the machine or the figure.
    """
    facts = {str(row["machine_id"]): row for row in machines.to_dict("records")}
    asked = cells[list(_PLACE)].assign(matrix=cells["workload"].isin(MATRIX_WORKLOADS))
    codes = asked.groupby(list(asked.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    unique = asked.iloc[first].to_dict("records")
    rows = [_rates(facts.get(str(place["machine_id"]), {}), place) for place in unique]
    table = pd.DataFrame(rows, columns=list(RATES)).astype(float)
    return table.iloc[codes].set_axis(cells.index)


def _rates(machine: dict[Any, Any], place: dict[Any, Any]) -> tuple[float, float, float]:
    if place["device"] == "cuda":
        name = machine.get("gpu_model")
        gpu = match_gpu(name) if isinstance(name, str) else None
        return (np.nan, np.nan, np.nan) if gpu is None else _gpu_rates(gpu, place)
    name = machine.get("cpu_model")
    family, model = (known_number(machine.get(key)) for key in ("cpu_family", "cpu_model_number"))
    cpu = match_cpu(name if isinstance(name, str) else "", family, model)
    return (np.nan, np.nan, np.nan) if cpu is None else _cpu_rates(cpu, machine, place)


def _gpu_rates(gpu: GpuSpec, place: dict[Any, Any]) -> tuple[float, float, float]:
    try:
        flop = gpu.peak_flop_per_s(
            str(place["dtype"]), str(place["math_mode"]), bool(place["matrix"])
        )
    except EstimateError:
        flop = np.nan
    link = gpu.h2d_gb_per_s
    rate = gpu.memory_bandwidth_gb_per_s
    return (
        flop,
        np.nan if rate is None else 1e9 * rate,
        np.nan if link is None else 1e9 * link,
    )


def _cpu_rates(
    cpu: CpuSpec, machine: dict[Any, Any], place: dict[Any, Any]
) -> tuple[float, float, float]:
    has = known_number(machine.get("physical_cores"))
    cores = min(int(place["threads"]), int(has)) if has else int(place["threads"])
    mhz = known_number(machine.get("cpu_mhz"))
    clock = cpu.clock_ghz if cpu.clock_ghz is not None or mhz is None else mhz / 1e3
    try:
        flop = cores * cpu.core_flop_per_s(str(place["dtype"]), clock)
    except EstimateError:
        flop = np.nan
    rate, socket = cpu.memory_bandwidth_gb_per_s, cpu.cores_per_socket
    share = min(1.0, has / socket) if has and socket else 1.0
    return flop, np.nan if rate is None else 1e9 * rate * share, np.nan
