"""From measured cells to a model: fit the groups, calibrate the intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from estimator.dataset import (
    CELL_COLUMNS,
    GPU_FACTS,
    WORK_COLUMNS,
    Measurements,
    empty_machines,
    measured_cells,
)
from estimator.features import describe, dimensions
from estimator.intervals import between_run_spread, calibrate, growth
from estimator.levels import GROUP, Fit, Level, fit_kernels, fit_transfers
from estimator.model import Model
from estimator.predict import base_seconds, predict_points
from estimator.priors import MODEL_SIGMA
from estimator.splits import (
    ALL,
    Mask,
    case_folds,
    larger_half,
    replicate,
    size_folds,
    within_reach,
)

_MOST_NOISE = 0.5  # a cell noisier than this still counts a little


def fit(measurements: Measurements) -> Model:
    """Fit every group of the rows with status ok. Raises EstimateError where there are none."""
    machines = measurements.machines
    table = describe_cells(measured_cells(measurements), machines)
    return fit_table(table, machines, measurements.fingerprint)


def describe_cells(cells: pd.DataFrame, machines: pd.DataFrame | None = None) -> pd.DataFrame:
    """Measured cells (``dataset.measured_cells``) with their features and ``sigma``.

    ``sigma`` is what a fit may miss a cell by: the model's own error and the cell's noise.
    ``machines`` (``Measurements.machines``) tells sizes that the features depend on.
    """
    if machines is None:
        machines = empty_machines(sorted(set(cells["machine_id"])))
    facts = machines[["machine_id", "last_level_cache_bytes", *GPU_FACTS]]
    cells = cells.merge(facts, on="machine_id", how="left")
    features = describe(cells).drop(columns=["workload", *WORK_COLUMNS])
    noise = cells["noise"].fillna(0.0).clip(0.0, _MOST_NOISE)
    table = cells.drop(columns=["params", "noise", "multiprocessors"]).join(features)
    return table.assign(sigma=np.hypot(MODEL_SIGMA, noise))


def fit_table(
    table: pd.DataFrame, machines: pd.DataFrame | None = None, fingerprint: str = ""
) -> Model:
    """Fit described cells (``describe_cells``): the model and its held-out errors in one batch.

    ``machines`` (``Measurements.machines``) tells what the machines are; without it their
    identifiers are their labels.
    """
    if machines is None:
        machines = empty_machines(sorted(set(table["machine_id"])))
    nothing = np.zeros(len(table), dtype=bool)
    held: dict[str, Mask] = {ALL: nothing, **size_folds(table), **case_folds(table)}
    held["larger"] = larger_half(table)
    fitted = fit_levels(replicate(table, held))
    scores = []
    for name, mask in held.items():
        asked = within_reach(table, mask) if name == "larger" else mask
        if asked.any():
            scores.append(_scores(fitted, table[asked].assign(replica=name)))
    empty = pd.DataFrame(columns=["device", "workload", "regime", "score"])
    calibration = calibrate(pd.concat(scores, ignore_index=True) if scores else empty)
    return Model(
        fingerprint=fingerprint,
        machines=machines,
        fit=_only_all(fitted),
        calibration=calibration,
        between=_between(table),
        measured=_measured(table),
        errors=_errors(fitted, table),
    )


def fit_levels(table: pd.DataFrame) -> Fit:
    """Fit the kernel formula to all rows but those with copies, then the copies on top."""
    with_copies = ((table["device"] == "cuda") & (table["answer_mode"] == "end_to_end")).to_numpy()
    kernels = fit_kernels(table[~with_copies])
    kernels = replace(kernels, group=_with_ranges(kernels.group, table[~with_copies]))
    copies = table[with_copies]
    if not len(copies):
        return kernels
    copies = copies.assign(base_s=base_seconds(kernels, copies)).dropna(subset=["base_s"])
    if not len(copies):
        return kernels
    bus = fit_transfers(copies)
    return replace(kernels, bus=(*bus[:-1], _with_ranges(bus[-1], copies)))


def _with_ranges(level: Level, table: pd.DataFrame) -> Level:
    """Add the count of rows and the range of each parameter (logs) to a level's index."""
    group = level.find(table)
    asked = dimensions(table)
    index = level.index.copy()
    index["n_fit"] = np.bincount(group, minlength=len(index))
    for i in range(asked.shape[1]):
        by_group = pd.Series(asked[:, i]).groupby(group)
        index[f"low_{i}"] = by_group.min().reindex(range(len(index))).to_numpy()
        index[f"high_{i}"] = by_group.max().reindex(range(len(index))).to_numpy()
    return Level(level.keys, index, level.theta, level.sensitivity)


def _scores(fitted: Fit, asked: pd.DataFrame) -> pd.DataFrame:
    """Held-out errors with the regime that each stands for."""
    points = predict_points(fitted, asked)
    error = np.abs(asked["log_seconds"].to_numpy() - np.log(points.seconds))
    seen = (points.group >= 0) & points.direct
    regime = np.where(seen, np.where(points.distance > 0, "extrapolated", "interpolated"), "")
    regime[~seen] = "new_workload"
    score = error / growth(points.distance)
    table = asked[["device", "workload"]].assign(regime=regime, score=score)
    return table.dropna(subset=["score"])


def _only_all(fitted: Fit) -> Fit:
    """The groups that were fitted to everything, without the held-out folds' copies."""

    def keep(level: Level) -> Level:
        return level.keep(np.flatnonzero(level.index["replica"] == ALL))

    floors = fitted.launch_floors
    return Fit(
        keep(fitted.dtype),
        keep(fitted.case),
        keep(fitted.group),
        floors[floors["replica"] == ALL].reset_index(drop=True),
        tuple(keep(level) for level in fitted.bus),
    )


def _between(table: pd.DataFrame) -> pd.DataFrame:
    """Spread between runs of one machine, by device and family (0 where there is one run)."""
    keys = ["machine_id", "device", "workload"]
    rows = [
        (*names, between_run_spread(group["spread"], group["runs"]), int((group["runs"] > 1).sum()))
        for names, group in table.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "spread", "cells"])


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    """Every measured cell: keys, ``median_s`` (of the runs' medians), samples and runs."""
    columns = table[[*CELL_COLUMNS, "params_key", "samples", "runs"]]
    return columns.assign(median_s=np.exp(table["log_seconds"].to_numpy(dtype=float)))


def _errors(fitted: Fit, table: pd.DataFrame) -> pd.DataFrame:
    """In-sample percentage errors by case group: median and 90th percentile."""
    asked = table.assign(replica=ALL)
    points = predict_points(fitted, asked)
    percent = 100.0 * np.abs(points.seconds / np.exp(asked["log_seconds"]) - 1.0)
    grouped = asked.assign(percent=percent).groupby(list(GROUP), sort=False)["percent"]
    return pd.DataFrame(
        {
            "n": grouped.size(),
            "median_abs_pct_error": grouped.median(),
            "p90_abs_pct_error": grouped.quantile(0.9),
        }
    ).reset_index()
