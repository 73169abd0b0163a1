"""The largest value of a parameter with which an operation fits the memory of its places."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from estimator.memory import memories

if TYPE_CHECKING:
    from estimator.model import Model


def largest_that_fits(
    model: Model, cells: Callable[[int], pd.DataFrame], smallest: float, largest: float
) -> float:
    """The largest value up to ``largest`` that fits; ``smallest`` if nothing above it does.

    ``cells(value)`` is the operation with that value on each place, in the columns that
    ``memories`` reads. Memory grows with every parameter, so that it is bisected.
    """

    def fits(value: int) -> bool:
        places = model.types.on_boxes(cells(value))
        return not any(memory.shortage for memory in memories(model, places))

    low, high = round(smallest), round(largest)
    if high <= low or fits(high):
        return largest
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return float(low)
