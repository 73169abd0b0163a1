import math

import pytest

from estimator.text import dollars, duration, text_table


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
