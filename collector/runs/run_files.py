"""Where a run is kept while it grows: a new journal, or the one of a run to go on with."""

from __future__ import annotations

import errno
import os
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector import __version__
from collector.dataset.journal import SUFFIX, Journal, read_journal
from collector.dataset.read import read_run
from collector.errors import DatasetError, OutputError
from collector.machine.fingerprint import Machine
from collector.runs.plan import Plan
from collector.schema import MACHINE_FIELDS, RUN_FIELDS, SCHEMA_VERSION

#: columns of the run and machine groups that differ from row to row
_ROW_COLUMNS = {"order_index", "launch_index", "blas", "blas_threads"}
_STAMP = "%Y%m%dT%H%M%SZ"


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
    path = out / machine.slug / f"{_stamp(out, machine, now)}-{run_id}{SUFFIX}"
    return OpenRun(Journal(path, header), (), header)


def resume_run(plan: Plan, machine: Machine, out: Path) -> OpenRun:
    """The newest run of this machine and this selection that was killed or interrupted.

    Raises OutputError if there is none, or if its collector is still alive.
    """
    path = find_unfinished(plan, machine, out)
    if path is None:
        raise nothing_to_resume(str(out))
    if path.suffix != SUFFIX:
        _begin_journal(path)
    journal = Journal(path.with_suffix(SUFFIX), None)
    # read under the journal's lock: until then another collector may have added rows
    contents = read_journal(journal.path)
    path.with_suffix(".parquet").unlink(missing_ok=True)
    return OpenRun(journal, tuple(contents.rows), contents.header)


def find_unfinished(plan: Plan, machine: Machine, out: Path) -> Path | None:
    """Journal or file of the run that ``resume_run`` would go on with."""
    for path in _unfinished(out, machine):
        try:
            header = read_journal(path).header if path.suffix == SUFFIX else _read_file(path)[0]
        except DatasetError:
            continue  # damaged or newer: not a run that this collector can go on with
        # a label is for people, and a cloud's metadata service may be silent the second time
        same_place = header["columns"].get("collector_version") == __version__ and all(
            header["columns"].get(name) == value
            for name, value in machine_columns(machine).items()
            if name not in ("label", "instance_type")
        )
        if header["run"].get("selection") == selection_of(plan) and same_place:
            return path
    return None


def nothing_to_resume(place: str) -> OutputError:
    return OutputError(
        f"{place}: no unfinished run of this machine with this suite, seed, selection and these "
        "library versions to resume; leave --resume out to start one"
    )


def _stamp(out: Path, machine: Machine, now: datetime) -> str:
    """The moment as a file name begins with it, later than those of all earlier runs.

    Names are what tells the newest run, also when the clock was set back in between or when
    two runs begin within a second.
    """
    for path in out.glob(f"*{machine.machine_id[:8]}/*"):
        match = re.match(r"(\d{8}T\d{6}Z)-[0-9a-f]+\.", path.name)
        if match is None:
            continue
        try:
            earlier = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
            now = max(now, earlier + timedelta(seconds=1))
        except (ValueError, OverflowError):
            continue  # digits that are no moment
    return now.strftime(_STAMP)


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


def _begin_journal(path: Path) -> None:
    """Beside an interrupted run's file, a journal with its rows, in a single step."""
    header, rows = _read_file(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp")
    try:
        copy = Journal(temporary, header)
        for row in rows:
            copy.append(row)
        copy.close()
        _name_once(temporary, path.with_suffix(SUFFIX))
    except FileExistsError as error:
        raise OutputError(f"{path}: another collector is going on with this run") from error
    except OSError as error:
        raise OutputError(
            f"cannot write {path.with_suffix(SUFFIX)}: {error.strerror or error}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _name_once(temporary: Path, target: Path) -> None:
    """Unlike a rename, a link never takes the place of a journal that is already growing."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        if target.exists():  # a file system without links: as good as it can be
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        temporary.rename(target)


def _read_file(path: Path) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """Header and rows of an interrupted run's file, as its journal has them."""
    info, rows = read_run(path)
    return _header_of(info.machine, info.run, rows[0]), tuple(map(_own, rows))


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
