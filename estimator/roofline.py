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

import numpy as np
import pandas as pd

from estimator.features import dimensions
from estimator.kernel_model import Array
from estimator.sheet_rates import RATES

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

    Both are tables of described cells (``fitting.describe_cells``); ``sheets`` are the data
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
