"""Files that a stranger put into the dataset: every page stays up, and says what was set aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.dataset.journal import SUFFIX
from collector.dataset.read import rows_to_table
from tests.collector import hostile_files as hostile
from tests.pages.conftest import PAGES, OpenPage
from tests.pages.made_up_runs import write_dataset

TEXT = "<img src=x onerror=alert(1)> [x](http://example.org) =1+1 $x$ **b** `c`"
#: good in form, so that pages meet it: text that is mark-up, times and sizes that cannot be
STRANGE_ROWS = (
    dict.fromkeys(("label", "cpu_model", "workload", "case", "error", "driver"), TEXT)
    | {"backend": TEXT, "median_s": 1e308},
    {"median_s": -1.0, "physical_cores": -1},
    {"median_s": float("nan"), "params": {"n": 2**62}, "samples_s": [float("inf")]},
    {"median_s": 0.0, "samples_s": []},
)
STRANGE_FACTS = {
    "machine_id": "m1",
    "label": TEXT,
    "cpu": {"model": TEXT, "physical_cores": -5},
    "gpu": {"model": TEXT, "count": -1},
    "library_versions": {"a": [1]},
}


@pytest.fixture(scope="module")
def hostile_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_dataset(tmp_path_factory.mktemp("hostile"))
    common = {"device": "cpu", "mode": "hot", "dtype": "float32"}
    rows = rows_to_table([hostile.ROW | common | row for row in STRANGE_ROWS])
    files = {
        "strange.parquet": hostile.parquet(rows, hostile.metadata(machine=STRANGE_FACTS)),
        "wide.parquet": hostile.wide(10_000),
        "texts.parquet": hostile.dictionary_bomb(1000, 200_000),
        "list.parquet": hostile.list_bomb(4_000_000),
        "cut.parquet": hostile.run()[:-100],
        "deep.parquet": hostile.parquet(rows, hostile.metadata(machine="[" * 200_000)),
        f"deep{SUFFIX}": b"[" * 300_000 + b"\n",
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize("page", PAGES)
def test_every_page_stays_up(open_page: OpenPage, hostile_dataset: Path, page: str) -> None:
    app = open_page(page, hostile_dataset)
    assert not app.exception
    assert not app.error


def test_the_overview_names_each_file_that_was_set_aside(
    open_page: OpenPage, hostile_dataset: Path
) -> None:
    app = open_page("overview", hostile_dataset)
    (frame,) = [table.value for table in app.dataframe if "Reason" in table.value.columns]
    reasons = dict(zip(frame["File"], frame["Reason"], strict=True))
    assert set(reasons) == {
        *("wide.parquet", "texts.parquet", "list.parquet", "cut.parquet", "deep.parquet"),
        f"deep{SUFFIX}",
    }
    assert "10,078 columns" in reasons["wide.parquet"]
    assert "has a text of 200,000 bytes" in reasons["texts.parquet"]
