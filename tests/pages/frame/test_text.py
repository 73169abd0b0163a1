"""Numbers with units, names, and strings that must stay harmless."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from app_pages.frame.text import (
    dtype_name,
    escape,
    params_text,
    seconds,
    si,
    split_dtype,
    spreadsheet_safe,
    time_unit,
    unique_names,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.234e13, "12.3 TFLOP/s"),
        (999.9e9, "1 TFLOP/s"),
        (0.0, "0 FLOP/s"),
        (None, "\u2013"),
        (math.nan, "\u2013"),
        (pd.NA, "\u2013"),
    ],
)
def test_rates_carry_a_prefix(value: object, text: str) -> None:
    """Three digits, an SI prefix and the unit; a dash where there is no number."""
    assert text == si(value, "FLOP/s")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5e-6, "1.5 µs"), (0.25, "250 ms"), (90, "1.5 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_durations_read_well(value: float, text: str) -> None:
    """SI below a minute, then minutes, hours and days."""
    assert text == seconds(value)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "tf32"])
def test_element_type_names_round_trip(name: str) -> None:
    """tf32 is the name of float32 operands in math mode tf32."""
    assert name == dtype_name(*split_dtype(name))


@pytest.mark.parametrize(
    "hostile",
    [
        "![x](http://a.invalid/x.png)",
        "<img src=http://a.invalid/x>",
        ":red[x] $x$ **x** `x`",
        "line\n# heading",
    ],
)
def test_escape_leaves_no_markup(hostile: str) -> None:
    """Every mark of Markdown has a backslash, no line ends, no address is linked."""
    text = escape(hostile)
    unescaped = [
        mark
        for position, mark in enumerate(text)
        if mark in "![]()<>:$*`#_" and (position == 0 or text[position - 1] != "\\")
    ]
    assert unescaped == []
    assert "\n" not in text
    assert "http://" not in text.replace("\\", "")


def test_formulas_become_text() -> None:
    """Strings that a spreadsheet would run get an apostrophe; numbers stay numbers."""
    frame = pd.DataFrame({"text": ["=1+1", "+1", "-1", "@x", "\tx", " =1", "plain"], "n": [-1] * 7})
    safe = spreadsheet_safe(frame)
    assert all(cell.startswith("'") for cell in safe["text"][:-1])
    assert safe["text"].iloc[-1] == "plain"
    assert list(safe["n"]) == [-1] * 7
    assert frame["text"].iloc[0] == "=1+1"


def test_same_label_is_told_apart_by_the_id() -> None:
    """Two machines with one label show the start of their ids."""
    names = unique_names({"aaaa1111x": "box", "bbbb2222y": "box", "c": "other", "d": ""})
    assert names == {
        "aaaa1111x": "box (aaaa1111)",
        "bbbb2222y": "box (bbbb2222)",
        "c": "other",
        "d": "machine (d)",
    }


def test_params_are_sorted_pairs() -> None:
    """A mapping and a list of pairs give the same text."""
    assert params_text({"n": 2, "k": 1}) == params_text([("n", 2), ("k", 1)]) == "k=1, n=2"


def test_time_unit_follows_the_middle() -> None:
    """Half of the values decide; values without meaning do not count."""
    assert time_unit([1e-6, 2e-6, 5.0]) == (1e6, "µs")
    assert time_unit([0.01, math.nan, -1.0]) == (1e3, "ms")
    assert time_unit([]) == (1.0, "s")
