"""How far the rules of thumb are from measurement, over every case measured on a CPU and a GPU.

A pair is one operation that a CPU and a GPU of a machine type measured; of each side the fastest
library counts, and of several boxes the median. GPUs that multiply float32 as tf32 are pairs of
their own: the CPU's time is that of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from collector.workloads import FAMILIES
from estimator.arrays import Array
from estimator.catalogue.sheet_rates import sheet_rates
from estimator.cells.defaults import DATA_PLACE, MATH_MODE, cpu_mode
from estimator.dataset.tables import CELL_COLUMNS
from estimator.model.ask import ask
from estimator.rules.report import CLAIMS, GAPS
from estimator.rules.rules_of_thumb import (
    CLAIMED_SPEEDUPS,
    COMPUTE_BOUND,
    COPIES,
    GUESSED_EFFICIENCY,
    advice,
)

if TYPE_CHECKING:
    from estimator.model.model import Model

#: Who states a speed-up, as columns of ``rule_pairs`` end.
SOURCES = ("cores", "throughput", "estimate")

PAIR = ("workload", "case", "params_key", "dtype")
PAIR_COLUMNS = (
    *("gpu_machine", "cpu_machine", *PAIR, "math_mode", "cpu_backend", "gpu_backend"),
    *("flop", "cpu_s", "gpu_s", "measured", *SOURCES),
)
#: What counts as a large product where claims are about those: 2000 x 2000 matrices, which the
#: first calculator names as an example of large ones.
LARGE_PRODUCT_FLOP = 2.0 * 2000.0**3
_NO_JOB = tuple(name for name, family in FAMILIES.items() if family.overhead)


def rule_pairs(
    model: Model, mode: str = DATA_PLACE, cpu_machine: str | None = None, boxes: Sequence[str] = ()
) -> pd.DataFrame:
    """One row per pair, ``PAIR_COLUMNS``: measured seconds of both sides and speed-ups.

    Machines are types, and the ``boxes`` asked for; ``mode`` is that of the GPU's cells; the CPU is
    that of the GPU's own machine, or ``cpu_machine``. ``measured`` is CPU median over GPU median,
    ``cores`` and ``throughput`` are the rules fed from data sheets, NaN where they say nothing,
    ``estimate`` is the model's, which was fitted to these very cells.
    """
    known = _of_types(model, (*boxes, *([] if cpu_machine is None else [cpu_machine])))
    on_cpu = (known["device"] == "cpu") & (known["mode"] == cpu_mode(mode))
    on_gpu = (known["device"] == "cuda") & (known["mode"] == mode)
    on_gpu &= known["machine_id"].isin([*model.types.types, *boxes])
    cpu = _fastest(known[on_cpu & (known["math_mode"] == MATH_MODE)], "cpu")
    gpu = _fastest(known[on_gpu], "gpu").assign(math_mode=known["math_mode"])
    gpu["cpu_machine"] = gpu["gpu_machine"] if cpu_machine is None else cpu_machine
    pairs = gpu.merge(cpu, on=["cpu_machine", *PAIR])
    if pairs.empty:
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    pairs = pairs.sort_values([*PAIR, "math_mode", "gpu_machine"], ignore_index=True)
    cells = known.loc[pd.unique(pairs[["cpu_row", "gpu_row"]].to_numpy().ravel())]
    cells = cells.assign(params=cells["params_key"].map(dict))
    work = model.described(model.types.on_boxes(cells))
    seconds = pd.DataFrame(rule_seconds(work, sheet_rates(work, model.machines)), cells.index)
    seconds["estimate"] = ask(model, cells, strict=False)["seconds_p50"]
    seconds["measured"] = cells["median_s"]
    on_cpu_s, on_gpu_s = (seconds.loc[pairs[f"{side}_row"]] for side in ("cpu", "gpu"))
    ratios = pd.DataFrame(on_cpu_s.to_numpy() / on_gpu_s.to_numpy(), columns=seconds.columns)
    flop = work["flop_count"].set_axis(cells.index)
    pairs = pairs.assign(flop=pairs["cpu_row"].map(flop)).join(ratios)
    return pairs[list(PAIR_COLUMNS)]


def gap_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """How far each source is from the measurement: one row per family and source.

    Columns workload ("all": of all pairs), source, pairs; factor_p50 and factor_p90, by what
    factor it is off in half and in nine tenths of the pairs; bias, the median of stated over
    measured; side_right and advice_right, the shares that name the faster side and the advice.
    """
    rows: list[tuple[str | float, ...]] = []
    for name, group in [("all", pairs), *pairs.groupby("workload", sort=True)]:
        for source in SOURCES:
            both = group[[source, "measured"]].astype(float)
            both = both[np.isfinite(both[source]) & (both[source] > 0.0)]
            if both.empty:
                continue
            ratio = np.log(both[source] / both["measured"])
            off = np.exp([*ratio.abs().quantile([0.5, 0.9]), ratio.median()])
            same = (one[source] == one["measured"] for one in (both > 1.0, both.map(advice)))
            rows.append((str(name), source, len(both), *off, *(one.mean() for one in same)))
    return pd.DataFrame(rows, columns=list(GAPS))


def claim_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """The ranges that the second calculator claims beside what was measured, one row a claim.

    Columns kind, low, high, pairs, p5, p50, p95 (measured speed-ups), below, inside and above
    (shares of the pairs), families. Of products only large ones count (``LARGE_PRODUCT_FLOP``).
    """
    rows = []
    for kind, (low, high, families) in CLAIMED_SPEEDUPS.items():
        chosen = pairs["workload"].isin(families)
        chosen &= (pairs["workload"] != "matmul") | (pairs["flop"] >= LARGE_PRODUCT_FLOP)
        of = pairs.loc[chosen, "measured"].astype(float)
        shares = ((of < low).mean(), of.between(low, high).mean(), (of > high).mean())
        rows.append((kind, low, high, len(of), *of.quantile([0.05, 0.5, 0.95]), *shares))
    listed = [", ".join(families) for _, _, families in CLAIMED_SPEEDUPS.values()]
    return pd.DataFrame(rows, columns=list(CLAIMS)).assign(families=listed)


def evidence(
    model: Model, mode: str, cpu_machine: str | None, boxes: Sequence[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """``rule_pairs``, and of those of machine types ``gap_table`` and ``claim_table``."""
    pairs = rule_pairs(model, mode, cpu_machine, boxes)
    of_types = pairs[~pairs["gpu_machine"].isin(boxes)]
    return pairs, gap_table(of_types), claim_table(of_types)


def rule_seconds(cells: pd.DataFrame, rates: pd.DataFrame) -> dict[str, Array]:
    """Seconds of described cells, (n,) by rule ("cores", "throughput"), NaN where it cannot say.

    ``rates`` are those of ``sheet_rates`` for the same cells. A CPU's time is work over its peak.
    Copies are added: by the cores rule at the GPU's memory bandwidth, there and back; by the
    throughput rule at the host link's nominal rate. A copy in itself is its bytes over the same.
    """
    flop = cells["flop_count"].to_numpy(dtype=float)
    moved = (cells["bytes_read"] + cells["bytes_written"]).to_numpy(dtype=float)
    bus = (cells["h2d_bytes"] + cells["d2h_bytes"]).to_numpy(dtype=float)
    on_gpu = (cells["device"] == "cuda").to_numpy()
    is_copy = (cells["workload"] == "transfer").to_numpy() & (bus > 0.0)
    peak, bandwidth, link = (
        rates[name].to_numpy(dtype=float)
        for name in ("flop_per_s", "bytes_per_s", "bus_bytes_per_s")
    )
    compute_bound = cells["workload"].isin(COMPUTE_BOUND).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        by_cores = np.where(compute_bound, flop / peak, moved / bandwidth)
        by_cores = np.where(is_copy, 0.0, by_cores)
        by_cores += np.where(bus > 0.0, np.where(is_copy, 1.0, COPIES) * bus / bandwidth, 0.0)
        efficiency = np.where(on_gpu, GUESSED_EFFICIENCY, 1.0)
        by_rate = np.where(is_copy, 0.0, flop / (peak * efficiency))
        by_rate += np.where(bus > 0.0, bus / link, 0.0)
    said = {"cores": by_cores, "throughput": by_rate}
    return {name: np.where(seconds > 0.0, seconds, np.nan) for name, seconds in said.items()}


def _fastest(cells: pd.DataFrame, side: str) -> pd.DataFrame:
    """Of the cells that are one operation, the fastest library's, as columns of pairs."""
    best = cells.sort_values("median_s").drop_duplicates(["machine_id", *PAIR, "math_mode"])
    names = {"machine_id": f"{side}_machine", "backend": f"{side}_backend", "median_s": f"{side}_s"}
    return best[[*PAIR, *names]].rename(columns=names).assign(**{f"{side}_row": best.index})


def _of_types(model: Model, boxes: Sequence[str]) -> pd.DataFrame:
    """Measured cells (``CELL_COLUMNS``, params_key, median_s) of types, then of single boxes."""
    names = [*CELL_COLUMNS, "params_key"]
    cells = model.measured.loc[~model.measured["workload"].isin(_NO_JOB), [*names, "median_s"]]
    types = cells["machine_id"].map(model.types.of_box).fillna(cells["machine_id"])
    logs = cells.assign(machine_id=types, median_s=np.log(cells["median_s"]))
    medians = logs.groupby(names, sort=False, dropna=False)["median_s"].median()
    tables: list[pd.DataFrame] = [np.exp(medians).reset_index()]
    tables.append(cells[cells["machine_id"].isin(boxes)])
    return pd.concat(tables, ignore_index=True)
