"""Look at a run without storing it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from app_pages.frame.uploads import read_uploaded_run
from app_pages.measurements.upload_panel import by_family, cells_of, facts_of, ratios, statuses_of
from tests.estimator.made_up_fleet import machine_rows, scale
from tests.pages.conftest import OpenPage
from tests.pages.made_up_runs import HOSTILE, RACK, make_rows, write_run


def upload(tmp_path: Path, rows: list[dict[str, object]]) -> bytes:
    return write_run(tmp_path, RACK, rows).read_bytes()


def test_uploaded_run_says_what_it_is(tmp_path: Path) -> None:
    """Machine, rows and statuses come from the file."""
    run = read_uploaded_run(upload(tmp_path, make_rows(RACK, "r")), "mine.parquet")
    facts = facts_of(run)
    assert facts["file"] == "mine.parquet"
    assert facts["machine"] == RACK.label
    assert int(facts["rows"]) == sum(statuses_of(run).values())
    assert statuses_of(run)["timeout"] == 1


def test_ratio_of_an_uploaded_run_is_cell_by_cell(tmp_path: Path) -> None:
    """A run in which every time is doubled has twice the time in every family."""
    usual = machine_rows("m", 0)
    slow = machine_rows("m", 0)
    for row in slow:
        scale(row, 2.0)
    own = cells_of(read_uploaded_run(upload(tmp_path / "a", slow), "a.parquet"))
    other = cells_of(read_uploaded_run(upload(tmp_path / "b", usual), "b.parquet"))
    joined = ratios(own, other[["cell_id", "median_s", "ci95_low_s", "ci95_high_s"]])
    assert len(joined) == len(own)
    assert joined["ratio"].to_numpy() == pytest.approx(2.0)
    assert (joined["ratio_low"] <= joined["ratio"]).all()
    assert by_family(joined)["percent"].to_numpy() == pytest.approx(100.0)


def test_rows_without_a_time_are_no_cells(tmp_path: Path) -> None:
    """A file in which everything failed has no cells, and that is no error."""
    rows = [row | {"status": "crashed", "median_s": None} for row in make_rows(RACK, "r")]
    run = read_uploaded_run(upload(tmp_path, rows), "failed.parquet")
    assert cells_of(run).empty


def test_hostile_text_of_a_file_stays_in_the_table(tmp_path: Path) -> None:
    """Facts are cut and shown in a table, which renders no Markdown."""
    path = write_run(tmp_path, HOSTILE)
    facts = facts_of(read_uploaded_run(path.read_bytes(), HOSTILE.label + ".parquet"))
    assert all(len(value) <= 200 for value in facts.values())


def _with_file(app: object, name: str, data: bytes) -> None:
    app.file_uploader(key="upload_run").set_value((name, data, "application/octet-stream")).run()  # type: ignore[attr-defined]


def test_panel_compares_and_stores_nothing(
    open_page: OpenPage, dataset: Path, tmp_path: Path
) -> None:
    """The page compares the file with a machine; the dataset keeps its runs, as do other pages."""
    before = sorted(path for path in dataset.rglob("*"))
    app = open_page("measurements")
    _with_file(app, "mine.parquet", upload(tmp_path, make_rows(RACK, "new", seed=5)))
    assert not app.exception
    assert any("file's times are" in text.value for text in app.markdown)
    assert any("Ratio" in table.value.columns for table in app.dataframe)
    assert sorted(path for path in dataset.rglob("*")) == before
    assert open_page("overview").metric[1].value == "2"


@pytest.mark.parametrize("data", [b"", b"PAR1 and then nothing", b"a,b\n=1+1,2\n"])
def test_file_that_is_no_run_is_refused_in_one_line(open_page: OpenPage, data: bytes) -> None:
    """A damaged or foreign file leads to a message; the page stays up."""
    app = open_page("measurements")
    _with_file(app, "![x](http://evil.invalid).parquet", data)
    assert not app.exception
    assert app.error
    assert "http://evil.invalid" not in app.error[0].value
    assert isinstance(app.dataframe[0].value, pd.DataFrame)
