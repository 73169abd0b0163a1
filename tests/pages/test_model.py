"""Model: errors of the fit, validation, groups."""

from __future__ import annotations

from tests.pages.conftest import OpenPage


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


def test_validation_runs_when_asked(open_page: OpenPage) -> None:
    """The table on held-out sizes has the model beside the plain roofline."""
    app = open_page("model", model_validate="true")
    assert not app.exception
    table = app.dataframe[0].value
    assert {"breakeven", "roofline"} <= set(table.iloc[:, 3]) | set(table.get("Predictor", []))


def test_parameters_have_units(open_page: OpenPage) -> None:
    """Every fitted rate shows its unit."""
    table = open_page("model").dataframe[-1].value
    assert table["compute_flop_per_s"].str.contains("FLOP/s").any()
    assert table["memory_bytes_per_s"].str.contains("B/s").any()
