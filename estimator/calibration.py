"""Errors of cells that the fit is made to forget, by the question that each stands for.

Nothing is fitted again: the blocks of ``corrections`` tell what all other rows say of the rows
that are left out, through the parameters of the formula and through the shapes near by.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.features import dimensions
from estimator.intervals import LEVEL
from estimator.kernel_model import Array
from estimator.levels import DTYPE, GROUP, Fit, Indices
from estimator.predict import predict_points
from estimator.splits import (
    MOST_TIMES_LARGER,
    REHEARSAL,
    Mask,
    larger_shapes,
    operation_folds,
    shape_folds,
)

#: How much worse a real fit without a row does than its blocks foresee, before any is tried,
#: and how many errors weigh as much: seen on the shipped data (1.1 to 1.5 by regime).
_STRETCH, _STRETCH_WEIGHT = 1.2, 30

SCORE_COLUMNS = ("device", "workload", "regime", "score", "position", "fold", "error", "distance")


def held_out_scores(fitted: Fit, table: pd.DataFrame) -> pd.DataFrame:
    """One row per held-out cell and fold.

    ``table`` is what was fitted, its index 0 to n - 1. Columns: device, workload, regime,
    ``score`` (absolute log error over its expected deviation), ``position`` in the table, fold,
    ``error`` (log measured less log predicted) and ``distance`` (log units outside of what
    stayed in the group).
    """
    groups, siblings = (
        np.asarray(table.groupby(list(keys), sort=False, dropna=False).ngroup(), dtype=np.intp)
        for keys in (GROUP, DTYPE)
    )
    logs = np.column_stack([dimensions(table), np.log(table["amount"].to_numpy(dtype=float))])
    held = {**shape_folds(table), **operation_folds(table), **larger_shapes(table)}
    parts = []
    for name, mask in held.items():
        distance, seen = _outside(logs, groups, mask)
        answered = _any_left(siblings, mask)
        asked = mask & answered
        if name.startswith("larger"):
            reach = distance[:, -1] <= np.log(MOST_TIMES_LARGER)
            device = name.partition(" ")[2]
            asked &= reach & (table["device"] == device).to_numpy()
        far = distance[:, :-1].max(axis=1, initial=0.0)
        error, deviation = _errors(fitted, mask)
        asked &= np.isfinite(error) & (deviation > 0.0)
        regime = np.where(seen, np.where(far > 0.0, "extrapolated", "interpolated"), "new_workload")
        rows = np.flatnonzero(asked)
        score = np.abs(error[rows]) / deviation[rows]
        parts.append(
            table.loc[rows, ["device", "workload"]].assign(
                regime=regime[rows],
                score=score,
                position=rows,
                fold=name,
                error=error[rows],
                distance=far[rows],
            )
        )
    if not parts:
        return pd.DataFrame(columns=list(SCORE_COLUMNS))
    return pd.concat(parts, ignore_index=True)


def rehearsal_scores(fitted: Fit, held: pd.DataFrame) -> pd.DataFrame:
    """Scores of rows that the fit ``REHEARSAL`` went without, as ``held_out_scores``."""
    asked = held.assign(replica=REHEARSAL)
    points = predict_points(fitted, asked)
    seen = (points.group >= 0) & points.direct
    regime = np.where(points.distance > 0.0, "extrapolated", "interpolated")
    regime = np.where(seen, regime, "new_workload")
    error = asked["log_seconds"].to_numpy(dtype=float) - np.log(points.seconds)
    scores = asked[["device", "workload"]].assign(
        regime=regime,
        score=np.abs(error) / points.deviation,
        position=held.index.to_numpy(),
        error=error,
        distance=points.distance,
    )
    known: pd.DataFrame = scores[np.isfinite(scores["score"])]
    return known


def rehearsed(scores: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Scores of ``held_out_scores`` stretched to what a fit without the rows really scored.

    The blocks forget rows to first order only: the formula's derivatives were taken with the
    rows in sight. By device and regime the 90 % quantiles of both are compared over the same
    rows; few of them count less.
    """
    keys = ["device", "regime"]
    foreseen = scores[scores["fold"] == "shape 1"].drop_duplicates("position")
    pairs = seen.merge(foreseen[["position", "score"]], on="position", suffixes=("", "_foreseen"))
    factors = {}
    for key, group in pairs.groupby(keys):
        real, thought = (
            max(float(np.quantile(group[name], LEVEL)), 1e-3)
            for name in ("score", "score_foreseen")
        )
        weight = len(group) / (len(group) + _STRETCH_WEIGHT)
        known = np.log(real / thought)
        factors[key] = np.exp(weight * known + (1.0 - weight) * np.log(_STRETCH))
    factor = np.full(len(scores), _STRETCH)
    for (device, regime), known in factors.items():
        here = (scores["device"] == device) & (scores["regime"] == regime)
        factor[here.to_numpy()] = max(known, 1.0)
    return scores.assign(score=scores["score"] * factor)


def _errors(fitted: Fit, mask: Mask) -> tuple[Array, Array]:
    """Error and deviation of the held-out rows (NaN where nothing else tells of them)."""
    error, deviation = np.full(len(mask), np.nan), np.full(len(mask), np.nan)
    for found in fitted.corrections.blocks.values():
        held = np.flatnonzero(mask[found.members])
        if len(held) and len(held) < len(found.members):
            at = found.members[held]
            error[at], deviation[at] = found.held_out(held)
    return error, deviation


def _outside(logs: Array, groups: Indices, mask: Mask) -> tuple[Array, Mask]:
    """How far each value lies outside of what stayed in its group, (n, d), 0 inside, and
    whether anything of the group stayed.
    """
    count = int(groups.max(initial=-1)) + 1
    low, high = np.full((count, logs.shape[1]), np.inf), np.full((count, logs.shape[1]), -np.inf)
    kept = np.flatnonzero(~mask)
    known = np.nan_to_num(logs, nan=0.0)
    np.minimum.at(low, groups[kept], known[kept])
    np.maximum.at(high, groups[kept], known[kept])
    distance = np.maximum(np.maximum(known - high[groups], low[groups] - known), 0.0)
    distance[distance < 1e-9] = 0.0
    seen: Mask = np.asarray(np.isfinite(distance).all(axis=1), dtype=bool)
    return np.where(seen[:, None], distance, 0.0), seen


def _any_left(groups: Indices, mask: Mask) -> Mask:
    left = np.bincount(groups[~mask], minlength=int(groups.max(initial=-1)) + 1) > 0
    answered: Mask = left[groups]
    return answered
