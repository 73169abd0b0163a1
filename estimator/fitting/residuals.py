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
from typing import Any

import numpy as np

from estimator.arrays import Array, Indices

Codes = np.ndarray[Any, np.dtype[np.int64]]

_ROUGH = 5  # times shorter than the smooth function's: only (nearly) the same shape shares it

#: Rows that differ by less in position and class (length scales) and in derivatives are nearly
#: equal.
_ALIKE_PLACES, _ALIKE_JACOBIAN = 1 / 400, 1 / 100

_LARGEST = 2**31  # that a number for the codes of a row may reach before the next column

#: Deviations in log units (smooth, rough, further noise of a row), the smooth function's lengths
#: in units of ``Rows.position`` and of ``Rows.classes``, and the powers to which the shares of
#: related rows are taken (other machines, all else).
Scales = tuple[float, ...]


@dataclass(frozen=True)
class Relation:
    """How rows are related: what each column of ``Rows.codes`` keeps, and what levels they make.

    ``related`` (c,): share of the correlation kept where two rows differ in that column.
    ``levels``: for each level of the fit the columns that it tells apart beyond the one above.
    ``machine`` is the column of the machine.
    """

    related: tuple[float, ...]
    levels: tuple[tuple[int, ...], ...]
    machine: int


@dataclass(frozen=True)
class Rows:
    """Rows of one block.

    ``position`` (n, d): logarithms over their length scales. ``classes`` (n, k): what sets shapes
    apart that lie near each other. ``codes`` (n, c): whole numbers that are equal where two rows
    are of the same kind, -1 for a kind never seen. ``jacobian`` (n, p): derivatives of the
    formula's log time by its log parameters.
    """

    position: Array
    classes: Array
    codes: Codes
    jacobian: Array

    def __len__(self) -> int:
        return len(self.position)

    def take(self, index: Any) -> Rows:
        return Rows(**{name: values[index] for name, values in vars(self).items()})

    def single(self, centre: Array) -> Rows:
        """In single precision, positions from ``centre`` (d,): distances are small there."""
        numbers: Any = (self.position - centre, self.classes, self.jacobian)
        position, classes, jacobian = (values.astype(np.float32) for values in numbers)
        return Rows(position, classes, self.codes, jacobian)


def row_variance(noise: Array, scales: Scales) -> Array:
    """Variance (n,) of the rows' own noise."""
    variance: Array = noise**2 + scales[2] ** 2
    return variance


def covariance_of(
    relation: Relation, spreads: Array, scales: Scales, one: Rows, other: Rows
) -> Array:
    """Covariance (n, m) of the rows without their noise."""
    kinds = Kinds.of(relation, one, other).astype(one.position.dtype)
    total = of_shapes(*distances(one, other), scales)
    total *= kinds.spread_out(kinds.shares(scales))
    total += through_parameters(kinds, spreads, one, other)
    return total


@dataclass(frozen=True)
class Kinds:
    """Kinds of rows (equal codes) of two sets of rows, and how each two kinds are related.

    ``one`` (n,) and ``other`` (m,) are the kinds of the rows; ``near`` and ``elsewhere`` (k, l)
    the log shares of the correlation left by all but other machines and by other machines;
    ``same`` (levels, k, l) is 1 where the kinds belong to one group of a level of the fit.
    """

    one: Codes
    other: Codes
    near: Array
    elsewhere: Array
    same: Array

    @classmethod
    def of(cls, relation: Relation, one: Rows, other: Rows) -> Kinds:
        first, rows = _kinds(one.codes)
        second, columns = (first, rows) if one is other else _kinds(other.codes)
        a, b = one.codes[first][:, None, :], other.codes[second][None, :, :]
        differ = a != b
        shares = np.log(relation.related) * differ
        elsewhere = shares[:, :, relation.machine]
        near = np.delete(shares, relation.machine, axis=2).sum(axis=2)
        alike = ~differ & (a >= 0)
        below = [alike[:, :, list(columns)].all(axis=2) for columns in relation.levels]
        same = np.logical_and.accumulate(below, axis=0).astype(float)
        return cls(rows, columns, near, elsewhere, same)

    def shares(self, scales: Scales) -> Array:
        """Share of the correlation that two kinds have, (k, l)."""
        shares: Array = np.exp(scales[5] * self.elsewhere + scales[6] * self.near)
        return shares

    def spread_out(self, values: Array) -> Array:
        """Values of kinds (k, l) for each pair of rows, (n, m)."""
        return values[:, self.other][self.one]

    def astype(self, dtype: Any) -> Kinds:
        """With the numbers in another precision."""
        numbers = (values.astype(dtype) for values in (self.near, self.elsewhere, self.same))
        return Kinds(self.one, self.other, *numbers)


def _kinds(codes: Codes) -> tuple[Codes, Codes]:
    """A row of each kind, and the kind of each row."""
    joint = np.zeros(len(codes), dtype=np.int64)
    for column in codes.T:
        joint = joint * (column.max(initial=0) + 2) + column + 1
        if joint.max(initial=0) > _LARGEST:
            joint = np.unique(joint, return_inverse=True)[1].ravel()
    _, first, kind = np.unique(joint, return_index=True, return_inverse=True)
    return first, kind.ravel()


def distances(one: Rows, other: Rows) -> tuple[Array, Array]:
    """Squared distances in position and in class, (n, m).

    Shapes of which the formula's derivatives differ are bound by different things, and so lie
    apart, one unit for each parameter that sets the time of the one and not of the other.
    """
    apart = _squared(one.position, other.position) + _squared(one.jacobian, other.jacobian)
    return apart, _squared(one.classes, other.classes)


def _squared(one: Array, other: Array) -> Array:
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :]
    squares -= 2.0 * (one @ other.T)
    positive: Array = np.maximum(squares, 0.0, out=squares)
    return positive


def of_shapes(apart: Array, other: Array, scales: Scales) -> Array:
    """Covariance (n, m) of the shapes of rows of one kind; the distances are ``distances``."""
    even, rough, _, length, class_length, *_ = scales
    far = np.sqrt(3.0 / length**2 * apart + 3.0 / class_length**2 * other)
    # exp(-_ROUGH * far) by products: an exponential costs more than all else here
    decay = np.exp(-far)
    square = decay * decay
    steep = square * square * decay
    total: Array = even**2 * decay
    total += (even**2 * far) * decay
    far *= rough**2 * _ROUGH
    far += rough**2
    far *= steep
    total += far
    return total


def through_parameters(kinds: Kinds, spreads: Array, one: Rows, other: Rows) -> Array:
    """Covariance (n, m) through the formula's parameters, level by level."""
    total = np.zeros((len(one), len(other)), dtype=one.jacobian.dtype)
    for spread, same in zip(spreads.astype(total.dtype), kinds.same, strict=True):
        if same.any():
            part = (one.jacobian * spread**2) @ other.jacobian.T
            if not same.all():
                part *= kinds.spread_out(same)
            total += part
    return total


def distinct_rows(rows: Rows) -> tuple[Indices, Indices]:
    """One row of each kind of equal rows, and each row's place among those."""
    generator = np.random.default_rng(0)
    mixed = np.zeros(len(rows))
    for values in vars(rows).values():
        mixed += (values * generator.normal(size=values.shape[1])).sum(axis=1)
    _, first, place = np.unique(mixed, return_index=True, return_inverse=True)
    return first, place.ravel()


def nearly_distinct_rows(rows: Rows) -> tuple[Indices, Indices]:
    """As ``distinct_rows``, of nearly equal rows."""
    return distinct_rows(
        Rows(
            np.rint(rows.position / _ALIKE_PLACES),
            np.rint(rows.classes / _ALIKE_PLACES),
            rows.codes,
            np.rint(rows.jacobian / _ALIKE_JACOBIAN),
        )
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
