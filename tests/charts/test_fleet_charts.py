"""Charts about machines and runs: rows, domains and what they draw."""

from __future__ import annotations

import pandas as pd

from charts.peer_shifts import peer_shifts
from charts.run_timeline import OUTCOMES, run_timeline
from charts.sample_distribution import sample_distribution


def _shifts() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": ["fft, GPU kernels", "matmul, processor"],
            "kind": ["GPU kernels", "processor"],
            "percent": [8.0, -1.0],
            "low": [7.0, -2.0],
            "high": [9.0, 0.5],
            "peers_low": [-1.0, float("nan")],
            "peers_high": [1.0, float("nan")],
            "cells": [20, 7],
            "peers": [5, 1],
        }
    )


def test_peer_shifts_has_a_row_per_family_and_a_line_at_none() -> None:
    """Rows keep their order; a machine with one peer has no bar for the span of peers."""
    spec = peer_shifts(_shifts(), ["GPU kernels", "processor"]).to_dict()
    none, span, quartiles, dots, names = spec["layer"]
    assert dots["encoding"]["y"]["scale"]["domain"] == ["fft, GPU kernels", "matmul, processor"]
    assert span["transform"] == [{"filter": "isValid(datum.peers_low)"}]
    assert none["mark"]["type"] == "rule"
    assert quartiles["encoding"]["x2"]["field"] == "high"
    assert names["mark"]["type"] == "text"
    assert "peers' median" in dots["encoding"]["x"]["title"]


def test_peer_shifts_names_what_it_is_compared_with() -> None:
    """An uploaded run is compared with one machine, not with peers."""
    spec = peer_shifts(_shifts(), ["processor"], against="the other machine").to_dict()
    assert spec["layer"][3]["encoding"]["x"]["title"] == "Time against the other machine (%)"


def _runs(days: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "machine": ["a", "b"],
            "started": pd.to_datetime(["2026-01-01", f"2026-01-{1 + days:02d}"], utc=True),
            "outcome": [OUTCOMES[0], OUTCOMES[2]],
            "cells": [10, 3],
            "failed": [0, 2],
            "suite": ["quick", "quick"],
        }
    )


def test_timeline_tells_outcomes_by_colour_and_by_shape() -> None:
    """Nobody needs to tell colours apart; the order of the outcomes is fixed."""
    marks = run_timeline(_runs(2), ["a", "b"]).to_dict()["layer"][1]
    assert marks["encoding"]["color"]["scale"]["domain"] == list(OUTCOMES)
    assert len(set(marks["encoding"]["shape"]["scale"]["range"])) == len(OUTCOMES)
    assert marks["encoding"]["x"]["scale"]["type"] == "utc"


def test_timeline_of_days_shows_dates_and_of_hours_times() -> None:
    """Labels suit the span; a single run has a chart too."""

    def label(frame: pd.DataFrame) -> str:
        layers = run_timeline(frame, ["a", "b"]).to_dict()["layer"]
        return str(layers[1]["encoding"]["x"]["axis"]["format"])

    assert label(_runs(20)) == "%Y-%m-%d"
    assert "%H:%M" in label(_runs(0))
    assert "%H:%M" in label(_runs(0).head(1))


def test_distribution_has_bars_median_and_interval() -> None:
    """Bars from the page's bins, with the median and its interval over them."""
    bins = pd.DataFrame({"left": [1.0, 2.0], "right": [2.0, 3.0], "count": [4, 6]})
    band, bars, line = sample_distribution(bins, 2.1, 2.0, 2.2, "ms").to_dict()["layer"]
    assert bars["encoding"]["x2"]["field"] == "right"
    assert line["mark"]["type"] == "rule"
    assert band["mark"]["type"] == "rect"
    assert bars["encoding"]["x"]["title"] == "Time of one call (ms)"
