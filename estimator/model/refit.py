"""How far a model is from cells: those it was fitted to, and those that a selection left out.

Figures are of all cells that are asked for, or of a seeded sample of them; what is drawn is a
smaller sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from collector.workloads import FAMILIES, get_workload
from estimator.cells.questions import case_of, operation
from estimator.dataset.tables import CELL_COLUMNS

if TYPE_CHECKING:
    from estimator.dataset.measurements import Measurements
    from estimator.model.model import Model
    from estimator.model.selection import Selection


CELL_KEY = (*CELL_COLUMNS, "params_key")
ERROR_COLUMNS = ("cells", "median", "p90", "bias")
_CURVE_POINTS = 80


@dataclass(frozen=True)
class FitErrors:
    """``total`` cells were asked for, ``compared`` enter the figures.

    ``overall`` and ``families`` (by workload) have ``ERROR_COLUMNS``: median and 90th percentile
    of the absolute relative error, and the median of the signed one (above 0: too slow).
    ``cells``: at most so many as asked, ``CELL_KEY`` with measured_s, predicted_s and error.
    """

    total: int
    compared: int
    overall: pd.Series[Any]
    families: pd.DataFrame
    cells: pd.DataFrame


@dataclass(frozen=True)
class GroupCurve:
    """One group: ``curve`` (size, seconds_p5, seconds_p50, seconds_p95) and its measured
    ``points`` (size, median_s, n samples, params_key)."""

    curve: pd.DataFrame
    points: pd.DataFrame


def fit_errors(
    model: Model,
    device: str | None = None,
    workload: str | None = None,
    most_compared: int = 40_000,
    most_cells: int = 1_500,
) -> FitErrors:
    """Errors on the measured cells of a device and workload, or of all."""
    known = model.measured
    if device is not None:
        known = known[known["device"] == device]
    if workload is not None:
        known = known[known["workload"] == workload]
    total = len(known)
    cells = with_errors(model, _sample(known, most_compared))
    by = cells.groupby("workload", sort=True)["error"]
    rows = [{"workload": name, **error_figures(errors)} for name, errors in by]
    return FitErrors(
        total,
        len(cells),
        pd.Series(error_figures(cells["error"])),
        pd.DataFrame(rows, columns=["workload", *ERROR_COLUMNS]),
        _sample(cells, most_cells),
    )


def with_errors(model: Model, known: pd.DataFrame) -> pd.DataFrame:
    """Measured cells (rows of ``Model.measured``) with the model's time and relative error.

    Cells that the model does not answer are left out.
    """
    measured = known["median_s"].astype(float)
    predicted = predicted_seconds(model, known)
    cells = known[list(CELL_KEY)].assign(
        measured_s=measured, predicted_s=predicted, error=predicted / measured - 1.0
    )
    answered: pd.DataFrame = cells.loc[np.isfinite(cells["error"])].reset_index(drop=True)
    return answered


def predicted_seconds(model: Model, known: pd.DataFrame) -> pd.Series[float]:
    """The model's times of measured cells, same index; NaN where it does not answer."""
    from estimator.model.model import predict_each

    if known.empty:
        return pd.Series(index=known.index, dtype=float)
    params: Any = [dict(key) for key in known["params_key"]]
    asked = known[list(CELL_COLUMNS)].assign(params=params)
    return predict_each(model, asked)["seconds_p50"].astype(float)


def group_curve(model: Model, group: dict[str, Any]) -> GroupCurve:
    """The model over the sizes of one group, which has the key columns of ``Model.groups``.

    One parameter is drawn from half the least to four times the most that was measured; cases
    of several parameters have the measured cells as they are.
    """
    name, dtype = str(group["workload"]), str(group["dtype"])
    case = case_of(str(group["case"]))
    known = model.measured
    for column in ("machine_id", "workload", "dtype", "math_mode", "backend", "device", "threads"):
        known = known[known[column] == group[column]]
    known = known[(known["mode"] == group["mode"]) & (known["case"].map(case_of) == case)]
    same = [
        operation(name, str(one), str(group["backend"]), dict(key)) == group["case"]
        for one, key in zip(known["case"], known["params_key"], strict=True)
    ]
    known = known[np.array(same, dtype=bool)]
    if known.empty or name not in FAMILIES:
        return GroupCurve(pd.DataFrame(columns=["size"]), pd.DataFrame(columns=["size"]))
    workload = get_workload(name)
    case = str(known["case"].iloc[0])
    measured = [dict(key) for key in known["params_key"]]
    signature = workload.signatures[case]
    grid = measured
    if len(signature) == 1:
        parameter = next(iter(signature))
        values = [params[parameter] for params in measured]
        steps = np.geomspace(max(1, min(values) / 2), max(values) * 4, _CURVE_POINTS).round()
        grid = [workload.complete(case, {parameter: int(step)}) for step in np.unique(steps)]
    asked = {column: group[column] for column in CELL_COLUMNS} | {"case": case, "dtype": dtype}
    params: Any = grid
    question = pd.DataFrame([asked] * len(grid)).assign(params=params)
    answer = model.predict(question, strict=False)[["seconds_p5", "seconds_p50", "seconds_p95"]]
    answer = answer.astype(float).assign(size=[float(workload.size(case, one)) for one in grid])
    points = pd.DataFrame(
        {
            "size": [float(workload.size(case, one)) for one in measured],
            "median_s": known["median_s"].to_numpy(dtype=float),
            "n": known["samples"].to_numpy(),
            "params_key": known["params_key"].to_numpy(),
        }
    )
    return GroupCurve(answer.dropna().sort_values("size", ignore_index=True), points)


def error_figures(errors: pd.Series[float]) -> dict[str, float]:
    """``ERROR_COLUMNS`` of signed relative errors; NaN where there are none."""
    if not len(errors):
        return {"cells": 0, **dict.fromkeys(ERROR_COLUMNS[1:], np.nan)}
    size = errors.astype(float).abs()
    return {
        "cells": len(errors),
        "median": float(size.median()),
        "p90": float(size.quantile(0.9)),
        "bias": float(errors.astype(float).median()),
    }


def _sample(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    return frame if len(frame) <= most else frame.sample(most, random_state=0)


_MOST_COMPARED = 20_000
ALL = "all"


@dataclass(frozen=True)
class RefitComparison:
    """``selected`` cells were fitted; ``outside`` were not, of which ``asked`` were asked.

    ``held_out`` is False where the selection has every cell (as runs of the same cells do): then
    all cells are asked. ``table``: workload, device, asked, answered (by the selection's fit),
    and for the cells that both fits answer median, p90 and bias of the selection's fit, and
    full_median, full_p90 and full_bias of the full one, which has seen these cells. The first
    row, workload "all", is of all of them.
    """

    selected: int
    outside: int
    asked: int
    held_out: bool
    table: pd.DataFrame


def compare_refit(
    measurements: Measurements, selection: Selection, most: int = _MOST_COMPARED
) -> RefitComparison:
    """Fit the selection and compare. Raises EstimateError where it has no cell."""
    from estimator.dataset.cache_directory import user_cache_directory
    from estimator.model.fit import fit_cached, fit_selected

    full = fit_cached(measurements, user_cache_directory())
    return compare_models(full, fit_selected(measurements, selection), most)


def compare_models(full: Model, chosen: Model, most: int = _MOST_COMPARED) -> RefitComparison:
    """Both models on the cells of the full one that the other was not fitted to."""
    if chosen.measured.empty:
        raise EstimateError("the selection has no measured cell; choose more")
    known = full.measured.reset_index(drop=True)
    keys = pd.MultiIndex.from_frame(known[list(CELL_KEY)])
    seen = keys.isin(pd.MultiIndex.from_frame(chosen.measured[list(CELL_KEY)]))
    outside = known[~seen]
    held_out = len(outside) > 0
    asked = outside if held_out else known
    asked = asked if len(asked) <= most else asked.sample(most, random_state=0)
    measured = asked["median_s"].astype(float)
    cells = asked[["workload", "device"]].assign(
        error=predicted_seconds(chosen, asked) / measured - 1.0,
        full=predicted_seconds(full, asked) / measured - 1.0,
    )
    rows = [_row(ALL, ALL, cells)]
    for (workload, device), group in cells.groupby(["workload", "device"], sort=True):
        rows.append(_row(str(workload), str(device), group))
    return RefitComparison(
        len(chosen.measured), len(outside), len(asked), held_out, pd.DataFrame(rows)
    )


def _row(workload: str, device: str, cells: pd.DataFrame) -> dict[str, Any]:
    answered = cells[np.isfinite(cells["error"]) & np.isfinite(cells["full"])]
    chosen, full = error_figures(answered["error"]), error_figures(answered["full"])
    return {
        "workload": workload,
        "device": device,
        "asked": len(cells),
        "answered": len(answered),
        **{name: chosen[name] for name in ("median", "p90", "bias")},
        **{f"full_{name}": full[name] for name in ("median", "p90", "bias")},
    }
