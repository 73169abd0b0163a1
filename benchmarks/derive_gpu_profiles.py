"""Derive the share of its data sheet that each GPU reaches (data/gpu_profiles.csv).

    python -m benchmarks.derive_gpu_profiles neusight_kernels.parquet -o data/gpu_profiles.csv

Data: the kernel times published with NeuSight (github.com/sitar-lab/NeuSight, commit 6945927,
MIT licence, (c) 2025 Georgia Institute of Technology and Microsoft): float32 kernels of
PyTorch 2.1 on P4, P100, V100, T4, A100 and H100. None of its rows is part of this project; only
the few numbers that this script prints are. And the same kernels as the collector measured them
on this project's own GPUs (data/runs, PyTorch, hot and resident), so that what a measured GPU
reaches and what another one does are numbers of one formula.

Method, for every GPU and operation: the formula of ``gpu_profiles`` is fitted to the
logarithms of up to 4000 times (seeded sample) with ``scipy.optimize.least_squares``, the soft_l1
loss and the priors and bounds of ``_BOUNDS``. ``median_error`` is the median
absolute error in percent on other rows of the same GPU (on the fitted ones where those are few).
An operation that has no arithmetic to speak of keeps the compute share of 1, one that is no
product the tile and depth of 1. In mode hot a kernel starts after the one before it, which takes
``SHORTEST_KERNEL_S`` instead of the launch.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from benchmarks.published_kernels import OPERATIONS, PRODUCTS, Gpu, gpu_of, log_times, read_cells
from estimator.arrays import Array
from estimator.dataset.measurements import load, measured_cells
from estimator.fitting.fit import describe_cells
from estimator.others.gpu_profiles import (
    CONVOLUTION_SHARE,
    NUMBERS,
    PROFILE_COLUMNS,
    SHORTEST_KERNEL_S,
    Kernels,
    Sheet,
    parts_of,
)

SEED, ROWS, TESTS, FEWEST, FEWEST_OWN = 0, 4000, 2000, 200, 15
SOURCE = (
    "derived by benchmarks/derive_gpu_profiles.py from kernel times published with NeuSight "
    "(sitar-lab/NeuSight, commit 6945927, MIT licence, (c) 2025 Georgia Institute of Technology "
    "and Microsoft)"
)
OWN_SOURCE = (
    "derived by benchmarks/derive_gpu_profiles.py from this project's own measurements (data/runs)"
)
#: Our cases -> operations of the profiles; of these, the ones that are one kernel. Not layer norm:
#: rows of 30,000 elements stream at half the rate of short ones, so that no one share is theirs.
_OWN = {
    ("matmul", "square"): "linear",
    ("matmul", "skinny"): "linear",
    ("dense_layer", "forward"): "linear",
    ("matmul", "batched"): "bmm",
    ("conv2d", "forward"): "conv2d",
    ("elementwise", "add"): "elementwise",
    ("elementwise", "tanh"): "elementwise",
    ("reduction", "softmax"): "softmax",
}
#: Start and lower and upper bound of each number, and the spread (log units) of a prior about the
#: start, which counts as much as ``_PRIOR_ROWS`` rows: where the host's launch hides what a cache
#: gains, or no shape tells a number from another, it stays near the start instead of at a bound.
_BOUNDS = {
    "compute_share": (0.85, 0.1, 1.0, 0.15),
    "memory_share": (0.85, 0.2, 1.0, 0.15),
    "cache_gain": (1.3, 1.0, 10.0, 0.2),
    "tile_half": (16.0, 0.5, 200.0, 0.5),
    "depth_half": (16.0, 0.5, 500.0, 0.7),
    "launch_s": (3e-5, 1e-6, 2e-4, 1.0),
}
_SCALE = 0.1  # of a row's error in log units, for the soft_l1 loss
_PRIOR_ROWS = 40.0


def main() -> None:
    parser = argparse.ArgumentParser(description="derive the profiles of published GPUs")
    parser.add_argument("parquet", type=Path, help="NeuSight's kernel times as one Parquet file")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the profiles' CSV file")
    parser.add_argument("--data", type=Path, default=Path("data/runs"), help="our own runs")
    arguments = parser.parse_args()
    rows = derive(read_cells(arguments.parquet), FEWEST, SOURCE)
    rows += derive(own_cells(arguments.data), FEWEST_OWN, OWN_SOURCE)
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, PROFILE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print("  ".join(f"{row[name]}" for name in PROFILE_COLUMNS if name != "source"))


def own_cells(data: Path) -> pd.DataFrame:
    """Medians of our own GPUs' float32 kernels by PyTorch, in the columns of ``cells_of``."""
    measurements = load(data)
    cells = measured_cells(measurements)
    kinds = zip(cells["workload"], cells["case"], strict=True)
    cells["operation_of_profile"] = [_OWN.get(kind) for kind in kinds]
    cells = cells[
        (cells["device"] == "cuda")
        & (cells["backend"] == "torch")
        & (cells["dtype"] == "float32")
        & (cells["math_mode"] == "ieee")
        & cells["mode"].isin(["hot", "resident"])
        & cells["operation_of_profile"].notna()
    ].reset_index(drop=True)
    table = describe_cells(cells, measurements.machines)
    models = measurements.machines.set_index("machine_id")["gpu_model"]
    known = pd.DataFrame(
        {
            "gpu": table["machine_id"].map(models).to_numpy(dtype=object),
            "operation": table["operation_of_profile"].to_numpy(dtype=object),
            "mode": table["mode"].to_numpy(dtype=object),
            "params_key": table["params_key"].astype(str).to_numpy(dtype=object),
            "median_s": np.exp(table["log_seconds"].to_numpy(dtype=float)),
            "flop": table["flop"],
            "bytes": table["bytes"],
            "batch": table["product_0_batch"],
            "m": table["product_0_m"],
            "n": table["product_0_n"],
            "k": table["depth"],
        }
    )
    # odd rows keep a library from its best kernels, which the formula does not know
    awkward = table[["awkward", "awkward_memory"]].to_numpy(dtype=float)
    known = known[(awkward == 0.0).all(axis=1)]
    key = ["gpu", "operation", "mode", "params_key"]
    medians: pd.DataFrame = known.groupby(key, as_index=False).median(numeric_only=True)
    return medians


def derive(cells: pd.DataFrame, fewest: int, source: str) -> list[dict[str, object]]:
    """A row per GPU and operation with at least ``fewest`` times, by GPU and operation."""
    rows: list[dict[str, object]] = []
    for name in sorted(cells["gpu"].unique()):
        gpu = gpu_of(name)
        for operation in OPERATIONS:
            part = cells[(cells["gpu"] == name) & (cells["operation"] == operation)]
            if len(part) < fewest:
                continue
            part = part.sample(frac=1.0, random_state=SEED)
            train, test = part[:ROWS], part[ROWS : ROWS + TESTS]
            theta = _fit(train, gpu, operation)
            checked = test if len(test) >= fewest else train
            error = _log_seconds(theta, checked, gpu) - log_times(checked)
            values = {n: f"{v:.4g}" for n, v in zip(NUMBERS, np.exp(theta), strict=True)}
            rows.append(
                {
                    "gpu": gpu.name,
                    "architecture": gpu.architecture,
                    "operation": operation,
                    **values,
                    "median_error": f"{100.0 * np.median(np.abs(np.expm1(error))):.1f}",
                    "rows": len(train),
                    "source": source,
                }
            )
    return rows


def _fit(cells: pd.DataFrame, gpu: Gpu, operation: str) -> Array:
    start, low, high = (np.log([_BOUNDS[name][i] for name in NUMBERS]) for i in range(3))
    if operation == "conv2d":
        high[NUMBERS.index("compute_share")] = np.log(CONVOLUTION_SHARE)
    spread = np.array([_BOUNDS[name][3] for name in NUMBERS])
    free = np.ones(len(NUMBERS), dtype=bool)
    if operation not in PRODUCTS:
        for name in ("compute_share", "tile_half", "depth_half"):
            free[NUMBERS.index(name)] = False
            start[NUMBERS.index(name)] = 0.0
    times = log_times(cells)
    weight = np.sqrt(_PRIOR_ROWS / len(cells))

    def residual(values: Array) -> Array:
        theta = start.copy()
        theta[free] = values
        rows = weight * (_log_seconds(theta, cells, gpu) - times) / _SCALE
        pull: Array = (values - start[free]) / spread[free]
        return np.concatenate([rows, pull])

    # the loss bends where a row is off by its scale, whatever the rows' common weight
    bounds = (low[free], high[free])
    found = least_squares(residual, start[free], bounds=bounds, loss="soft_l1", f_scale=weight)
    theta = start.copy()
    theta[free] = found.x
    return theta


def _log_seconds(theta: Array, cells: pd.DataFrame, gpu: Gpu) -> Array:
    def column(name: str) -> Array:
        values: Array = np.nan_to_num(cells[name].to_numpy(dtype=float))
        return values

    product = cells["operation"].isin(PRODUCTS).to_numpy()
    work = Kernels(
        flop=np.where(product, column("flop"), 0.0),
        bytes=column("bytes"),
        batch=column("batch"),
        m=np.where(product, column("m"), 0.0),
        n=column("n"),
        k=column("k"),
    )
    sheet = Sheet(gpu.flop_per_s, gpu.bytes_per_s, gpu.multiprocessors, gpu.cache_bytes)
    launch, compute, memory = parts_of(theta, sheet, work)
    start = np.where((cells["mode"] == "hot").to_numpy(), SHORTEST_KERNEL_S, launch)
    result: Array = np.log(start + compute + memory)
    return result


if __name__ == "__main__":
    main()
