"""What one call does, counted by formula: for one operation, or for arrays of sizes at once.

Each family writes its formulas once. They take the canonical parameters as whole numbers, or as
float64 arrays of whole numbers with one element for each operation, and give what they are
given: Python's and NumPy's operators are the same, and ``1.0 *`` makes a count of FLOP or bytes a
float. Arrays and single numbers agree to the last places: Python multiplies whole numbers
exactly, float64 up to 2**53.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, cast

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


def product(values: Iterable[Count]) -> Count:
    """All values multiplied, element by element; whole numbers exactly."""
    return cast("Count", math.prod(values))


def choose(condition: bool | Truths, yes: Any, no: Any) -> Any:
    """The whole number ``yes`` where the condition holds, else ``no``; exact up to 2**53."""
    return no + condition * (yes - no)
