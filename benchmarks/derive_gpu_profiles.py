"""Derive the share of its data sheet that each published GPU reaches (data/gpu_profiles.csv).

    python -m benchmarks.derive_gpu_profiles neusight_kernels.parquet -o data/gpu_profiles.csv

Data: the kernel times published with NeuSight (github.com/sitar-lab/NeuSight, commit 6945927,
MIT licence, (c) 2025 Georgia Institute of Technology and Microsoft): float32 kernels of
PyTorch 2.1 on P4, P100, V100, T4, A100 and H100. None of its rows is part of this project; only
the few numbers that this script prints are.

Method, for every GPU and operation: the formula of ``estimator.gpu_profiles`` is fitted to the
logarithms of up to 4000 times (seeded sample) with ``scipy.optimize.least_squares``, the soft_l1
loss and the priors and bounds of ``_BOUNDS``. ``median_error`` is the median
absolute error in percent on other rows of the same GPU. An operation that has no arithmetic to
speak of keeps the compute share of 1, one that is no product the tile and depth of 1.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from benchmarks.published_kernels import OPERATIONS, PRODUCTS, Gpu, gpu_of, log_times, read_cells
from estimator.gpu_profiles import NUMBERS, PROFILE_COLUMNS, Kernels, Sheet, parts_of
from estimator.kernel_model import Array

SEED, ROWS, TESTS, FEWEST = 0, 4000, 2000, 200
SOURCE = (
    "derived by benchmarks/derive_gpu_profiles.py from kernel times published with NeuSight "
    "(sitar-lab/NeuSight, commit 6945927, MIT licence, (c) 2025 Georgia Institute of Technology "
    "and Microsoft)"
)
#: Start and lower and upper bound of each number, and the spread (log units) of a prior about the
#: start, which counts as much as ``_PRIOR_ROWS`` rows: where the host's launch hides what a cache
#: gains, or no shape tells a number from another, it stays near the start instead of at a bound.
_BOUNDS = {
    "compute_share": (0.85, 0.1, 1.3, 0.15),
    "memory_share": (0.85, 0.2, 1.2, 0.15),
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
    arguments = parser.parse_args()
    rows = derive(read_cells(arguments.parquet))
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, PROFILE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print("  ".join(f"{row[name]}" for name in PROFILE_COLUMNS if name != "source"))


def derive(cells: pd.DataFrame) -> list[dict[str, object]]:
    """A row per GPU and operation with at least ``FEWEST`` times, by GPU and operation."""
    rows: list[dict[str, object]] = []
    for name in sorted(cells["gpu"].unique()):
        gpu = gpu_of(name)
        for operation in OPERATIONS:
            part = cells[(cells["gpu"] == name) & (cells["operation"] == operation)]
            if len(part) < FEWEST:
                continue
            part = part.sample(frac=1.0, random_state=SEED)
            train, test = part[:ROWS], part[ROWS : ROWS + TESTS]
            theta = _fit(train, gpu, operation)
            checked = test if len(test) >= FEWEST else train
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
                    "source": SOURCE,
                }
            )
    return rows


def _fit(cells: pd.DataFrame, gpu: Gpu, operation: str) -> Array:
    start, low, high = (np.log([_BOUNDS[name][i] for name in NUMBERS]) for i in range(3))
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
    result: Array = np.log(np.sum(parts_of(theta, sheet, work), axis=0))
    return result


if __name__ == "__main__":
    main()
