"""90 % intervals from the errors of cells that the fit is made to forget, apart for each regime.

Nothing is fitted again: the blocks of ``corrections`` tell what all other rows say of the rows that
are left out, through the parameters of the formula and through the shapes near by.

Shapes, larger shapes and whole operations are held out. A shape is an operation with its
parameters, on whatever machine, library, element type and mode: held out, it is held out everywhere
at once, so that no sister gives its time away.

A held-out error is log(measured / predicted) of a cell that the fit was made to forget. Its regime
is that of the question it stands for: between measured sizes, beyond them, or of a case that was
not measured. Its score is its size over the deviation that was expected of it, which grows with the
distance to what is known and with the noise of a row, so that scores of near and far, quiet and
noisy cells compare (normalised conformal prediction, Papadopoulos, Gammerman and Vovk 2008). The
half-width of a prediction's interval is its own expected deviation times the 90 % quantile of the
scores of its family, device and regime, with the finite-sample rank of split conformal prediction
(Vovk, Gammerman and Shafer 2005, who call classes with their own quantile Mondrian); families of
few errors lean on their parents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from estimator.answer import NORMAL_95
from estimator.arrays import Array, Indices
from estimator.cells.features import dimensions
from estimator.fitting.evaluate import predict_points
from estimator.fitting.levels import Fit
from estimator.fitting.priors import DTYPE, GROUP

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

ALL, REHEARSAL = "all", "rehearsal"
SHAPE_TURNS = 4
MOST_TIMES_LARGER = 16.0  # larger shapes are asked at most for this multiple of the work seen
FEWEST_SHAPES = 4  # of an operation whose larger half is held out

_OPERATION = ["workload", "operation"]
_SHAPE = [*_OPERATION, "params_key"]


def shape_rank(table: pd.DataFrame) -> tuple[Codes, Codes]:
    """Rank of each row's shape by work among those of its operation, from 0, and their count.

    Shapes of equal work are told apart, in a fixed order.
    """
    shapes = table.groupby(_SHAPE, sort=True)["amount"].median().reset_index()
    shapes = shapes.sort_values([*_OPERATION, "amount", "params_key"], ignore_index=True)
    by_operation = shapes.groupby(_OPERATION, sort=False)
    shapes["rank"] = by_operation.cumcount()
    shapes["count"] = by_operation["amount"].transform("size")
    found = table[_SHAPE].merge(shapes, on=_SHAPE, how="left")
    return found["rank"].to_numpy(dtype=np.int64), found["count"].to_numpy(dtype=np.int64)


def shape_folds(table: pd.DataFrame, turns: int = SHAPE_TURNS) -> dict[str, Mask]:
    """Every fourth shape of each operation of several, in four turns: "shape 0" and so on."""
    rank, count = shape_rank(table)
    return {f"shape {i}": (rank % turns == i) & (count > 1) for i in range(turns)}


def larger_shapes(table: pd.DataFrame) -> dict[str, Mask]:
    """The larger half of each operation's shapes by work on a device: "larger cpu" and so on.

    On all devices at once, as the other device's rows would give them away. Operations of fewer
    than four shapes on the device stay.
    """
    shape = table.groupby(_SHAPE, sort=False).ngroup().to_numpy()
    held: dict[str, Mask] = {}
    for device in sorted(set(table["device"])):
        here = (table["device"] == device).to_numpy()
        rank, count = shape_rank(table[here])
        larger = (count >= FEWEST_SHAPES) & (rank >= (count + 1) // 2)
        held[f"larger {device}"] = np.isin(shape, shape[here][larger])
    return held


def operation_folds(table: pd.DataFrame) -> dict[str, Mask]:
    """One operation of each family at a time: "operation 0" and so on."""
    names = table["operation"].astype(str)
    turn = names.groupby(table["workload"]).rank(method="dense").to_numpy(dtype=np.int64) - 1
    return {f"operation {i}": turn == i for i in range(int(turn.max(initial=-1)) + 1)}


def rehearsal_fold(table: pd.DataFrame) -> Mask:
    """The shapes that a second fit goes without, to see how well errors are foreseen."""
    return shape_folds(table)["shape 1"]


def replicate(table: pd.DataFrame, held: Mapping[str, Mask]) -> pd.DataFrame:
    """The table once for each split without its held-out rows, told apart by ``replica``."""
    copies = [table[~mask].assign(replica=name) for name, mask in held.items()]
    return pd.concat(copies, ignore_index=True)


REGIMES = ("interpolated", "extrapolated", "new_workload")
LEVEL = 0.90

#: Half-width in deviations where no error was seen: an expected deviation that was never put to
#: a test is taken to be too small by a factor of 2. A choice.
UNTRIED = 2.0 * NORMAL_95

#: Half-width where no deviation is known: what a plain roofline deserves. Those from data
#: sheets err by 28 to 44 % on average on published kernel times (NeuSight, ASPLOS 2025); a
#: log-normal error of mean absolute size 0.41 has a deviation of 0.51, which gives this.
UNCALIBRATED = 0.84

#: No interval is wider than a factor of 1000 either way: parameters of which nothing is known
#: would ask for more than any clock could show.
WIDEST = float(np.log(1000.0))

#: No interval is narrower than this either way: GPU kernels repeat within 1 to 4 % on two
#: machines of one name, and nothing repeats better.
NARROWEST = 0.02

_PARENT_WEIGHT = 10  # a family's own quantile counts as much as its parent's at so many errors
_ANY = "*"


def calibrate(scores: pd.DataFrame) -> pd.DataFrame:
    """Half-widths by device, workload and regime, with "*" for all devices or families.

    ``scores`` has device, workload, regime and ``score`` (absolute log error over its expected
    deviation). Result: columns device, workload, regime, n, half_width (in deviations).
    """
    rows: list[tuple[str, str, str, int, float]] = []
    for regime in REGIMES:
        chosen = scores[scores["regime"] == regime]
        overall = _blend(chosen["score"], UNTRIED)
        rows.append((_ANY, _ANY, regime, len(chosen), overall))
        for device, of_device in chosen.groupby("device"):
            by_device = _blend(of_device["score"], overall)
            rows.append((str(device), _ANY, regime, len(of_device), by_device))
            for workload, of_family in of_device.groupby("workload"):
                width = _blend(of_family["score"], by_device)
                rows.append((str(device), str(workload), regime, len(of_family), width))
    return pd.DataFrame(rows, columns=["device", "workload", "regime", "n", "half_width"])


def half_widths(calibration: pd.DataFrame, cells: pd.DataFrame, deviation: Array) -> Array:
    """Half-width in log units of each cell, (n,). ``cells``: device, workload, regime.

    ``deviation`` (n,) is what a measurement is expected to miss the estimate by, in log units,
    NaN where nothing tells.
    """
    keys = zip(calibration["device"], calibration["workload"], calibration["regime"], strict=True)
    table = dict(zip(keys, calibration["half_width"].astype(float), strict=True))
    names = ["device", "workload", "regime"]
    codes = cells.groupby(names, sort=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    unique = cells[names].iloc[first].astype(str)
    widths = [_look_up(table, *row) for row in unique.itertuples(index=False)]
    half = np.array(widths, dtype=float)[codes] * deviation
    result: Array = np.clip(np.where(np.isfinite(half), half, UNCALIBRATED), NARROWEST, WIDEST)
    return result


def between_run_spread(spreads: pd.Series[float], runs: pd.Series[int]) -> float:
    """Standard deviation between runs, from the deviations of cells of several runs each.

    Robust: the median over the cells of each one's variance, divided by the median of the
    chi-squared distribution that it has. 0 where no cell has two runs.
    """
    several = (runs > 1).to_numpy()
    if not several.any():
        return 0.0
    from scipy.special import chdtri

    freedom = runs.to_numpy(dtype=float)[several] - 1.0
    variance = spreads.to_numpy(dtype=float)[several] ** 2
    return float(np.sqrt(np.median(variance * freedom / chdtri(freedom, 0.5))))


def _look_up(
    table: dict[tuple[str, str, str], float], device: str, workload: str, regime: str
) -> float:
    """The nearest calibration: this family, this device, any; else that of no errors."""
    for key in ((device, workload, regime), (device, _ANY, regime), (_ANY, _ANY, regime)):
        if np.isfinite(table.get(key, np.nan)):
            return table[key]
    return UNTRIED


def _quantile(scores: pd.Series[float]) -> float:
    """Conformal quantile; NaN for no scores, the largest where there are too few."""
    count = len(scores)
    if count == 0:
        return np.nan
    rank = min(count, int(np.ceil((count + 1) * LEVEL)))
    return float(np.sort(scores.to_numpy())[rank - 1])


def _blend(scores: pd.Series[float], parent: float) -> float:
    if not len(scores):
        return parent
    weight = len(scores) / (len(scores) + _PARENT_WEIGHT)
    return weight * _quantile(scores) + (1.0 - weight) * parent


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
