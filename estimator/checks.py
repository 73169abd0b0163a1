"""Numbers from outside: typed in by a user, or in a cell of a table that may have none."""

from __future__ import annotations

import math
from typing import Any

from collector.errors import EstimateError


def check_number(name: str, value: float, low: float = 0.0, high: float = math.inf) -> None:
    """EstimateError unless ``value`` is finite and low <= value <= high."""
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
        raise EstimateError(f"{name} is {value}; it must be a finite number, {bounds}")


def known_number(value: Any) -> float | None:
    """The number in a table's cell; None where there is none: a text, NaN, infinity."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
