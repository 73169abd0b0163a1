"""Measurements made from the formula with known parameters. They never leave the tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from collector.backends import BACKEND_DEVICES
from collector.cells import Cell, Operation, make_tasks, with_first_calls
from collector.schema import MACHINE_METADATA_KEY, RUN_METADATA_KEY, SCHEMA
from collector.workloads import FAMILIES, get_workload
from estimator.cells.features import describe, kernel_work
from estimator.dataset.tables import CELL_COLUMNS, WORK_COLUMNS
from estimator.fitting.fit import describe_cells
from estimator.formula.kernel import KERNEL_PARAMETERS, kernel_seconds

CPU = (("numpy", "cpu"), ("torch", "cpu"))
GPU = (("torch", "cuda"),)
FLOP_PER_S = {
    "float64": 4e10,
    "float32": 8e10,
    "bfloat16": 3e11,
    "float16": 3e11,
    "complex64": 5e9,
    "complex128": 4e9,
    "int8": 3e11,
    "int64": 4e10,
}
COPY_CALL_S, H2D_BYTES_PER_S, D2H_BYTES_PER_S = 3e-5, 1e10, 6e9
CPU_BYTES_PER_S, CPU_CACHE_GAIN, CPU_CACHE_BYTES = 1e10, 2.5, 3e7
DISPATCH_S = 5e-6
GPU_BYTES_PER_S, GPU_TIMES_CPU = 4e12, 500.0
LAUNCH_S = {"cpu": 2e-6, "cuda": 3e-6}
ADDED_S = {"cold": 3e-6, "resident": 5e-6, "end_to_end": 5e-6}
AWKWARD_FACTOR = 1.8


SQUARE = [{"n": n} for n in (32, 64, 100, 200, 256, 500, 512, 768, 1000, 1001, 2048, 3001)]
SKINNY = [
    {"m": m, "n": n, "k": k}
    for m, n, k in ((4096, 16, 4096), (1, 4096, 4096), (8192, 100, 1024), (2048, 32, 2048))
]
VECTOR = [
    {"n": n}
    for n in (1000, 10_000, 65_536, 100_000, 500_001, 1_000_000, 4_194_304, 10_000_000, 33_554_432)
]
LOOP = [{"n": n} for n in (1000, 10_000, 100_000, 1_000_000, 10_000_000)]
CHAIN = [{"length": n} for n in (1, 2, 5, 10, 20, 50, 100)]
COPY = [
    {"bytes": n} for n in (4096, 65_536, 262_144, 1_000_000, 4_194_304, 16_777_216, 100_000_000)
]
FFT = [{"n": n} for n in (64, 100, 256, 500, 512, 1000, 1024)]
F64, F32, TF32 = ("float64", "ieee"), ("float32", "ieee"), ("float32", "tf32")
F16, BF16, C64 = ("float16", "ieee"), ("bfloat16", "ieee"), ("complex64", "ieee")
RESIDENT, COPIED = ("hot", "resident"), ("hot", "resident", "end_to_end")

#: (workload, case) -> parameters, element types and modes on a CPU, and the same on a GPU
GRID: dict[tuple[str, str], tuple[Any, Any, Any, Any, Any]] = {
    ("matmul", "square"): (SQUARE, (F64, F32), ("hot",), (F64, F32, TF32), COPIED),
    ("matmul", "skinny"): (SKINNY, (F32,), ("hot",), (F32,), RESIDENT),
    ("matmul", "dot_2000_float64"): ([{}], (F64,), ("hot",), (F64,), COPIED),
    ("elementwise", "add"): (VECTOR, (F64, F32), ("hot",), (F64, F32, BF16), RESIDENT),
    ("elementwise", "triad"): (VECTOR, (F32,), ("hot",), (F64, F32), ("hot",)),
    ("elementwise", "tanh"): (VECTOR, (F32,), ("hot",), (F64, F32), ("hot",)),
    ("elementwise", "polynomial"): (VECTOR, (F64, F32), ("hot",), (F32,), COPIED),
    ("python_loop", "monte_carlo_pi"): (LOOP, (F64,), ("hot",), (F64,), COPIED),
    ("launch", "chain"): (CHAIN, (F32,), ("hot",), (F32,), RESIDENT),
    ("fft", "fft2"): (FFT, (C64,), ("hot",), (C64,), RESIDENT),
}
HALF = ("matmul", "square")  # on a GPU also in 16 bits, without copies
COPIES = ("h2d_pageable", "h2d_pinned", "d2h_pageable", "d2h_pinned")


def make_cells(
    backends: Sequence[tuple[str, str]] = CPU,
    workloads: Sequence[str] = ("matmul", "elementwise"),
    machine_id: str = "made",
) -> pd.DataFrame:
    """Cells of a grid of the tests' own, as questions to ``Model.predict``."""
    rows = []
    for backend, device in backends:
        cuda = device == "cuda"
        points = [
            (workload, case, params, dtype, mode)
            for (workload, case), grid in GRID.items()
            for params in grid[0]
            for dtype in grid[3 if cuda else 1]
            for mode in grid[4 if cuda else 2]
        ]
        if cuda:
            points += [(*HALF, p, d, m) for p in SQUARE for d in (F16, BF16) for m in RESIDENT]
            points += [("transfer", c, p, F32, "resident") for c in COPIES for p in COPY]
        for workload, case, params, (dtype, math_mode), mode in points:
            if workload not in workloads or not get_workload(workload).supports(backend, device):
                continue
            threads = (1,) if cuda or backend == "python" else (1, 2)
            rows += [
                {
                    "workload": workload,
                    "case": case,
                    "dtype": dtype,
                    "math_mode": math_mode,
                    "params": get_workload(workload).complete(case, params),
                    "backend": backend,
                    "device": device,
                    "threads": count,
                    "mode": mode,
                }
                for count in threads
            ]
    return pd.DataFrame(rows).assign(machine_id=machine_id)


def every_family(machine_id: str = "made") -> pd.DataFrame:
    """The cells of the standard suite of every family and backend, as questions; with anchors."""
    names = [name for name in FAMILIES if name != "anchor"]
    found = [
        cell
        for task in with_first_calls(make_tasks("standard", BACKEND_DEVICES, 2, names))
        for cell in task.cells
    ]
    anchor = Operation(
        "anchor", "matmul_copy", (("repetition", 1),), "float32", "ieee", "numpy", "cpu", 1
    )
    found.append(Cell(**vars(anchor), mode="hot"))
    names = [name for name in CELL_COLUMNS if name != "machine_id"]
    rows = [
        {name: getattr(cell, name) for name in names} | {"params": dict(cell.params)}
        for cell in found
    ]
    return pd.DataFrame(rows).assign(machine_id=machine_id)


def true_theta(cells: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The parameters behind ``true_seconds``, one row per cell."""
    cuda = (cells["device"] == "cuda").to_numpy()
    threads = cells["threads"].to_numpy(dtype=float)
    copy = (cells["workload"] == "transfer").to_numpy()
    values = {
        "call_s": 1e-12,
        "launch_s": np.where(cuda, LAUNCH_S["cuda"], LAUNCH_S["cpu"]),
        "dispatch_s": DISPATCH_S,
        "overlap_q": np.where(cuda, 1.5, 1.0),
        "algorithm_factor": 1.0,
        "area_half": 2000.0,
        "compute_flop_per_s": cells["dtype"].map(FLOP_PER_S).to_numpy()
        * np.where(cuda, GPU_TIMES_CPU, threads),
        "width_half": np.where(cuda, 1e6, 500.0),
        "tile_half": 20.0,
        "depth_half": np.where(cuda, 100.0, 20.0),
        "memory_bytes_per_s": np.where(
            copy, 2e10, np.where(cuda, GPU_BYTES_PER_S, CPU_BYTES_PER_S * threads)
        ),
        "cache_gain": np.where(cuda, 2.0, CPU_CACHE_GAIN),
        "cache_bytes": np.where(cuda, 3.5e7, CPU_CACHE_BYTES),
        "inner_cache_gain": np.where(cuda, 1.0, 3.0),
        "inner_cache_bytes": 1e6 * threads,
        "cache_steepness": 8.0,
        "fault_bytes_per_s": 4e9,
        "fault_block_bytes": 2.0**25,
        "exponent_p": 2.5,
        "awkward_factor": AWKWARD_FACTOR,
    }
    columns = [np.broadcast_to(values[name], len(cells)) for name in KERNEL_PARAMETERS]
    return np.log(np.stack(columns, axis=1))


def true_seconds(cells: pd.DataFrame, noise: float = 0.02, seed: int = 1) -> np.ndarray[Any, Any]:
    """Times by the formula, each off by a log-normal error of ``noise``."""
    features = describe(cells)
    added = cells["mode"].map(ADDED_S).where(cells["device"] == "cuda").fillna(0.0)
    seconds = kernel_seconds(true_theta(cells), kernel_work(features.assign(added_s=added)))
    copies = ((cells["device"] == "cuda") & (cells["mode"] == "end_to_end")).to_numpy()
    up, down = features["h2d_bytes"].to_numpy(), features["d2h_bytes"].to_numpy()
    seconds = seconds + copies * (COPY_CALL_S + up / H2D_BYTES_PER_S + down / D2H_BYTES_PER_S)
    return seconds * np.exp(np.random.default_rng(seed).normal(0.0, noise, len(cells)))


def measured(cells: pd.DataFrame, seconds: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Cells of one run in the form of ``measured_cells``."""
    features = describe(cells)
    return cells.assign(
        **{name: features[name] for name in WORK_COLUMNS},
        log_seconds=np.log(seconds),
        noise=0.005,
        spread=np.nan,
        runs=1,
        samples=30,
    )


def described(cells: pd.DataFrame, noise: float = 0.02, seed: int = 1) -> pd.DataFrame:
    """The table that ``fit_table`` takes."""
    return describe_cells(measured(cells, true_seconds(cells, noise, seed)))


def write_run(
    path: Path,
    cells: pd.DataFrame,
    seconds: np.ndarray[Any, Any],
    facts: Mapping[str, Any] | None = None,
    status: str = "ok",
    run: str = "r1",
) -> Path:
    """One run as a Parquet file of the dataset; ``facts`` fill further columns."""
    features = describe(cells)
    columns: dict[str, Any] = {name: [None] * len(cells) for name in SCHEMA.names}
    for name in (
        "machine_id",
        "workload",
        "case",
        "dtype",
        "math_mode",
        "backend",
        "device",
        "threads",
        "mode",
    ):
        columns[name] = cells[name].to_list()
    for name in ("flop_count", "bytes_read", "bytes_written", "h2d_bytes", "d2h_bytes"):
        columns[name] = features[name].to_list()
    constants = {
        "schema_version": 1,
        "run_id": run,
        "label": "made up",
        "status": status,
        "n": 30,
        **(facts or {}),
    }
    columns |= {name: [value] * len(cells) for name, value in constants.items()}
    columns |= {
        "cell_id": [f"cell {i}" for i in range(len(cells))],
        "params": [sorted(params.items()) for params in cells["params"]],
        "size": [int(size) for size in features["size"]],
        "kernel_count": [int(count) for count in features["kernel_count"]],
        "median_s": list(seconds),
        "ci95_low_s": list(0.99 * seconds),
        "ci95_high_s": list(1.01 * seconds),
    }
    table = pa.table(columns, schema=SCHEMA)
    machine = {"machine_id": str(cells["machine_id"].iloc[0]), "cpu": {"family": 6}}
    metadata = {
        **table.schema.metadata,
        MACHINE_METADATA_KEY: json.dumps(machine).encode(),
        RUN_METADATA_KEY: json.dumps({"run_id": run}).encode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path
