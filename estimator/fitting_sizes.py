"""The largest value of a parameter with which an operation fits the memory of its places."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from estimator.place_answers import memory_shortages

if TYPE_CHECKING:
    from estimator.model import Model


def largest_that_fits(
    model: Model, cells: Callable[[int], pd.DataFrame], smallest: float, largest: float
) -> float:
    """The largest value up to ``largest`` that fits; ``smallest`` if nothing above it does.

    ``cells(value)`` is the operation with that value on each place, in the columns that
    ``memory_shortages`` reads. Memory grows with every parameter, so that it is bisected.
    """

    def fits(value: int) -> bool:
        places = model.types.on_boxes(cells(value))
        return all(short is None for short in memory_shortages(model, places))

    low, high = round(smallest), round(largest)
    if high <= low or fits(high):
        return largest
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return float(low)
