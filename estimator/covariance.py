"""How alike the residuals of two rows are: the covariances behind ``residuals``. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]
Indices = np.ndarray[Any, np.dtype[np.intp]]

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
