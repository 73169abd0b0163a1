"""What the formula leaves over, as a Gaussian process: a smooth correction with its deviation.

The rows of one block (a family on one type of machine and device) are correlated in two ways,

    z = J (theta - origin) + g(x) + noise,

``z`` being what was measured less what the formula says at the origin of the parameters' priors,
to first order about the fitted parameters. The first term is the formula's own doubt: each level
of the fit (family, element type, case, group) moves the parameters by normal amounts with the
spreads of its prior, so rows of one group share them, and rows of sister groups do in part. The
second is the shape's: a smooth function of the logarithms of the parameters (Matern 3/2) and a
rough one that the same shape shares in all libraries and machines; both keep a share (``Relation``)
of their correlation for each way in which two rows differ. So a residual of a group with many
rows is smoothed, one of a group with few tells of the parameters first, and far from all rows
the correction is 0 with the prior's deviation. (Rasmussen and Williams 2006, chapters 2 and 5;
section 5.4.2 for leaving rows out without a new fit.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from estimator.covariance import (
    Array,
    Indices,
    Kinds,
    Relation,
    Rows,
    Scales,
    covariance_of,
    distances,
    distinct_rows,
    nearly_distinct_rows,
    of_shapes,
    row_variance,
    through_parameters,
)

#: Deviations from what the other rows say, beyond which a row is believed less: with the scales
#: that were found, and while they are being found.
_OUTLIER, _FAR_OUT = 3.0, 5.0
_TUNED_ROWS = 250  # the scales are found on so many rows of a block, evenly chosen
_CHUNK = 1_000  # rows predicted at once: bounds the memory, and suits the processor's caches

#: Of more distinct rows than this, nearly equal ones are predicted once, in single precision:
#: moves a correction by 0.2 % at most (100,000 sizes of one operation).
_MANY = 5_000

#: Where the search for the ``Scales`` starts, and the width in log units of the log-normal prior
#: that keeps it there when rows are few. Choices of the model, near the median of what makes the
#: families of the survey likeliest.
_START = (0.2, 0.08, 0.02, 1.0, 1.0, 1.0, 1.0)
_DOUBT = (0.8, 0.8, 0.8, 0.5, 0.4, 0.7, 0.7)
_STEPS = (2.0, 1.41)  # factors by which the search changes one of them at a time


@dataclass(frozen=True)
class Block:
    """A solved block. ``spreads`` (levels, p) of the parameters' priors, ``scales`` as _START.

    ``noise`` (n,) deviation of each row in log units, more for rows that the others contradict;
    ``weights`` (n,): the inverse of the rows' covariance times ``z``.
    """

    relation: Relation
    rows: Rows
    spreads: Array
    scales: Scales
    noise: Array
    weights: Array

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _factor(self) -> Array:
        """Lower Cholesky factor of the rows' covariance."""
        covariance = covariance_of(self.relation, self.spreads, self.scales, self.rows, self.rows)
        return _factorised(covariance, self.noise, self.scales)

    @cached_property
    def _inverse(self) -> Array:
        from scipy.linalg.lapack import dpotri

        lower, _ = dpotri(self._factor, lower=1)
        inverse: Array = np.tril(lower)
        inverse += np.tril(lower, -1).T
        return inverse

    def predict(self, rows: Rows) -> tuple[Array, Array]:
        """Expected ``z`` of other rows and its deviation without their own noise, each (n,)."""
        first, place = distinct_rows(rows)
        if len(first) > _MANY:
            first, place = nearly_distinct_rows(rows)
        predict = self._many if len(first) > _MANY else self._few
        if len(first) == len(rows):
            return predict(rows)
        known, doubt = predict(rows.take(first))
        return known[place], doubt[place]

    def _few(self, rows: Rows) -> tuple[Array, Array]:
        from scipy.linalg.lapack import dtrtrs

        mean, variance = np.empty(len(rows)), np.empty(len(rows))
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            asked = rows.take(part)
            cross = covariance_of(self.relation, self.spreads, self.scales, asked, self.rows)
            mean[part] = cross @ self.weights
            # by the factor, so that a model that only answers keeps no inverse beside it
            half = dtrtrs(self._factor, cross.T, lower=1, overwrite_b=1)[0]
            variance[part] = self._prior_variance(asked) - np.einsum("ij,ij->j", half, half)
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def _many(self, rows: Rows) -> tuple[Array, Array]:
        """As ``_few`` in single precision, several times as fast."""
        from scipy.linalg.blas import strmm
        from scipy.linalg.lapack import dtrtri

        mean, variance = np.empty(len(rows)), self._prior_variance(rows)
        centre = self.rows.position.mean(axis=0)
        own = self.rows.single(centre)
        # by the root of the inverse, which loses fewer digits than the inverse does
        root, weights = dtrtri(self._factor, lower=1)[0], self.weights.astype(np.float32)
        root = np.asfortranarray(root, dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            asked = rows.take(part).single(centre)
            cross = covariance_of(self.relation, self.spreads, self.scales, asked, own)
            mean[part] = cross @ weights
            told = strmm(1.0, root, cross.T, lower=1, overwrite_b=1)
            variance[part] -= np.einsum("ij,ij->j", told, told)
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def fitted_error(self) -> Array:
        """What the block leaves of its own rows' ``z``, (n,)."""
        left: Array = row_variance(self.noise, self.scales) * self.weights
        return left

    def row_noise(self) -> float:
        """Deviation in log units that a further row of the block is expected to have."""
        return float(np.sqrt(np.median(row_variance(self.noise, self.scales))))

    def held_out(self, held: Indices) -> tuple[Array, Array]:
        """Error of rows that the rest predicts, and its deviation with their noise, each (h,).

        The noise is what a further row would have, not what was found when the row was seen.
        """
        precision = self._inverse[np.ix_(held, held)]
        covariance = np.linalg.inv(precision)
        error: Array = covariance @ self.weights[held]
        variance = np.diagonal(covariance) - row_variance(self.noise[held], self.scales)
        return error, np.sqrt(np.maximum(variance, 0.0) + self.row_noise() ** 2)

    def _prior_variance(self, rows: Rows) -> Array:
        total = np.full(len(rows), self.scales[0] ** 2 + self.scales[1] ** 2)
        for spread in self.spreads:
            total += ((rows.jacobian * spread) ** 2).sum(axis=1)
        return total


def fit_block(
    relation: Relation,
    rows: Rows,
    spreads: Array,
    z: Array,
    noise: Array,
    scales: Scales | None = None,
) -> Block:
    """Find the scales of a block where they are not given, believe outliers less, and solve it.

    What is an outlier is asked before the scales are found, which it would spoil, and again
    with the scales that the others have.
    """
    if scales is None:
        scales = _tune(relation, rows, spreads, z, noise)
    return _careful(relation, rows, spreads, z, noise, scales, _OUTLIER)


def _careful(
    relation: Relation,
    rows: Rows,
    spreads: Array,
    z: Array,
    noise: Array,
    scales: Scales,
    most: float,
) -> Block:
    """The solved block, rows that all others contradict with as much noise as they err by."""
    covariance = covariance_of(relation, spreads, scales, rows, rows)
    block = _solved(Block(relation, rows, spreads, scales, noise, z), covariance)
    # what each row errs by against all others, without a fit for each
    precision = np.diagonal(block._inverse)
    error = block.weights / precision
    strange = np.abs(error) * np.sqrt(precision) > most
    if not strange.any():
        return block
    wider = np.where(strange, np.hypot(noise, error), noise)
    return _solved(Block(relation, rows, spreads, scales, wider, z), covariance)


def _solved(block: Block, covariance: Array) -> Block:
    """The block whose ``weights`` are still ``z``, with its weights."""
    from scipy.linalg import cho_solve

    factor = _factorised(covariance, block.noise, block.scales)
    weights = cho_solve((factor, True), block.weights, check_finite=False)
    solved = replace(block, weights=weights)
    solved.__dict__["_factor"] = factor
    return solved


def _factorised(covariance: Array, noise: Array, scales: Scales) -> Array:
    """Lower Cholesky factor of the rows' covariance with their noise."""
    from scipy.linalg import cho_factor

    matrix = covariance.copy()
    matrix[np.diag_indices_from(matrix)] += row_variance(noise, scales)
    factor: Array = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)[0]
    return factor


def _whole_shapes(position: Array) -> Indices:
    """About as many rows as the search takes: all rows of evenly chosen shapes."""
    _, shape = np.unique(position, axis=0, return_inverse=True)
    shape = shape.ravel()
    share = len(position) / _TUNED_ROWS
    chosen: Indices = np.flatnonzero(np.floor((shape + 1) / share) > np.floor(shape / share))
    return chosen


def _tune(relation: Relation, rows: Rows, spreads: Array, z: Array, noise: Array) -> Scales:
    """Scales that make the rows likeliest, by a search along one of them at a time."""
    if len(rows) > _TUNED_ROWS:
        chosen = _whole_shapes(rows.position)
        rows, z, noise = rows.take(chosen), z[chosen], noise[chosen]
    noise = _careful(relation, rows, spreads, z, noise, _START, _FAR_OUT).noise
    kinds = Kinds.of(relation, rows, rows)
    fixed = through_parameters(kinds, spreads, rows, rows)
    apart = distances(rows, rows)
    start = np.log(_START)
    diagonal = np.diag_indices(len(rows))
    shares: dict[Scales, Array] = {}

    from scipy.linalg.lapack import dpotrf, dtrtrs

    def cost(logs: Array) -> float:
        scales = tuple(np.exp(logs))
        powers = scales[-2:]
        if powers not in shares:
            shares.clear()
            shares[powers] = kinds.spread_out(kinds.shares(scales))
        matrix = of_shapes(*apart, scales)
        matrix *= shares[powers]
        matrix += fixed
        matrix[diagonal] += row_variance(noise, scales)
        # symmetric: its transpose is in the order that LAPACK takes as it is
        factor, failed = dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            return np.inf
        half = dtrtrs(factor, z, lower=1)[0]
        likelihood = 0.5 * half @ half + np.log(np.diagonal(factor)).sum()
        return float(likelihood + 0.5 * (((logs - start) / _DOUBT) ** 2).sum())

    # lengths and powers of what does not differ change nothing
    differ = [True] * 4 + [bool(values.any()) for values in (apart[1], kinds.elsewhere, kinds.near)]
    best, lowest = start, cost(start)
    for factor in _STEPS:
        for which in np.flatnonzero(differ):
            for sign in (1.0, -1.0):
                moved = False
                while True:
                    trial = best.copy()
                    trial[which] += sign * np.log(factor)
                    value = cost(trial)
                    if value >= lowest - 1e-3:
                        break
                    best, lowest, moved = trial, value, True
                if moved:
                    break
    return tuple(float(value) for value in np.exp(best))
