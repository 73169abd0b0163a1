"""Runs as ``compare`` sees them: the times of their cells, and what was measured with what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from collector.compare.run_spread import CellTime
from collector.dataset.read import Dataset, RunInfo, read_table

_TIMED_MODES = ("hot", "cold", "resident", "end_to_end")
_COLUMNS = [
    *("run_id", "cell_id", "workload", "case", "params", "size", "dtype", "math_mode"),
    *("backend", "device", "threads", "mode", "status", "noisy", "collector_version"),
    *("median_s", "ci95_low_s", "ci95_high_s", "machine_id", "library_versions"),
]
#: half the width of a normal distribution's 95 % interval, in standard deviations
_HALF_95 = 1.96


@dataclass(frozen=True)
class CellName:
    """What was measured, in words for people."""

    workload: str
    case: str
    params: tuple[tuple[str, int], ...]
    dtype: str
    math_mode: str
    backend: str
    device: str
    threads: int
    mode: str

    def __str__(self) -> str:
        params = ",".join(f"{name}={value}" for name, value in self.params)
        precision = self.dtype if self.math_mode == "ieee" else f"{self.dtype}/{self.math_mode}"
        threads = f" {self.threads} threads" if self.device == "cpu" else ""
        return (
            f"{self.workload} {self.case}({params}) {precision} "
            f"{self.backend}/{self.device}{threads} {self.mode}"
        )


@dataclass(frozen=True)
class MeasuredRun:
    """One run: cells with a time, by cell_id."""

    run_id: str
    machine_id: str
    label: str
    versions: tuple[tuple[str, str], ...]
    info: RunInfo
    cells: Mapping[str, CellTime]
    names: Mapping[str, CellName]


def read_runs(dataset: Dataset) -> list[MeasuredRun]:
    """Runs of a dataset with their timed cells; first calls and the anchor are left out."""
    table = read_table(dataset).select(_COLUMNS)
    wanted = pc.and_(
        pc.equal(table["status"], "ok"),
        pc.and_(
            pc.is_in(table["mode"], value_set=_text_array(_TIMED_MODES)),
            pc.and_(pc.not_equal(table["workload"], "anchor"), pc.greater(table["median_s"], 0.0)),
        ),
    )
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in table.filter(wanted).to_pylist(maps_as_pydicts="strict"):
        rows.setdefault(row["run_id"], []).append(row)
    return [_measured(info, rows.get(info.run_id, [])) for info in dataset.runs]


def _measured(info: RunInfo, rows: list[dict[str, Any]]) -> MeasuredRun:
    machine = info.machine
    libraries = machine.get("library_versions") or {}
    gpu = machine.get("gpu") or {}
    return MeasuredRun(
        info.run_id,
        str(machine.get("machine_id") or (rows[0]["machine_id"] if rows else "")),
        str(machine.get("label", "?")),
        tuple(
            sorted(
                {
                    **libraries,
                    "Python": str(machine.get("python", "?")),
                    "collector": str(info.run.get("collector_version", "?")),
                    **({"GPU driver": str(gpu.get("driver"))} if gpu else {}),
                }.items()
            )
        ),
        info,
        {row["cell_id"]: _cell_time(row) for row in rows},
        {row["cell_id"]: _cell_name(row) for row in rows},
    )


def _cell_time(row: Mapping[str, Any]) -> CellTime:
    low, high = row["ci95_low_s"], row["ci95_high_s"]
    error = math.log(high / low) / 2 / _HALF_95 if low and high and 0 < low <= high else 0.0
    return CellTime(
        math.log(row["median_s"]),
        error,
        _kind(row),
        f"{row['workload']} {row['mode']}",
        bool(row["noisy"]),
    )


def _kind(row: Mapping[str, Any]) -> str:
    """Cells that share what makes them repeat well or badly."""
    if row["device"] == "cuda":
        return f"cuda, {'device' if row['mode'] in ('hot', 'cold') else 'host'} clock"
    return f"cpu, {'one thread' if row['threads'] == 1 else 'several threads'}"


def _cell_name(row: Mapping[str, Any]) -> CellName:
    return CellName(
        row["workload"],
        row["case"],
        tuple(sorted(row["params"].items())),
        row["dtype"],
        row["math_mode"],
        row["backend"],
        row["device"],
        row["threads"],
        row["mode"],
    )


def _text_array(values: tuple[str, ...]) -> Any:
    import pyarrow as pa

    return pa.array(values)
