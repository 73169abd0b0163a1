"""The one check that every number typed in by a user passes before it enters a formula."""

from __future__ import annotations

import math

from collector.errors import EstimateError


def check_number(name: str, value: float, low: float = 0.0, high: float = math.inf) -> None:
    """EstimateError unless ``value`` is finite and low <= value <= high."""
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
        raise EstimateError(f"{name} is {value}; it must be a finite number, {bounds}")
