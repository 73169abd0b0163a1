"""Ticks of logarithmic axes."""

from __future__ import annotations

import altair as alt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charts._axes import duration_x, log_domain, log_ticks


@given(
    low=st.floats(1e-9, 1e12, allow_nan=False),
    decades=st.floats(0.05, 15),
)
def test_ticks_are_few_and_inside(low: float, decades: float) -> None:
    """Any span gets at least two and at most a dozen ticks, all within it, in order."""
    high = low * 10**decades
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= high for tick in ticks)


def test_wide_span_has_powers_of_ten() -> None:
    """Over several decades only powers of ten are labelled."""
    assert log_ticks(0.5, 2e4) == pytest.approx([1, 10, 100, 1e3, 1e4])


def test_domain_ignores_what_has_no_logarithm() -> None:
    """Zero, negative and missing values do not move the axis; none at all still gives one."""
    low, high = log_domain([0.0, -1.0, float("nan"), 1.0, 10.0])
    assert 0.5 < low < 1.0
    assert 10.0 < high < 20.0
    assert log_domain([]) == (0.1, 1.0)


def test_durations_use_round_minutes_and_hours() -> None:
    """Ticks of a duration axis are round in the unit that they are read in."""
    axis = duration_x("job_s", "Time", [100.0, 20_000.0])["axis"]
    assert isinstance(axis, alt.Axis)
    assert axis["values"] == [120.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0, 14400.0]
