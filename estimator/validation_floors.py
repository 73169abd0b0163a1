"""How far two runs of the same machine are apart: what no predictor can be better than.

The floor of a family is the difference between two runs' medians of the same cell, in percent,
as though one run had been the prediction of the other. Cells of a GPU that wait for the host
have a floor of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from estimator.dataset import (
    CELL_COLUMNS,
    FIRST_CALL,
    UNFITTED_WORKLOADS,
    VIEW,
    Measurements,
)
from estimator.features import params_key

#: Where the time of a cell is spent: by the host's processor, by a GPU, or by the host for a GPU.
CLOCKS = ("cpu", "gpu", "gpu host")
FLOORS = ("mean", "median", "p90")

_LIBRARY = ["machine_id", "backend"]
_CELL = [
    *("device", "workload", "case", "params_key", "dtype", "math_mode", "threads", *_LIBRARY),
]
_HOST_MODES = ("resident", "end_to_end")  # timed by the host's clock
_FEWEST = 5  # pairs of a family; fewer lean on all families of their clock


def clocks(table: pd.DataFrame) -> pd.Series[str]:
    """Which of ``CLOCKS`` each described cell runs by, same index.

    A GPU's cell in a mode that the host times is bound by the host where its device time (the
    ``hot`` cell of the same question) and its copies at the best rate measured make up less than
    half of it; where that device time was not measured, where it is shorter than twice its
    launches at the library's shortest such time.
    """
    seconds = pd.Series(np.exp(table["log_seconds"].to_numpy(dtype=float)), table.index)
    hot = seconds.where(table["mode"] == "hot")
    device_s = hot.groupby([table[name] for name in _CELL], sort=False, dropna=False).transform(
        "max"
    )
    bus = (table["h2d_bytes"] + table["d2h_bytes"]).astype(float)
    library = [table[name] for name in _LIBRARY]
    rate = (bus / seconds).groupby(library, sort=False).transform("max")
    copies_s = (bus / rate).where(bus > 0.0, 0.0)
    timed = table["mode"].isin(_HOST_MODES) & (table["device"] == "cuda")
    shortest = seconds.where(timed).groupby([*library, table["mode"]], sort=False).transform("min")
    waiting = (device_s + copies_s) < 0.5 * seconds
    short = seconds - copies_s < 2.0 * shortest * table["launches"].astype(float)
    # copies by themselves launch nothing: they are bound by the bus unless they are short
    host = timed & waiting.where(device_s.notna(), short)
    clock = np.where(table["device"] == "cpu", "cpu", np.where(host, "gpu host", "gpu"))
    return pd.Series(clock.astype(object), table.index)


def run_cells(measurements: Measurements) -> pd.DataFrame:
    """Median of every run and cell: run_id, what identifies a cell, ``log_seconds``."""
    excluded = ", ".join(f"'{name}'" for name in UNFITTED_WORKLOADS)
    keys = ", ".join(f'"{name}"' for name in ("run_id", *CELL_COLUMNS, "cell_id"))
    query = f"""
        select {keys}, any_value(params) as params, median(ln(median_s)) as log_seconds
        from {VIEW}
        where status = 'ok' and median_s > 0 and isfinite(median_s)
            and mode <> '{FIRST_CALL}' and workload not in ({excluded})
        group by {keys}
        order by {keys}
    """
    runs = measurements.query(query)
    keyed = [params_key(params) for params in runs["params"]]
    runs = runs.assign(params_key=pd.Series(keyed, runs.index, dtype=object))
    return runs.drop(columns=["cell_id", "params"])


def with_clock(runs: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """``runs`` with the ``clock`` that the described ``table`` gives each of their cells."""
    keys = [*CELL_COLUMNS, "params_key"]
    known = table[keys].assign(clock=clocks(table)).drop_duplicates(keys)
    return runs.merge(known, on=keys)


def run_pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """Cells that two runs of one machine measured: keys and ``difference`` in percent.

    The difference is the mean of the two relative ones, with either run as the measurement.
    """
    keys = [name for name in runs.columns if name not in ("run_id", "log_seconds", "clock")]
    pairs = runs.merge(runs, on=keys, suffixes=("", "_other"))
    pairs = pairs[pairs["run_id"] < pairs["run_id_other"]]
    apart = (pairs["log_seconds"] - pairs["log_seconds_other"]).abs()
    difference = 100.0 * np.sinh(apart)  # (e^d - 1 + 1 - e^-d) / 2
    return pairs.drop(columns=["run_id_other", "log_seconds_other"]).assign(difference=difference)


def floors(pairs: pd.DataFrame) -> pd.DataFrame:
    """Columns clock, family ("*": all of the clock), pairs, mean, median and p90, in percent.

    ``pairs`` has clock, workload and difference. Families of fewer than five pairs are left out:
    those of their clock stand in.
    """
    rows: list[tuple[str, str, int, float, float, float]] = []
    for clock, of_clock in pairs.groupby("clock", sort=True):
        rows.append((str(clock), "*", *_figures(of_clock["difference"])))
        for family, of_family in of_clock.groupby("workload", sort=True):
            if len(of_family) >= _FEWEST:
                rows.append((str(clock), str(family), *_figures(of_family["difference"])))
    return pd.DataFrame(rows, columns=["clock", "family", "pairs", *FLOORS])


def floor_of(table: pd.DataFrame, clock: str, families: Sequence[str]) -> dict[str, float]:
    """Floors of cells of the given clock, ``families`` naming each one's; NaN where unmeasured."""
    known = table[table["clock"] == clock].set_index("family")
    names = [name if name in known.index else "*" for name in families]
    found = known.reindex(names)[list(FLOORS)].mean()
    return {name: float(found[name]) for name in FLOORS}


def _figures(difference: pd.Series[float]) -> tuple[int, float, float, float]:
    return (
        len(difference),
        float(difference.mean()),
        float(difference.median()),
        float(difference.quantile(0.9)),
    )
