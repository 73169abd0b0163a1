"""A boosted correction of the structured model, for sizes between measured ones only.

Trees cannot extrapolate: on larger shapes and on GPUs without measurements they made things
worse, so nothing but the split "same machine" uses them. Needs scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from benchmarks.published_kernels import PRODUCTS, Gpu
from benchmarks.published_model import TILES
from estimator.arrays import Array

_CLIP = 1.0  # a correction by more than a factor of e either way is not believed
_SIDES = ("m", "n", "k")


@dataclass(frozen=True)
class Corrector:
    """Predicts log(measured / structured) of cells of one operation on one GPU."""

    regressor: Any

    @classmethod
    def fit(cls, cells: pd.DataFrame, gpu: Gpu, predicted: Array, residual: Array) -> Self | None:
        """None where scikit-learn is not installed."""
        try:
            from sklearn.ensemble import HistGradientBoostingRegressor
        except ImportError:
            return None
        regressor = HistGradientBoostingRegressor(
            loss="absolute_error",
            max_iter=400,
            learning_rate=0.08,
            min_samples_leaf=8,
            l2_regularization=1.0,
            random_state=0,
        )
        regressor.fit(features(cells, gpu, predicted), np.clip(residual, -_CLIP, _CLIP))
        return cls(regressor)

    def __call__(self, cells: pd.DataFrame, gpu: Gpu, predicted: Array) -> Array:
        values: Array = self.regressor.predict(features(cells, gpu, predicted))
        return np.clip(values, -_CLIP, _CLIP)


def features(cells: pd.DataFrame, gpu: Gpu, predicted: Array) -> Array:
    """Logs of sides and their products, divisibility, and how full each tiling's waves are."""
    if cells["operation"].iloc[0] not in PRODUCTS:
        rows, cols = (cells[name].to_numpy(dtype=float) for name in ("rows", "cols"))
        bits = [_power_of_two(side) for side in (rows, cols)]
        case = cells["case_index"].to_numpy(dtype=float)
        return np.column_stack(
            [np.log(rows), np.log(cols), np.log(rows * cols), predicted, case, *bits]
        )
    m, n, k, batch = (cells[name].to_numpy(dtype=float) for name in (*_SIDES, "batch"))
    columns = [m, n, k, batch, batch * m * n, batch * m * n * k, n * k, m * k, m / n]
    columns = [np.log(column) for column in columns] + [predicted]
    for side in (m, n, k):
        columns += [_power_of_two(side), side % 32.0, side % 128.0]
    for across, down in TILES[2:]:
        tiles = np.ceil(n / across) * np.ceil(m / down)
        rounds = batch * tiles / gpu.multiprocessors
        columns += [tiles * across * down / (m * n), np.log(rounds), np.ceil(rounds) / rounds]
    return np.column_stack(columns)


def _power_of_two(side: Array) -> Array:
    """log2 of the largest power of two that divides each side, 6 at most."""
    whole = side.astype(np.int64)
    result: Array = np.log2(np.minimum(whole & -whole, 64).astype(float))
    return result
