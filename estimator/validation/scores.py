"""Figures of a validation from its held-out cells. Pure: DataFrame in, DataFrame out.

Held-out cells have one row per cell, split and predictor: what identifies the cell, its
``clock`` (``clock_of``), ``measured_s``, ``predicted_s`` (NaN: no answer) and, of the
model, ``inside`` (1 where its 90 % interval holds the measurement) and ``basis``.

No predictor can be better than two runs of the same machine agree. The floor of a family is the
difference between two runs' medians of the same cell, in percent, as though one run had been the
prediction of the other. Cells of a GPU that wait for the host have a floor of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from estimator.cells.questions import params_key
from estimator.dataset.attach import VIEW
from estimator.dataset.measurements import FIRST_CALL, UNFITTED_WORKLOADS, Measurements
from estimator.dataset.tables import CELL_COLUMNS

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


PREDICTORS = ("breakeven", "roofline", "nearest", "cores", "throughput")
COLUMNS = (
    *("family", "device", "host_bound", "split", "predictor", "asked", "n"),
    *("mape", "median_ape", "p90_ape", "bias", "coverage90"),
    *("rank_correlation", "regret", "choices", "floor_mean", "floor_median", "floor_p90"),
)
DECISIONS = ("library", "machine", "CPU or GPU")
CLEAR_CHOICE = 1.15  # the second best takes at least this many times the best one's time

_ROW = ["workload", "clock", "split", "predictor"]
_FEWEST_RANKED = 4
_QUESTION = ["split", "turn", "predictor", "workload", "operation", "params_key", "dtype"]
_QUESTION += ["math_mode"]
_COPIED = ("end_to_end",)


def summarise(results: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """One row per family, clock, split and predictor, columns ``COLUMNS``; errors in percent.

    ``asked`` counts the cells and ``n`` those that the predictor answered. ``bias`` is the mean
    signed error (negative: optimistic). ``rank_correlation`` is Spearman's within questions of
    one machine, library, element type and mode, weighted by their cells. ``regret`` is how much
    slower the predicted best of an operation's choices on that device is than the measured best.
    """
    table = _with_errors(results)
    answered = table[np.isfinite(table["error"])]
    groups = answered.groupby(_ROW, sort=True)
    size = answered["error"].abs().groupby([answered[name] for name in _ROW], sort=True)
    summary = pd.DataFrame(
        {
            "asked": table.groupby(_ROW, sort=True).size(),
            "n": groups.size(),
            "mape": size.mean(),
            "median_ape": size.median(),
            "p90_ape": size.quantile(0.9),
            "bias": groups["error"].mean(),
            "coverage90": groups["inside"].mean(),
            "rank_correlation": _rank_correlation(answered),
        }
    ).reset_index()
    summary["n"] = summary["n"].fillna(0).astype(int)
    summary = summary.merge(_regrets(table), on=_ROW, how="left")
    figures = [
        floor_of(floors, row["clock"], [row["workload"]]) for row in summary.to_dict("records")
    ]
    for name in ("mean", "median", "p90"):
        summary[f"floor_{name}"] = [one[name] for one in figures]
    summary["choices"] = summary["choices"].fillna(0).astype(int)
    summary["device"] = np.where(summary["clock"] == "cpu", "cpu", "cuda")
    summary["host_bound"] = summary["clock"] == "gpu host"
    order = {name: i for i, name in enumerate(PREDICTORS)}
    splits = {name: i for i, name in enumerate(dict.fromkeys(results["split"]))}
    summary = summary.assign(
        _split=summary["split"].map(splits), _order=summary["predictor"].map(order)
    ).sort_values(["_split", "workload", "clock", "_order"], ignore_index=True)
    return summary.rename(columns={"workload": "family"})[list(COLUMNS)]


def totals(results: pd.DataFrame) -> pd.DataFrame:
    """All families together: one row per split, clock and predictor, errors in percent."""
    table = _with_errors(results)
    keys = ["split", "clock", "predictor"]
    groups = table.groupby(keys, sort=False)
    size = table["error"].abs().groupby([table[name] for name in keys], sort=False)
    summary = pd.DataFrame(
        {
            "asked": groups.size(),
            "n": groups["error"].count(),
            "mape": size.mean(),
            "median_ape": size.median(),
            "p90_ape": size.quantile(0.9),
            "bias": groups["error"].mean(),
            "coverage90": groups["inside"].mean(),
        }
    ).reset_index()
    order = {name: i for i, name in enumerate((*results["split"].unique(), *CLOCKS, *PREDICTORS))}
    return summary.sort_values(keys, key=lambda names: names.map(order), ignore_index=True)


def coverage(results: pd.DataFrame, by: str = "split") -> pd.DataFrame:
    """Of the model: ``by`` (split or basis), device, n, coverage90 (0 to 1), width.

    ``width`` is the median of the interval's upper end over its lower end.
    """
    mine = results[(results["predictor"] == "breakeven") & results["inside"].notna()]
    groups = mine.groupby([by, "device"], sort=False)
    table = pd.DataFrame(
        {
            "n": groups.size(),
            "coverage90": groups["inside"].mean(),
            "width": groups["width"].median(),
        }
    )
    return table.reset_index()


def decisions(results: pd.DataFrame) -> pd.DataFrame:
    """How good choices by each predictor are: one row per split, kind of choice and predictor.

    A choice is between libraries on one machine and device, between types of machine, or between
    CPU and GPU (whose time then includes the copies). Columns: split, kind, predictor, n
    (choices), clear (those whose second best takes over 15 % longer), right (share of the clear
    ones where the predicted best is of the best side), regret (mean, in percent) and worst (the
    largest, in percent: one measurement that was disturbed can make it).
    """
    choices = pd.concat([_choices(results, kind) for kind in DECISIONS], ignore_index=True)
    if choices.empty:
        return pd.DataFrame(
            columns=["split", "kind", "predictor", "n", "clear", "right", "regret", "worst"]
        )
    choices["right"] = choices["right"].astype(float).where(choices["clear"])
    groups = choices.groupby(["split", "kind", "predictor"], sort=False)
    table = pd.DataFrame(
        {
            "n": groups.size(),
            "clear": groups["clear"].sum().astype(int),
            "right": groups["right"].mean(),
            "regret": groups["regret"].mean(),
            "worst": groups["regret"].max(),
        }
    ).reset_index()
    order = {
        name: i for i, name in enumerate((*DECISIONS, *PREDICTORS, *results["split"].unique()))
    }
    keys = ["split", "kind", "predictor"]
    return table.sort_values(keys, key=lambda names: names.map(order), ignore_index=True)


def compare(results: pd.DataFrame, other: str) -> pd.DataFrame:
    """The model beside another predictor on the cells that both answered.

    Columns: family, device, host_bound, split, n, ours, theirs (mean absolute errors, percent).
    """
    table = _with_errors(results)
    keys = ["split", "turn", "row", "workload", "clock"]
    ours, theirs = (
        table.loc[table["predictor"] == name, [*keys, "error"]] for name in ("breakeven", other)
    )
    both = ours.merge(theirs, on=keys, suffixes=("", "_other")).dropna()
    both = both.assign(ours=both["error"].abs(), theirs=both["error_other"].abs())
    groups = both.groupby(["workload", "clock", "split"], sort=False)
    result = groups[["ours", "theirs"]].mean().assign(n=groups.size()).reset_index()
    return result.assign(
        family=result["workload"],
        device=np.where(result["clock"] == "cpu", "cpu", "cuda"),
        host_bound=result["clock"] == "gpu host",
    )[["family", "device", "host_bound", "split", "n", "ours", "theirs"]]


def _with_errors(results: pd.DataFrame) -> pd.DataFrame:
    error = 100.0 * (results["predicted_s"] / results["measured_s"] - 1.0)
    return results.assign(error=error.where(np.isfinite(error)))


def _rank_correlation(answered: pd.DataFrame) -> pd.Series[float]:
    keys = [*_ROW, "machine_id", "backend", "threads", "dtype", "math_mode", "mode"]
    groups = answered.groupby(keys, sort=False, dropna=False)
    table = answered[keys].assign(
        size=groups["measured_s"].transform("size"),
        measured=groups["measured_s"].rank(),
        predicted=groups["predicted_s"].rank(),
    )
    table = table[table["size"] >= _FEWEST_RANKED]
    again = table.groupby(keys, sort=False, dropna=False)
    measured = table["measured"] - again["measured"].transform("mean")
    predicted = table["predicted"] - again["predicted"].transform("mean")
    sums = (
        table[keys]
        .assign(xy=measured * predicted, xx=measured**2, yy=predicted**2, n=1)
        .groupby(keys, sort=False, dropna=False)[["xy", "xx", "yy", "n"]]
        .sum()
        .reset_index()
    )
    spread = np.sqrt((sums["xx"] * sums["yy"]).to_numpy(dtype=float))
    # a predictor that sees no difference between the cells orders none of them
    value = sums["xy"].to_numpy(dtype=float) / np.where(spread > 0.0, spread, np.inf)
    sums = sums.assign(weighted=value * sums["n"])[sums["xx"] > 0.0]
    total = sums.groupby(_ROW)[["weighted", "n"]].sum()
    return total["weighted"] / total["n"]


def _regrets(results: pd.DataFrame) -> pd.DataFrame:
    """Mean regret of the choices on one device, by the row of the table."""
    kinds = [_choices(results, kind) for kind in ("library", "machine")]
    choices = pd.concat(kinds, ignore_index=True)
    if choices.empty:
        return pd.DataFrame(columns=[*_ROW, "regret", "choices"])
    groups = choices.groupby(_ROW, sort=False)["regret"]
    return pd.DataFrame({"regret": groups.mean(), "choices": groups.size()}).reset_index()


def _choices(results: pd.DataFrame, kind: str) -> pd.DataFrame:
    """One row per question with several sides to choose from, and what the predictor chose."""
    if kind == "library":
        place, side = ["machine_id", "device", "mode"], "backend"
        options = results
    elif kind == "machine":
        place, side = ["device", "mode"], "machine_type"
        options = results
    else:
        place, side = [], "device"
        copied = (results["device"] == "cpu") & (results["mode"] == "hot")
        options = results[copied | results["mode"].isin(_COPIED)]
    keys = [*_QUESTION, *place]
    codes = options.groupby(keys, sort=False, dropna=False).ngroup()
    options = options.assign(question=codes, side=options[side])
    best = options.groupby(["question", "side"], sort=False)["measured_s"].min()
    ordered = best.groupby("question").agg(best_s="min", sides="size")
    second = best[best > best.groupby("question").transform("min")].groupby("question").min()
    answered = options[np.isfinite(options["predicted_s"])]
    answered = answered[answered["question"].map(ordered["sides"]).to_numpy() > 1]
    chosen = answered.loc[answered.groupby("question", sort=False)["predicted_s"].idxmin()]
    best_s = chosen["question"].map(ordered["best_s"])
    best_of_side = best.reindex(pd.MultiIndex.from_frame(chosen[["question", "side"]])).to_numpy(
        dtype=float
    )
    table: pd.DataFrame = chosen.assign(
        kind=kind,
        regret=100.0 * (chosen["measured_s"] / best_s - 1.0),
        clear=(chosen["question"].map(second) / best_s > CLEAR_CHOICE).to_numpy(dtype=bool),
        right=best_of_side <= best_s.to_numpy(dtype=float),
    )
    return table[[*_ROW, "kind", "regret", "clear", "right"]]
