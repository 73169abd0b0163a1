"""Estimates for GPUs by name against kernel times that others published.

    python -m benchmarks.outside_products [--reference ../shared/reference] [--rows 3000] [-o FILE]

Two sets of tables, which no fit reads and which are not part of this project:

- products in bfloat16 of eight GPUs (``published/gemm_bf16.parquet``: ai-dynamo/aiconfigurator at
  095f58a, Apache-2.0, (c) 2025-2026 NVIDIA), timed in CUDA graphs with a warm L2: mode ``hot``;
- float32 kernels of PyTorch 2.1 (``neusight_kernels*.parquet``: sitar-lab/NeuSight at 6945927, MIT,
  (c) 2025 Georgia Institute of Technology and Microsoft), one call each: mode ``resident``.

Every row, or a seeded sample of each GPU and kind, is asked of a fit of the shipped data for the
GPU by its name. Errors are of the central estimate against the published time, in percent; the bias
is the median of estimate over measurement; coverage and width (p95 over p5, median) are of the 90 %
interval. Beside it stands the data sheet's roofline. Shares above a peak count estimates (and fast
ends) that imply more FLOP/s than the dense peak of the unit, or, where the operands are more than
four times the last cache, more bytes/s than the memory: both must be 0. The last table asks which
of L4 and A100 is faster, for kernels that were timed on both.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.published_kernels import cells_of
from collector.errors import DatasetError, EstimateError, UserError
from estimator.arrays import Array, Flags
from estimator.catalogue.hardware import match_gpu
from estimator.catalogue.hardware_specs import MATRIX_WORKLOADS, GpuSpec
from estimator.dataset.cache_directory import user_cache_directory
from estimator.dataset.measurements import load
from estimator.model.fit import fit_cached
from estimator.model.model import Model
from estimator.others.gpu_profiles import CONVOLUTION_SHARE

REFERENCE = Path("../shared/reference")
PRODUCTS = Path("published/gemm_bf16.parquet")
KERNELS = ("neusight_kernels.parquet", "neusight_kernels_l4_a100_80.parquet")
SEED, ROWS = 0, 3000
PAIR = ("NVIDIA L4", "NVIDIA A100 80GB PCIe")
_STREAMS = 4.0  # times the last cache, from where on operands come from memory
_SHAPE = ("operation", "case", "batch", "m", "n", "k", "rows", "cols")
_ASKED = ("workload", "case", "params", "dtype", "math_mode", "backend", "device", "mode")
_BF16_BYTES = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="estimates by name against published kernels")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="where the tables lie")
    parser.add_argument("--rows", type=int, default=ROWS, help="of a GPU and kind (0: all)")
    parser.add_argument("--data", type=Path, default=Path("data/runs"), help="dataset to fit")
    parser.add_argument("-o", "--output", type=Path, help="the report in Markdown, else printed")
    asked = parser.parse_args(arguments)
    try:
        products = read_products(asked.reference)
        kernels = read_kernels(asked.reference)
    except DatasetError as error:
        print(error)
        return error.exit_code
    model = fit_cached(load(asked.data), user_cache_directory())
    text = report(model, products, kernels, asked.rows)
    if asked.output:
        asked.output.write_text(text)
    else:
        print(text)
    return 0


def _found(path: Path) -> Path:
    if not path.exists():
        raise DatasetError(
            f"{path}: not there; the published tables are not part of this project: name the "
            "directory that holds them with --reference"
        )
    return path


def read_products(reference: Path) -> pd.DataFrame:
    """The published bfloat16 products as cells: one product m x k by k x n each.

    Raises DatasetError where the table is not there.
    """
    table = pd.read_parquet(_found(reference / PRODUCTS))
    m, n, k = (table[name].astype(float) for name in ("m", "n", "k"))
    shapes = zip(table["m"], table["n"], table["k"], strict=True)
    return pd.DataFrame(
        {
            "gpu": table["device"].astype(str),
            "operation": "product",
            "workload": "matmul",
            "case": "skinny",  # the one whose three sizes are free
            "params": [{"m": int(m), "n": int(n), "k": int(k)} for m, n, k in shapes],
            "dtype": "bfloat16",
            "math_mode": "ieee",
            "backend": "torch",
            "device": "cuda",
            "mode": "hot",
            "median_s": 1e-3 * table["latency_ms_median"].astype(float),
            "flop": 2.0 * m * n * k,
            "bytes": _BF16_BYTES * (m * k + k * n + m * n),
        }
    )


def read_kernels(reference: Path) -> pd.DataFrame:
    """The published float32 kernels that our families have, as cells.

    Raises DatasetError where a table is not there.
    """
    tables = [pd.read_parquet(_found(reference / name)) for name in KERNELS]
    cells = cells_of(pd.concat(tables, ignore_index=True))
    maps = cells["operation"] == "elementwise"
    return cells[~maps | cells["case"].isin(["add", "tanh"])].reset_index(drop=True)


def report(model: Model, products: pd.DataFrame, kernels: pd.DataFrame, rows: int) -> str:
    """Both tables and the decisions, in Markdown."""
    asked = pd.concat([sample(products, rows), sample(kernels, rows)], ignore_index=True)
    pairs = both_timed(kernels)
    answered = estimates(model, asked)
    return "\n".join(
        [
            "# Estimates for GPUs by name against times that others published\n",
            f"`python -m benchmarks.outside_products --rows {rows}` on the dataset "
            f"{model.fingerprint[:8]}, whose only GPU is the H200: all others are answered from "
            "data sheets. No fit reads these tables, and they are not part of this project: "
            "products from ai-dynamo/aiconfigurator at 095f58a (Apache-2.0, (c) 2025-2026 NVIDIA), "
            "float32 kernels from sitar-lab/NeuSight at 6945927 (MIT, (c) 2025 Georgia Institute "
            "of Technology and Microsoft). The profiles of data/gpu_profiles.csv were derived from "
            "the latter, but for those of L4 and A100 80GB.\n",
            "## Products in bfloat16, asked as `hot`\n",
            *_table(answered[answered["operation"] == "product"], "gpu"),
            "\n## Float32 kernels, asked as `resident`\n",
            *_table(answered[answered["operation"] != "product"], "operation", "gpu"),
            "\n## L4 or A100: which is faster\n",
            *_decisions(pairs.assign(**_pair_estimates(model, pairs))),
            "",
        ]
    )


def sample(cells: pd.DataFrame, rows: int) -> pd.DataFrame:
    """At most so many cells of each GPU and operation (0: all), seeded."""
    if not rows:
        return cells
    shuffled = cells.sample(frac=1.0, random_state=SEED)
    kept: pd.DataFrame = shuffled.groupby(["gpu", "operation"]).head(rows)
    ordered: pd.DataFrame = kept.sort_index()
    return ordered


def estimates(model: Model, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with p5, p50, p95, the sheet's roofline and what it bounds; NaN: refused.

    ``reason`` is the refusal's.
    """
    tables = []
    for (gpu, _), part in cells.groupby(["gpu", "operation"], sort=False):
        seconds, reason = np.full((len(part), 3), np.nan), ""
        try:
            found = model.predict(part[[*_ASKED]].assign(machine_id=str(gpu)))
            seconds = found[["seconds_p5", "seconds_p50", "seconds_p95"]].to_numpy(dtype=float)
        except UserError as error:
            reason = str(error)
        compute, memory, streams = _sheet_seconds(match_gpu(str(gpu)), part)
        tables.append(
            part.assign(
                p5=seconds[:, 0],
                p50=seconds[:, 1],
                p95=seconds[:, 2],
                roofline=np.fmax(compute, memory),
                least=np.fmax(compute / _winograd(part), np.where(streams, memory, 0.0)),
                reason=reason,
            )
        )
    return pd.concat(tables)


def _winograd(cells: pd.DataFrame) -> float:
    """How much less arithmetic than the definition's an algorithm of the library may do."""
    return CONVOLUTION_SHARE if str(cells.iloc[0]["workload"]) == "conv2d" else 1.0


def _sheet_seconds(gpu: GpuSpec | None, cells: pd.DataFrame) -> tuple[Array, Array, Flags]:
    """At the sheet's peak and memory rate, (n,) each, NaN where blank; and what must stream."""
    first = cells.iloc[0]
    matrix = str(first["workload"]) in MATRIX_WORKLOADS
    flop, size = (cells[name].to_numpy(dtype=float) for name in ("flop", "bytes"))
    unknown = np.full(len(cells), np.nan)
    if gpu is None:
        return unknown, unknown, np.zeros(len(cells), dtype=bool)
    try:
        rate = gpu.peak_flop_per_s(str(first["dtype"]), str(first["math_mode"]), matrix)
    except EstimateError:
        rate = np.nan
    cache = 2.0**20 * float(gpu.last_level_cache_mib or np.inf)
    return flop / rate, size / gpu.memory_bytes_per_s, size > _STREAMS * cache


def _table(answered: pd.DataFrame, *by: str) -> Iterator[str]:
    names = (
        *("rows", "mean error %", "median %", "bias", "in 90 %", "width"),
        *("roofline: mean %", "median %", "above peak %", "fast end above %"),
    )
    yield "| " + " | ".join([*by, *names]) + " |"
    yield "|" + "---|" * (len(by) + len(names))
    for key, part in answered.groupby(list(by), sort=True):
        values = scores(part)
        text = values if isinstance(values, list) else [f"refused: {values}"]
        yield "| " + " | ".join([*map(str, key), *text]) + " |"


def scores(part: pd.DataFrame) -> list[str] | str:
    """The figures of one line of a table, or why there are none."""
    known = part[np.isfinite(part["p50"])]
    if known.empty:
        return str(part["reason"].iloc[0])
    truth = known["median_s"]
    error = 100.0 * (known["p50"] / truth - 1.0).abs()
    plain = 100.0 * (known["roofline"] / truth - 1.0).abs()
    held = (known["p5"] <= truth) & (truth <= known["p95"])
    tight = 1.0 - 1e-9
    above = [(known[name] < tight * known["least"]).mean() for name in ("p50", "p5")]
    return [
        f"{len(known)}" + (f" of {len(part)}" if len(known) < len(part) else ""),
        f"{error.mean():.1f}",
        f"{error.median():.1f}",
        f"{(known['p50'] / truth).median():.2f}",
        f"{100.0 * held.mean():.0f}",
        f"{(known['p95'] / known['p5']).median():.2f}",
        f"{plain.mean():.1f}",
        f"{plain.median():.1f}",
        *(f"{100.0 * share:.1f}" for share in above),
    ]


def both_timed(kernels: pd.DataFrame) -> pd.DataFrame:
    """Kernels timed on both GPUs of ``PAIR``: a row each, with both times."""
    tables = []
    for gpu in PAIR:
        part = kernels[kernels["gpu"] == gpu].copy()
        part[[*_SHAPE]] = part[[*_SHAPE]].where(part[[*_SHAPE]].notna(), -1.0)
        tables.append(part.drop_duplicates([*_SHAPE]))
    times = tables[1].set_index([*_SHAPE])["median_s"]
    other = times.reindex(pd.MultiIndex.from_frame(tables[0][[*_SHAPE]])).to_numpy(dtype=float)
    both: pd.DataFrame = tables[0].assign(other_s=other)[np.isfinite(other)]
    return both.reset_index(drop=True)


def _pair_estimates(model: Model, pairs: pd.DataFrame) -> dict[str, pd.Series]:
    found = {}
    for gpu, name in zip(PAIR, ("estimate", "other_estimate"), strict=True):
        found[name] = estimates(model, pairs.assign(gpu=gpu)).sort_index()["p50"]
    return found


def _decisions(pairs: pd.DataFrame) -> Iterable[str]:
    yield "| operation | pairs | A100 measured faster % | A100 estimated faster % | right % |"
    yield "|---|---|---|---|---|"
    for name, part in [*pairs.groupby("operation"), ("all", pairs)]:
        truth, said = part["other_s"] < part["median_s"], part["other_estimate"] < part["estimate"]
        shares = [100.0 * share.mean() for share in (truth, said, truth == said)]
        yield f"| {name} | {len(part)} | " + " | ".join(f"{share:.0f}" for share in shares) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
