"""A made-up fleet for tests of health: machines of one type, healthy but for what a test breaks.

Times scatter as those of machines of one type do: each machine has a small shift of its own, each
cell another. Nothing here was measured, and nothing here leaves the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.pages.made_up_runs import GRID, MadeUpMachine, every_family_rows, write_run

FAMILIES = ("matmul", "elementwise", "reduction", "fft", "transfer", "launch")
_PER_KIND = 12  # cells of a family in a mode
_BEGIN = datetime(2026, 3, 4, 5, tzinfo=UTC)
TIMES = ("median_s", "ci95_low_s", "ci95_high_s", "mean_s", "min_s", "p95_s", "std_s")

Row = dict[str, Any]
Fault = Callable[[list[Row]], None]


@cache
def _base() -> tuple[Row, ...]:
    rows, counts = [], dict[tuple[str, ...], int]()
    for row in every_family_rows(replace(GRID, bus_bytes_per_s=5.5e10)):
        key = (row["workload"], row["device"], row["mode"])
        counts[key] = counts.get(key, 0) + 1
        keep = row["workload"] in FAMILIES and counts[key] <= _PER_KIND
        keep = keep or row["workload"] == "transfer"
        if (keep and row["mode"] != "first_call") or row["workload"] == "anchor":
            rows.append(row)
    return tuple(rows)


def machine_rows(name: str, seed: int, run: int = 0) -> list[Row]:
    """One run of a healthy machine; run number ``run`` begins so many days after the first."""
    random = np.random.default_rng([seed, run])
    own = np.random.default_rng(seed).normal(0.0, 0.003, 3)
    rows = []
    for row in _base():
        kind = 0 if row["device"] == "cpu" else 1 if row["mode"] in ("hot", "cold") else 2
        factor = float(np.exp(own[kind] * (8 if kind != 1 else 1) + random.normal(0.0, 0.006)))
        changed = row | {
            "machine_id": name,
            "machine_type_id": "type",
            "label": name,
            "run_id": f"{name}-{run}",
            "started_at": _BEGIN + timedelta(days=run),
            "throttle_reasons": "",
            "noise_reasons": "",
            "noisy": False,
            "pcie_generation": 5 if row["device"] == "cuda" else None,
            "pcie_width": 16 if row["device"] == "cuda" else None,
        }
        scale(changed, factor)
        rows.append(changed)
    return rows


def scale(row: Row, factor: float) -> None:
    """Make a row take so many times as long."""
    for name in TIMES:
        if row[name] is not None:
            row[name] *= factor
    row["samples_s"] = [factor * sample for sample in row["samples_s"]]


def slower(factor: float, *, device: str | None = None, workload: str | None = None) -> Fault:
    """A fault: rows of a device and a family take so many times as long."""

    def fault(rows: list[Row]) -> None:
        for row in rows:
            if device in (None, row["device"]) and workload in (None, row["workload"]):
                scale(row, factor)

    return fault


def flagged(share: float, **values: Any) -> Fault:
    """A fault: so large a share of the rows on the GPU has these values."""

    def fault(rows: list[Row]) -> None:
        on_gpu = [row for row in rows if row["device"] == "cuda" and row["workload"] != "anchor"]
        for row in on_gpu[: round(share * len(on_gpu))]:
            row.update(values)

    return fault


def write_fleet(
    root: Path,
    count: int,
    faults: dict[int, Iterable[Fault]] | None = None,
    facts: dict[int, dict[str, Any]] | None = None,
    runs: int = 1,
    seed: int = 0,
) -> Path:
    """Runs of ``count`` machines of one type named m000, m001, ...

    ``faults`` and ``facts`` (of the GPU in the fingerprint) belong to machines by number; faults
    show in a machine's last run only where it has several.
    """
    for number in range(count):
        name = f"m{number:03d}"
        machine = MadeUpMachine(name, name, gpu_model="NVIDIA H200", cores=GRID.cores)
        for run in range(runs):
            rows = machine_rows(name, seed + number, run)
            if run == runs - 1:
                for fault in (faults or {}).get(number, ()):
                    fault(rows)
            gpu = {"power_limit_w": 700.0, "pcie_generation": 5, "pcie_width": 16}
            gpu |= (facts or {}).get(number, {})
            write_run(root / str(run), machine, rows, gpu=gpu)
    return root
