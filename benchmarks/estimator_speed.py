"""How long a fit and predictions take, and how much memory: shipped data and a million rows.

    python benchmarks/estimator_speed.py [--rows 1000000] [--data data/runs]

The million rows are made by resampling: rows of the dataset drawn with replacement, each with a
time that differs by 3 %, in files of 50,000 rows in a temporary directory. Of a row's samples the
first three are kept: no fit reads them. Each measurement runs in a process of its own, so that its
peak memory is its own; the best of three times is given beside the median.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_ROWS_OF_A_FILE = 50_000
_JITTER = 0.03
_KEPT_SAMPLES = 3
_TIMES = ("median_s", "ci95_low_s", "ci95_high_s", "mean_s", "min_s", "p95_s")
_QUESTIONS = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data/runs", help="dataset to measure and to resample")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the resampled dataset")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # what a child process measures
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(_MEASUREMENTS[asked.measure](Path(asked.data))))
        return 0
    _show("fit of the shipped dataset", _in_child("fit", asked.data))
    _show("100,000 sizes of one operation", _in_child("sizes", asked.data))
    _show("100,000 questions of all kinds", _in_child("questions", asked.data))
    with tempfile.TemporaryDirectory() as directory:
        resample(Path(asked.data), Path(directory), asked.rows)
        _show(f"fit of {asked.rows:,} rows", _in_child("fit_once", directory))
    return 0


def resample(source: Path, target: Path, rows: int) -> None:
    """Write a dataset of ``rows`` rows drawn with replacement from the ok rows of another."""
    files = sorted(source.rglob("*.parquet"))
    tables = [pq.read_table(file) for file in files]
    generator = np.random.default_rng(0)
    left, number = rows, 0
    while left > 0:
        table = tables[number % len(tables)]
        table = table.filter(pc.equal(table["status"], "ok"))
        count = min(left, _ROWS_OF_A_FILE)
        drawn = table.take(pa.array(generator.integers(len(table), size=count)))
        factor = np.exp(_JITTER * generator.standard_normal(count))
        for name in _TIMES:
            place = drawn.column_names.index(name)
            values = pa.array(drawn[name].to_numpy() * factor)
            drawn = drawn.set_column(place, drawn.schema.field(name), values)
        place = drawn.column_names.index("samples_s")
        short = pc.list_slice(drawn["samples_s"], 0, _KEPT_SAMPLES)
        field = drawn.schema.field("samples_s")
        drawn = drawn.set_column(place, field, short.cast(field.type))
        run_id = pa.array([f"{number:012x}"] * count)
        drawn = drawn.set_column(drawn.column_names.index("run_id"), "run_id", run_id)
        pq.write_table(drawn, target / f"{number:04d}.parquet", compression="zstd")
        left, number = left - count, number + 1


def _fit(data: Path) -> Any:
    from estimator import fit, load

    return fit(load(data))


def _measure_fit(data: Path) -> dict[str, Any]:
    return _timed(lambda: _fit(data), 3)


def _measure_one_fit(data: Path) -> dict[str, Any]:
    return _timed(lambda: _fit(data), 1)


def _measure_sizes(data: Path) -> dict[str, Any]:
    """Every size from 1 to 100,000 of one elementwise operation on one machine."""
    model = _fit(data)
    measured = model.measured
    rows = measured[(measured["workload"] == "elementwise") & (measured["case"] == "add")]
    row = rows.sort_values("samples").iloc[-1]
    names = ["machine_id", "workload", "case", "dtype", "backend", "device", "threads", "mode"]
    cells = pd.DataFrame([row[names]]).loc[lambda t: t.index.repeat(_QUESTIONS)]
    cells["params"] = pd.Series([{"n": n} for n in range(1, _QUESTIONS + 1)]).to_numpy()
    return _timed(lambda: model.predict(cells.reset_index(drop=True)), 3)


def _measure_questions(data: Path) -> dict[str, Any]:
    """Measured cells asked again, in a random order, until there are 100,000."""
    model = _fit(data)
    keys = model.measured.drop(columns=["median_s", "samples", "runs"])
    drawn = keys.sample(_QUESTIONS, replace=True, random_state=0).reset_index(drop=True)
    drawn["params"] = drawn["params_key"].map(dict)
    return _timed(lambda: model.predict(drawn.drop(columns="params_key")), 3)


_MEASUREMENTS = {
    "fit": _measure_fit,
    "fit_once": _measure_one_fit,
    "sizes": _measure_sizes,
    "questions": _measure_questions,
}


def _timed(call: Any, repeats: int) -> dict[str, Any]:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"best_s": min(seconds), "median_s": median(seconds), "peak_bytes": peak}


def _in_child(name: str, data: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.estimator_speed", "--measure", name]
    done = subprocess.run([*command, "--data", data], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _show(name: str, figures: dict[str, Any]) -> None:
    print(
        f"{name:32}  best {figures['best_s']:7.2f} s  median {figures['median_s']:7.2f} s"
        f"  peak {figures['peak_bytes'] / 1e6:6.0f} MB"
    )


if __name__ == "__main__":
    raise SystemExit(main())
