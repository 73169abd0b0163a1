"""The measurements as a DuckDB view over the runs' Parquet files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from collector.dataset.read import Dataset, FileProblem, RunInfo, merge_datasets, read_dataset
from collector.dataset.storage import as_path, as_url
from collector.errors import EstimateError
from collector.workloads import FAMILIES
from estimator.catalogue.hardware import match_gpu
from estimator.dataset.attach import VIEW, attach_index, create_rows, create_sources, create_views
from estimator.dataset.cache_directory import private_temporary_directory
from estimator.dataset.index import (
    LEAST_BYTES,
    Index,
    find_index,
    know_files,
    listed,
    quoted,
    row_files,
)
from estimator.dataset.tables import CELL_COLUMNS, MACHINE_COLUMNS, TABLES, WORK_COLUMNS

#: DuckDB's own memory; results are beside it. Sorting more goes through temporary files.
MEMORY_LIMIT = "256MB"
_MOST_THREADS = 4

#: A mode and families that never enter a fit: a single call that also loads and compiles, and
#: an operation that is repeated along a run to show drift.
FIRST_CALL = "first_call"
UNFITTED_WORKLOADS = tuple(name for name, family in FAMILIES.items() if not family.fitted)

_NORMAL_95_WIDTH = 3.92  # width of a 95 % interval in standard deviations

#: Column of ``Measurements.machines`` -> key of ``cpu`` in a run's fingerprint.
CPU_FACTS = {
    "cpu_family": "family",
    "cpu_model_number": "model_number",
    "last_level_cache_bytes": "last_level_cache_bytes",
}
#: Columns of ``Measurements.machines`` from the data sheet of the GPU.
GPU_FACTS = ("multiprocessors", "sheet_memory_bytes_per_s", "sheet_cache_bytes")


def empty_machines(machine_ids: Sequence[str]) -> pd.DataFrame:
    """The table of ``Measurements.machines`` where nothing is known but the identifiers."""
    table = pd.DataFrame({"machine_id": list(machine_ids), "label": list(machine_ids)})
    for name in (*MACHINE_COLUMNS[1:], "cpu_mhz", *CPU_FACTS, *GPU_FACTS):
        table[name] = None
    return table


def _gpu_facts(gpu_model: object) -> dict[str, float | None]:
    """What the data sheet says of the GPU; empty where data/hardware.csv does not have it."""
    spec = match_gpu(gpu_model) if isinstance(gpu_model, str) else None
    if spec is None:
        return {}
    rate, cache = spec.memory_bandwidth_gb_per_s, spec.last_level_cache_mib
    return {
        "multiprocessors": spec.sm_count,
        "sheet_memory_bytes_per_s": None if rate is None else 1e9 * rate,
        "sheet_cache_bytes": None if cache is None else 2**20 * cache,
    }


@dataclass(frozen=True)
class Measurements:
    """A dataset that is open for queries. Use ``connection.cursor()`` in each thread.

    The connection reads the dataset's own directories and nothing else: external access is
    off and the configuration is locked. It has the tables of ``dataset.index``; of a large
    dataset the view ``measurements`` of all rows is there for ``frame`` and ``query`` only.
    """

    connection: duckdb.DuckDBPyConnection
    problems: tuple[FileProblem, ...]
    runs: tuple[RunInfo, ...]
    fingerprint: str

    def frame(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        parameters: Sequence[Any] = (),
    ) -> pd.DataFrame:
        """Rows as a DataFrame. ``where`` is trusted SQL; values go into ``parameters``."""
        names = "*" if columns is None else ", ".join(f'"{name}"' for name in columns)
        query = f"select {names} from {VIEW}" + (f" where {where}" if where else "")
        return self.query(query, parameters)

    def query(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """Result of a trusted SQL query as a DataFrame, maps as dicts. Safe in any thread."""
        if VIEW in query:
            self._need_rows()
        result = self.connection.cursor().sql(query, params=list(parameters)).to_arrow_table()
        frame: pd.DataFrame = result.to_pandas(maps_as_pydicts="strict")
        return frame

    def _need_rows(self) -> None:
        """Where there is an index, the view of all rows is made when it is first asked for."""
        with contextlib.suppress(duckdb.CatalogException):  # another thread is making it
            create_rows(self.connection)

    @cached_property
    def machines(self) -> pd.DataFrame:
        """One row per machine: machine_id and what ``empty_machines`` names.

        As the machine's last run tells it; ``cpu_mhz`` is the median over all its rows, and
        ``GPU_FACTS`` come from the GPU's data sheet.
        """
        query = "select * from machine_facts order by machine_id"
        table = self.query(query)
        processors = {run.machine.get("machine_id"): run.machine.get("cpu") for run in self.runs}
        known = [processors.get(machine) or {} for machine in table["machine_id"]]
        for column, key in CPU_FACTS.items():
            values = [cpu.get(key) for cpu in known]
            table[column] = pd.Series(values, table.index, dtype=float)
        sheets = [_gpu_facts(model) for model in table["gpu_model"]]
        for column in GPU_FACTS:
            values = [sheet.get(column) for sheet in sheets]
            table[column] = pd.Series(values, table.index, dtype=float)
        return table.assign(label=table["label"].fillna(table["machine_id"]))


def load(*paths: str | Path, memory_limit: str = MEMORY_LIMIT) -> Measurements:
    """Open a dataset: directories of runs (searched recursively), or files of runs.

    Damaged and newer files are named in ``problems`` and left out. The index of a large dataset
    (``dataset.index``) is made or brought up to date. ``memory_limit``: of DuckDB, for itself.
    Raises DatasetError where a path does not exist.
    """
    index = _index_of(paths)
    known = {key: file.verdict for key, file in index.files.items()} if index else {}
    return open_dataset(
        merge_datasets(read_dataset(path, known) for path in paths), index, memory_limit
    )


def _index_of(paths: Sequence[str | Path]) -> Index | None:
    """Datasets in directories have one; single files and copies of a URL do not."""
    if not paths or any(as_url(path) is not None for path in paths):
        return None
    roots = [as_path(path) for path in paths]
    return find_index(roots) if all(root.is_dir() for root in roots) else None


def open_dataset(
    dataset: Dataset, index: Index | None = None, memory_limit: str = MEMORY_LIMIT
) -> Measurements:
    """A DuckDB connection, locked down, with the view ``measurements`` and the small tables."""
    known = know_files(dataset, index)
    connection = duckdb.connect(":memory:", config=_limits(memory_limit))
    connection.execute("set timezone = 'UTC'")
    create_sources(connection, dataset)
    large = sum(dataset.file_keys[path].size for path in known) >= LEAST_BYTES if index else False
    attached = index is not None and large and attach_index(connection, index, dataset, known)
    if not attached:
        create_views(connection)
    folders = listed({str(Path(file.path).parent) for file in row_files(dataset).values()})
    connection.execute(f"set allowed_directories = [{folders}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    digests = {path: file.sha256 for path, file in known.items()}
    fingerprint = _fingerprint(digests, dataset.journal_tables)
    return Measurements(connection, dataset.problems, dataset.runs, fingerprint)


def _limits(memory_limit: str) -> dict[str, str | bool | int | float | list[str]]:
    """DuckDB's settings: it may use this much memory, then files that are temporary."""
    folder = private_temporary_directory() / f"{os.getpid()}-{secrets.token_hex(8)}"
    return {
        "memory_limit": memory_limit,
        "threads": str(min(_MOST_THREADS, os.cpu_count() or 1)),
        "temp_directory": str(folder),
    }


def measured_cells(
    measurements: Measurements,
    machine_ids: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row per machine and cell, over all runs with status ok.

    ``machine_ids``, ``run_ids``: only these machines and runs (of runs, all rows are read).
    Columns: those that identify a cell, its work, and
    ``log_seconds`` (median over the runs of the logarithm of their medians), ``noise`` (standard
    error of a run's median in log units, from its 95 % interval), ``runs``, ``spread`` (standard
    deviation between runs in log units, NaN for one run) and ``samples`` (all runs together).
    Raises EstimateError where no row measured anything.
    """
    keys = ", ".join(f'"{name}"' for name in (*CELL_COLUMNS, "cell_id"))
    work = ", ".join(("params", *WORK_COLUMNS))
    # a row of a case that a newer collector knows cannot enter a fit
    cases = ", ".join(
        f"({quoted(name)}, {quoted(case)})"
        for name, family in FAMILIES.items()
        if name not in UNFITTED_WORKLOADS
        for case in family.cases
    )
    chosen = "true" if machine_ids is None else "list_contains(?, machine_id)"
    source, values = (
        "fit_cells",
        [list(names) for names in (run_ids, machine_ids) if names is not None],
    )
    if run_ids is not None:
        of_runs = "FROM (SELECT * FROM source_rows WHERE list_contains(?, run_id))"
        source = f"({TABLES['fit_cells'].replace('FROM source_rows', of_runs)})"
    query = f"""
        select {keys}, {work}, log_seconds, log_width / {_NORMAL_95_WIDTH} as noise,
            spread, runs, samples
        from {source} where (workload, "case") in ({cases}) and {chosen}
        order by {keys}
    """
    cells = measurements.query(query, values)
    if cells.empty:
        raise EstimateError(
            "no row with status ok in the dataset: run `python -m collector run` first, "
            "or point --data at a directory of finished runs"
        )
    return cells.drop(columns="cell_id")


def _fingerprint(digests: Mapping[Path, str], journal_tables: Sequence[pa.Table]) -> str:
    """sha256 over the names and contents of the files, whatever directory they lie in."""
    digest = hashlib.sha256()
    for file in sorted(digests, key=lambda file: file.name):
        digest.update(file.name.encode())
        digest.update(bytes.fromhex(digests[file]))
    for table in journal_tables:
        digest.update(repr(table.select(["run_id", "cell_id", "median_s"]).to_pylist()).encode())
    return digest.hexdigest()
