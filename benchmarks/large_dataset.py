"""Make a large dataset out of the shipped runs, to measure how the dashboard carries it.

python -m benchmarks.large_dataset TARGET [--rows 5000000] [--machines 200]

Nothing in it was measured as it stands there: each row is a row of data/runs whose times are
scaled by made-up factors of a machine type, a box and a run. Labels and identifiers are made up
as well. The files have the collector's schema and metadata; each keeps a few raw samples a row.
A handful of boxes are unwell: throttled, noisy, behind a slow link, or drifting.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.made_up_boxes import Box, facts_of, made_up_id, make_boxes, metadata_of
from collector.dataset.read import read_dataset, read_table
from collector.machine.fingerprint import machine_slug
from collector.schema import SCHEMA

SHIPPED = Path(__file__).resolve().parents[1] / "data" / "runs"
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 365.0
LEAST_ROWS, MOST_ROWS = 1400, 4000
SAMPLES_KEPT = 5
SEED = 5

_TIMES = ("median_s", "ci95_low_s", "ci95_high_s", "mean_s", "std_s", "min_s", "p95_s")
_LISTS = ("samples_s", "warmup_s")
_RESULTS = (*_TIMES, "n", "energy_j", "relative_error", "outliers")
_FAILED_SHARE = 0.004


def read_pools() -> dict[tuple[int, bool], pa.Table]:
    """Rows to make runs from, by (cores, whether with a GPU): one of each cell, samples cut."""
    table = read_table(read_dataset(SHIPPED))
    for name in _LISTS:
        index = table.schema.get_field_index(name)
        kept = 1 if name == "warmup_s" else SAMPLES_KEPT
        cut = pc.list_slice(table[name], 0, kept).cast(SCHEMA.field(name).type)
        table = table.set_column(index, SCHEMA.field(name), cut)
    lengths = pc.list_value_length(table["samples_s"])
    index = table.schema.get_field_index("n")
    table = table.set_column(index, SCHEMA.field("n"), lengths.cast(pa.int64()))
    pools = {}
    for cores in (2, 16):
        of_kind = table.filter(pc.equal(table["physical_cores"], cores))
        of_kind = of_kind.take(pa.array(_one_of_each(of_kind["cell_id"])))
        pools[cores, True] = of_kind.combine_chunks()
        on_cpu = of_kind.filter(pc.equal(of_kind["device"], "cpu"))
        pools[cores, False] = on_cpu.combine_chunks()
    return pools


def _one_of_each(keys: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    _, first = np.unique(np.asarray(keys.to_pylist(), dtype=object).astype(str), return_index=True)
    return np.sort(first)


def make_run(
    box: Box, pool: pa.Table, rows: int, started: datetime, run_id: str, random: np.random.Generator
) -> pa.Table:
    """A run of so many rows on a box: cells of the pool with the box's times.

    Anchors are always among them, so that drift along the run can be seen. Cells that the pool
    is too small for are measured in a second launch.
    """
    anchors = np.flatnonzero(pc.equal(pool["workload"], "anchor").to_numpy())
    others = np.flatnonzero(pc.not_equal(pool["workload"], "anchor").to_numpy())
    wanted = rows - len(anchors)
    parts = [anchors]
    launches = [np.zeros(len(anchors), dtype=np.int64)]
    for launch in range(-(-wanted // len(others))):
        count = min(len(others), wanted - launch * len(others))
        parts.append(random.permutation(others)[:count])
        launches.append(np.full(count, launch, dtype=np.int64))
    table = pool.take(pa.array(np.concatenate(parts)))
    count = len(table)
    on_gpu = pc.equal(table["device"], "cuda").to_numpy()
    repetition = table["size"].fill_null(1).to_numpy()
    is_anchor = np.arange(count) < len(anchors)

    factor = np.where(on_gpu, box.gpu_factor, box.cpu_factor)
    factor = factor * np.exp(random.normal(0, 0.01)) * np.exp(random.normal(0, 0.02, count))
    noisy = random.random(count) < (0.6 if box.unwell == "noisy" else 0.05)
    factor = factor * np.where(noisy, np.exp(np.abs(random.normal(0, 0.15, count))), 1)
    throttled = on_gpu & (random.random(count) < 0.01)
    if box.unwell == "throttled":
        throttled = on_gpu & (random.random(count) < 0.7)
        factor = factor * np.where(throttled, 1.6, 1)
    if box.unwell == "slow_link":
        crosses = pc.add(table["h2d_bytes"], table["d2h_bytes"]).fill_null(0).to_numpy() > 0
        factor = factor * np.where(crosses, 4, 1)
    if box.unwell == "drifting":
        factor = factor * np.where(is_anchor, 1 + 0.06 * repetition, 1)
    failed = (random.random(count) < _FAILED_SHARE) & ~is_anchor

    columns = {name: table[name] for name in SCHEMA.names}
    for name in _TIMES:
        columns[name] = pc.multiply(table[name], pa.array(factor))
    for name in _LISTS:
        columns[name] = _scaled_lists(table[name].combine_chunks(), factor)
    was_ok = pc.equal(table["status"], "ok")
    becomes = pc.and_(was_ok, pa.array(failed))
    for name in (*_RESULTS, *_LISTS):
        nothing = pa.scalar(None, SCHEMA.field(name).type)
        columns[name] = pc.if_else(becomes, nothing, columns[name])
    columns["status"] = pc.if_else(becomes, "timeout", table["status"])
    columns["error"] = pc.if_else(becomes, "no result within 60 s", table["error"])
    columns["noisy"] = pa.array(noisy | throttled)
    columns["noise_reasons"] = pa.array(
        np.where(throttled, "throttled", np.where(noisy, "spread,unsteady", ""))
    )
    slowed = pa.array(np.where(throttled, "sw_thermal", ""))
    columns["throttle_reasons"] = slowed
    if box.unwell == "slow_link":
        columns["pcie_width"] = pc.if_else(pa.array(on_gpu), 4, table["pcie_width"])
    order = random.permutation(count)
    columns["order_index"] = pa.array(np.where(is_anchor, repetition * count // 8, order))
    columns["launch_index"] = pa.array(np.concatenate(launches))
    for name, value in {**facts_of(box), "run_id": run_id, "suite": "full"}.items():
        columns[name] = pa.repeat(pa.scalar(value, SCHEMA.field(name).type), count)
    columns["started_at"] = pa.repeat(pa.scalar(started, SCHEMA.field("started_at").type), count)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _scaled_lists(lists: pa.ListArray, factor: np.ndarray[Any, Any]) -> pa.ListArray:
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    values = pc.multiply(lists.flatten(), pa.array(np.repeat(factor, lengths)))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=lists.is_null())


def _row_counts(total: int, random: np.random.Generator) -> Iterator[int]:
    while total > 0:
        rows = min(int(random.integers(LEAST_ROWS, MOST_ROWS + 1)), total)
        yield rows
        total -= rows


def make_dataset(target: Path, rows: int, machines: int) -> int:
    """Write runs until there are so many rows, each box in turn; the number of files."""
    random = np.random.default_rng(SEED)
    pools = read_pools()
    boxes = make_boxes(machines, random)
    files = 0
    counts = list(_row_counts(rows, random))
    for files, count in enumerate(counts, start=1):
        box = boxes[(files - 1) % machines]
        day = DAYS * (files - 1 + float(random.random())) / len(counts)
        started = FIRST_DAY + timedelta(days=day)
        run_id = made_up_id("run", files)[:12]
        pool = pools[box.kind.cores, bool(box.kind.gpu_model)]
        table = make_run(box, pool, count, started, run_id, random)
        metadata = metadata_of(box, table, started, run_id)
        folder = target / machine_slug(box.label, box.machine_id)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{started:%Y%m%dT%H%M%SZ}-{run_id}.parquet"
        pq.write_table(table.replace_schema_metadata(metadata), path, compression="zstd")
        if files % 100 == 0:
            print(f"{files} of {len(counts)} files", flush=True)
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("target", type=Path, help="directory to write to, outside data/")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--machines", type=int, default=200)
    options = parser.parse_args(arguments)
    if options.rows < 1 or options.machines < 1:
        parser.error("--rows and --machines must be at least 1")
    if options.target.exists() and any(options.target.iterdir()):
        parser.error(f"{options.target} is not empty")
    files = make_dataset(options.target, options.rows, options.machines)
    print(f"{options.rows} rows of {options.machines} machines in {files} files")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
