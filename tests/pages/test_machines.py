"""Machines: ceilings beside data sheets, comparison, health."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.pages.conftest import OpenPage
from tests.pages.made_up_runs import DESK, RACK, _cell, _true_seconds


def ceilings(open_page: OpenPage) -> pd.DataFrame:
    app = open_page("machines", machines_first=RACK.label)
    table: pd.DataFrame = app.dataframe[1].value
    return table.set_index("Quantity")


def test_best_rate_stands_beside_the_data_sheet(open_page: OpenPage) -> None:
    """The GPU is matched by its driver name; a processor nobody knows has no data sheet."""
    table = ceilings(open_page)
    assert table.loc["cuda float32", "Data sheet"] == "67 TFLOP/s"
    assert table.loc["cpu float32", "Data sheet"] == "\u2013"
    cell = _cell(
        "matmul",
        "square",
        {"batch": 1, "m": 2048, "n": 2048, "k": 2048},
        device="cuda",
        backend="torch",
        mode="hot",
    )
    share = cell.work.flop_count / _true_seconds(RACK, cell) / 67e12
    assert table.loc["cuda float32", "Reached"] == pytest.approx(100 * share, rel=0.05)


def test_comparison_shows_only_what_differs(open_page: OpenPage) -> None:
    """With two machines the table can be reduced to the differences."""
    both = {"machines_first": RACK.label, "machines_second": DESK.label}
    whole = open_page("machines", **both).dataframe[0].value
    app = open_page("machines", **both, machines_differs="true")
    different = app.dataframe[0].value
    assert "processor" in set(whole["Property"])
    assert "processor" not in set(different["Property"])
    assert not different["Same"].any()


def test_health_counts_noise_and_throttling(open_page: OpenPage) -> None:
    """Noisy and throttled shares and the driver's reasons are there."""
    app = open_page("machines", machines_first=RACK.label)
    health = app.dataframe[2].value.iloc[0]
    assert 0 < health["Noisy"] < 20
    assert 0 < health["Throttled"] < 50
    assert list(app.dataframe[3].value["Reason"]) == ["sw_power_cap"]
