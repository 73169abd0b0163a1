"""A small made-up dataset for tests of the dashboard: two machines, one with a GPU.

Times follow launch + FLOP / rate + bytes / bandwidth with a little seeded noise. Nothing here
was measured, and nothing here leaves the tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collector.backends import BACKEND_DEVICES
from collector.cells import Cell, make_tasks, with_first_calls
from collector.dataset.journal import Journal
from collector.schema import (
    MACHINE_FIELDS,
    MACHINE_METADATA_KEY,
    RUN_FIELDS,
    RUN_METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
)
from collector.workloads import FAMILIES

#: Strings that must show as themselves and fetch nothing.
HOSTILE_LABEL = "![x](http://evil.invalid/a.png) <img src=http://evil.invalid/b.png> :red[b] $x$"
FORMULA_BACKEND = "=1+1"


@dataclass(frozen=True)
class MadeUpMachine:
    """What the rows of one machine say, and how fast it pretends to be."""

    machine_id: str
    label: str
    gpu_model: str = ""
    cpu_flop_per_s: float = 8e10
    cpu_bytes_per_s: float = 1.5e10
    gpu_flop_per_s: float = 4e13
    gpu_bytes_per_s: float = 3.5e12
    bus_bytes_per_s: float = 4e10
    cores: int = 4


DESK = MadeUpMachine("desk0001aaaa", "desk", cores=4)
RACK = MadeUpMachine("rack0002bbbb", "rack", gpu_model="NVIDIA H200", cpu_flop_per_s=6e11, cores=16)
HOSTILE = MadeUpMachine("evil0003cccc", HOSTILE_LABEL)

GRID = MadeUpMachine("grid0004dddd", "grid", gpu_model="NVIDIA H200", cores=2)

_MATMUL = (64, 128, 256, 512, 1024, 2048)
_VECTOR = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
_BYTES = (65_536, 1_048_576, 16_777_216, 268_435_456)


def _cell(workload: str, case: str, params: dict[str, int], **rest: Any) -> Cell:
    values = {"dtype": "float32", "math_mode": "ieee", "threads": 1, **rest}
    return Cell(workload=workload, case=case, params=tuple(sorted(params.items())), **values)


def _cells(machine: MadeUpMachine) -> Iterator[Cell]:
    cpu = {"device": "cpu", "mode": "hot"}
    for n in _MATMUL:
        square = {"batch": 1, "m": n, "n": n, "k": n}
        for dtype in ("float32", "float64"):
            for threads in (1, machine.cores):
                yield _cell(
                    "matmul", "square", square, dtype=dtype, backend="numpy", threads=threads, **cpu
                )
        yield _cell("matmul", "square", square, backend="torch", threads=machine.cores, **cpu)
    for n in _VECTOR:
        yield _cell("elementwise", "add", {"n": n}, backend="numpy", **cpu)
    for n in _VECTOR[:4]:
        for backend in ("python", "numba"):
            yield _cell(
                "python_loop", "monte_carlo_pi", {"n": n}, dtype="float64", backend=backend, **cpu
            )
    if not machine.gpu_model:
        return
    for mode in ("hot", "resident", "end_to_end"):
        gpu = {"device": "cuda", "backend": "torch", "mode": mode}
        for n in _MATMUL:
            square = {"batch": 1, "m": n, "n": n, "k": n}
            yield _cell("matmul", "square", square, **gpu)
            yield _cell("matmul", "square", square, math_mode="tf32", **gpu)
        for n in _VECTOR:
            yield _cell("elementwise", "add", {"n": n}, **gpu)
    for size in _BYTES:
        for case in ("h2d_pinned", "d2h_pinned"):
            yield _cell(
                "transfer", case, {"bytes": size}, device="cuda", backend="torch", mode="resident"
            )


def _true_seconds(machine: MadeUpMachine, cell: Cell) -> float:
    work = cell.work
    moved = work.bytes_read + work.bytes_written
    if cell.device == "cuda":
        launch = 4e-6 if cell.mode == "hot" else 2e-5
        bus = work.h2d_bytes + work.d2h_bytes
        rate = machine.gpu_flop_per_s * (6 if cell.math_mode == "tf32" else 1)
        return (
            launch * max(work.kernel_count, 1)
            + max(work.flop_count / rate, moved / machine.gpu_bytes_per_s)
            + bus / machine.bus_bytes_per_s
        )
    speed = cell.threads**0.9 * (0.5 if cell.dtype == "float64" else 1)
    slow = 3e4 if cell.backend == "python" else 1
    flop_s = slow * work.flop_count / (machine.cpu_flop_per_s / machine.cores * speed)
    moved_s = moved / machine.cpu_bytes_per_s
    return 8e-7 * max(work.kernel_count, 1) + max(flop_s, moved_s)


def _row(
    machine: MadeUpMachine, cell: Cell, run_id: str, index: int, noise: np.random.Generator
) -> dict[str, Any]:
    samples = _true_seconds(machine, cell) * (1 + 0.02 * noise.standard_normal(15))
    low, middle, high = np.quantile(samples, (0.3, 0.5, 0.7))
    work = cell.work
    return {
        "schema_version": 1,
        "run_id": run_id,
        "started_at": datetime(2026, 3, 4, 5, tzinfo=UTC),
        "collector_version": "0",
        "suite": "standard",
        "seed": 1,
        "order_index": index,
        "launch_index": 0,
        "machine_id": machine.machine_id,
        "machine_type_id": machine.machine_id[:4],
        "label": machine.label,
        "instance_type": "",
        "cpu_model": "Made-up CPU",
        "physical_cores": machine.cores,
        "logical_cores": 2 * machine.cores,
        "memory_bytes": 16 * 2**30,
        "gpu_model": machine.gpu_model,
        "gpu_count": 1 if machine.gpu_model else 0,
        "gpu_memory_bytes": 139 * 2**30 if machine.gpu_model else None,
        "driver": "1.2" if machine.gpu_model else "",
        "cuda": "13" if machine.gpu_model else "",
        "library_versions": [("numpy", "2.0"), ("torch", "2.0")],
        "blas": "openblas",
        "blas_threads": cell.threads,
        "cell_id": cell.cell_id,
        "workload": cell.workload,
        "case": cell.case,
        "params": list(cell.params),
        "size": cell.size,
        "dtype": cell.dtype,
        "math_mode": cell.math_mode,
        "backend": cell.backend,
        "device": cell.device,
        "threads": cell.threads,
        "mode": cell.mode,
        "flop_count": work.flop_count,
        "bytes_read": work.bytes_read,
        "bytes_written": work.bytes_written,
        "h2d_bytes": work.h2d_bytes,
        "d2h_bytes": work.d2h_bytes,
        "kernel_count": work.kernel_count,
        "status": "ok",
        "error": "",
        "samples_s": list(samples),
        "calls_per_sample": 10,
        "n": len(samples),
        "median_s": middle,
        "ci95_low_s": low,
        "ci95_high_s": high,
        "mean_s": samples.mean(),
        "std_s": samples.std(ddof=1),
        "min_s": samples.min(),
        "p95_s": float(np.quantile(samples, 0.95)),
        "warmup_s": [3 * float(middle)],
        "stop_reason": "precise",
        "cell_wall_s": 1.0,
        "noisy": bool(index % 20 == 0),
        "throttle_reasons": "sw_power_cap" if cell.device == "cuda" and index % 9 == 0 else "",
        "sm_clock_mhz": 1900.0 if cell.device == "cuda" else None,
        "temperature_c": 55.0 if cell.device == "cuda" else None,
        "power_w": 400.0 if cell.device == "cuda" else None,
        "energy_j": None,
        "cpu_mhz": 3000.0,
        "steal_fraction": 0.01,
        "involuntary_switches": 2,
        "relative_error": 1e-7,
    }


def every_family_rows(machine: MadeUpMachine = GRID) -> list[dict[str, Any]]:
    """Rows of a run of the standard suite on a machine with a GPU: all families and backends.

    First calls have one sample and no interval; an anchor is repeated along the run; some cells
    are noisy with reasons; on the GPU energy is known.
    """
    names = [name for name in FAMILIES if name != "anchor"]
    tasks = with_first_calls(make_tasks("standard", BACKEND_DEVICES, machine.cores, names))
    cells = [cell for task in tasks for cell in task.cells if cell.threads in (1, machine.cores)]
    for repetition in (1, 2, 3, 4):
        for backend, device in (("numpy", "cpu"), ("torch", "cuda")):
            place = {"backend": backend, "device": device, "mode": "hot"}
            cells.append(_cell("anchor", "matmul_copy", {"repetition": repetition}, **place))
    noise = np.random.default_rng(3)
    rows = [_row(machine, cell, "every", i, noise) for i, cell in enumerate(cells)]
    for row in rows:
        if row["noisy"]:
            row |= {"noise_reasons": "wide_interval,spread", "outliers": 2}
        if row["device"] == "cuda":
            row["energy_j"] = 300.0 * row["median_s"]
        if row["mode"] == "first_call":
            single = 40 * row["median_s"]
            row |= {"samples_s": [single], "n": 1, "median_s": single, "warmup_s": []}
            row |= dict.fromkeys(("ci95_low_s", "ci95_high_s", "std_s", "energy_j"))
            row |= {"stop_reason": "single", "noisy": False, "calls_per_sample": 1}
    return rows


def make_rows(machine: MadeUpMachine, run_id: str, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of one run; one of them failed and one is unsupported."""
    noise = np.random.default_rng(seed)
    rows = [_row(machine, cell, run_id, i, noise) for i, cell in enumerate(_cells(machine))]
    without_time = {name: None for name in SCHEMA.names if name.endswith("_s")} | {"n": 0}
    rows[3] |= without_time | {"status": "timeout", "error": "stopped after 60 s"}
    rows[5] |= without_time | {"status": "unsupported", "error": "no such library"}
    return rows


def write_run(
    root: Path,
    machine: MadeUpMachine,
    rows: list[dict[str, Any]] | None = None,
    gpu: dict[str, Any] | None = None,
) -> Path:
    """Write one run's file under ``root`` as the collector does; ``gpu``: the fingerprint's."""
    run_id = f"run-{machine.machine_id}"
    rows = make_rows(machine, run_id) if rows is None else rows
    fingerprint = {
        "machine_id": machine.machine_id,
        "label": machine.label,
        "cpu": {"model": "Made-up CPU", "flags": ["avx2", "fma"]},
        **({"gpu": {"model": machine.gpu_model, **gpu}} if gpu else {}),
    }
    metadata = dict(SCHEMA.metadata or {}) | {
        MACHINE_METADATA_KEY: json.dumps(fingerprint).encode(),
        RUN_METADATA_KEY: json.dumps({"run_id": run_id, "rows": len(rows)}).encode(),
    }
    table = pa.Table.from_pylist(rows, schema=SCHEMA).replace_schema_metadata(metadata)
    folder = root / machine.machine_id
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"20260304T050000Z-{run_id}.parquet"
    pq.write_table(table, path, compression="zstd")
    return path


def write_dataset(root: Path) -> Path:
    """Two machines: a desk without a GPU and a rack machine with one."""
    for machine in (DESK, RACK):
        write_run(root, machine)
    return root


def write_journal(root: Path, machine: MadeUpMachine, finished_cells: int) -> Path:
    """Leave the journal of a run that was killed after some cells."""
    path = root / machine.machine_id / "20260304T050000Z-killed.journal"
    rows = make_rows(machine, "killed")[:finished_cells]
    shared_names = {field.name for field in (*RUN_FIELDS[:6], *MACHINE_FIELDS)}
    columns = {name: value for name, value in rows[0].items() if name in shared_names}
    columns["library_versions"] = dict(columns["library_versions"])
    header = {
        "schema_version": SCHEMA_VERSION,
        "columns": columns,
        "machine": {"machine_id": machine.machine_id, "label": machine.label},
        "run": {"run_id": "killed", "suite": "standard"},
    }
    journal = Journal(path, header)
    for row in rows:
        cell = {name: value for name, value in row.items() if name not in shared_names}
        journal.append(cell | {"params": dict(cell["params"])})
    journal.close()
    return path
