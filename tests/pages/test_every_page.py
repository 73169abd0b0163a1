"""What holds for every page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app_pages.frame import navigation
from tests.pages.conftest import PAGES, ROOT, OpenPage
from tests.pages.made_up_runs import DESK, HOSTILE, RACK, make_rows, write_run


@pytest.mark.parametrize("page", PAGES)
def test_opens_on_a_good_dataset(open_page: OpenPage, page: str) -> None:
    """Every page shows its title, the dataset's caption and something of the data."""
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert page.replace("-", " ").capitalize() == app.title[0].value
    assert "2 runs on 2 machines" in app.caption[0].value
    assert app.get("vega_lite_chart") or app.dataframe


@pytest.mark.parametrize("page", PAGES)
def test_missing_dataset_says_what_to_do(open_page: OpenPage, page: str, tmp_path: Path) -> None:
    """A path with nothing there is named, and the command that makes a dataset is given."""
    app = open_page(page, tmp_path / "nowhere")
    assert not app.exception
    assert "nowhere" in app.warning[0].value
    assert "collector run" in app.code[0].value


@pytest.mark.parametrize("page", PAGES)
def test_empty_dataset_says_what_to_do(open_page: OpenPage, page: str, tmp_path: Path) -> None:
    """A directory without runs is no error: the page says how to measure."""
    app = open_page(page, tmp_path)
    assert not app.exception
    assert app.info
    assert "collector run" in app.code[0].value


@pytest.fixture(scope="module")
def torn(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good dataset with a damaged file in it."""
    root = tmp_path_factory.mktemp("torn") / "runs"
    shutil.copytree(dataset, root)
    (root / "torn.parquet").write_bytes(b"PAR1 and then nothing")
    return root


@pytest.mark.parametrize("page", PAGES)
def test_damaged_file_does_not_stop_the_rest(open_page: OpenPage, page: str, torn: Path) -> None:
    """Beside a damaged file the good ones are shown."""
    app = open_page(page, torn)
    assert not app.exception
    assert "2 runs on 2 machines" in app.caption[0].value


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which everything failed."""
    rows = [
        row | {"status": "crashed", "median_s": None, "error": "worker died", "samples_s": []}
        for row in make_rows(DESK, "failed")
    ]
    root = tmp_path_factory.mktemp("failed")
    write_run(root, DESK, rows)
    return root


@pytest.mark.parametrize("page", PAGES)
def test_no_row_has_a_time(open_page: OpenPage, page: str, failed: Path) -> None:
    """A run in which everything failed leads to a message, not to an error."""
    app = open_page(page, failed)
    assert not app.exception
    assert app.info or page == "overview"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a machine whose label is mark-up."""
    root = tmp_path_factory.mktemp("hostile")
    write_run(root, HOSTILE)
    return root


@pytest.mark.parametrize("page", PAGES)
def test_hostile_label_stays_text(open_page: OpenPage, page: str, hostile: Path) -> None:
    """No Markdown or HTML of a machine's label reaches a place that renders it."""
    app = open_page(page, hostile)
    assert not app.exception
    rendered = [*app.markdown, *app.caption, *app.info, *app.warning, *app.success, *app.error]
    for element in rendered:
        assert "http://evil.invalid" not in element.value
        assert "![x](" not in element.value


def test_no_page_renders_html() -> None:
    """No page asks Streamlit to trust HTML."""
    for file in (ROOT / "app_pages").rglob("*.py"):
        source = file.read_text()
        assert "unsafe_allow_html" not in source
        assert "st.html" not in source


def test_dashboard_opens_on_the_overview(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The entry itself: the menu has every page at its address, the overview is the first."""
    monkeypatch.setenv("BREAKEVEN_DATA", str(tmp_path))
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60).run()
    assert not app.exception
    assert app.title[0].value == "Overview"
    assert tuple(navigation.PAGES) == PAGES


def test_pages_are_imported_when_they_are_opened() -> None:
    """The first paint waits for the open page alone: the entry loads nothing that others need."""
    script = "import sys, dashboard; print([name for name in sys.argv[1:] if name in sys.modules])"
    modules = [navigation.module_of(page) for page in PAGES]
    answer = subprocess.run(
        [sys.executable, "-c", script, *modules, "pandas", "altair", "duckdb", "scipy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.splitlines()[-1:] == ["[]"], answer.stderr[-2000:]


@pytest.mark.parametrize("page", PAGES[:3])
def test_columns_without_values_are_no_error(
    open_page: OpenPage, page: str, tmp_path: Path
) -> None:
    """Rows that a foreign tool wrote with holes in them do not break what shows the rest."""
    for column in ("workload", "dtype", "started_at", "params", "samples_s"):
        rows = [row | {column: None} for row in make_rows(DESK, f"holes in {column}")]
        write_run(tmp_path / column, DESK, rows)
    write_run(tmp_path, RACK)
    assert not open_page(page, tmp_path).exception


def test_several_directories_are_one_dataset(open_page: OpenPage, tmp_path: Path) -> None:
    """Directories that the variable lists as PATH does are read together."""
    write_run(tmp_path / "a", DESK)
    write_run(tmp_path / "b", HOSTILE)
    app = open_page("overview", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert not app.exception
    assert "2 runs on 2 machines" in app.caption[0].value
