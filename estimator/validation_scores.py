"""Figures of a validation from its held-out cells. Pure: DataFrame in, DataFrame out.

Held-out cells have one row per cell, split and predictor: what identifies the cell, its
``clock`` (``validation_floors``), ``measured_s``, ``predicted_s`` (NaN: no answer) and, of the
model, ``inside`` (1 where its 90 % interval holds the measurement) and ``basis``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.validation_floors import CLOCKS, floor_of

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
