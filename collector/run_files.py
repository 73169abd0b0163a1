"""Where a run is kept while it grows: a new journal, or the one of a run to go on with."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector import __version__
from collector.dataset import read_run
from collector.errors import DatasetError, OutputError
from collector.fingerprint import Machine
from collector.journal import SUFFIX, Journal, read_journal
from collector.planning import Plan
from collector.schema import MACHINE_FIELDS, RUN_FIELDS, SCHEMA_VERSION

#: columns of the run and machine groups that differ from row to row
_ROW_COLUMNS = {"order_index", "launch_index", "blas", "blas_threads"}


@dataclass(frozen=True)
class OpenRun:
    """An open journal with what it holds: header (machine, run, columns) and finished rows."""

    journal: Journal
    rows: tuple[dict[str, Any], ...]
    header: dict[str, Any]


def start_run(plan: Plan, machine: Machine, out: Path) -> OpenRun:
    """A new run's journal. Raises OutputError where the place cannot be written."""
    now = datetime.now(UTC)
    run_id = secrets.token_hex(6)
    run = {
        "run_id": run_id,
        "started_at": now,
        "collector_version": __version__,
        "suite": plan.selection.suite,
        "seed": plan.selection.seed,
    }
    summary = {**run, "started_at": now.isoformat(), "selection": selection_of(plan)}
    header = {
        "schema_version": SCHEMA_VERSION,
        "machine": machine.as_dict(),
        "run": summary,
        "columns": {"schema_version": SCHEMA_VERSION, **run, **machine_columns(machine)},
    }
    path = out / machine.slug / f"{now:%Y%m%dT%H%M%SZ}-{run_id}{SUFFIX}"
    return OpenRun(Journal(path, header), (), header)


def resume_run(plan: Plan, machine: Machine, out: Path) -> OpenRun:
    """The newest run of this machine and this selection that was killed or interrupted.

    Raises OutputError if there is none, or if its collector is still alive.
    """
    for path in _unfinished(out, machine):
        try:
            if path.suffix == SUFFIX:
                contents = read_journal(path)
                header, rows = contents.header, tuple(contents.rows)
            else:
                info, table_rows = read_run(path)
                header = _header_of(info.machine, info.run, table_rows[0])
                rows = tuple(map(_own, table_rows))
        except DatasetError:
            continue  # damaged or newer: not a run that this collector can go on with
        same_place = header["columns"].get("collector_version") == __version__ and all(
            header["columns"].get(name) == value
            for name, value in machine_columns(machine).items()
            if name != "label"
        )
        if header["run"].get("selection") == selection_of(plan) and same_place:
            return OpenRun(_journal_of(path, header, rows), rows, header)
    raise OutputError(
        f"{out}: no unfinished run of this machine with this suite, seed, selection and these "
        "library versions to resume; leave --resume out to start one"
    )


def _unfinished(out: Path, machine: Machine) -> list[Path]:
    """Journals and files of runs that ended early, newest first; one path a run."""
    found: dict[Path, Path] = {}
    damaged: set[Path] = set()
    for path in out.glob(f"*{machine.machine_id[:8]}/*.parquet"):
        try:
            info, rows = read_run(path)
        except DatasetError:
            damaged.add(path)
            continue
        if info.run.get("ended", "complete") != "complete" and rows:
            found[path.with_suffix("")] = path
        else:
            found.pop(path.with_suffix(""), None)
    for path in out.glob(f"*{machine.machine_id[:8]}/*{SUFFIX}"):
        finished = path.with_suffix(".parquet")
        # beside a complete file a journal is what a kill left behind; beside an interrupted
        # one it is the same run, already going on
        going_on = path.with_suffix("") in found or finished in damaged
        if going_on or not finished.exists():
            found[path.with_suffix("")] = path
    return sorted(found.values(), key=lambda path: path.name, reverse=True)


def _journal_of(path: Path, header: dict[str, Any], rows: tuple[dict[str, Any], ...]) -> Journal:
    """The journal to append to; an interrupted run's file becomes one in a single step."""
    target = path.with_suffix(SUFFIX)
    if path.suffix != SUFFIX:
        temporary = path.with_name(f".{path.stem}.tmp")
        temporary.unlink(missing_ok=True)
        copy = Journal(temporary, header)
        for row in rows:
            copy.append(row)
        copy.close()
        temporary.replace(target)
    journal = Journal(target, None)
    path.with_suffix(".parquet").unlink(missing_ok=True)
    return journal


def _header_of(machine: Any, run: Any, row: dict[str, Any]) -> dict[str, Any]:
    names = [field.name for field in (*RUN_FIELDS, *MACHINE_FIELDS)]
    return {
        "schema_version": SCHEMA_VERSION,
        "machine": dict(machine),
        "run": dict(run),
        "columns": {name: row[name] for name in names if name not in _ROW_COLUMNS},
    }


def _own(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the columns that the header repeats for all rows."""
    shared = {field.name for field in (*RUN_FIELDS, *MACHINE_FIELDS)} - _ROW_COLUMNS
    return {name: value for name, value in row.items() if name not in shared}


def selection_of(plan: Plan) -> dict[str, Any]:
    """The selection as JSON gives it back: what must agree for a run to be resumed."""
    fields = asdict(plan.selection).items()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}


def machine_columns(machine: Machine) -> dict[str, Any]:
    """The schema's machine columns; BLAS is known per worker."""
    gpu = machine.gpu
    return {
        "machine_id": machine.machine_id,
        "machine_type_id": machine.machine_type_id,
        "label": machine.label,
        "instance_type": machine.instance_type,
        "cpu_model": machine.cpu.model,
        "physical_cores": machine.cpu.physical_cores,
        "logical_cores": machine.cpu.logical_cores,
        "memory_bytes": machine.memory_bytes,
        "gpu_model": gpu.model if gpu else None,
        "gpu_count": gpu.count if gpu else 0,
        "gpu_memory_bytes": gpu.memory_bytes if gpu else None,
        "driver": gpu.driver if gpu else None,
        "cuda": gpu.cuda if gpu else None,
        "library_versions": machine.library_versions,
    }
