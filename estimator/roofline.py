"""The predictors to beat: a plain roofline, and the nearest measured neighbour.

    t = max(flop / F, bytes / W, bus bytes / B)

with F, W and B the best rates measured on that machine and device in the training rows: F for
the element type and math mode, W over all families (so of the fastest cache level that any of
them streams from), B over all copies. No launch cost, no efficiency (Williams, Waterman and
Patterson, CACM 52(4), 2009).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.features import dimensions
from estimator.kernel_model import Array
from estimator.levels import GROUP

_PLACE = ["machine_id", "device", "threads"]
_GROUP_KEYS = [name for name in GROUP if name != "replica"]


def roofline_seconds(train: pd.DataFrame, asked: pd.DataFrame) -> Array:
    """Seconds of each asked cell, (n,), from the ceilings of the training cells.

    Both are tables of described cells (``fitting.describe_cells``). A cell without FLOP and bytes
    takes no time by this rule; one on a place without training rows is NaN.
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
    flop_keys = [*_PLACE, "dtype", "math_mode"]
    flop = _best(rates, asked, flop_keys, "flop_rate")
    byte = _best(rates, asked, _PLACE, "byte_rate")
    bus_rate = _best(rates, asked, _PLACE, "bus_rate")
    asked_bus = (asked["h2d_bytes"] + asked["d2h_bytes"]).to_numpy(dtype=float)
    asked_copy = (asked["workload"] == "transfer").to_numpy() & (asked_bus > 0.0)
    moved = np.where(asked_copy, 0.0, asked["bytes"].to_numpy(dtype=float))
    times = np.stack(
        [
            _divide(asked["flop"].to_numpy(dtype=float), flop),
            _divide(moved, byte),
            _divide(asked_bus, bus_rate),
        ]
    )
    result: Array = times.max(axis=0)
    return result


def nearest_seconds(train: pd.DataFrame, asked: pd.DataFrame) -> Array:
    """The time of the training cell of the same group that is nearest in log parameters, (n,).

    NaN where the group has no training cell. Nothing is scaled.
    """
    result = np.full(len(asked), np.nan)
    groups = dict(iter(train.groupby(_GROUP_KEYS, sort=False)))
    asked = asked.reset_index(drop=True)
    for key, cells in asked.groupby(_GROUP_KEYS, sort=False):
        known = groups.get(key)
        if known is None:
            continue
        gaps = dimensions(cells)[:, None, :] - dimensions(known)[None, :, :]
        distance = np.nan_to_num(np.abs(gaps), nan=0.0).sum(axis=2)
        seconds = np.exp(known["log_seconds"].to_numpy(dtype=float))
        result[cells.index.to_numpy()] = seconds[distance.argmin(axis=1)]
    return result


def _best(rates: pd.DataFrame, asked: pd.DataFrame, keys: list[str], name: str) -> Array:
    best = rates.groupby(keys, as_index=False)[name].max()
    values: Array = asked[keys].merge(best, on=keys, how="left")[name].to_numpy(dtype=float)
    return values


def _divide(amount: Array, rate: Array) -> Array:
    """amount / rate; 0 for no amount, NaN for an amount without a rate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(amount > 0.0, np.where(rate > 0.0, amount / rate, np.nan), 0.0)
