"""Measurements: series, ratio, table, raw samples."""

from __future__ import annotations

import pytest

from tests.pages.conftest import OpenPage, chart_spec
from tests.pages.made_up_runs import DESK, RACK


def test_what_is_timed_chooses_the_mode(open_page: OpenPage) -> None:
    """With transfers, a CPU shows its calls and a GPU its end-to-end times."""
    alone = open_page("measurements").dataframe[0].value
    both = open_page("measurements", measurements_timed="with transfers").dataframe[0].value
    cpu, gpu = f"numpy cpu, 4 threads · {DESK.label}", f"torch cuda · {RACK.label}"

    def slowest(table, series):  # type: ignore[no-untyped-def]
        times = table.filter(like="Median").iloc[:, 0]
        return times[table["Series"] == series].max()

    assert slowest(alone, cpu) == slowest(both, cpu)
    assert slowest(both, gpu) > slowest(alone, gpu)


def test_chosen_series_are_the_only_ones(open_page: OpenPage) -> None:
    """A link can name the series; the chart's palette has just those."""
    name = f"torch cuda · {RACK.label}"
    app = open_page("measurements", measurements_series=name)
    points = chart_spec(app)["layer"][2]
    assert points["encoding"]["shape"]["scale"]["domain"] == [name]
    assert set(app.dataframe[0].value["Series"]) == {name}


def test_unknown_values_in_a_link_fall_back(open_page: OpenPage) -> None:
    """An old or forged link opens the page with its defaults."""
    app = open_page(
        "measurements", measurements_workload="nonsense", measurements_dtype="'; drop table x"
    )
    assert not app.exception
    assert app.selectbox(key="measurements_workload").value == "matmul"


def test_ratio_needs_two_series(open_page: OpenPage) -> None:
    """With one series the page says what to do."""
    app = open_page("measurements", measurements_series=f"torch cuda · {RACK.label}")
    assert any("second series" in info.value for info in app.info)


@pytest.mark.parametrize("workload", ["elementwise", "python_loop", "transfer"])
def test_every_workload_opens(open_page: OpenPage, workload: str) -> None:
    """Each family has a sweep, a table and raw samples."""
    app = open_page("measurements", measurements_workload=workload)
    assert not app.exception
    assert len(app.dataframe[0].value)
    assert any("calls a sample" in caption.value for caption in app.caption)
