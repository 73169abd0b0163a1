"""Where a run is kept while it grows: a new journal, or the one of a run to go on with."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
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
    header = {
        "schema_version": SCHEMA_VERSION,
        "machine": machine.as_dict(),
        "run": {**run, "started_at": now.isoformat()},
        "columns": {"schema_version": SCHEMA_VERSION, **run, **machine_columns(machine)},
    }
    path = out / machine.slug / f"{now:%Y%m%dT%H%M%SZ}-{run_id}{SUFFIX}"
    return OpenRun(Journal(path, header), (), header)


def resume_run(plan: Plan, machine: Machine, out: Path) -> OpenRun:
    """The newest run of this machine, suite and seed that was killed or interrupted.

    Raises OutputError if there is none.
    """
    directory = out / machine.slug
    wanted = (plan.selection.suite, plan.selection.seed)
    for header, rows, path in _unfinished(directory):
        if (header["run"]["suite"], header["run"]["seed"]) == wanted:
            if path.suffix == SUFFIX:
                return OpenRun(Journal(path, None), rows, header)
            journal = Journal(path.with_suffix(SUFFIX), header)
            for row in rows:
                journal.append(row)
            return OpenRun(journal, rows, header)
    raise OutputError(
        f"{directory}: no unfinished run of suite {wanted[0]} with seed {wanted[1]} to resume; "
        "leave --resume out to start one"
    )


def _unfinished(
    directory: Path,
) -> Iterator[tuple[dict[str, Any], tuple[dict[str, Any], ...], Path]]:
    """Header, rows and path of journals and of interrupted runs' files, the newest first."""
    paths = [*directory.glob(f"*{SUFFIX}"), *directory.glob("*.parquet")]
    for path in sorted(paths, reverse=True):
        try:
            if path.suffix == SUFFIX:
                contents = read_journal(path)
                yield contents.header, tuple(contents.rows), path
                continue
            info, rows = read_run(path)
        except DatasetError:
            continue  # damaged or newer: not a run that this collector can go on with
        if info.run.get("interrupted") and rows:
            yield _header_of(info.machine, info.run, rows[0]), tuple(map(_own, rows)), path


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
