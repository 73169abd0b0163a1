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
from estimator.catalogue.sheet_rates import sheet_rates
from estimator.cells.defaults import DATA_PLACE, MATH_MODE, cpu_mode
from estimator.dataset.tables import CELL_COLUMNS
from estimator.decide.types import ask
from estimator.rules.rules_of_thumb import CLAIMED_SPEEDUPS, advice, rule_seconds

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
GAP_COLUMNS = ("pairs", "factor_p50", "factor_p90", "bias", "side_right", "advice_right")


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
    cpu = known[(known["device"] == "cpu") & (known["mode"] == cpu_mode(mode))]
    gpu = known[(known["device"] == "cuda") & (known["mode"] == mode)]
    gpu = gpu[gpu["machine_id"].isin([*model.types.types, *boxes])]
    on_cpu = _fastest(cpu[cpu["math_mode"] == MATH_MODE], ["machine_id", *PAIR])
    on_gpu = _fastest(gpu, ["machine_id", *PAIR, "math_mode"])
    keys = [*PAIR] if cpu_machine is not None else ["machine_id", *PAIR]
    if cpu_machine is not None:
        on_cpu = on_cpu[on_cpu["machine_id"] == cpu_machine].rename(
            columns={"machine_id": "cpu_machine"}
        )
    on_cpu = on_cpu.drop(columns=["math_mode", "device", "mode"])
    pairs = on_gpu.drop(columns="threads").merge(on_cpu, on=keys, suffixes=("_gpu", "_cpu"))
    if cpu_machine is None:
        pairs["cpu_machine"] = pairs["machine_id"]
    pairs = pairs.rename(
        columns={
            **{"machine_id": "gpu_machine", "backend_cpu": "cpu_backend"},
            **{"backend_gpu": "gpu_backend", "median_s_cpu": "cpu_s", "median_s_gpu": "gpu_s"},
        }
    )
    if len(pairs) > most:
        pairs = pairs.sample(most, random_state=0)
    pairs = pairs.sort_values([*PAIR, "math_mode", "gpu_machine"], ignore_index=True)
    pairs["measured"] = pairs["cpu_s"] / pairs["gpu_s"]
    if pairs.empty:
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    return _with_speedups(model, pairs, mode)[list(PAIR_COLUMNS)]


def gap_table(pairs: pd.DataFrame, by: str = "workload") -> pd.DataFrame:
    """How far each source is from the measurement: one row per value of ``by`` and source.

    Columns ``by``, source and ``GAP_COLUMNS``: factor_p50 and factor_p90, by what factor it is
    off in half and in nine tenths of the pairs; bias, the median ratio of stated over measured;
    side_right and advice_right, the shares of pairs in which it names the faster side, and the
    band of advice. A last block, ``by`` "all", is of all pairs.
    """
    rows: list[dict[str, Any]] = []
    for name, group in [*pairs.groupby(by, sort=True), ("all", pairs)]:
        for source in SOURCES:
            known = group[np.isfinite(group[source].astype(float)) & (group[source] > 0.0)]
            if known.empty:
                continue
            ratio = np.log((known[source] / known["measured"]).to_numpy(dtype=float))
            stated, measured = known[source].astype(float), known["measured"].astype(float)
            same = [
                advice(one) == advice(other) for one, other in zip(stated, measured, strict=True)
            ]
            rows.append(
                {
                    **{by: name, "source": source, "pairs": len(known)},
                    "factor_p50": float(np.exp(np.median(np.abs(ratio)))),
                    "factor_p90": float(np.exp(np.quantile(np.abs(ratio), 0.9))),
                    "bias": float(np.exp(np.median(ratio))),
                    "side_right": float(np.mean((stated > 1.0) == (measured > 1.0))),
                    "advice_right": float(np.mean(same)),
                }
            )
    return pd.DataFrame(rows, columns=[by, "source", *GAP_COLUMNS])


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
        of = pairs.loc[chosen, "measured"].to_numpy(dtype=float)
        inside = np.mean((of >= low) & (of <= high)) if len(of) else np.nan
        p5, p50, p95 = np.quantile(of, (0.05, 0.5, 0.95)) if len(of) else (np.nan,) * 3
        below, above = [
            float(np.mean(side)) if len(of) else np.nan for side in (of < low, of > high)
        ]
        rows.append(
            {
                **{"kind": kind, "low": low, "high": high, "families": ", ".join(families)},
                **{"pairs": len(of), "p5": p5, "p50": p50, "p95": p95},
                **{"below": below, "inside": float(inside), "above": above},
            }
        )
    return pd.DataFrame(rows)


def _fastest(cells: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Of the cells that are one operation, the row of the fastest library."""
    names = [*CELL_COLUMNS, "params_key", "median_s"]
    return cells.sort_values("median_s")[names].drop_duplicates(keys)


def _of_types(model: Model, boxes: Sequence[str]) -> pd.DataFrame:
    """Measured cells (``CELL_COLUMNS``, params_key, median_s) of types, then of single boxes."""
    names = [*CELL_COLUMNS, "params_key"]
    cells = model.measured.loc[~model.measured["workload"].isin(_NO_JOB), [*names, "median_s"]]
    types = cells["machine_id"].map(model.types.of_box).fillna(cells["machine_id"])
    logs = cells.assign(machine_id=types, median_s=np.log(cells["median_s"]))
    medians = logs.groupby(names, sort=False, dropna=False)["median_s"].median()
    pooled = np.exp(medians).reset_index()
    tables: list[pd.DataFrame] = [pooled, cells[cells["machine_id"].isin(boxes)]]
    return pd.concat(tables, ignore_index=True)


def _with_speedups(model: Model, pairs: pd.DataFrame, mode: str) -> pd.DataFrame:
    """Add the speed-ups that the rules and the model state."""
    params = pd.Series([dict(key) for key in pairs["params_key"]], dtype=object)
    shared = pairs[["workload", "case", "dtype"]].assign(params=params)
    cpu = shared.assign(
        machine_id=pairs["cpu_machine"],
        backend=pairs["cpu_backend"],
        threads=pairs["threads"],
        device="cpu",
        math_mode=MATH_MODE,
        mode=cpu_mode(mode),
    )
    gpu = shared.assign(
        machine_id=pairs["gpu_machine"],
        backend=pairs["gpu_backend"],
        math_mode=pairs["math_mode"],
        threads=1,
        device="cuda",
        mode=mode,
    )
    cells = pd.concat([cpu, gpu], ignore_index=True)
    described = model.described(model.types.on_boxes(cells))
    seconds = rule_seconds(described, sheet_rates(described, model.machines))
    seconds["estimate"] = ask(model, cells, strict=False)["seconds_p50"].to_numpy(dtype=float)
    count = len(pairs)
    pairs["flop"] = described["flop_count"].to_numpy(dtype=float)[:count]
    return pairs.assign(
        **{name: both[:count] / both[count:] for name, both in seconds.items() if name in SOURCES}
    )
