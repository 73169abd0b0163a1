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
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import duckdb

import collector
from collector.dataset import Dataset
from collector.file_keys import FileKey
from estimator.cache_directory import user_cache_directory
from estimator.index_build import build_tables, create_table, machines_of, quoted, row_files
from estimator.index_files import KnownFile, files_table, read_files

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
    digest = hashlib.sha256(duckdb.__version__.encode())
    package, reader = Path(__file__).parent, Path(str(collector.__file__)).parent
    for file in (
        *sorted(package.glob("index*.py")),
        *(reader / name for name in ("dataset.py", "parquet_checks.py", "schema.py")),
    ):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


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
