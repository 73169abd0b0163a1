"""How far the rules of thumb are from measurement, over every case measured on a CPU and a GPU.

A pair is one operation (case, parameters, element type) that a CPU and a GPU of a machine type
measured; of each side the fastest library counts, and of several boxes the median. GPUs that
multiply float32 as tf32 are pairs of their own: the CPU's time is that of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.workloads import FAMILIES
from estimator.arrays import Array
from estimator.catalogue.sheet_rates import sheet_rates
from estimator.cells.defaults import DATA_PLACE, MATH_MODE, cpu_mode
from estimator.dataset.tables import CELL_COLUMNS
from estimator.decide.places import ask
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
    *("gpu_machine", "cpu_machine", *PAIR, "math_mode", "cpu_backend", "threads", "gpu_backend"),
    *("flop", "cpu_s", "gpu_s", "measured", *SOURCES),
)
#: What counts as a large product where claims are about those: 2000 x 2000 matrices, which the
#: first calculator names as an example of large ones.
LARGE_PRODUCT_FLOP = 2.0 * 2000.0**3
_MOST_PAIRS = 20_000
_NO_JOB = tuple(name for name, family in FAMILIES.items() if family.overhead)


def rule_pairs(
    model: Model,
    mode: str = DATA_PLACE,
    cpu_machine: str | None = None,
    most: int = _MOST_PAIRS,
    boxes: Sequence[str] = (),
) -> pd.DataFrame:
    """One row per pair, ``PAIR_COLUMNS``: measured seconds of both sides and speed-ups.

    Machines are types, and the ``boxes`` that are asked for by themselves. ``mode`` is that of the
    GPU's cells (end_to_end or resident). The CPU is that of the GPU's own machine, or
    ``cpu_machine``. ``measured`` is CPU median over GPU median; ``cores`` and
    ``throughput`` are the two rules fed from data sheets, NaN where those or the rule say
    nothing; ``estimate`` is the model's, which was fitted to these very cells. Of more than
    ``most`` pairs, that many are drawn (seeded).
    """
    known = _of_types(model, (*boxes, *([] if cpu_machine is None else [cpu_machine])))
    on_cpu, on_gpu = (known["device"] == device for device in ("cpu", "cuda"))
    on_cpu &= (known["mode"] == cpu_mode(mode)) & (known["math_mode"] == MATH_MODE)
    on_gpu &= known["mode"] == mode
    on_gpu &= known["machine_id"].isin([*model.types.types, *boxes])
    cpu = _fastest(known[on_cpu], "cpu", ["threads"])
    gpu = _fastest(known[on_gpu], "gpu", ["math_mode"])
    if cpu_machine is None:
        own = ["gpu_machine", *PAIR]
        pairs = gpu.merge(cpu, left_on=own, right_on=["cpu_machine", *PAIR])
    else:
        pairs = gpu.merge(cpu[cpu["cpu_machine"] == cpu_machine], on=list(PAIR))
    if len(pairs) > most:
        pairs = pairs.sample(most, random_state=0)
    if pairs.empty:
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    pairs = pairs.sort_values([*PAIR, "math_mode", "gpu_machine"], ignore_index=True)
    pairs["measured"] = pairs["cpu_s"] / pairs["gpu_s"]
    return _with_speedups(model, pairs, mode)[list(PAIR_COLUMNS)]


def gap_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """How far each source is from the measurement: one row per family and source.

    Columns workload, source, pairs; factor_p50 and factor_p90, by what factor it is
    off in half and in nine tenths of the pairs; bias, the median ratio of stated over measured;
    side_right and advice_right, the shares of pairs in which it names the faster side, and the
    band of advice. A last block, workload "all", is of all pairs.
    """
    rows: list[dict[str, Any]] = []
    for name, group in [*pairs.groupby("workload", sort=True), ("all", pairs)]:
        for source in SOURCES:
            both = group[[source, "measured"]].astype(float)
            both = both[np.isfinite(both[source]) & (both[source] > 0.0)]
            if both.empty:
                continue
            stated, measured = both.to_numpy().T
            ratio = np.log(stated / measured)
            same = [advice(one) == advice(other) for one, other in both.to_numpy()]
            rows.append(
                {
                    **{"workload": name, "source": source, "pairs": len(both)},
                    "factor_p50": float(np.exp(np.median(np.abs(ratio)))),
                    "factor_p90": float(np.exp(np.quantile(np.abs(ratio), 0.9))),
                    "bias": float(np.exp(np.median(ratio))),
                    "side_right": float(np.mean((stated > 1.0) == (measured > 1.0))),
                    "advice_right": float(np.mean(same)),
                }
            )
    columns = ["workload", "source", "pairs", "factor_p50", "factor_p90", "bias"]
    return pd.DataFrame(rows, columns=[*columns, "side_right", "advice_right"])


def claim_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """The ranges that the second calculator claims beside what was measured, one row a claim.

    Columns kind, low, high, families, pairs, p5, p50, p95 (measured speed-ups, NaN where no pair
    is of that kind), below, inside and above (shares of the pairs). Of products only large ones
    count (``LARGE_PRODUCT_FLOP``), as the claim is about those.
    """
    rows: list[dict[str, Any]] = []
    for kind, (low, high, families) in CLAIMED_SPEEDUPS.items():
        chosen = pairs["workload"].isin(families)
        chosen &= (pairs["workload"] != "matmul") | (pairs["flop"] >= LARGE_PRODUCT_FLOP)
        of = pairs.loc[chosen, "measured"].astype(float)
        p5, p50, p95 = of.quantile([0.05, 0.5, 0.95])
        rows.append(
            {
                **{"kind": kind, "low": low, "high": high, "families": ", ".join(families)},
                **{"pairs": len(of), "p5": p5, "p50": p50, "p95": p95},
                **{"below": (of < low).mean(), "inside": of.between(low, high).mean()},
                "above": (of > high).mean(),
            }
        )
    return pd.DataFrame(rows)


def rule_seconds(cells: pd.DataFrame, rates: pd.DataFrame) -> dict[str, Array]:
    """Seconds of described cells, (n,) by rule ("cores", "throughput"), NaN where it cannot say.

    ``rates`` are those of ``sheet_rates.sheet_rates`` for the same cells. A CPU's time is work
    over its peak in both. Modes with copies add them: the cores rule at the GPU's memory
    bandwidth, there and back, as it says; the throughput rule at the host link's nominal rate.
    A copy in itself is its bytes over the same rates.
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
    answers = {"cores": by_cores, "throughput": by_rate}
    return {name: np.where(seconds > 0.0, seconds, np.nan) for name, seconds in answers.items()}


def _fastest(cells: pd.DataFrame, side: str, also: list[str]) -> pd.DataFrame:
    """Of the cells that are one operation, the row of the fastest library, as columns of pairs."""
    keys = ["machine_id", *PAIR, *(name for name in also if name == "math_mode")]
    best = cells.sort_values("median_s").drop_duplicates(keys)
    names = {"machine_id": f"{side}_machine", "backend": f"{side}_backend", "median_s": f"{side}_s"}
    return best[[*PAIR, *also, *names]].rename(columns=names)


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


def _with_speedups(model: Model, pairs: pd.DataFrame, mode: str) -> pd.DataFrame:
    """Add the work and the speed-ups that the rules and the model state."""
    params = pd.Series([dict(key) for key in pairs["params_key"]], dtype=object)
    both = pairs[["workload", "case", "dtype", "math_mode", "threads"]].assign(params=params)
    sides = []
    for side, device, its_mode in (("cpu", "cpu", cpu_mode(mode)), ("gpu", "cuda", mode)):
        places = {"machine_id": pairs[f"{side}_machine"], "backend": pairs[f"{side}_backend"]}
        sides.append(both.assign(**places, device=device, mode=its_mode))
    cells = pd.concat(sides, ignore_index=True)
    cells.loc[cells["device"] == "cpu", "math_mode"] = MATH_MODE
    cells.loc[cells["device"] == "cuda", "threads"] = 1
    described = model.described(model.types.on_boxes(cells))
    seconds = rule_seconds(described, sheet_rates(described, model.machines))
    seconds["estimate"] = ask(model, cells, strict=False)["seconds_p50"].to_numpy(dtype=float)
    count = len(pairs)
    flop = described["flop_count"].to_numpy(dtype=float)[:count]
    ratios = {name: times[:count] / times[count:] for name, times in seconds.items()}
    return pairs.assign(flop=flop, **ratios)
