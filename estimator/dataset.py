"""The measurements as a DuckDB view over the runs' Parquet files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from collector.dataset import Dataset, FileProblem, RunInfo, merge_datasets, read_dataset
from collector.errors import EstimateError
from collector.schema import SCHEMA
from collector.workloads import FAMILIES, ITEM_BYTES
from estimator.hardware import match_gpu

VIEW = "measurements"

#: A mode and families that never enter a fit: a single call that also loads and compiles, and
#: an operation that is repeated along a run to show drift.
FIRST_CALL = "first_call"
UNFITTED_WORKLOADS = ("anchor",)

CELL_COLUMNS = (
    "machine_id",
    "device",
    "backend",
    "threads",
    "workload",
    "case",
    "dtype",
    "math_mode",
    "mode",
)
WORK_COLUMNS = (
    "flop_count",
    "bytes_read",
    "bytes_written",
    "h2d_bytes",
    "d2h_bytes",
    "kernel_count",
)
#: Medians outside are no times of an operation: below any clock's step, or some thirty years.
_SHORTEST_S, _LONGEST_S = 1e-12, 1e9
_NORMAL_95_WIDTH = 3.92  # width of a 95 % interval in standard deviations

MACHINE_COLUMNS = (
    "label",
    "machine_type_id",
    "instance_type",
    "cpu_model",
    "physical_cores",
    "memory_bytes",
    "gpu_model",
    "gpu_count",
    "gpu_memory_bytes",
)
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
    off and the configuration is locked.
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
        result = self.connection.cursor().sql(query, params=list(parameters)).to_arrow_table()
        frame: pd.DataFrame = result.to_pandas(maps_as_pydicts="strict")
        return frame

    @cached_property
    def machines(self) -> pd.DataFrame:
        """One row per machine: machine_id and what ``empty_machines`` names.

        As the machine's last run tells it; ``cpu_mhz`` is the median over all its rows, and
        ``GPU_FACTS`` come from the GPU's data sheet.
        """
        facts = ", ".join(
            f"coalesce(arg_max({name}, started_at), any_value({name})) as {name}"
            for name in MACHINE_COLUMNS
        )
        query = (
            f"select machine_id, {facts}, median(cpu_mhz) as cpu_mhz from {VIEW} "
            "where machine_id is not null group by machine_id order by machine_id"
        )
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


def load(*paths: str | Path) -> Measurements:
    """Open a dataset: directories of runs (searched recursively), or files of runs.

    Damaged and newer files are named in ``problems`` and left out. Raises DatasetError where
    a path does not exist.
    """
    return open_dataset(merge_datasets(read_dataset(path) for path in paths))


def open_dataset(dataset: Dataset) -> Measurements:
    """A DuckDB connection, locked down, with the view ``measurements``."""
    connection = duckdb.connect(":memory:")
    connection.execute("set timezone = 'UTC'")
    empty = SCHEMA.empty_table()
    connection.register("_journal_rows", pa.concat_tables([empty, *dataset.journal_tables]))
    connection.execute("create table journal_rows as select * from _journal_rows")
    connection.unregister("_journal_rows")
    files = [str(file.resolve()) for file in dataset.parquet_files]
    sources = ["select * from journal_rows"]
    if files:
        listed = ", ".join(_quoted(file) for file in files)
        sources.append(f"select * from read_parquet([{listed}], union_by_name = true)")
    union = " union all by name ".join(sources)
    folders = sorted({str(file.parent.resolve()) for file in dataset.parquet_files})
    allowed = ", ".join(_quoted(folder) for folder in folders)
    connection.execute(f"set allowed_directories = [{allowed}]")
    connection.execute("set enable_external_access = false")
    columns = ", ".join(f'"{name}"' for name in SCHEMA.names)
    connection.execute(f"create view {VIEW} as select {columns} from ({union})")
    connection.execute("set lock_configuration = true")
    return Measurements(connection, dataset.problems, dataset.runs, _fingerprint(dataset))


def measured_cells(measurements: Measurements) -> pd.DataFrame:
    """One row per machine and cell, over all runs with status ok.

    Columns: those that identify a cell, its work, and ``log_seconds`` (median over the runs of
    the logarithm of their medians), ``noise`` (standard error of a run's median in log units,
    from its 95 % interval), ``runs``, ``spread`` (standard deviation between runs in log units,
    NaN for one run) and ``samples`` (all runs together). Raises EstimateError where no row
    measured anything.
    """
    keys = ", ".join(f'"{name}"' for name in (*CELL_COLUMNS, "cell_id"))
    work = ", ".join(f"any_value({name}) as {name}" for name in ("params", *WORK_COLUMNS))
    # a row without a key, or of a case that a newer collector knows, cannot enter a fit
    cases = ", ".join(
        f"({_quoted(name)}, {_quoted(case)})"
        for name, family in FAMILIES.items()
        if name not in UNFITTED_WORKLOADS
        for case in family.cases
    )
    complete = " and ".join(f'"{name}" is not null' for name in (*CELL_COLUMNS, "params"))
    complete += f""" and (workload, "case") in ({cases}) and mode <> '{FIRST_CALL}'"""
    dtypes = ", ".join(_quoted(name) for name in ITEM_BYTES)
    sound = f"threads >= 1 and dtype in ({dtypes}) and "
    sound += " and ".join(f"coalesce({name}, 0) >= 0" for name in WORK_COLUMNS)
    query = f"""
        select {keys}, {work},
            median(ln(median_s)) as log_seconds,
            coalesce(median(ln(ci95_high_s / ci95_low_s)), 0) / {_NORMAL_95_WIDTH} as noise,
            stddev_samp(ln(median_s)) as spread,
            count(*) as runs,
            cast(sum(n) as bigint) as samples
        from {VIEW}
        where status = 'ok' and median_s between {_SHORTEST_S} and {_LONGEST_S}
            and {complete} and {sound}
        group by {keys}
        order by {keys}
    """
    cells = measurements.query(query)
    if cells.empty:
        raise EstimateError(
            "no row with status ok in the dataset: run `python -m collector run` first, "
            "or point --data at a directory of finished runs"
        )
    return cells.drop(columns="cell_id")


def _fingerprint(dataset: Dataset) -> str:
    """sha256 over the names and contents of the files, whatever directory they lie in."""
    digest = hashlib.sha256()
    for file in sorted(dataset.parquet_files, key=lambda file: file.name):
        digest.update(file.name.encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    for table in dataset.journal_tables:
        digest.update(repr(table.select(["run_id", "cell_id", "median_s"]).to_pylist()).encode())
    return digest.hexdigest()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
