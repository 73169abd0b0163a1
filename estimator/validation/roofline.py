"""The predictors to beat: a plain roofline, and the nearest measured neighbour.

    t = max(flop / F, bytes / W, bus bytes / B)

with F, W and B the best rates measured on that machine and device in the training rows: F for
the element type and math mode, W over all families (so of the fastest cache level that any of
them streams from), B over all copies. No launch cost, no efficiency (Williams, Waterman and
Patterson, CACM 52(4), 2009). On a place without training rows they are those of its data sheet.

The nearest neighbour is a cell of the same machine, or else one of another machine, times the
ratio of the two data sheets' rooflines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from estimator.arrays import Array
from estimator.catalogue.sheet_rates import RATES, sheet_rates
from estimator.cells.features import dimensions
from estimator.dataset.tables import CELL_COLUMNS
from estimator.fitting.priors import REREADING, STREAMING

if TYPE_CHECKING:
    from estimator.model.model import Model


_PLACE = ["machine_id", "device", "threads"]
_QUESTION = [
    *("device", "backend", "workload", "operation", "dtype", "math_mode", "answer_mode"),
]
_GROUP = ["machine_id", "threads", *_QUESTION]
_NO_SHEETS = pd.DataFrame(columns=list(RATES), dtype=float)


def roofline_seconds(
    train: pd.DataFrame, asked: pd.DataFrame, sheets: pd.DataFrame = _NO_SHEETS
) -> Array:
    """Seconds of each asked cell, (n,), from the ceilings of the training cells.

    Both are tables of described cells (``fit.describe_cells``); ``sheets`` are the data
    sheets' rates of the asked ones (``sheet_rates``), for places without training rows. A cell
    without FLOP and bytes takes no time by this rule; one on an unknown place is NaN.
    """
    seconds = np.exp(train["log_seconds"])
    bus = train["h2d_bytes"] + train["d2h_bytes"]
    is_copy = train["workload"] == "transfer"
    rates = train.assign(
        # numpy computes X X^T with half the operations that its definition counts
        flop_rate=(train["flop"] / seconds).where(train["case"] != "x_xt_1000_float32", 0.0),
        byte_rate=(train["bytes"] / seconds).where(~is_copy | (bus == 0.0), 0.0),
        bus_rate=bus / seconds,
    )
    best = np.stack(
        [
            _best(rates, asked, [*_PLACE, "dtype", "math_mode"], "flop_rate"),
            _best(rates, asked, _PLACE, "byte_rate"),
            _best(rates, asked, _PLACE, "bus_rate"),
        ],
        axis=1,
    )
    known = sheets.reindex(asked.index)[list(RATES)].to_numpy(dtype=float)
    return _roofline(asked, np.where(np.isnan(best), known, best))


def _roofline(cells: pd.DataFrame, rates: Array) -> Array:
    """The longest of the three times, (n,), at rates (n, 3) of arithmetic, memory and bus."""
    bus = (cells["h2d_bytes"] + cells["d2h_bytes"]).to_numpy(dtype=float)
    is_copy = (cells["workload"] == "transfer").to_numpy() & (bus > 0.0)
    moved = np.where(is_copy, 0.0, cells["bytes"].to_numpy(dtype=float))
    amounts = np.stack([cells["flop"].to_numpy(dtype=float), moved, bus], axis=1)
    result: Array = _divide(amounts, rates).max(axis=1)
    return result


def nearest_seconds(
    train: pd.DataFrame,
    asked: pd.DataFrame,
    train_sheets: pd.DataFrame = _NO_SHEETS,
    asked_sheets: pd.DataFrame = _NO_SHEETS,
) -> Array:
    """The time of the training cell of the same group that is nearest in log parameters, (n,).

    Nothing is scaled. Where the machine has none, the nearest of the same library and question
    on another machine answers, times the ratio of the data sheets' rooflines
    (``sheet_rates`` of both tables). NaN where there is none either.
    """
    result = _nearest(train, asked, _GROUP, np.ones(len(train)), np.ones(len(asked)))
    todo = np.flatnonzero(np.isnan(result))
    if len(todo) and len(train_sheets):
        lines = [
            _roofline(cells, sheets.reindex(cells.index)[list(RATES)].to_numpy(dtype=float))
            for cells, sheets in ((train, train_sheets), (asked, asked_sheets))
        ]
        lines = [np.where(line > 0.0, line, np.nan) for line in lines]
        usable = np.flatnonzero(np.isfinite(lines[0]))
        known, wanted = (
            cells.assign(alone=cells["threads"] == 1)
            for cells in (train.iloc[usable], asked.iloc[todo])
        )
        keys = [*_QUESTION, "alone"]
        result[todo] = _nearest(known, wanted, keys, lines[0][usable], lines[1][todo])
    return result


def _nearest(
    train: pd.DataFrame, asked: pd.DataFrame, keys: list[str], known: Array, wanted: Array
) -> Array:
    """Times of the nearest cells of the same keys, times the ratio ``wanted`` / ``known``."""
    result = np.full(len(asked), np.nan)
    groups = train.groupby(keys, sort=False).indices
    at_train, at_asked = dimensions(train), dimensions(asked)
    width = min(at_train.shape[1], at_asked.shape[1])
    seconds = np.exp(train["log_seconds"].to_numpy(dtype=float)) / known
    for key, rows in asked.groupby(keys, sort=False).indices.items():
        if key not in groups:
            continue
        others = groups[key]
        gaps = at_asked[rows, None, :width] - at_train[None, others, :width]
        distance = np.nan_to_num(np.abs(gaps), nan=0.0).sum(axis=2)
        result[rows] = seconds[others[distance.argmin(axis=1)]] * wanted[rows]
    return result


def _best(rates: pd.DataFrame, asked: pd.DataFrame, keys: list[str], name: str) -> Array:
    best = rates.groupby(keys, as_index=False)[name].max()
    values: Array = asked[keys].merge(best, on=keys, how="left")[name].to_numpy(dtype=float)
    return values


def _divide(amount: Array, rate: Array) -> Array:
    """amount / rate; 0 for no amount, NaN for an amount without a rate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(amount > 0.0, np.where(rate > 0.0, amount / rate, np.nan), 0.0)


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
    work = model.described(known[list(CELL_COLUMNS)].assign(params=params))
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
    flop, flop_cell = _best_rate(products, products["flop_per_s"])
    streaming = cells["workload"].isin(STREAMING) & ~cells["case"].isin(REREADING)
    streams = cells[streaming & (cells["moved"] >= _LEAST_BYTES)]
    rate, rate_cell = _best_rate(streams, streams["moved"] / streams["median_s"])
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


def _best_rate(cells: pd.DataFrame, rates: pd.Series[float]) -> tuple[float, str]:
    if cells.empty or rates.isna().all():
        return float("nan"), ""
    row = cells.iloc[int(rates.to_numpy(dtype=float).argmax())]
    params = ", ".join(f"{name}={value}" for name, value in row["params_key"])
    return float(rates.max()), f"{row['workload']} {row['case']} {params}, {row['backend']}"
