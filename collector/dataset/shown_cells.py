"""Measured cells of a dataset, one row per machine and cell: what ``collector show`` prints.

Where a cell was measured in several launches or runs, the time is the median of their medians
and the interval reaches from the lowest low end to the highest high end, as on the dashboard's
page Measurements.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq

from collector.dataset.read import Dataset, conform
from collector.errors import SelectionError

#: What is timed -> mode on a CPU, mode on a GPU.
TIMED = {
    "alone": ("hot", "hot"),
    "cold": ("cold", "cold"),
    "resident": ("hot", "resident"),
    "transfers": ("hot", "end_to_end"),
    "first": ("first_call", "first_call"),
}

_KEYS = ("machine_id", "workload", "case", "params", "dtype", "math_mode", "backend", "device")
_COLUMNS = [
    *(*_KEYS, "threads", "mode", "label", "run_id", "started_at", "size", "status", "n"),
    *("median_s", "ci95_low_s", "ci95_high_s", "min_s", "mean_s", "std_s", "noisy", "energy_j"),
]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Wanted:
    """Which cells to show; None or an empty tuple: whatever there is.

    ``dtype``: an element type, or tf32; ``machine``: an id's start or part of a label;
    ``timed``: a key of ``TIMED``; ``mode``: a mode of the schema.
    """

    workload: str
    case: str | None = None
    dtype: str | None = None
    backends: tuple[str, ...] = ()
    device: str | None = None
    machine: str | None = None
    mode: str | None = None
    timed: str | None = None


@dataclass(frozen=True)
class ShownCell:
    """One cell on one machine. Times in seconds of one call."""

    machine_id: str
    machine: str
    workload: str
    case: str
    params: Mapping[str, int]
    size: int | None
    dtype: str
    backend: str
    device: str
    threads: int
    mode: str
    median_s: float
    ci95_low_s: float | None
    ci95_high_s: float | None
    spread: float | None
    n: int
    launches: int
    runs: int
    noisy: bool
    energy_j: float | None
    measured_at: datetime | None = field(default=None)


def read_cells(dataset: Dataset, wanted: Wanted) -> list[ShownCell]:
    """The cells that are wanted, by case, size and machine.

    Raises SelectionError, which names what there is, where nothing fits.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    seen: dict[str, set[str]] = defaultdict(set)
    for row in _rows(dataset, wanted.workload, seen):
        if row["status"] != "ok" or not row["median_s"] or not _fits(row, wanted, seen):
            continue
        row["params"] = tuple(sorted(row["params"] or ()))
        row["threads"] = row["threads"] or 1
        row["math_mode"] = row["math_mode"] or "ieee"
        groups[tuple(row[name] for name in (*_KEYS, "threads", "mode"))].append(row)
    if not groups:
        raise SelectionError(_nothing(wanted, seen))
    cells = [_cell(rows) for rows in groups.values()]
    return sorted(
        cells,
        key=lambda cell: (
            *(cell.case, cell.size or 0, cell.device, cell.backend, cell.threads),
            *(cell.machine, cell.machine_id, cell.dtype, cell.mode, sorted(cell.params.items())),
        ),
    )


def _rows(dataset: Dataset, workload: str, seen: dict[str, set[str]]) -> Iterable[dict[str, Any]]:
    """Rows of the family, file by file: samples are not read."""
    for file in dataset.parquet_files:
        parquet = pq.ParquetFile(file)
        present = [name for name in _COLUMNS if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(columns=present):
            yield from _of_family(conform(_table(batch)), workload, seen)
    for table in dataset.journal_tables:
        yield from _of_family(table, workload, seen)


def _table(batch: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches([batch])


def _of_family(table: Any, workload: str, seen: dict[str, set[str]]) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    seen["workload"].update(name for name in pc.unique(table["workload"]).to_pylist() if name)
    kept = table.select(_COLUMNS).filter(pc.equal(table["workload"], workload))
    rows: list[dict[str, Any]] = kept.to_pylist()
    return rows


def _fits(row: Mapping[str, Any], wanted: Wanted, seen: dict[str, set[str]]) -> bool:
    """Whether the row is wanted; what it has goes into ``seen``."""
    precision = "tf32" if row["math_mode"] == "tf32" else row["dtype"]
    machine = f"{row['label'] or ''} ({str(row['machine_id'] or '')[:8]})"
    has = {
        "case": row["case"],
        "dtype": precision,
        "backend": row["backend"],
        "device": row["device"],
        "mode": row["mode"],
        "machine": machine,
    }
    if any(value is None for value in has.values()):
        return False
    for name, value in has.items():
        seen[name].add(str(value))
    timed = None if wanted.timed is None else TIMED[wanted.timed][row["device"] == "cuda"]
    return (
        wanted.case in (None, row["case"])
        and wanted.dtype in (None, precision)
        and (not wanted.backends or row["backend"] in wanted.backends)
        and wanted.device in (None, row["device"])
        and wanted.mode in (None, row["mode"])
        and timed in (None, row["mode"])
        and (
            wanted.machine is None
            or wanted.machine.lower() in machine.lower()
            or str(row["machine_id"]).startswith(wanted.machine)
        )
    )


def _nothing(wanted: Wanted, seen: Mapping[str, set[str]]) -> str:
    if wanted.workload not in seen.get("workload", ()):
        listed = ", ".join(sorted(seen.get("workload", ()))) or "nothing"
        return f"workload {wanted.workload}: not in the dataset, which holds {listed}"
    choices = {
        "case": wanted.case,
        "dtype": wanted.dtype,
        "backend": ", ".join(wanted.backends) or None,
        "device": wanted.device,
        "mode": wanted.mode,
        "machine": wanted.machine,
    }
    for name, value in choices.items():
        known = seen.get(name, set())
        asked = wanted.backends if name == "backend" else (value,)
        part = name == "machine"
        if value is not None and not any(
            one in known or (part and any(str(one).lower() in k.lower() for k in known))
            for one in asked
        ):
            listed = ", ".join(sorted(known)[:12]) or "none with a time"
            return f"--{name} {value}: not measured for {wanted.workload}; there are: {listed}"
    return f"{wanted.workload}: no cell has all of these options; leave one of them out"


def _cell(rows: Sequence[Mapping[str, Any]]) -> ShownCell:
    last = max(rows, key=lambda row: str(row["started_at"]))
    spreads = [row["std_s"] / row["mean_s"] for row in rows if row["std_s"] and row["mean_s"]]
    energies = [row["energy_j"] for row in rows if row["energy_j"] is not None]
    single = last["mode"] == "first_call"  # one sample: neither interval nor spread
    return ShownCell(
        machine_id=str(last["machine_id"]),
        machine=str(last["label"] or ""),
        workload=last["workload"],
        case=last["case"],
        params=dict(last["params"]),
        size=last["size"],
        dtype="tf32" if last["math_mode"] == "tf32" else last["dtype"],
        backend=last["backend"],
        device=last["device"],
        threads=last["threads"],
        mode=last["mode"],
        median_s=statistics.median(row["median_s"] for row in rows),
        ci95_low_s=None if single else min(row["ci95_low_s"] or row["median_s"] for row in rows),
        ci95_high_s=None if single else max(row["ci95_high_s"] or row["median_s"] for row in rows),
        spread=statistics.median(spreads) if spreads and not single else None,
        n=sum(row["n"] or 0 for row in rows),
        launches=len(rows),
        runs=len({row["run_id"] for row in rows}),
        noisy=any(row["noisy"] for row in rows),
        energy_j=statistics.median(energies) if energies else None,
        measured_at=last["started_at"],
    )


def as_dict(cell: ShownCell) -> dict[str, Any]:
    """The cell as JSON values."""
    values = {one.name: getattr(cell, one.name) for one in fields(ShownCell)}
    if cell.measured_at is not None:
        values["measured_at"] = cell.measured_at.isoformat()
    return values


def as_csv(cells: Iterable[ShownCell]) -> str:
    """The cells as CSV; text that a spreadsheet would run as a formula is quoted."""
    out = io.StringIO()
    names = [one.name for one in fields(ShownCell)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for cell in cells:
        values = as_dict(cell) | {"params": params_text(cell.params)}
        writer.writerow([_harmless(values[name]) for name in names])
    return out.getvalue()


def params_text(params: Mapping[str, int]) -> str:
    """``m=10, n=20``."""
    return ", ".join(f"{name}={value}" for name, value in sorted(params.items()))


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
