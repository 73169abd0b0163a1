"""Text for people: times, money, tables; and times as people type them."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import SelectionError
from estimator.text import dollars, duration, parse_duration, text_table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.5e-9, "1.5 ns"),
        (2e-6, "2 us"),
        (0.0123, "12.3 ms"),
        (45.0, "45 s"),
        (600.0, "10 min"),
        (5400.0, "90 min"),
        (7200.0, "2 h"),
        (200_000.0, "2.31 d"),
        (math.nan, "-"),
    ],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.00123456, "$0.00123"), (45.678, "$45.7"), (12345.6, "$12,346"), (math.inf, "-")],
)
def test_dollars_have_three_digits(amount, text):
    assert dollars(amount) == text


def test_columns_are_aligned():
    lines = text_table(("name", "n"), [("a", "1"), ("long name", "200")]).splitlines()
    assert lines == ["name         n", "---------  ---", "a            1", "long name  200"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45.0),
        ("90m", 5400.0),
        ("90 min", 5400.0),
        ("2h", 7200.0),
        ("1.5d", 129_600.0),
        ("1h30m", 5400.0),
        ("1h 30m 5s", 5405.0),
        (" 7200 ", 7200.0),
        ("0", 0.0),
        ("2H", 7200.0),
    ],
)
def test_a_number_with_a_unit_is_a_time(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-3", "nan", "inf", "2x", "1h30", "1..2s", "1e999"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(SelectionError, match="is no time; write seconds"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_a_refusal(text):
    with contextlib.suppress(SelectionError):
        assert parse_duration(text) >= 0.0


@given(st.floats(0.0, 1e9))
def test_seconds_come_back(seconds):
    assert parse_duration(repr(seconds)) == seconds
