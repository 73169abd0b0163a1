"""Machines: findings, ceilings beside data sheets, comparison, signs of disturbance."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app_pages.machines.findings import beside_peers
from tests.estimator.made_up_fleet import slower, write_fleet
from tests.pages.conftest import OpenPage, chart_spec
from tests.pages.made_up_runs import DESK, RACK, _cell, _true_seconds


def table_with(app: AppTest, *columns: str) -> pd.DataFrame:
    """The first table of the page that has these columns."""
    tables = [element.value for element in app.dataframe]
    return next(table for table in tables if set(columns) <= set(table.columns))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen machines of one type; one has half its lanes, one is 8 % slower."""
    return write_fleet(
        tmp_path_factory.mktemp("fleet"),
        14,
        {5: [slower(1.08, device="cuda")]},
        facts={9: {"pcie_width": 8}},
    )


def test_unwell_machines_come_first(open_page: OpenPage, fleet: Path) -> None:
    """The page opens on the ranked findings, and on the machine of the worst one."""
    app = open_page("machines", fleet)
    assert not app.exception
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures == {"Unwell": "2", "To be looked at": "0", "Nothing found": "12"}
    findings = table_with(app, "Severity", "What is wrong")
    assert list(findings["Machine"].unique()) == ["m009", "m005"]
    assert list(findings["Severity"])[:2] == ["unwell", "unwell"]
    assert "fewer PCIe lanes" in findings["What is wrong"].iloc[0]
    assert (findings["Cells"].iloc[1:] > 0).all()
    assert app.selectbox(key="machines_first").value == "m009"
    assert any("What to do" in text.value for text in app.markdown)


def test_a_machine_stands_beside_its_peers(open_page: OpenPage, fleet: Path) -> None:
    """A link names a machine; its families are drawn against the peers' median."""
    app = open_page("machines", fleet, machines_first="m005")
    assert any("slower than its peers" in text.value for text in app.markdown)
    domain = chart_spec(app)["layer"][1]["encoding"]["y"]["scale"]["domain"]
    assert "matmul, GPU kernels" in domain


def test_healthy_fleet_is_said_to_be_well(open_page: OpenPage, tmp_path: Path) -> None:
    """No finding is a message too, and notes are one switch away."""
    root = write_fleet(tmp_path, 2)
    app = open_page("machines", root)
    assert not app.exception
    assert any("Nothing found on 2 machines" in text.value for text in app.success)
    assert app.metric[2].value == "2"


def test_notes_are_shown_on_request(open_page: OpenPage, tmp_path: Path) -> None:
    """A machine without peers has a note that says so."""
    root = write_fleet(tmp_path, 1)
    noted = open_page("machines", root, machines_notes="true")
    findings = table_with(noted, "Severity")
    assert list(findings["What is wrong"]) == ["no peer of its type in the data"]


def test_command_line_gives_the_same(open_page: OpenPage, fleet: Path) -> None:
    """The view's command names the dataset."""
    app = open_page("machines", fleet)
    assert any("estimator health --data" in code.value for code in app.code)


def ceilings(open_page: OpenPage) -> pd.DataFrame:
    app = open_page("machines", machines_first=RACK.label)
    return table_with(app, "Quantity").set_index("Quantity")


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
    whole = table_with(open_page("machines", **both), "Property", "Same")
    app = open_page("machines", **both, machines_differs="true")
    different = table_with(app, "Property", "Same")
    assert "processor" in set(whole["Property"])
    assert "processor" not in set(different["Property"])
    assert not different["Same"].any()


def test_signs_count_noise_and_lower_clocks(open_page: OpenPage) -> None:
    """Noisy share, share with a lower clock and the driver's reasons are there."""
    app = open_page("machines", machines_first=RACK.label)
    signs = table_with(app, "Noisy", "Clock held down").iloc[0]
    assert 0 < signs["Noisy"] < 20
    assert 0 < signs["Clock held down"] < 50
    assert list(table_with(app, "Reason")["Reason"]) == ["sw power cap"]


def test_stolen_time_says_which_cells_it_is_of(open_page: OpenPage) -> None:
    """First calls are not in it, which ``collector check`` counts; the column's name says so."""
    app = open_page("machines", machines_first=RACK.label)
    signs = table_with(app, "Most stolen, repeated cells")
    assert list(signs["Most stolen, repeated cells"]) == [1.0] * len(signs)


def test_a_machine_without_peers_has_nothing_beside_it() -> None:
    """Without one shift of its own there is no row, whatever type an empty column has."""
    columns = ["machine_id", "group", "kind", "workload", "median", "low", "high", "cells", "peers"]
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    assert beside_peers(empty, "alone").empty
