"""The index of a dataset: small tables made once, kept in the user's cache directory.

Pages and fits read these tables, not the rows (the view ``measurements``), which may be millions.
The index is derived from the dataset and may be deleted at any time. It is one DuckDB database
for a dataset, written whole or not at all; it also keeps what reading each file found, so that
a file that has not changed is not read again. A small dataset has no index: there the tables are
views. Rows of runs that still grow are not in the index, but in the tables.

Tables; times are seconds of one call, moments are UTC, and a regular row is one of neither mode
first_call nor workload anchor:

``runs``
    One row per file, run and machine: machine_id, run_id, label, suite, started_at,
    collector_version, rows, regular, ok, not_ok (regular rows by status), samples (of regular
    ok rows), first_at and last_at (of regular rows), path (its file), and of the run's summary
    finished, cells_planned, wall_s, ended (NULL where unknown).
``machines``
    One row per machine, as its latest run tells it: machine_id, label, instance_type, cpu_model,
    physical_cores, logical_cores, memory_bytes, gpu_model, gpu_count, gpu_memory_bytes, driver,
    cuda, runs, ok, not_ok (regular rows), suites, first_at, last_at, machine_type_id.
``machine_facts``
    What ``Measurements.machines`` starts from.
``coverage``
    machine_id, workload ("unknown" for none), device, ok, failed, unsupported: regular rows.
``statuses``
    machine_id, status, cells: regular rows.
``failures``
    Of each machine the newest 500 regular rows without a time, unsupported ones last:
    machine_id, run_id, status, workload, case, params, dtype, backend, device, mode, error,
    started_at, order_index.
``cells``
    One row per machine and cell with a time, first calls included, anchors not: machine_id,
    workload, case, params, size, dtype, math_mode, backend, device, threads, mode, cell_id,
    median_s, ci95_low_s and ci95_high_s (the widest of its launches), min_s, p95_s, spread
    (std_s / mean_s), n, launches, noisy, noise_reasons, outliers, energy_j, flop_count,
    memory_bytes, bus_bytes, started_at (latest), best_median_s (of its launches),
    last_median_s (of its latest launch), kernel_count, throttled.
``fit_cells``
    What ``measured_cells`` starts from.
``anchors``
    machine_id, run_id, started_at, device, backend, threads, repetition, median_s, relative
    (deviation from the first repetition of that run, device and library).
``health``
    One row per machine, over regular ok rows: machine_id, cells, noisy_share, median_spread,
    worst_steal, involuntary_switches, throttled_share (of rows on a GPU), hottest_c,
    median_sm_clock_mhz, highest_power_w, pcie_generation, pcie_width, other_gpu_processes,
    worst_relative_error.
``run_health``
    The same per machine_id, run_id (with started_at) and device.
``noise``
    machine_id, workload, device, cells, noisy_share, median_spread: regular ok rows.
``reasons``
    machine_id, kind ("noise" or "throttle"), reason, cells: regular ok rows with that reason.

The tables (``dataset.tables``) are made for a few machines at a time, so that making them takes
little memory whatever the number of rows, and so that a new run costs the rows of its machine only.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from collector.dataset.file_keys import FileKey
from collector.dataset.read import Dataset, RunInfo, Verdict
from collector.schema import SCHEMA
from collector.shipped import ROOT
from estimator.dataset.cache_directory import stamp_of, user_cache_directory
from estimator.dataset.tables import ROW_COLUMNS, TABLES

_FILES_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("path",)),
        *((name, pa.int64()) for name in ("size", "mtime_ns")),
        ("inode", pa.uint64()),
        *((name, pa.string()) for name in ("sha256", "reason", "run_id", "machine", "run")),
        ("row_count", pa.int64()),
        ("whole", pa.bool_()),
        ("machine_ids", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class KnownFile:
    """What the index keeps of one state of one Parquet file.

    ``sha256`` (hex) of its contents and the ``machine_ids`` of its rows, "" for a row without
    one; both are empty for a file that is set aside.
    """

    verdict: Verdict
    sha256: str = ""
    machine_ids: tuple[str, ...] = ()


def files_table(files: Mapping[FileKey, KnownFile]) -> pa.Table:
    """The table in which the index keeps what it knows of files; ``read_files`` reads it."""
    rows = []
    for key, known in files.items():
        row: dict[str, object] = {**key._asdict(), "sha256": known.sha256}
        row["machine_ids"] = list(known.machine_ids)
        if isinstance(known.verdict, str):
            row["reason"] = known.verdict
        else:
            info = known.verdict
            row |= {"run_id": info.run_id, "row_count": info.rows, "whole": info.whole}
            row |= {"machine": json.dumps(info.machine), "run": json.dumps(info.run)}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_FILES_SCHEMA)


def read_files(rows: Iterable[tuple[Any, ...]]) -> dict[FileKey, KnownFile]:
    """What ``files_table`` wrote, from the table's rows.

    Raises ValueError, KeyError or TypeError for rows of another kind.
    """
    machines: dict[str, dict[str, object]] = {}  # the same object for runs of one machine
    found = {}
    for values in rows:
        row = dict(zip(_FILES_SCHEMA.names, values, strict=True))
        key = FileKey(row["path"], row["size"], row["mtime_ns"], row["inode"])
        verdict: Verdict
        if row["reason"] is not None:
            verdict = row["reason"]
        else:
            text = row["machine"]
            if text not in machines:
                machines[text] = json.loads(text)
            verdict = RunInfo(
                path=Path(row["path"]),
                run_id=row["run_id"],
                machine=machines[text],
                run=json.loads(row["run"]),
                rows=row["row_count"],
                finished=True,
                whole=row["whole"],
            )
        found[key] = KnownFile(verdict, row["sha256"], tuple(row["machine_ids"]))
    return found


_BATCH_ROWS = 100_000  # looked at together, some 80 MB
_UNSORTED = {"cells": "unsorted_cells"}
_CELLS_ORDER = 'workload, "case", machine_id, size'
_RUN_FILES_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("finished", pa.bool_()),
        ("whole", pa.bool_()),
        ("cells_planned", pa.int64()),
        ("wall_s", pa.float64()),
        ("ended", pa.string()),
    ]
)


@dataclass(frozen=True)
class RowFile:
    """A Parquet file to read rows from. ``whole``: it has every column of the schema."""

    path: str
    whole: bool


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def listed(values: Iterable[str]) -> str:
    """Texts as the inside of a list of SQL."""
    return ", ".join(map(quoted, sorted(values)))


def row_files(dataset: Dataset) -> dict[Path, RowFile]:
    """The Parquet files of a dataset with their real paths."""
    folders: dict[Path, Path] = {}
    whole = {info.path for info in dataset.runs if info.whole}
    found = {}
    for file in dataset.parquet_files:
        if file.parent not in folders:
            folders[file.parent] = file.parent.resolve()
        found[file] = RowFile(str(folders[file.parent] / file.name), file in whole)
    return found


def rows_query(files: Collection[RowFile]) -> str:
    """A query for the rows of Parquet files with their ``path``; "" for no files.

    Columns that a file lacks are null. Looking for them takes the footer of each file that is
    not whole; of the others only the first one's is read before the rows.
    """
    parts = []
    for whole, option in ((True, ""), (False, ", union_by_name = true")):
        paths = listed({file.path for file in files if file.whole == whole})
        if paths:
            parts.append(f"SELECT * FROM read_parquet([{paths}], filename = 'path'{option})")
    return " UNION ALL BY NAME ".join(parts)


def run_files_table(dataset: Dataset) -> pa.Table:
    """What the runs' summaries say: the table ``run_files`` of ``tables``."""
    real = row_files(dataset)
    columns: dict[str, list[object]] = {name: [] for name in _RUN_FILES_SCHEMA.names}
    for info in dataset.runs:
        file = real.get(info.path)
        planned, wall_s = info.run.get("cells_planned"), info.run.get("wall_s")
        columns["path"].append(file.path if file else str(info.path))
        columns["finished"].append(info.finished)
        columns["whole"].append(info.whole)
        columns["cells_planned"].append(planned if _is_count(planned) else None)
        columns["wall_s"].append(float(wall_s) if isinstance(wall_s, (int, float)) else None)
        ended = str(info.run.get("ended", "complete")) if info.finished else None
        columns["ended"].append(ended)
    return pa.table(columns, schema=_RUN_FILES_SCHEMA)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**53


def empty_rows() -> pa.Table:
    """No rows, with the columns of ``source_rows``."""
    return SCHEMA.empty_table().append_column("path", pa.array([], pa.string()))


def create_table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """A table of DuckDB with these rows."""
    connection.register("_arrow_rows", rows)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM _arrow_rows")
    connection.unregister("_arrow_rows")


def create_tables(connection: duckdb.DuckDBPyConnection, rows: str, schema: str) -> None:
    """Make every table in ``schema`` from the table ``rows``."""
    for name, statement in TABLES.items():
        query = statement.replace("source_rows", rows)
        connection.execute(f"CREATE TABLE {schema}.{name} AS {query}")


def read_thin_rows(
    connection: duckdb.DuckDBPyConnection, name: str, source: str, machine_ids: Collection[str]
) -> None:
    """Make the temporary table ``name``: rows of these machines, with ``ROW_COLUMNS``."""
    columns = ", ".join(f'"{column}"' for column in ROW_COLUMNS)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {columns} "
        f"FROM ({source}) WHERE coalesce(machine_id, '') IN ({listed(machine_ids)})"
    )


def machines_of(
    connection: duckdb.DuckDBPyConnection, files: Collection[RowFile]
) -> dict[str, tuple[str, ...]]:
    """Real path -> the machines of the file's rows."""
    if not files:
        return {}
    found = connection.execute(
        "SELECT path, list_sort(list(DISTINCT coalesce(machine_id, ''))) "
        f"FROM ({rows_query(files)}) GROUP BY path"
    ).fetchall()
    return {path: tuple(machines) for path, machines in found}


def build_tables(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    known: Mapping[Path, KnownFile],
    base: str | None,
    affected: Collection[str],
) -> None:
    """Make every table in the connection's database from the finished runs of a dataset.

    Rows of machines that are not ``affected`` are copied from the attached database ``base``,
    if there is one; those of the others are read from their files.
    """
    finished = Dataset(
        dataset.parquet_files, (), (), tuple(info for info in dataset.runs if info.finished)
    )
    create_table(connection, "run_files", run_files_table(finished))
    create_table(connection, "no_rows", empty_rows())
    create_tables(connection, "no_rows", "main")
    # read by case, made by machine: sorted once all are there
    connection.execute("CREATE TEMP TABLE unsorted_cells AS FROM cells")
    if base is not None:
        others = f"coalesce(machine_id, '') NOT IN ({listed(affected)})" if affected else "true"
        for name in TABLES:
            target = _UNSORTED.get(name, name)
            connection.execute(f"INSERT INTO {target} SELECT * FROM {base}.{name} WHERE {others}")
    files = row_files(dataset)
    counts = {info.path: info.rows for info in finished.runs}
    by_machine: dict[str, list[Path]] = {machine: [] for machine in affected}
    for path in files:
        for machine in known[path].machine_ids:
            if machine in by_machine:
                by_machine[machine].append(path)
    for machines in _batches(by_machine, counts):
        paths = {path for machine in machines for path in by_machine[machine]}
        if paths:
            source = rows_query([files[path] for path in paths])
            read_thin_rows(connection, "batch_rows", source, machines)
            for name, statement in TABLES.items():
                query = statement.replace("source_rows", "batch_rows")
                connection.execute(f"INSERT INTO {_UNSORTED.get(name, name)} {query}")
    connection.execute(f"INSERT INTO cells FROM unsorted_cells ORDER BY {_CELLS_ORDER}")
    for name in ("run_files", "no_rows", "unsorted_cells"):
        connection.execute(f"DROP TABLE {name}")


def _batches(
    by_machine: Mapping[str, list[Path]], counts: Mapping[Path, int]
) -> Iterator[list[str]]:
    """Machines in groups of some ``_BATCH_ROWS`` rows."""
    batch: list[str] = []
    size = 0
    for machine, paths in sorted(by_machine.items()):
        rows = sum(counts.get(path, 0) for path in paths)
        if batch and size + rows > _BATCH_ROWS:
            yield batch
            batch, size = [], 0
        batch.append(machine)
        size += rows
    if batch:
        yield batch


logger = logging.getLogger(__name__)

#: Parquet files of a dataset that take less (B) are quicker to aggregate than to index.
LEAST_BYTES = 4 * 2**20
_MOST_KEPT = 6  # indexes of other datasets and of older versions
_BUILD_LIMITS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "256MB",
    "threads": "2",
}
_OLD = "earlier"


@dataclass(frozen=True)
class Index:
    """An index on disk and what it knows of the dataset's files: nothing where there is none.

    The size of its file is the end of the file's name, so that one that was cut is not opened.
    """

    folder: Path
    name: str
    path: Path | None = None
    files: Mapping[FileKey, KnownFile] = field(default_factory=dict)

    def written(self) -> list[Path]:
        """Files of this index, whole ones only, the newest first. There is one but for moments."""
        with contextlib.suppress(OSError):
            found = [(file.stat(), file) for file in self.folder.glob(f"{self.name}-*.duckdb")]
            whole = [
                (facts.st_mtime_ns, file)
                for facts, file in found
                if file.stem.endswith(f"-{facts.st_size}")
            ]
            return [file for _, file in sorted(whole, reverse=True)]
        return []


def find_index(roots: Sequence[Path]) -> Index:
    """The index of the dataset in these directories; an empty one if it is missing or damaged."""
    text = "\n".join(sorted(str(root.absolute()) for root in roots))
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    index = Index(user_cache_directory(), f"index-{_version()}-{key}")
    for path in index.written():
        files = _read_known(path)
        if files:
            return replace(index, path=path, files=files)
    return index


@cache
def _version() -> str:
    """What an index depends on beside the dataset: how files are judged, how tables are made."""
    reader = ROOT / "collector"
    made = stamp_of(ROOT / "estimator" / "dataset", reader / "dataset", reader / "schema.py")
    return f"{made}-{duckdb.__version__}"


def _read_known(path: Path) -> dict[FileKey, KnownFile]:
    try:
        with duckdb.connect(str(path), read_only=True, config={"threads": "1"}) as connection:
            found = connection.execute("SELECT * FROM files")
            return read_files(itertools.chain.from_iterable(iter(lambda: found.fetchmany(100), [])))
    except (duckdb.Error, OSError, ValueError, KeyError, TypeError):
        return {}


def know_files(dataset: Dataset, index: Index | None) -> dict[Path, KnownFile]:
    """What is known of each good Parquet file of the dataset, without its machines if it is new.

    Files that are not in the index are read for their digest.
    """
    infos = {info.path: info for info in dataset.runs if info.finished}
    known = {}
    for path in dataset.parquet_files:
        kept = index.files.get(dataset.file_keys[path]) if index and dataset.file_keys else None
        if kept is not None and not isinstance(kept.verdict, str):
            known[path] = kept
        else:
            with open(path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            known[path] = KnownFile(infos[path], digest)
    return known


def current_index(
    index: Index, dataset: Dataset, known: dict[Path, KnownFile]
) -> tuple[Path | None, bool]:
    """The database file of an index of exactly these files, made or brought up to date.

    The second value says whether the caller is to remove it once it is open: where the cache
    directory cannot be written, the index is a temporary file. None where there is no place at
    all. ``known`` gets the machines of files that are new.
    """
    if index.path is not None and index.files.keys() == _files_now(dataset, known).keys():
        with contextlib.suppress(OSError):
            os.utime(index.path)  # the least used ones are forgotten
        return index.path, False
    for folder in (index.folder, Path(tempfile.gettempdir())):
        made = folder / f".{index.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _build(made, index, dataset, known)
            if folder != index.folder:
                return made, True
            target = folder / f"{index.name}-{made.stat().st_size}.duckdb"
            made.replace(target)
            _forget_old(index, target)
            return target, False
        except (duckdb.Error, OSError):
            logger.warning("no index could be written to %s", folder, exc_info=True)
            for file in (made, made.with_name(f"{made.name}.wal")):
                with contextlib.suppress(OSError):
                    file.unlink()
    return None, False


def _files_now(dataset: Dataset, known: Mapping[Path, KnownFile]) -> dict[FileKey, KnownFile]:
    """What the index is to know: good files, and bad ones with the reason."""
    files = {dataset.file_keys[path]: file for path, file in known.items()}
    for problem in dataset.problems:
        if problem.path in dataset.file_keys:
            files[dataset.file_keys[problem.path]] = KnownFile(problem.reason)
    return files


def _build(target: Path, index: Index, dataset: Dataset, known: dict[Path, KnownFile]) -> None:
    """Write the index of these files to ``target``. Of an older one only what changed is made."""
    files = row_files(dataset)
    with duckdb.connect(str(target), config=_BUILD_LIMITS) as connection:
        connection.execute("SET timezone = 'UTC'")
        new = {path for path in known if dataset.file_keys[path] not in index.files}
        machines = machines_of(connection, [files[path] for path in new])
        for path in new:
            known[path] = replace(known[path], machine_ids=machines.get(files[path].path, ()))
        now = _files_now(dataset, known)
        gone = [file for key, file in index.files.items() if key not in now]
        changed = [*(known[path] for path in new), *gone]
        affected = {machine for file in changed for machine in file.machine_ids}
        base = None
        if index.path is not None:
            connection.execute(f"ATTACH {quoted(str(index.path))} AS {_OLD} (READ_ONLY)")
            base = _OLD
        build_tables(connection, dataset, known, base, affected)
        create_table(connection, "files", files_table(now))
        connection.execute("CHECKPOINT")


def _forget_old(index: Index, newest: Path) -> None:
    """Delete what the newest file of an index replaces, and the least used others.

    Those who have a deleted file open go on with it.
    """
    with contextlib.suppress(OSError):
        replaced = {file for file in index.folder.glob(f"{index.name}-*.duckdb") if file != newest}
        files = set(index.folder.glob("index-*.duckdb")) - replaced
        oldest_first = sorted(files, key=lambda file: file.stat().st_mtime)
        for file in (*replaced, *oldest_first[:-_MOST_KEPT]):
            file.unlink()
