"""A machine's measured cells by arithmetic intensity and rate, under its measured ceilings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from estimator.dataset import CELL_COLUMNS
from estimator.sheet_rates import sheet_rates

if TYPE_CHECKING:
    from estimator.model import Model

#: Families that stream through memory: their best rate is the memory's.
_STREAMING = ("elementwise", "reduction")
_REREADS = ("softmax", "layer_norm")  # read intermediate results from a cache
_HALVED = "x_xt"  # a product with its own transpose, of which libraries compute one half only
_LEAST_BYTES = 256e6  # smaller working sets may stay in a cache


@dataclass(frozen=True)
class Roofline:
    """Ceilings of one device in one element type, and the cells under them.

    Rates per second, NaN where nothing tells them: the best product's ``flop_per_s``, the best
    streaming cell's ``bytes_per_s`` (of any element type) and what the cells are called, and the
    data sheet's. ``points``: workload, case, params_key, backend, threads, intensity (FLOP per
    byte), flop_per_s, median_s. ``total`` cells have arithmetic; ``points`` are a seeded sample
    of them if those are more than asked for.
    """

    flop_per_s: float
    flop_cell: str
    bytes_per_s: float
    bytes_cell: str
    sheet_flop_per_s: float
    sheet_bytes_per_s: float
    points: pd.DataFrame
    total: int


def roofline_places(model: Model) -> pd.DataFrame:
    """machine_id, device, dtype and math_mode that have measured cells with device times."""
    known = _device_times(model.measured)
    names = ["machine_id", "device", "dtype", "math_mode"]
    counts = known.groupby(names, as_index=False).size()
    return counts.rename(columns={"size": "cells"})


def roofline_points(
    model: Model, machine_id: str, device: str, dtype: str, math_mode: str, most: int = 400
) -> Roofline:
    """The roofline of one device. Bytes are those that an operation has to read and write."""
    known = _device_times(model.measured)
    known = known[(known["machine_id"] == machine_id) & (known["device"] == device)]
    known = known.reset_index(drop=True)
    params: Any = [dict(key) for key in known["params_key"]]
    work = model.donors.table(known[list(CELL_COLUMNS)].assign(params=params))
    seconds = known["median_s"].to_numpy(dtype=float)
    cells = known[["workload", "case", "params_key", "backend", "threads", "dtype", "math_mode"]]
    cells = cells.assign(
        median_s=seconds,
        flop_per_s=work["flop_count"].to_numpy(dtype=float) / seconds,
        moved=(work["bytes_read"] + work["bytes_written"]).to_numpy(dtype=float),
    )
    cells["intensity"] = cells["flop_per_s"] * seconds / cells["moved"]
    same = (cells["dtype"] == dtype) & (cells["math_mode"] == math_mode)
    good = same & (cells["flop_per_s"] > 0.0) & np.isfinite(cells["intensity"])
    products = cells[
        same & (cells["workload"] == "matmul") & ~cells["case"].str.startswith(_HALVED)
    ]
    flop, flop_cell = _best(products, products["flop_per_s"])
    streaming = cells["workload"].isin(_STREAMING) & ~cells["case"].isin(_REREADS)
    streams = cells[streaming & (cells["moved"] >= _LEAST_BYTES)]
    rate, rate_cell = _best(streams, streams["moved"] / streams["median_s"])
    sheet = {"flop_per_s": np.nan, "bytes_per_s": np.nan}
    if same.any():
        chosen = known[same.to_numpy()].assign(workload="matmul")
        chosen = chosen[chosen["threads"] == chosen["threads"].max()].iloc[:1]
        sheet = dict(sheet_rates(chosen, model.machines).iloc[0])
    points = cells[good].drop(columns=["dtype", "math_mode", "moved"])
    total = len(points)
    points = points if total <= most else points.sample(most, random_state=0)
    return Roofline(
        *(flop, flop_cell, rate, rate_cell),
        *(float(sheet["flop_per_s"]), float(sheet["bytes_per_s"])),
        points.reset_index(drop=True),
        total,
    )


def _device_times(measured: pd.DataFrame) -> pd.DataFrame:
    """Cells whose time is the operation's own: neither the host's share nor copies in it."""
    own = (measured["mode"] == "hot") & (measured["workload"] != "transfer")
    return measured[own & (measured["workload"] != "launch")]


def _best(cells: pd.DataFrame, rates: pd.Series[float]) -> tuple[float, str]:
    if cells.empty or rates.isna().all():
        return float("nan"), ""
    row = cells.iloc[int(rates.to_numpy(dtype=float).argmax())]
    params = ", ".join(f"{name}={value}" for name, value in row["params_key"])
    return float(rates.max()), f"{row['workload']} {row['case']} {params}, {row['backend']}"
