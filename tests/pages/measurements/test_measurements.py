"""Measurements: series, ratio of any two, table and files, raw samples."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from app_pages.measurements.cells import MOST_LISTED
from app_pages.measurements.ratio import ratio_of
from app_pages.measurements.samples import bins_of
from app_pages.measurements.table import csv_of, parquet_of
from collector.commands.cli import main as collector
from tests.pages.conftest import OpenPage, chart_spec
from tests.pages.made_up_runs import (
    DESK,
    FORMULA_BACKEND,
    RACK,
    MadeUpMachine,
    make_rows,
    write_run,
)


def cells_table(app: AppTest) -> pd.DataFrame:
    """The table of the chosen cells."""
    tables = [element.value for element in app.dataframe]
    return next(table for table in tables if "Series" in table.columns)


def test_what_is_timed_chooses_the_mode(open_page: OpenPage) -> None:
    """With transfers, a CPU shows its calls and a GPU its end-to-end times."""
    alone = cells_table(open_page("measurements"))
    both = cells_table(open_page("measurements", measurements_timed="with transfers"))
    cpu, gpu = f"numpy cpu, 4 threads · {DESK.label}", f"torch cuda · {RACK.label}"

    def slowest(table: pd.DataFrame, series: str) -> float:
        times = table.filter(like="Median").iloc[:, 0]
        return float(times[table["Series"] == series].max())

    assert slowest(alone, cpu) == slowest(both, cpu)
    assert slowest(both, gpu) > slowest(alone, gpu)


def test_chosen_series_are_the_only_ones(open_page: OpenPage) -> None:
    """A link can name the series; the chart's palette has just those."""
    name = f"torch cuda · {RACK.label}"
    app = open_page("measurements", measurements_series=name)
    points = chart_spec(app)["layer"][2]
    assert points["encoding"]["shape"]["scale"]["domain"] == [name]
    assert set(cells_table(app)["Series"]) == {name}


def test_unknown_values_in_a_link_fall_back(open_page: OpenPage) -> None:
    """An old or forged link opens the page with its defaults."""
    app = open_page(
        "measurements",
        measurements_workload="nonsense",
        measurements_dtype="'; drop table x",
        measurements_series="![x](http://evil.invalid)",
        measurements_a_machine="nobody",
        measurements_b_timed="never",
    )
    assert not app.exception
    assert app.selectbox(key="measurements_workload").value == "matmul"


def test_ratio_begins_with_a_cpu_beside_a_gpu(open_page: OpenPage) -> None:
    """Unasked, the first side is a CPU and the second a GPU with most sizes in common."""
    app = open_page("measurements")
    assert "cpu" in app.selectbox(key="measurements_a_place").value
    assert app.selectbox(key="measurements_b_place").value == "torch cuda"
    assert any("above 1 the second is faster" in caption.value for caption in app.caption)


def test_ratio_across_element_types(open_page: OpenPage) -> None:
    """Both sides are free: float64 over float32 of one library on one machine takes longer."""
    side = {"machine": DESK.label, "place": "numpy cpu, 4 threads", "timed": "operation alone"}
    app = open_page(
        "measurements",
        **{f"measurements_a_{name}": value for name, value in side.items()},
        **{f"measurements_b_{name}": value for name, value in side.items()},
        measurements_a_dtype="float64",
        measurements_b_dtype="float32",
    )
    ratios = next(t.value for t in app.dataframe if "Ratio" in t.value.columns)
    assert len(ratios) >= 5
    assert ratios["Ratio"].iloc[-1] == pytest.approx(2.0, rel=0.1)
    assert (ratios["At least"] <= ratios["Ratio"]).all()
    assert (ratios["Ratio"] <= ratios["At most"]).all()


def test_same_on_both_sides_says_what_to_change(open_page: OpenPage) -> None:
    """A ratio of one thing with itself is no answer."""
    name = f"torch cuda · {RACK.label}"
    app = open_page("measurements", measurements_series=name)
    assert any("Both sides are the same" in info.value for info in app.info)


def test_ratio_without_common_parameters_is_empty() -> None:
    """Only parameters that both sides have give a ratio."""
    columns = {"size": 1, "median_s": 1.0, "ci95_low_s": 1.0, "ci95_high_s": 1.0}
    one, other = (pd.DataFrame([{**columns, "params": name}]) for name in ("n=1", "n=2"))
    assert ratio_of(one, other).empty
    assert list(ratio_of(one, one)["ratio"]) == [1.0]


@pytest.mark.parametrize("workload", ["elementwise", "python_loop", "transfer"])
def test_every_workload_opens(open_page: OpenPage, workload: str) -> None:
    """Each family has a sweep, a table and raw samples."""
    app = open_page("measurements", measurements_workload=workload)
    assert not app.exception
    assert len(cells_table(app))
    assert any("calls a sample" in caption.value for caption in app.caption)


def test_samples_are_shown_in_order_and_as_a_distribution(open_page: OpenPage) -> None:
    """Both charts are of the same samples."""
    app = open_page("measurements")
    titles = [
        str(chart_spec(app, index)).count("Sample, in the order taken")
        + str(chart_spec(app, index)).count("'title': 'Samples'")
        for index in range(len(app.get("vega_lite_chart")))
    ]
    assert sum(bool(title) for title in titles) >= 2


def test_bins_hold_every_sample() -> None:
    """However they lie, no sample is lost and the bins are few."""
    for values in ([1.0] * 9, [1.0, 2.0, 1000.0] * 40, list(range(5000))):
        bins = bins_of(pd.Series(values, dtype=float))
        assert int(bins["count"].sum()) == len(values)
        assert len(bins) <= 40


def test_many_series_are_searched_not_listed(open_page: OpenPage, tmp_path: Path) -> None:
    """With many machines the box lists some series; a search or a link reaches the others."""
    for number in range(25):
        machine = MadeUpMachine(f"box{number:02d}xxxxxxx", f"box {number:02d}")
        write_run(tmp_path, machine, make_rows(machine, f"r{number}")[:30])
    app = open_page("measurements", tmp_path)
    assert len(app.multiselect(key="measurements_series").options) <= MOST_LISTED
    wanted = "numpy cpu, 4 threads · box 23"
    found = open_page("measurements", tmp_path, measurements_find="box 23")
    assert all("box 23" in name for name in found.multiselect(key="measurements_series").options)
    linked = open_page("measurements", tmp_path, measurements_series=wanted)
    assert linked.multiselect(key="measurements_series").value == [wanted]
    nothing = open_page("measurements", tmp_path, measurements_find="nothing like it")
    assert any("fewer or shorter words" in info.value for info in nothing.info)
    assert not nothing.exception


def test_files_carry_no_formula() -> None:
    """Text that a spreadsheet would run is quoted in CSV; Parquet keeps it as it is."""
    frame = pd.DataFrame({"backend": [FORMULA_BACKEND], "median_s": [1.5]})
    assert csv_of(frame).decode().splitlines()[1] == f"'{FORMULA_BACKEND},1.5"
    back = pq.read_table(io.BytesIO(parquet_of(frame))).to_pylist()
    assert back == [{"backend": FORMULA_BACKEND, "median_s": 1.5}]


def test_command_line_gives_the_cells_of_the_view(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that the page shows prints as many cells as there are in all series."""
    app = open_page("measurements", measurements_timed="with transfers")
    line = next(code.value for code in app.code if "collector show" in code.value)
    capsys.readouterr()
    assert collector([*shlex.split(line)[3:], "--csv"]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    shown = cells_table(app)
    assert len(printed) >= len(shown)
    slowest = shown.filter(like="Median").max().iloc[0]
    unit = str(shown.filter(like="Median").columns[0])
    factor = 1e6 if "µs" in unit else 1e3 if "ms" in unit else 1.0
    assert (factor * printed["median_s"]).round(9).isin([round(slowest, 9)]).any()
