"""Views and tables of a dataset in the connection that pages and fits query."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from collector.dataset.read import Dataset
from collector.schema import SCHEMA
from estimator.dataset.index import (
    Index,
    KnownFile,
    RowFile,
    create_table,
    create_tables,
    current_index,
    empty_rows,
    listed,
    quoted,
    read_thin_rows,
    row_files,
    rows_query,
    run_files_table,
)
from estimator.dataset.tables import TABLES

#: the view of all rows of a dataset, with the columns of the schema
VIEW = "measurements"
_ATTACHED = "indexed"  # the name of the index in a connection
_FRESH = "growing"  # the schema of tables that are made when a dataset is opened


def create_sources(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    """Make the tables ``journal_rows`` and ``run_files``."""
    growing = [str(info.path) for info in dataset.runs if not info.finished]
    tables = [
        table.append_column("path", pa.array([path] * len(table), pa.string()))
        for path, table in zip(growing, dataset.journal_tables, strict=True)
    ]
    create_table(connection, "journal_rows", pa.concat_tables([empty_rows(), *tables]))
    create_table(connection, "run_files", run_files_table(dataset))


def create_rows(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views of all rows: ``source_rows``, and ``VIEW``, where they are not there.

    Thousands of files take some 20 MB for as long as the views are there.
    """
    found = connection.cursor().execute("SELECT path, whole FROM run_files WHERE finished")
    files = [RowFile(path, whole) for path, whole in found.fetchall()]
    sources = ["SELECT * FROM journal_rows", rows_query(files)]
    union = " UNION ALL BY NAME ".join(filter(None, sources))
    columns = ", ".join(f'"{name}"' for name in SCHEMA.names)
    rows = f"CREATE VIEW IF NOT EXISTS source_rows AS SELECT {columns}, path FROM ({union})"
    view = f"CREATE VIEW IF NOT EXISTS {VIEW} AS SELECT {columns} FROM source_rows"
    with connection.cursor() as cursor:
        cursor.execute(rows)
        cursor.execute(view)


def rows_in(connection: duckdb.DuckDBPyConnection, paths: Iterable[str]) -> str:
    """A query for the rows in these files of the dataset (``path`` of table ``runs``) alone."""
    asked = set(paths)
    found = connection.cursor().execute(
        "SELECT path, whole FROM run_files WHERE finished AND list_contains(?, path)",
        [sorted(asked)],
    )
    files = [RowFile(path, whole) for path, whole in found.fetchall()]
    growing = f"SELECT * FROM journal_rows WHERE path IN ({listed(asked) or 'NULL'})"
    return " UNION ALL BY NAME ".join(filter(None, [growing, rows_query(files)]))


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Every table as a view over the rows: nothing to make, and each query reads the rows."""
    create_rows(connection)
    for name, query in TABLES.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")


def attach_index(
    connection: duckdb.DuckDBPyConnection,
    index: Index,
    dataset: Dataset,
    known: dict[Path, KnownFile],
) -> bool:
    """Show the tables of the dataset's index, made or brought up to date, as views.

    Tables of machines with runs that still grow are made here. False where an index can neither
    be written nor read.
    """
    if not _attach(connection, index, dataset, known):
        # another process has replaced the file just now, or it cannot be read
        anew = replace(index, path=None, files={})
        if not _attach(connection, anew, dataset, known):
            return False
    growing = _make_growing(connection, dataset, known)
    for name in TABLES:
        query = f"SELECT * FROM {_ATTACHED}.{name}"
        if growing:
            query += f" WHERE coalesce(machine_id, '') NOT IN ({listed(growing)})"
            query += f" UNION ALL SELECT * FROM {_FRESH}.{name}"
        connection.execute(f"CREATE VIEW {name} AS {query}")
    return True


def _attach(
    connection: duckdb.DuckDBPyConnection,
    index: Index,
    dataset: Dataset,
    known: dict[Path, KnownFile],
) -> bool:
    path, is_temporary = current_index(index, dataset, known)
    if path is None:
        return False
    try:
        connection.execute(f"ATTACH {quoted(str(path))} AS {_ATTACHED} (READ_ONLY)")
    except duckdb.Error:
        return False
    finally:
        if is_temporary:
            with contextlib.suppress(OSError):
                path.unlink()
    return True


def _make_growing(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, known: dict[Path, KnownFile]
) -> set[str]:
    """Make the tables of machines that have a run in a journal; the machines."""
    found = connection.execute("SELECT DISTINCT coalesce(machine_id, '') FROM journal_rows")
    machines = {machine for (machine,) in found.fetchall()}
    if machines:
        files = row_files(dataset)
        theirs = [files[path] for path in files if machines & set(known[path].machine_ids)]
        sources = ["SELECT * FROM journal_rows", rows_query(theirs)]
        union = " UNION ALL BY NAME ".join(filter(None, sources))
        connection.execute(f"CREATE SCHEMA {_FRESH}")
        read_thin_rows(connection, "growing_rows", union, machines)
        create_tables(connection, "growing_rows", _FRESH)
        connection.execute("DROP TABLE growing_rows")
    return machines
