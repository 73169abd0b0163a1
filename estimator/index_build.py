"""Making the small tables of a dataset (``estimator.index_tables``) in a DuckDB database.

They are made for a few machines at a time, so that making them takes little memory whatever the
number of rows, and so that a new run costs the rows of its machine only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from collector.dataset import Dataset
from collector.schema import SCHEMA
from estimator.index_files import KnownFile
from estimator.index_tables import ROW_COLUMNS, TABLES

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
    """What the runs' summaries say: the table ``run_files`` of ``index_tables``."""
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
