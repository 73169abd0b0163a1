"""Reading and writing datasets: a directory of runs, each one Parquet file or a journal.

Reading never stops at one bad file: it is set aside with the reason, and the rest goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collector.errors import DatasetError, OutputError
from collector.journal import SUFFIX, has_begun, read_journal, sync_directory
from collector.schema import (
    MACHINE_METADATA_KEY,
    RUN_METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_METADATA_KEY,
)
from collector.storage import as_path, as_url, local_copy, shown

#: how often to look again at a directory in which files changed their names meanwhile
_SCANS = 5


@dataclass(frozen=True)
class FileProblem:
    """A file that was set aside."""

    path: Path
    reason: str


@dataclass(frozen=True)
class RunInfo:
    """One run: where it lies, its machine's fingerprint, its summary, its number of rows."""

    path: Path
    run_id: str
    machine: Mapping[str, Any]
    run: Mapping[str, Any]
    rows: int
    finished: bool


@dataclass(frozen=True)
class Dataset:
    """What a path holds."""

    parquet_files: tuple[Path, ...]
    journal_tables: tuple[pa.Table, ...]
    problems: tuple[FileProblem, ...]
    runs: tuple[RunInfo, ...]


def read_dataset(path: str | Path) -> Dataset:
    """Look through a directory (with its subdirectories) or at one file; of a URL, at a copy.

    Raises DatasetError if there is nothing at the path, OutputError if a URL needs a package
    that is missing. A file that is damaged or newer is listed in ``problems``; an empty
    directory gives an empty dataset.
    """
    url = as_url(path)
    root = local_copy(url) if url is not None else as_path(path)
    try:
        if not root.exists():
            raise DatasetError(
                f"{root}: there is no such file or directory; give the path of a "
                "dataset, such as data/runs"
            )
        if root.is_dir():
            os.scandir(root).close()  # searching it would pass over what may not be read
    except OSError as error:
        raise DatasetError(f"{root}: cannot be read: {error.strerror or error}") from error
    for _ in range(_SCANS):
        dataset = _scan(root)
        # a run that ends or is resumed just now changes its form, and so its name
        if all(os.path.lexists(problem.path) for problem in dataset.problems):
            break
    if url is not None:
        dataset = replace(
            dataset,
            problems=tuple(
                FileProblem(problem.path, f"{problem.reason} (in {shown(url)})")
                for problem in dataset.problems
            ),
        )
    return dataset


def _scan(root: Path) -> Dataset:
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file())
    finished: dict[Path, RunInfo] = {}
    growing: dict[Path, tuple[RunInfo, pa.Table]] = {}
    problems: list[FileProblem] = []
    for file in files:
        try:
            if file.suffix == ".parquet":
                finished[file] = _inspect_parquet(file)
            elif file.suffix == SUFFIX:
                if has_begun(file):  # else killed before anything was measured
                    growing[file.with_suffix(".parquet")] = _inspect_journal(file)
            elif file == root:
                raise DatasetError(f"{file}: neither a Parquet file nor a journal of a run")
        except DatasetError as error:
            reason = str(error).removeprefix(f"{file}: ")
            problems.append(FileProblem(file, reason))
    # A run that was killed while it changed form lies there twice: the fuller form counts.
    for file in set(finished) & set(growing):
        if finished[file].rows >= growing[file][0].rows:
            del growing[file]
        else:
            del finished[file]
    return Dataset(
        parquet_files=tuple(finished),
        journal_tables=tuple(table for _, table in growing.values()),
        problems=tuple(problems),
        runs=(*finished.values(), *(info for info, _ in growing.values())),
    )


def merge_datasets(datasets: Iterable[Dataset]) -> Dataset:
    """Several paths as one dataset."""
    parts = list(datasets)
    return Dataset(
        parquet_files=tuple(file for part in parts for file in part.parquet_files),
        journal_tables=tuple(table for part in parts for table in part.journal_tables),
        problems=tuple(problem for part in parts for problem in part.problems),
        runs=tuple(info for part in parts for info in part.runs),
    )


def read_table(dataset: Dataset) -> pa.Table:
    """All rows of a dataset in memory, in the order of its files."""
    tables = [conform(pq.ParquetFile(file).read()) for file in dataset.parquet_files] + list(
        dataset.journal_tables
    )
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def read_run(path: Path) -> tuple[RunInfo, list[dict[str, Any]]]:
    """One finished or interrupted run's file with its rows. Raises DatasetError."""
    info = _inspect_parquet(path)
    rows = conform(pq.ParquetFile(path).read()).to_pylist(maps_as_pydicts="strict")
    return info, rows


def conform(table: pa.Table) -> pa.Table:
    """The table with exactly this schema's columns; missing ones are null."""
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def rows_to_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as dictionaries to a table; ``params`` and ``library_versions`` are mappings."""
    ready = []
    for row in rows:
        ready.append(
            {
                name: sorted(value.items()) if isinstance(value, Mapping) else value
                for name, value in row.items()
            }
        )
    return pa.Table.from_pylist(ready, schema=SCHEMA)


def write_run(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    machine: Mapping[str, Any],
    run: Mapping[str, Any],
) -> None:
    """Write a run's file so that it is there whole or not at all.

    Raises OutputError where the place cannot be written.
    """
    table = rows_to_table(rows).replace_schema_metadata(
        {
            VERSION_METADATA_KEY: str(SCHEMA_VERSION).encode(),
            MACHINE_METADATA_KEY: json.dumps(machine).encode(),
            RUN_METADATA_KEY: json.dumps(run).encode(),
        }
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as sink:
            pq.write_table(table, sink, compression="zstd")
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _inspect_parquet(path: Path) -> RunInfo:
    """Footer, schema and every page: a file of a few MB takes milliseconds to read whole."""
    try:
        file = pq.ParquetFile(path)
        for _ in file.iter_batches():
            pass
        metadata = file.schema_arrow.metadata or {}
        version = int(metadata.get(VERSION_METADATA_KEY, b"0"))
        machine = json.loads(metadata.get(MACHINE_METADATA_KEY, b"{}"))
        run = json.loads(metadata.get(RUN_METADATA_KEY, b"{}"))
        if not isinstance(machine, dict) or not isinstance(run, dict):
            raise ValueError("its metadata are not JSON objects")
    except (OSError, ValueError, pa.ArrowException) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DatasetError(f"{path}: damaged: {first}") from error
    if version > SCHEMA_VERSION:
        raise DatasetError(
            f"{path}: written by a newer collector (schema {version}, this one reads up to "
            f"{SCHEMA_VERSION}); update Breakeven"
        )
    if version < 1:
        raise DatasetError(f"{path}: not written by the collector (no schema version in it)")
    present = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
    for field in SCHEMA:
        if field.name in present and not present[field.name].equals(field.type):
            raise DatasetError(
                f"{path}: column {field.name} is {present[field.name]}, expected {field.type}"
            )
    missing = {"run_id", "machine_id", "cell_id", "status", "median_s"} - set(present)
    if missing:
        raise DatasetError(f"{path}: column {min(missing)} is missing")
    return RunInfo(
        path, str(run.get("run_id", path.stem)), machine, run, file.metadata.num_rows, True
    )


def _inspect_journal(path: Path) -> tuple[RunInfo, pa.Table]:
    contents = read_journal(path)
    header = contents.header
    try:
        table = rows_to_table({**header["columns"], **row} for row in contents.rows)
        info = RunInfo(
            path, header["run"]["run_id"], header["machine"], header["run"], len(table), False
        )
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: damaged journal: {error}") from error
    return info, table
