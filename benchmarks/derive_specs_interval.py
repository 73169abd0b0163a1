"""Derive how far times scaled by data sheets are off (``PRIORS`` in estimator/others/effects.py).

    python -m benchmarks.derive_specs_interval neusight_kernels.parquet

Data: the kernel times published with NeuSight (github.com/sitar-lab/NeuSight, commit 6945927,
MIT licence, (c) 2025 Georgia Institute of Technology and Microsoft): float32 kernels of
PyTorch 2.1 on P4, P100, V100, T4, A100 and H100. None of its rows is part of this project; only
the few numbers that this script prints are.

Method, for every ordered pair of GPUs (reference, target) and every shape measured on both:
  1. launch = 1st percentile of the times of that operation on the reference; body = time - launch.
  2. predicted = launch + body x ratio of data-sheet float32 rates (bmm, linear: compute) or of
     data-sheet bandwidths (elementwise, softmax, layer norm: memory).
  3. error = log(actual / predicted). Shapes whose body is over half of both the reference's and
     the predicted time count for their part. Elementwise, softmax and layer-norm shapes whose
     body is under a fifth of both count for "launch" (the H100's published shapes have none).
     The rest is left out: a time that is mostly launch says little of the body.
  4. 5th and 95th percentile of the error per part, every ordered pair weighing the same.
Coverage is that of each GPU as the target, with factors from the pairs without that GPU.

Transfers: the same percentiles over ordered pairs of published host-to-device rates (nvbandwidth)
of cloud instances, each divided by the nominal rate of its link.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from estimator.catalogue.hardware import match_gpu
from estimator.catalogue.hardware_specs import GpuSpec

SHAPE = ["op", "rows", "cols", "batch", "m", "k", "n"]
# A shape counts as launch-bound if its body is a smaller share of the time than this.
LAUNCH_BOUND = 0.2
COMPUTE_OPS = ("bmm", "linear")

# Published host-to-device rates in GB/s (nvbandwidth) of g4dn, g5, g6, g6e, p3, a3-highgpu-1g and
# a B200 instance, by GPU.
H2D_GB_PER_S = {
    "T4": 6.3,
    "A10G": 13.5,
    "L4": 13.5,
    "L40S": 13.5,
    "V100": 11.1,
    "H100": 27.7,
    "B200": 55.7,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="derive interval factors of data-sheet scaling")
    parser.add_argument("parquet", type=Path, help="NeuSight's kernel times as one Parquet file")
    errors = kernel_errors(read_kernels(parser.parse_args().parquet))
    print("kernels: factors actual/predicted")
    for part, rows in errors.groupby("part"):
        low, mid, high = percentiles(rows)
        pairs = len(rows.groupby(["reference", "target"], observed=True))
        print(
            f"  {part:8} p5 {np.exp(low):.3f}  p50 {np.exp(mid):.3f}  p95 {np.exp(high):.3f}"
            f"  median error {100 * np.expm1(np.abs(rows['error']).median()):.0f} %"
            f"  rows {len(rows)}  pairs {pairs}"
        )
        coverages = held_out_coverage(rows)
        text = ", ".join(f"{gpu} {share:.2f}" for gpu, share in coverages.items())
        print(f"           coverage of a GPU left out: {text}")
        print(f"           mean {np.mean(list(coverages.values())):.3f}")
    gpu_medians = errors.groupby(["part", "reference", "target"], observed=True).error.median()
    for part, medians in gpu_medians.groupby("part"):
        print(
            f"  {part:8} pair medians from {np.exp(medians.min()):.3f} to "
            f"{np.exp(medians.max()):.3f}"
        )
    low, high = np.quantile(transfer_errors(), [0.05, 0.95])
    print(f"transfers: p5 {np.exp(low):.3f}  p95 {np.exp(high):.3f}  GPUs {len(H2D_GB_PER_S)}")


def read_kernels(path: Path) -> pd.DataFrame:
    """Median seconds with one row per shape and one column per GPU."""
    kernels = pd.read_parquet(path, columns=["gpu", "latency_s", *SHAPE])
    kernels = kernels[kernels["op"] != "conv2d"]
    kernels[SHAPE[1:]] = kernels[SHAPE[1:]].fillna(-1)
    return kernels.groupby(["gpu", *SHAPE])["latency_s"].median().unstack("gpu")


def kernel_errors(seconds: pd.DataFrame) -> pd.DataFrame:
    """Log errors of every ordered pair of GPUs with columns part, reference, target, error."""
    op = seconds.index.get_level_values("op")
    launch_s = seconds.groupby(level="op").quantile(0.01).reindex(op).set_index(seconds.index)
    compute = op.isin(COMPUTE_OPS)
    specs = {gpu: _spec(gpu) for gpu in seconds.columns}
    tables = []
    for reference, target in itertools.permutations(specs, 2):
        base, goal = specs[reference], specs[target]
        ratio = np.where(
            compute,
            base.peak_flop_per_s("float32") / goal.peak_flop_per_s("float32"),
            base.memory_bytes_per_s / goal.memory_bytes_per_s,
        )
        body_s = (seconds[reference] - launch_s[reference]).clip(lower=0.0)
        predicted_s = launch_s[reference] + body_s * ratio
        busy_target = body_s * ratio > 0.5 * predicted_s
        busy = busy_target & (body_s > 0.5 * seconds[reference])
        body_part = np.where(compute, "compute", "memory")
        idle = (body_s < LAUNCH_BOUND * seconds[reference]) & (
            body_s * ratio < LAUNCH_BOUND * predicted_s
        )
        part = np.where(busy, body_part, np.where(idle & ~compute, "launch", ""))
        error = np.log(seconds[target] / predicted_s)
        table = pd.DataFrame({"part": part, "error": error.to_numpy()}).dropna()
        tables.append(table[table["part"] != ""].assign(reference=base.name, target=goal.name))
    return pd.concat(tables, ignore_index=True)


def _spec(gpu: str) -> GpuSpec:
    spec = match_gpu(gpu)
    if spec is None:
        raise SystemExit(f"{gpu}: not in data/hardware.csv")
    return spec


def percentiles(rows: pd.DataFrame) -> tuple[float, float, float]:
    """5th, 50th and 95th percentile of ``error``, every (reference, target) weighing the same."""
    weight = 1.0 / rows.groupby(["reference", "target"])["error"].transform("size")
    order = np.argsort(rows["error"].to_numpy())
    cumulative = np.cumsum(weight.to_numpy()[order])
    at = np.searchsorted(cumulative, np.array([0.05, 0.5, 0.95]) * cumulative[-1])
    low, mid, high = rows["error"].to_numpy()[order][at]
    return float(low), float(mid), float(high)


def held_out_coverage(rows: pd.DataFrame) -> dict[str, float]:
    """Share of each target's errors inside the factors of the pairs that do not have that GPU."""
    coverage = {}
    for gpu in rows["target"].unique():
        others = rows[(rows["reference"] != gpu) & (rows["target"] != gpu)]
        low, _, high = percentiles(others)
        own = rows[rows["target"] == gpu]
        inside = own["error"].between(low, high).groupby(own["reference"]).mean()
        coverage[str(gpu)] = float(inside.mean())
    return coverage


def transfer_errors() -> list[float]:
    """Log of the ratio of link efficiencies (published / nominal) of every ordered pair."""
    logs = [np.log(rate * 1e9 / _spec(gpu).h2d_bytes_per_s) for gpu, rate in H2D_GB_PER_S.items()]
    return [a - b for a, b in itertools.permutations(logs, 2)]


if __name__ == "__main__":
    main()
