"""Rules of thumb: both calculators beside the estimate and the measurement."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenPage, chart_spec
from tests.pages.made_up_runs import DESK, write_run


def number(app: AppTest, label: str) -> float:
    """Value of the field with this label."""
    return float(next(field.value for field in app.number_input if field.label == label))


def said(app: AppTest) -> list[float]:
    """Speed-ups that the two calculators show."""
    found = [metric.value for metric in app.metric if metric.label == "It says"]
    return [float(value.rstrip("x").replace(",", "")) for value in found]


def test_the_answer_comes_first(open_page: OpenPage, every_family: Path) -> None:
    """Verdict, model, measurement and both rules in one paragraph, each named, with the pair."""
    link = {"rules_mode": "in host memory, both ways"}
    app = open_page("rules-of-thumb", every_family, **link)
    assert not app.exception
    openings = ("**Yes", "**No", "**Too close")
    text = next(one.value for one in app.markdown if one.value.startswith(openings))
    for part in ("transfers included", "the model says", "**Measured:", "on the CPU of grid"):
        assert part in text
    sources = app.dataframe[0].value["Source"].tolist()
    assert sources[:2] == ["Measured", "Estimated by the model"]


def test_the_calculators_inputs_can_be_changed(open_page: OpenPage, every_family: Path) -> None:
    """A CPU that is twice as fast halves what the cores rule says, and nothing else."""
    app = open_page("rules-of-thumb", every_family)
    before = said(app)
    size = next(field for field in app.number_input if field.label == "CPU factor")
    size.set_value(2 * size.value).run()
    assert not app.exception
    assert said(app)[0] == pytest.approx(before[0] / 2, rel=0.01)
    assert said(app)[1] == before[1]


def test_an_input_out_of_bounds_falls_back(open_page: OpenPage, every_family: Path) -> None:
    """A forged link breaks nothing."""
    links = {"rules_price": "-3", "rules_workload": "nothing", "rules_mode": "elsewhere"}
    app = open_page("rules-of-thumb", every_family, **links)
    assert not app.exception
    assert number(app, "Price of the GPU's hour over the CPU's") == 5.0


def test_worked_examples_are_recomputed(open_page: OpenPage) -> None:
    """Printed beside what the calculator's own formula gives."""
    table = open_page("rules-of-thumb").dataframe[-1].value
    assert table["It prints"].tolist() == [15.2, 45.8]
    assert table["Its formula gives"].tolist() == [13.4, 38.2]


def test_claims_stand_beside_measurements(open_page: OpenPage, every_family: Path) -> None:
    """One row per claim; shares of the measured cases are percentages."""
    table = open_page("rules-of-thumb", every_family, rules_mode="resident").dataframe[-2].value
    assert len(table) == 5
    known = table[table["Cases"] > 0]
    assert not known.empty
    total = known[["Below the claim", "Inside", "Above"]].sum(axis=1)
    assert total.tolist() == pytest.approx([100.0] * len(known))


def test_the_chart_shows_what_is_stated_over_what_is_measured(
    open_page: OpenPage, every_family: Path
) -> None:
    """Rules and model against the measurement, both axes named."""
    text = str(chart_spec(open_page("rules-of-thumb", every_family)))
    assert "Stated speed-up" in text
    assert "Measured speed-up" in text


def test_the_command_names_the_case(open_page: OpenPage, every_family: Path) -> None:
    """The line reproduces the page: case, machine, mode, inputs."""
    app = open_page("rules-of-thumb", every_family)
    line = app.code[-1].value
    assert line.startswith("python -m estimator rules matmul --case square --param n=")
    for part in ("--mode resident", "--machine grid", "--all"):
        assert part in line


def test_without_pairs_the_calculators_still_work(open_page: OpenPage, tmp_path: Path) -> None:
    """A dataset without a GPU: the page says so and takes typed-in figures."""
    write_run(tmp_path, DESK)
    app = open_page("rules-of-thumb", tmp_path)
    assert not app.exception
    assert any("No operation was measured both" in info.value for info in app.info)
    assert len(said(app)) == 2
