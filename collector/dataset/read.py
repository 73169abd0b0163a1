"""Reading and writing datasets: a directory of runs, each one Parquet file or a journal.

Reading never stops at one bad file: it is set aside with the reason, and the rest goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collector.dataset.file_keys import FileKey, find_files
from collector.dataset.journal import SUFFIX, has_begun, read_journal, sync_directory
from collector.dataset.parquet_checks import (
    DAMAGE,
    check_facts,
    check_pages,
    first_line,
    open_parquet,
    run_of,
)
from collector.dataset.storage import as_path, as_url, local_copy, shown
from collector.errors import DatasetError, OutputError
from collector.schema import (
    MACHINE_METADATA_KEY,
    RUN_METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_METADATA_KEY,
)

#: how often to look again at a directory in which files changed their names meanwhile
_SCANS = 5


@dataclass(frozen=True)
class FileProblem:
    """A file that was set aside."""

    path: Path
    reason: str


@dataclass(frozen=True)
class RunInfo:
    """One run: where it lies, its machine's fingerprint, its summary, its number of rows.

    ``whole``: its file has exactly the columns of the schema, as runs of this version have.
    """

    path: Path
    run_id: str
    machine: Mapping[str, Any]
    run: Mapping[str, Any]
    rows: int
    finished: bool
    whole: bool = False


#: what reading a Parquet file found: its run, or the reason why it is set aside
Verdict = RunInfo | str


@dataclass(frozen=True)
class Dataset:
    """What a path holds. ``file_keys`` tells of each Parquet file which state of it was read."""

    parquet_files: tuple[Path, ...]
    journal_tables: tuple[pa.Table, ...]
    problems: tuple[FileProblem, ...]
    runs: tuple[RunInfo, ...]
    file_keys: Mapping[Path, FileKey] = field(default_factory=dict)


def read_dataset(path: str | Path, known: Mapping[FileKey, Verdict] | None = None) -> Dataset:
    """Look through a directory (with its subdirectories) or at one file; of a URL, at a copy.

    A Parquet file in a state that is in ``known`` is not read again. A file that is damaged or
    newer is listed in ``problems``; an empty directory gives an empty dataset. Raises
    DatasetError if there is nothing at the path, OutputError if a URL needs a package that is
    missing.
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
        dataset = _scan(root, known or {})
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


def _scan(root: Path, known: Mapping[FileKey, Verdict]) -> Dataset:
    files = find_files(root)
    file_keys = {file: key for file, key in files.items() if file.suffix == ".parquet"}
    finished: dict[Path, RunInfo] = {}
    growing: dict[Path, tuple[RunInfo, pa.Table]] = {}
    problems: list[FileProblem] = []
    for file, key in files.items():
        try:
            if file.suffix == ".parquet":
                finished[file] = _run_of(file, key, known)
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
        file_keys=file_keys,
    )


def _run_of(path: Path, key: FileKey, known: Mapping[FileKey, Verdict]) -> RunInfo:
    verdict = known.get(key)
    if verdict is None:
        return _inspect_parquet(path)
    if isinstance(verdict, str):
        raise DatasetError(f"{path}: {verdict}")
    return verdict if verdict.path == path else replace(verdict, path=path)


def merge_datasets(datasets: Iterable[Dataset]) -> Dataset:
    """Several paths as one dataset."""
    parts = list(datasets)
    return Dataset(
        parquet_files=tuple(file for part in parts for file in part.parquet_files),
        journal_tables=tuple(table for part in parts for table in part.journal_tables),
        problems=tuple(problem for part in parts for problem in part.problems),
        runs=tuple(info for part in parts for info in part.runs),
        file_keys={file: key for part in parts for file, key in part.file_keys.items()},
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
        file = open_parquet(path)
        check_pages(path, file)
        machine, run = run_of(file)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    except DAMAGE as error:
        raise DatasetError(f"{path}: damaged: {first_line(error)}") from error
    run_id = str(run.get("run_id", path.stem))
    whole = set(file.schema_arrow.names) == set(SCHEMA.names)
    return RunInfo(path, run_id, machine, run, file.metadata.num_rows, True, whole)


def _inspect_journal(path: Path) -> tuple[RunInfo, pa.Table]:
    contents = read_journal(path)
    header = contents.header
    try:
        table = rows_to_table({**header["columns"], **row} for row in contents.rows)
        machine, run = header["machine"], header["run"]
        check_facts(machine, run)
        info = RunInfo(path, str(run["run_id"]), machine, run, len(table), False)
    except (KeyError, TypeError, *DAMAGE) as error:
        raise DatasetError(f"{path}: damaged journal: {first_line(error)}") from error
    return info, table
