"""Questions over everything that can be asked of a device, and what the hardware does at best.

The limits are computed here from the catalogue's rows and the families' work counts, apart from
``estimator.others.bounds``.
"""

from typing import Any

import numpy as np
import pandas as pd

from collector.errors import BreakevenError
from collector.workloads import FAMILIES, get_workload
from estimator.catalogue.hardware_specs import MATRIX_WORKLOADS, CpuSpec, GpuSpec
from estimator.cells.questions import check_forms
from estimator.fitting.monotone import size_parameter

#: Work counts of these are not bytes between a device and its memory.
NO_BYTES = ("launch", "transfer", "scatter_add", "python_loop")
SHAPE = ["machine_id", "workload", "case", "dtype", "math_mode", "backend", "mode"]


def questions(model, backend: str, device: str, modes: tuple[str, ...], steps) -> pd.DataFrame:
    """Each case of each family in each type, its size doubled ``steps`` times."""
    rows = []
    for family in FAMILIES.values():
        if family.name == "anchor":
            continue
        grid = [p for suite in ("standard", "full") for p in family.grid(suite, backend, device)]
        for case in family.signatures:
            points = [dict(point.params) for point in grid if point.case == case]
            grows = size_parameter(family.name, case)
            if not points:
                continue
            base = points[len(points) // 2]
            for dtype, math_mode in family.dtypes(backend, device):
                kind = {"workload": family.name, "case": case, "dtype": dtype}
                kind |= {"math_mode": math_mode, "backend": backend, "device": device}
                if not _has_form(model, {**kind, "params": base}):
                    continue
                for step in steps if grows else (0,):
                    params = dict(base)
                    if grows:
                        params[grows] = max(1, round(params[grows] * 2.0**step))
                    try:
                        family.complete(case, params)
                    except BreakevenError:
                        continue
                    rows += [
                        {**kind, "params": params, "mode": mode, "step": step} for mode in modes
                    ]
    return pd.DataFrame(rows)


def _has_form(model, question: dict[str, Any]) -> bool:
    try:
        check_forms(pd.DataFrame([{**question, "machine_id": "T4"}]), model.forms)
    except BreakevenError:
        return False
    return True


def with_work(asked: pd.DataFrame) -> pd.DataFrame:
    """With FLOP and bytes moved of each question."""
    counts: dict[Any, tuple[float, float]] = {}
    rows = []
    names = ["workload", "case", "dtype", "backend", "device", "mode"]
    for key, params in zip(
        asked[names].itertuples(index=False, name=None), asked["params"], strict=True
    ):
        full = (*key, tuple(sorted(params.items())))
        if full not in counts:
            workload, case, dtype, backend, device, mode = key
            family = get_workload(workload)
            complete = family.complete(case, params)
            work = family.call_work(case, complete, dtype, backend, device, mode)
            counts[full] = float(work.flop_count), float(work.bytes_read + work.bytes_written)
        rows.append(counts[full])
    return asked.assign(flop=[flop for flop, _ in rows], moved=[moved for _, moved in rows])


def gpu_limits(asked: pd.DataFrame, gpus: dict[str, GpuSpec]) -> pd.DataFrame:
    """With the peak of the unit that does the work, memory's rate and the last cache's size."""
    peaks: dict[Any, float] = {}
    for name, dtype, mode, workload in set(
        asked[["machine_id", "dtype", "math_mode", "workload"]].itertuples(index=False, name=None)
    ):
        try:
            matrix = workload in MATRIX_WORKLOADS
            peaks[name, dtype, mode, workload] = gpus[name].unit_for(dtype, mode, matrix).flop_per_s
        except BreakevenError:
            peaks[name, dtype, mode, workload] = np.nan
    keys = asked[["machine_id", "dtype", "math_mode", "workload"]]
    rate = {name: 1e9 * (gpu.memory_bandwidth_gb_per_s or np.nan) for name, gpu in gpus.items()}
    cache = {name: 2.0**20 * (gpu.last_level_cache_mib or 1e6) for name, gpu in gpus.items()}
    return asked.assign(
        peak=[peaks[key] for key in keys.itertuples(index=False, name=None)],
        rate=asked["machine_id"].map(rate),
        cache=asked["machine_id"].map(cache),
    )


def cpu_limits(asked: pd.DataFrame, cpus: dict[str, CpuSpec]) -> pd.DataFrame:
    """The same of whole sockets, at the catalogue's clock."""
    doubles = ("float64", "complex128")
    peaks = {
        (name, double): 1e9
        * (cpu.cores_per_socket or np.nan)
        * (cpu.clock_ghz or np.nan)
        * ((cpu.fp64_flop_per_cycle if double else cpu.fp32_flop_per_cycle) or np.nan)
        for name, cpu in cpus.items()
        for double in (True, False)
    }
    whole = ("float32", "complex64", *doubles)
    known = asked["dtype"].isin(whole)
    pairs = zip(asked["machine_id"], asked["dtype"].isin(doubles), strict=True)
    rate = {name: 1e9 * (cpu.memory_bandwidth_gb_per_s or np.nan) for name, cpu in cpus.items()}
    cache = {name: 2.0**20 * (cpu.last_level_cache_mib or 1e6) for name, cpu in cpus.items()}
    return asked.assign(
        peak=pd.Series([peaks[pair] for pair in pairs], asked.index).where(known),
        rate=asked["machine_id"].map(rate),
        cache=asked["machine_id"].map(cache),
    )


def too_fast(answers: pd.DataFrame, end: str) -> pd.DataFrame:
    """Rows whose ``end`` implies more FLOP/s than the peak or more bytes/s than memory's rate."""
    seconds = answers[f"seconds_{end}"].astype(float) * (1.0 + 1e-6)
    computes = answers["workload"] != "launch"
    streams = ~answers["workload"].isin(NO_BYTES)
    uncached = (answers["moved"] > answers["cache"]) | (answers["mode"] == "cold")
    above_peak = computes & (answers["flop"] / seconds > answers["peak"])
    above_rate = streams & uncached & (answers["moved"] / seconds > answers["rate"])
    return answers[above_peak | above_rate]


def falls(answers: pd.DataFrame, by: float) -> pd.DataFrame:
    """Rows that take less than 1 - ``by`` of the time of half of their work."""
    known = answers[answers["seconds_p50"].notna()].sort_values([*SHAPE, "step"])
    shapes = known.groupby(SHAPE, sort=False)
    before = shapes["seconds_p50"].shift(1).astype(float)
    adjacent = shapes["step"].diff() == 1
    return known[adjacent & (known["seconds_p50"].astype(float) < (1.0 - by) * before)]
