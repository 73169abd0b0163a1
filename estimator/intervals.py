"""90 % intervals from held-out errors, apart for each regime.

A held-out error is log(measured / predicted) of a cell that the fit was made to forget
(``calibration``). Its regime is that of the question it stands for: between measured sizes,
beyond them, or of a case that was not measured. Its score is its size over the deviation that
was expected of it, which grows with the distance to what is known and with the noise of a row,
so that scores of near and far, quiet and noisy cells compare (normalised conformal prediction,
Papadopoulos, Gammerman and Vovk 2008). The half-width of a prediction's interval is its own
expected deviation times the 90 % quantile of the scores of its family, device and regime, with
the finite-sample rank of split conformal prediction (Vovk, Gammerman and Shafer 2005, who call
classes with their own quantile Mondrian); families of few errors lean on their parents.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.kernel_model import Array

REGIMES = ("interpolated", "extrapolated", "new_workload")
LEVEL = 0.90
NORMAL_95 = 1.645  # standard normal quantile: half-width of a 90 % interval per deviation

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
