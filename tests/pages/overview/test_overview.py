"""Overview: what was measured and what failed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pages.conftest import OpenPage, chart_spec
from tests.pages.made_up_runs import DESK, RACK, MadeUpMachine, make_rows, write_journal, write_run


def test_counts_and_machines(open_page: OpenPage) -> None:
    """The figures count machines, runs and cells; the table has one row per machine."""
    app = open_page("overview")
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures == {
        "Machines": "2",
        "Runs": "2",
        "Cells with a time": "146",
        "Cells without a time": "4",
    }
    assert list(app.dataframe[0].value["Machine"]) == [DESK.label, RACK.label]


def test_coverage_covers_every_machine(open_page: OpenPage) -> None:
    """The heat map has a column for each machine."""
    spec = chart_spec(open_page("overview"))
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [DESK.label, RACK.label]


def test_failures_are_listed_with_reason(open_page: OpenPage) -> None:
    """The cells without a time come with what went wrong, real failures before unsupported ones."""
    app = open_page("overview")
    failures = app.dataframe[3].value
    assert list(failures["Error"]) == ["stopped after 60 s"] * 2 + ["no such library"] * 2


def test_set_aside_file_is_named(open_page: OpenPage, dataset: Path, tmp_path: Path) -> None:
    """A damaged file is listed by its path inside the dataset, with the reason."""
    shutil.copytree(dataset, tmp_path / "runs")
    (tmp_path / "runs" / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    app = open_page("overview", tmp_path / "runs")
    listed = app.dataframe[-1].value
    assert list(listed["File"]) == ["torn.parquet"]
    assert listed["Reason"].iloc[0]


def test_this_machine_is_recognised(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the dashboard is pointed out if it is in the data."""
    import collector.machine.fingerprint

    class Here:
        machine_id = DESK.machine_id

    import streamlit as st

    st.cache_data.clear()
    monkeypatch.setattr(collector.machine.fingerprint, "read_machine", lambda: Here)
    app = open_page("overview")
    assert DESK.label in app.success[0].value
    assert list(app.dataframe[0].value["Here"]) == [True, False]
    st.cache_data.clear()


def test_killed_run_counts_as_far_as_it_got(open_page: OpenPage, tmp_path: Path) -> None:
    """The journal of an unfinished run is read, and the page says how to go on."""
    write_journal(tmp_path, DESK, finished_cells=10)
    app = open_page("overview", tmp_path)
    assert not app.exception
    assert app.metric[2].value == "8"
    assert any("did not finish" in info.value for info in app.info)
    assert not app.dataframe[1].value["Complete"].any()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty machines, each with a small run."""
    root = tmp_path_factory.mktemp("many")
    for number in range(30):
        gpu = "NVIDIA H200" if number % 10 == 0 else ""
        machine = MadeUpMachine(f"box{number:02d}xxxxxxx", f"box {number:02d}", gpu_model=gpu)
        write_run(root, machine, make_rows(machine, f"r{number}")[:12])
    return root


def test_many_machines_come_in_pages(open_page: OpenPage, many: Path) -> None:
    """Tables and charts hold a page of machines; the figures above count all of them."""
    app = open_page("overview", many)
    assert app.metric[0].value == "30"
    assert len(app.dataframe[0].value) == 12
    assert len(chart_spec(app)["layer"][0]["encoding"]["x"]["scale"]["domain"]) == 12
    last = open_page("overview", many, overview_page="25 to 30")
    assert len(last.dataframe[0].value) == 6


def test_machines_are_found_by_name_part_and_gpu(open_page: OpenPage, many: Path) -> None:
    """Every word must be there; nothing found is a message that says what to relax."""
    by_gpu = open_page("overview", many, overview_find="h200")
    assert sorted(by_gpu.dataframe[0].value["Machine"]) == ["box 00", "box 10", "box 20"]
    both = open_page("overview", many, overview_find="H200 box20")
    assert list(both.dataframe[0].value["Machine"]) == ["box 20"]
    nothing = open_page("overview", many, overview_find="![x](http://evil.invalid)")
    assert not nothing.exception
    said = [info.value for info in nothing.info if "fewer or shorter words" in info.value]
    assert said
    assert "http://evil.invalid" not in said[0]


def test_timeline_shows_each_run_with_its_outcome(open_page: OpenPage) -> None:
    """Both runs of the small dataset have cells without a time that no library explains."""
    app = open_page("overview")
    marks = chart_spec(app, 1)["layer"][1]
    assert marks["encoding"]["y"]["scale"]["domain"] == [DESK.label, RACK.label]
    runs = next(t.value for t in app.dataframe if "Complete" in t.value.columns)
    assert list(runs["Without a time"]) == [1, 1]


def test_other_questions_are_one_click_away(open_page: OpenPage) -> None:
    """The page links to the unwell machines and to the panel for a run that is not stored."""
    links = [link.proto.label for link in open_page("overview").get("page_link")]
    assert "Which of my machines is unwell?" in links
    assert "Look at a run without storing it" in links
