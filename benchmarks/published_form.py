"""A formula of time with its parameters, its operands and its fit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from benchmarks.published_kernels import Gpu
from estimator.arrays import Array
from estimator.fitting.solver import Problems, Solution, solve

SLOT_POWER_W = 75.0  # a PCI Express slot feeds so much (PCI Express card specification)
FORMULA_SIGMA = 0.07  # spread expected between formula and measurement of one GPU, in logs


@dataclass(frozen=True)
class Operands:
    """What the formula reads of each cell, (n,) each but ``case`` (n,): the elementwise case."""

    m: Array
    n: Array
    k: Array
    batch: Array
    bytes: Array
    cols: Array
    case: Array
    flop_per_s: Array
    bytes_per_s: Array
    units: Array
    cache: Array
    slot_fed: Array

    def __len__(self) -> int:
        return len(self.bytes)

    def take(self, index: Any) -> Self:
        return type(self)(**{name: values[index] for name, values in vars(self).items()})


def operands(cells: pd.DataFrame, gpu: Gpu) -> Operands:
    """Cells of one operation with the data sheet of the GPU that they ran on."""
    one = np.ones(len(cells))

    def column(name: str) -> Array:
        return cells[name].to_numpy(dtype=float)

    return Operands(
        m=column("m"),
        n=column("n"),
        k=column("k"),
        batch=column("batch"),
        bytes=column("bytes"),
        cols=column("cols"),
        case=column("case_index"),
        flop_per_s=one * gpu.flop_per_s,
        bytes_per_s=one * gpu.bytes_per_s,
        units=one * gpu.multiprocessors,
        cache=one * gpu.cache_bytes,
        slot_fed=one * (gpu.tdp_w <= SLOT_POWER_W),
    )


def joined(parts: Sequence[Operands]) -> Operands:
    names = vars(parts[0])
    return Operands(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


@dataclass(frozen=True)
class Parameter:
    """A log parameter: centre and spread before any data, spread between GPUs, bounds."""

    name: str
    centre: float
    spread: float
    between: float = 0.25
    low: float = -30.0
    high: float = 30.0


@dataclass(frozen=True)
class Form:
    """A formula with its parameters; ``log_seconds`` takes (n, p) parameters and operands."""

    parameters: tuple[Parameter, ...]
    log_seconds: Callable[[Array, Operands], Array]
    tile_slopes: Callable[[Array, Operands], Array] | None = None  # of the last parameters

    def priors(self, field: str) -> Array:
        return np.array([getattr(parameter, field) for parameter in self.parameters])

    def with_slopes(self, theta: Array, rows: Operands) -> tuple[Array, Array]:
        """log t (n,) and its slopes (n, p), by forward differences where there is no formula."""
        value, step = self.log_seconds(theta, rows), 1e-4
        slopes = np.empty(theta.shape)
        known = None if self.tile_slopes is None else self.tile_slopes(theta, rows)
        if known is not None:
            slopes[:, -known.shape[1] :] = known
        for i in range(theta.shape[1] - (0 if known is None else known.shape[1])):
            moved = theta.copy()
            moved[:, i] += step
            slopes[:, i] = (self.log_seconds(moved, rows) - value) / step
        return value, slopes

    def predict(self, theta: Array, rows: Operands) -> Array:
        """log t (n,) for one GPU's parameters (p,)."""
        return self.log_seconds(np.broadcast_to(theta, (len(rows), len(theta))), rows)

    def fit(
        self,
        rows: Operands,
        log_seconds: Array,
        centre: Array,
        spread: Array,
        sigma: float,
        *,
        group: np.ndarray[Any, np.dtype[np.intp]] | None = None,
        iterations: int = 30,
    ) -> Solution:
        """Robust fit of each group of rows around ``centre`` (p,) or (groups, p)."""
        of = np.zeros(len(rows), dtype=np.intp) if group is None else group
        shape = (int(of.max()) + 1, len(self.parameters))
        centres = np.broadcast_to(centre, shape).copy()
        problems = Problems(
            rows=rows,
            log_seconds=log_seconds,
            sigma=np.full(len(rows), sigma),
            group=of,
            centre=centres,
            spread=np.broadcast_to(spread, shape).copy(),
            low=np.minimum(self.priors("low"), centres),
            high=np.maximum(self.priors("high"), centres),
        )
        return solve(problems, self.with_slopes, centres, iterations, 1e-5)
