"""How far the medians of one cell lie apart in runs of one machine. Pure; needs scipy.

A run's log median of a cell is one observation. It scatters from run to run much more than the
interval within the run says: the host is shared, a library chooses another algorithm, clocks
differ. Two parts are kept apart:

* each cell by itself. Cells are not alike, so the variance of a cell is taken as drawn from a
  scaled inverse chi-square distribution, and what is known of like cells moderates what the
  cell's own repeats say (Smyth 2004, Statistical Applications in Genetics and Molecular
  Biology 3, article 3). A small number of prior degrees of freedom means heavy tails: some cells
  flip. Cells are alike within a stratum (kind of clock or threads, flagged noisy or not); the
  scale of a family's mode is shrunk towards its stratum's.
* a shift that all cells of a run share, because the whole machine was slower that time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: fewer repeated cells say too little about tails
SMALLEST_STRATUM = 30
#: no two medians are taken to agree better than this (relative), so that logarithms exist
_FLOOR_VARIANCE = 1e-8
#: A run as a whole is taken to shift as its single cells do, with the weight of one pair of
#: runs, until repeats say otherwise. (In the first pair of runs of the shipped H200 machine its
#: host shifted by 10 % while single cells scattered by 10 %.)
_SHIFT_PRIOR_DF = 1.0


@dataclass(frozen=True)
class CellTime:
    """One cell in one run. ``kind`` is what it is alike in, ``group`` its family and mode."""

    log_median: float
    standard_error: float
    kind: str
    group: str
    noisy: bool


Run = Mapping[str, CellTime]  # by cell_id


@dataclass(frozen=True)
class Scale:
    """Variance of one observation, and how many degrees of freedom stand behind it."""

    variance: float
    df: float
    cells: int = 0


@dataclass(frozen=True)
class _Repeated:
    """A cell that one set of runs repeats: sum of squares about its mean, run shifts removed."""

    kind: str
    group: str
    noisy: bool
    sum_of_squares: float
    df: int


@dataclass(frozen=True)
class RunSpread:
    """What repeated runs tell; made by ``estimate_spread``."""

    strata: Mapping[tuple[str, bool], Scale]
    groups: Mapping[tuple[str, bool, str], float]
    shifts: Mapping[str, Scale]
    cells: Mapping[str, tuple[float, int]]

    def of_cell(self, cell_id: str, cell: CellTime) -> Scale | None:
        """Variance of the cell's log median between runs, the shift apart; None if unknown."""
        stratum = self.strata.get((cell.kind, cell.noisy))
        if stratum is None:
            return None
        prior = self.groups.get((cell.kind, cell.noisy, cell.group), stratum.variance)
        own, own_df = self.cells.get(cell_id, (0.0, 0))
        df = stratum.df + own_df
        return Scale((stratum.df * prior + own) / df, df, stratum.cells)


def estimate_spread(
    sets: Iterable[Sequence[Run]], own_sets: Iterable[Sequence[Run]] = ()
) -> RunSpread:
    """Spread from sets of runs; the runs of a set are of one machine in one state.

    ``own_sets`` are those of the very machines in question: they also tell of single cells.
    """
    repeated: list[_Repeated] = []
    shift_parts: dict[str, list[tuple[float, int]]] = defaultdict(list)
    own: dict[str, tuple[float, int]] = {}
    for is_own, runs in [(False, s) for s in sets] + [(True, s) for s in own_sets]:
        shifts = {kind: run_shifts(runs, kind) for kind in _kinds(runs)}
        for kind, values in shifts.items():
            shift_parts[kind].append((float(np.sum(values**2)), len(values) - 1))
        for cell_id, cell in _repeated_cells(runs, shifts):
            repeated.append(cell)
            if is_own:
                sum_of_squares, df = own.get(cell_id, (0.0, 0))
                own[cell_id] = (sum_of_squares + cell.sum_of_squares, df + cell.df)
    strata: dict[tuple[str, bool], Scale] = {}
    groups: dict[tuple[str, bool, str], float] = {}
    for kind in {cell.kind for cell in repeated}:
        for noisy in (False, True):
            alike = [c for c in repeated if c.kind == kind and c.noisy == noisy]
            if len(alike) < SMALLEST_STRATUM:
                alike = [c for c in repeated if c.kind == kind]
            if len(alike) < SMALLEST_STRATUM:
                continue
            strata[kind, noisy] = scale = _fit_cells(alike)
            for group, variance in _group_variances(alike, scale).items():
                groups[kind, noisy, group] = variance
    return RunSpread(strata, groups, _shift_scales(shift_parts, strata), own)


def run_shifts(runs: Sequence[Run], kind: str) -> Array:
    """Shift of each run against their mean: median over the cells of this kind in all runs."""
    common = _common(runs, kind)
    if not common:
        return np.zeros(len(runs))
    logs = np.array([[run[cell].log_median for cell in common] for run in runs])
    shifts: Array = np.median(logs - logs.mean(axis=0), axis=1)
    return shifts - float(shifts.mean())


def fit_variances(variances: Array, dfs: Array) -> tuple[float, float]:
    """Scale (a variance) and prior degrees of freedom of cells' sample variances.

    A sample variance with k degrees of freedom over the scale follows F(k, prior df); both
    are found by maximum likelihood.
    """
    from scipy.optimize import minimize

    values = np.maximum(variances, _FLOOR_VARIANCE)
    start = [math.log(float(np.median(values)) * 2), math.log(3.0)]
    found = minimize(
        lambda x: -_log_likelihood(values, dfs, math.exp(x[0]), math.exp(x[1])),
        start,
        method="L-BFGS-B",
        bounds=[(math.log(_FLOOR_VARIANCE), 3.0), (math.log(0.5), math.log(100.0))],
    )
    return math.exp(found.x[0]), math.exp(found.x[1])


def _log_likelihood(values: Array, dfs: Array, scale: float, prior_df: float) -> float:
    """Of F(k, prior df) scaled, terms without parameters left out."""
    from scipy.special import betaln

    ratio = dfs * values / (prior_df * scale)
    terms = (
        dfs / 2 * np.log(ratio)
        - (dfs + prior_df) / 2 * np.log1p(ratio)
        - betaln(dfs / 2, prior_df / 2)
    )
    return float(np.sum(terms))


def _fit_cells(cells: Sequence[_Repeated]) -> Scale:
    dfs = np.array([float(cell.df) for cell in cells])
    variances = np.array([cell.sum_of_squares for cell in cells]) / dfs
    variance, df = fit_variances(variances, dfs)
    return Scale(variance, df, len(cells))


def _group_variances(cells: Sequence[_Repeated], stratum: Scale) -> dict[str, float]:
    """Variance per group, shrunk towards the stratum's.

    Logarithms of the groups' scales vary by the square of their standard errors and by what
    groups truly differ in; the latter is estimated by moments (DerSimonian and Laird 1986,
    Controlled Clinical Trials 7, 177).
    """
    from scipy.optimize import minimize_scalar

    members: dict[str, list[_Repeated]] = defaultdict(list)
    for cell in cells:
        members[cell.group].append(cell)
    logs, errors = {}, {}
    for group, alike in members.items():
        dfs = np.array([float(cell.df) for cell in alike])
        values = np.maximum(
            np.array([cell.sum_of_squares for cell in alike]) / dfs, _FLOOR_VARIANCE
        )
        center = math.log(stratum.variance)
        found = minimize_scalar(
            lambda x, v=values, k=dfs: -_log_likelihood(v, k, math.exp(x), stratum.df),
            bounds=(center - 5, center + 5),
            method="bounded",
        )
        logs[group] = float(found.x) - center
        # Fisher information about the log of a variance: k d / (2 (k + d + 2)) per cell
        information = np.sum(dfs * stratum.df / (2 * (dfs + stratum.df + 2)))
        errors[group] = 1 / float(information)
    weights = np.array([1 / errors[group] for group in logs])
    values = np.array(list(logs.values()))
    excess = float(np.sum(weights * values**2)) - len(values)
    true_variance = max(0.0, excess / float(weights.sum()))
    return {
        group: stratum.variance * math.exp(log * true_variance / (true_variance + errors[group]))
        for group, log in logs.items()
    }


def _shift_scales(
    parts: Mapping[str, Sequence[tuple[float, int]]], strata: Mapping[tuple[str, bool], Scale]
) -> dict[str, Scale]:
    scales = {}
    for kind, values in parts.items():
        known = [strata[kind, noisy].variance for noisy in (False, True) if (kind, noisy) in strata]
        if known:
            df = _SHIFT_PRIOR_DF + sum(d for _, d in values)
            total = _SHIFT_PRIOR_DF * min(known) + sum(square for square, _ in values)
            scales[kind] = Scale(total / df, df)
    return scales


def _repeated_cells(
    runs: Sequence[Run], shifts: Mapping[str, Array]
) -> Iterable[tuple[str, _Repeated]]:
    for cell_id in set().union(*runs):
        found = [(i, run[cell_id]) for i, run in enumerate(runs) if cell_id in run]
        if len(found) < 2:
            continue
        kind = found[0][1].kind
        values = np.array([cell.log_median - shifts[kind][i] for i, cell in found])
        yield (
            cell_id,
            _Repeated(
                kind,
                found[0][1].group,
                any(cell.noisy for _, cell in found),
                float(np.sum((values - values.mean()) ** 2)),
                len(found) - 1,
            ),
        )


def _common(runs: Sequence[Run], kind: str) -> list[str]:
    shared = set(runs[0]).intersection(*runs[1:])
    return sorted(cell for cell in shared if runs[0][cell].kind == kind)


def _kinds(runs: Sequence[Run]) -> set[str]:
    return {cell.kind for run in runs for cell in run.values()}
