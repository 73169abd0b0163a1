"""Many small robust least-squares problems at once.

Each problem g has its own parameters theta_g and minimises the objective of
``scipy.optimize.least_squares(..., loss="soft_l1", bounds=...)``

    sum over its rows   rho(((y - f(theta_g)) / sigma)^2),  rho(z) = 2 ((1 + z)^(1/2) - 1)
  + sum over parameters ((theta_g - centre_g) / spread_g)^2

by Levenberg-Marquardt with iteratively reweighted rows. The second sum is the prior: a row of
weight for each parameter that pulls it to what is known from elsewhere. A fit of a dataset is
some thousands of such problems of 1 to 30 rows; SciPy's solver needs about 2.5 ms for each
whatever its size, this one solves them in step with each other. The tests hold its solutions
against SciPy's. Linear algebra runs on one thread: more only slow many small systems down.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, Self, TypeVar

import numpy as np

from estimator.arrays import Array, Indices

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def one_blas_thread(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The function with the BLAS of numpy and scipy held to one thread while it runs.

    On two cores a fit takes twice to ten times as long with as many threads: systems of some
    hundred rows wait for each other more than they share.
    """

    @wraps(function)
    def held(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _limit():
            return function(*args, **kwargs)

    return held


def _limit() -> AbstractContextManager[Any]:
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@cache
def _controller() -> ThreadpoolController:
    """Looking for the libraries takes milliseconds: once is enough after scipy is loaded."""
    import scipy.linalg  # noqa: F401  its own BLAS must be found too
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class Rows(Protocol):
    """The operands of a formula, one row per observation."""

    def __len__(self) -> int: ...

    def take(self, index: Any) -> Self: ...


R = TypeVar("R", bound=Rows)


_LONGEST_STEP = 2.0  # in log units: no parameter changes by more than a factor of 7 at once


@dataclass(frozen=True)
class Problems(Generic[R]):
    """A batch: ``group`` (n,) says to which of the g problems each row belongs."""

    rows: R
    log_seconds: Array  # (n,)
    sigma: Array  # (n,), spread expected of a row, in log units
    group: Indices  # (n,), 0 to g - 1
    centre: Array  # (g, p)
    spread: Array  # (g, p)
    low: Array  # (g, p)
    high: Array  # (g, p)


@dataclass(frozen=True)
class Solution:
    """Parameters (g, p), their posterior variances (g, p), and the objective's value (g,)."""

    theta: Array
    variance: Array
    cost: Array


def solve(
    problems: Problems[R],
    formula: Callable[[Array, R], tuple[Array, Array]],
    start: Array,
    max_iterations: int = 60,
    tolerance: float = 1e-6,
) -> Solution:
    """Minimise every problem of the batch from ``start`` (g, p).

    ``formula(theta, rows)`` takes (n, p) parameters, one row per observation, and returns the
    predicted logarithms (n,) and their derivatives (n, p).
    """
    problems = _in_order(problems)
    groups, count = problems.centre.shape
    theta = np.clip(start, problems.low, problems.high)
    damping = np.full(groups, 1e-2)
    cost, gradient, curvature = _normal_equations(problems, formula, theta)
    active = np.arange(groups)
    part = problems
    for _ in range(max_iterations):
        step = _step(theta, gradient, curvature, damping, problems, active)
        trial = np.clip(theta[active] + step, problems.low[active], problems.high[active])
        new_cost, new_gradient, new_curvature = _normal_equations(part, formula, trial)
        moved = np.abs(trial - theta[active]).max(axis=1, initial=0.0)
        better = new_cost <= cost[active]
        gain = cost[active] - new_cost
        chosen = active[better]
        theta[chosen], cost[chosen] = trial[better], new_cost[better]
        gradient[chosen], curvature[chosen] = new_gradient[better], new_curvature[better]
        damping[chosen] = np.maximum(damping[chosen] / 5.0, 1e-9)
        damping[active[~better]] *= 6.0
        settled = better & (gain <= tolerance * (1.0 + new_cost))
        settled |= (moved < 1e-9) | (damping[active] > 1e9)
        if settled.any():
            active = active[~settled]
            if not len(active):
                break
            part = _subset(problems, active)
    precision = curvature + 1e-12 * np.eye(count)
    variance = np.diagonal(np.linalg.inv(precision), axis1=1, axis2=2).copy()
    return Solution(theta, variance, cost)


def _in_order(problems: Problems[R]) -> Problems[R]:
    """The same problems with the rows of each next to each other."""
    order = np.argsort(problems.group, kind="stable")
    return replace(
        problems,
        rows=problems.rows.take(order),
        log_seconds=problems.log_seconds[order],
        sigma=problems.sigma[order],
        group=problems.group[order],
    )


def _subset(problems: Problems[R], active: Indices) -> Problems[R]:
    position = np.full(len(problems.centre), -1)
    position[active] = np.arange(len(active))
    keep = np.flatnonzero(position[problems.group] >= 0)
    return Problems(
        rows=problems.rows.take(keep),
        log_seconds=problems.log_seconds[keep],
        sigma=problems.sigma[keep],
        group=position[problems.group[keep]],
        centre=problems.centre[active],
        spread=problems.spread[active],
        low=problems.low[active],
        high=problems.high[active],
    )


def _normal_equations(
    problems: Problems[R], formula: Callable[[Array, R], tuple[Array, Array]], theta: Array
) -> tuple[Array, Array, Array]:
    """Cost (g,), half gradient (g, p) and half curvature (g, p, p) of each problem."""
    groups, count = theta.shape
    predicted, jacobian = formula(theta[problems.group], problems.rows)
    residual = (predicted - problems.log_seconds) / problems.sigma
    # parameters along the first axis: each sum below then runs over contiguous rows
    slopes = np.ascontiguousarray(jacobian.T) / problems.sigma
    root = np.sqrt(1.0 + residual * residual)
    weighted = slopes / root
    pull = (theta - problems.centre) / problems.spread
    sums = _GroupSums(problems.group, groups)
    cost = sums(2.0 * (root - 1.0)) + (pull**2).sum(axis=1)
    gradient = pull / problems.spread + sums(weighted * residual).T
    curvature = np.empty((groups, count, count))
    for i in range(count):
        entries = sums(weighted[i] * slopes[i:]).T
        curvature[:, i, i:] = entries
        curvature[:, i:, i] = entries
    diagonal = np.arange(count)
    curvature[:, diagonal, diagonal] += problems.spread**-2.0
    return cost, gradient, curvature


class _GroupSums:
    """Sums over the rows of each group, along the last axis; ``group`` (n,) is in order."""

    def __init__(self, group: Indices, groups: int) -> None:
        counts = np.bincount(group, minlength=groups)
        self._present = counts > 0
        self._all = bool(self._present.all())
        self._starts = (np.cumsum(counts) - counts)[self._present]

    def __call__(self, values: Array) -> Array:
        if self._all:
            return np.asarray(np.add.reduceat(values, self._starts, axis=-1), dtype=float)
        sums: Array = np.zeros((*values.shape[:-1], len(self._present)))
        if len(self._starts):
            sums[..., self._present] = np.add.reduceat(values, self._starts, axis=-1)
        return sums


def _step(
    theta: Array,
    gradient: Array,
    curvature: Array,
    damping: Array,
    problems: Problems[Any],
    active: Indices,
) -> Array:
    """Damped Newton step; a parameter at a bound that it wants to cross stays there."""
    slope = gradient[active]
    held = (theta[active] <= problems.low[active]) & (slope > 0.0)
    held |= (theta[active] >= problems.high[active]) & (slope < 0.0)
    matrix = curvature[active].copy()
    matrix[held[:, :, None] | held[:, None, :]] = 0.0
    slope = np.where(held, 0.0, slope)
    diagonal = np.arange(theta.shape[1])
    matrix[:, diagonal, diagonal] *= 1.0 + damping[active][:, None]
    matrix[:, diagonal, diagonal] += held
    step = np.linalg.solve(matrix, -slope[:, :, None])[:, :, 0]
    return np.asarray(np.clip(step, -_LONGEST_STEP, _LONGEST_STEP), dtype=float)
