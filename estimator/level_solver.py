"""One level of groups solved in blocks: each block's groups read the same few parameters.

A parameter that a block does not read keeps its prior. Groups of held-out folds start from the
solution of the same group fitted to everything, from which they differ by few rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from estimator.kernel_model import KERNEL_PARAMETERS, Array, Indices, KernelWork, kernel_log_seconds
from estimator.priors import BLOCKS
from estimator.solver import Problems, Solution, solve

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Names = np.ndarray[tuple[int], np.dtype[np.object_]]

_TOLERANCE = 1e-4  # of the objective, whose unit is a row's expected error
_MOST_STEPS = 25  # by then all but a few groups have settled, and those creep
_STEPS_FROM_TWIN = 10  # of a group that starts from the solution of nearly the same rows


@dataclass(frozen=True)
class _Rows:
    """Operands with the parameters (n, p) of each row, of which a block changes some."""

    work: KernelWork
    theta: Array

    def __len__(self) -> int:
        return len(self.theta)

    def take(self, index: Indices) -> _Rows:
        return _Rows(self.work.take(index), self.theta[index])


def solve_level(
    problems: Problems[KernelWork], block: Names, first: Flags, twin: Indices
) -> Solution:
    """Solve all groups (g,), each a member of the block of that name in ``priors.BLOCKS``.

    The groups marked ``first`` are solved first; each other one starts from its ``twin`` among
    them (-1: from its prior's centre).
    """
    theta, variance = problems.centre.copy(), problems.spread**2
    cost = np.zeros(len(theta))
    for turn in (first, ~first):
        start = np.where((twin >= 0)[:, None] & ~first[:, None], theta[twin], problems.centre)
        for name, parameters in BLOCKS.items():
            chosen = np.flatnonzero(turn & (block == name))
            if not len(chosen):
                continue
            columns = np.array([KERNEL_PARAMETERS.index(one) for one in parameters])
            steps = _MOST_STEPS if turn is first else _STEPS_FROM_TWIN
            solution = _solve_block(problems, chosen, columns, start, parameters, steps)
            theta[np.ix_(chosen, columns)] = solution.theta
            variance[np.ix_(chosen, columns)] = solution.variance
            cost[chosen] = solution.cost
    return Solution(theta, variance, cost)


def _solve_block(
    problems: Problems[KernelWork],
    chosen: Indices,
    columns: Indices,
    start: Array,
    parameters: tuple[str, ...],
    steps: int,
) -> Solution:
    position = np.full(len(problems.centre), -1)
    position[chosen] = np.arange(len(chosen))
    kept = np.flatnonzero(position[problems.group] >= 0)
    part = np.ix_(chosen, columns)

    def formula(theta: Array, rows: _Rows) -> tuple[Array, Array]:
        every = rows.theta.copy()
        every[:, columns] = theta
        return kernel_log_seconds(every, rows.work, parameters)

    group = position[problems.group[kept]]
    rows = _Rows(problems.rows.take(kept), problems.centre[chosen][group])
    smaller = replace(
        problems,
        log_seconds=problems.log_seconds[kept],
        sigma=problems.sigma[kept],
        group=group,
        centre=problems.centre[part],
        spread=problems.spread[part],
        low=problems.low[part],
        high=problems.high[part],
    )
    return solve(_with_rows(smaller, rows), formula, start[part], steps, _TOLERANCE)


def _with_rows(problems: Problems[KernelWork], rows: _Rows) -> Problems[_Rows]:
    values = {name: value for name, value in vars(problems).items() if name != "rows"}
    return Problems(rows=rows, **values)
