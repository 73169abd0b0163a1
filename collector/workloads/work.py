"""What one call does, counted by formula: for one operation, or for arrays of sizes at once.

Each family writes its formulas once. They take the canonical parameters as whole numbers, or as
float64 arrays of whole numbers with one element for each operation, and give what they are
given. Python's and NumPy's operators are the same; here is what they do not share. Arrays and
single numbers agree to the last places: Python multiplies whole numbers exactly, float64 up to
2**53.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, overload

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]

if TYPE_CHECKING:  # a default, so that Work alone is that of one operation
    from typing_extensions import TypeVar

    Count = TypeVar("Count", int, Floats, default=int)
else:
    from typing import TypeVar

    Count = TypeVar("Count", int, Floats)


@dataclass(frozen=True)
class Work(Generic[Count]):
    """What one call of an operation does, counted by formula and not by measurement.

    Of many operations each field is an array, or one number that holds for all of them.
    """

    flop_count: float | Count
    bytes_read: float | Count
    bytes_written: float | Count
    h2d_bytes: float | Count = 0.0
    d2h_bytes: float | Count = 0.0
    kernel_count: int | Count = 1


@overload
def real(value: float) -> float: ...
@overload
def real(value: Floats) -> Floats: ...
def real(value: float | Floats) -> float | Floats:
    """A whole number as a float; an array is one already."""
    return value if isinstance(value, np.ndarray) else float(value)


@overload
def product(values: Iterable[int]) -> int: ...
@overload
def product(values: Iterable[Floats]) -> Floats: ...
def product(values: Iterable[Any]) -> Any:
    """All values multiplied, element by element."""
    return math.prod(values)


@overload
def at_least(value: int, least: int) -> int: ...
@overload
def at_least(value: Floats, least: int) -> Floats: ...
def at_least(value: int | Floats, least: int) -> int | Floats:
    """The larger of the two."""
    return np.maximum(value, least) if isinstance(value, np.ndarray) else max(value, least)


@overload
def log2(value: float) -> float: ...
@overload
def log2(value: Floats) -> Floats: ...
def log2(value: float | Floats) -> float | Floats:
    """Logarithm to the base 2."""
    return np.log2(value) if isinstance(value, np.ndarray) else math.log2(value)


@overload
def ceiling(value: float) -> int: ...
@overload
def ceiling(value: Floats) -> Floats: ...
def ceiling(value: float | Floats) -> int | Floats:
    """The next whole number from there up."""
    return np.ceil(value) if isinstance(value, np.ndarray) else math.ceil(value)


@overload
def whole_cube_root(value: int) -> int: ...
@overload
def whole_cube_root(value: Floats) -> Floats: ...
def whole_cube_root(value: int | Floats) -> int | Floats:
    """The cube root, rounded to a whole number."""
    if isinstance(value, np.ndarray):
        return np.rint(np.cbrt(value))
    return round(math.cbrt(value))


def choose(condition: bool | Truths, yes: Any, no: Any) -> Any:
    """``yes`` where the condition holds, else ``no``."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no
