"""Model: errors of the fit, validation, groups."""

from __future__ import annotations

from pathlib import Path

from app_pages.model.validation import report_note
from tests.pages.conftest import OpenPage, chart_spec
from tests.pages.made_up_runs import DESK, make_rows, write_run


def test_figures_describe_the_fit(open_page: OpenPage) -> None:
    """On data that follow the model's own formula the errors are small."""
    app = open_page("model")
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Cells"] == "146"
    assert float(figures["Median error"].rstrip("%")) < 5


def test_filter_narrows_the_cells(open_page: OpenPage) -> None:
    """Filters of device and workload act on the figures."""
    app = open_page("model", model_device="cuda", model_workload="transfer")
    assert app.metric[0].value == "8"


def test_filters_without_cells_say_so(open_page: OpenPage) -> None:
    """A combination that nobody measured is no error."""
    app = open_page("model", model_device="cpu", model_workload="transfer")
    assert not app.exception
    assert any("Choose `all`" in info.value for info in app.info)


def test_validation_runs_when_asked(open_page: OpenPage, tmp_path: Path) -> None:
    """The table on held-out sizes has the model beside the plain roofline."""
    write_run(tmp_path, DESK)  # one machine: fewer fits
    app = open_page("model", tmp_path, model_validate="true")
    assert not app.exception
    table = next(one.value for one in app.dataframe if "Predictor" in one.value)
    assert {"breakeven", "roofline"} <= set(table["Predictor"])


def test_parameters_have_units_and_intervals(open_page: OpenPage) -> None:
    """Every fitted rate shows its unit, the main ones their interval."""
    table = open_page("model", model_machine="rack").dataframe[-1].value
    assert table["Compute rate"].str.contains("FLOP/s").any()
    assert table["Compute rate"].str.contains(" to ").any()
    assert table["Memory rate"].str.contains("B/s").any()


def test_errors_by_family_are_told(open_page: OpenPage) -> None:
    """One row a family, with its cells."""
    table = open_page("model").dataframe[0].value
    assert table["Cells"].sum() == 146
    assert {"matmul", "elementwise", "transfer"} <= set(table["Family"])


def test_the_roofline_is_of_one_device(open_page: OpenPage) -> None:
    """The third chart; its axes are intensity and rate, its caption names the ceilings' cells."""
    app = open_page("model", model_roofline_machine="rack", model_roofline_device="cuda")
    text = str(chart_spec(app, 2))
    assert "Arithmetic intensity" in text
    assert any("Measured ceilings" in one.value for one in app.caption)


def test_a_refit_is_compared_with_the_full_fit(open_page: OpenPage) -> None:
    """Small sizes alone: further off on the others than the fit that has seen them."""
    app = open_page("model", model_refit="true", model_refit_largest="1000")
    assert not app.exception
    table = next(one.value for one in app.dataframe if "Answered" in one.value)
    every = table.iloc[0]
    assert every["Cells asked"] > 0
    assert every["Median error, selection"] >= every["Median error, full fit"]


def test_a_refit_of_everything_asks_for_a_choice(open_page: OpenPage) -> None:
    """Without a selection there is nothing to compare."""
    app = open_page("model", model_refit="true")
    assert any("Everything is selected" in info.value for info in app.info)


def test_a_selection_without_cells_is_no_error(open_page: OpenPage) -> None:
    """The page says to choose more."""
    app = open_page(
        "model", model_refit="true", model_refit_machines="desk", model_refit_families="transfer"
    )
    assert not app.exception
    assert any("cannot be fitted" in info.value for info in app.info)


def test_cells_of_a_type_that_nobody_knows_are_left_out(
    open_page: OpenPage, tmp_path: Path
) -> None:
    """A newer collector's element type breaks no comparison."""
    rows = make_rows(DESK, "newer")
    rows += [row | {"dtype": "float8", "order_index": 900 + i} for i, row in enumerate(rows[:2])]
    write_run(tmp_path, DESK, rows)
    app = open_page("model", tmp_path)
    assert not app.exception
    assert not app.error


def test_the_shipped_report_is_named_for_its_own_dataset_only(tmp_path: Path) -> None:
    """Its fingerprint decides."""
    report = tmp_path / "validation.md"
    report.write_text("fingerprint `0123456789abcdef`.\n\n29 of 85 met, 56 not.\n")
    assert "29 of 85 goals" in report_note("0123456789abcdef" * 4, report)
    assert report_note("f" * 64, report) == ""
    assert report_note("f" * 64, tmp_path / "none.md") == ""
