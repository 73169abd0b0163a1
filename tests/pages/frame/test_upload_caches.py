"""What a visitor uploads or types is kept for that visitor, and no longer than the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.runtime.caching import clear_session_data_cache
from streamlit.testing.v1 import AppTest

from app_pages.cost import catalogue as cost_catalogue
from app_pages.measurements import upload_panel
from tests.pages.conftest import OpenPage
from tests.pages.cost.test_cost import GOOD, HEADING
from tests.pages.made_up_runs import RACK, write_run


def upload(app: AppTest, name: str, data: bytes) -> AppTest:
    return app.get("file_uploader")[-1].upload(name, data).run()


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[str]:
    """Names of the files that a function of a module is asked to read."""
    asked: list[str] = []
    read = getattr(module, name)

    def reading(data: bytes, file: str, *rest: Any) -> Any:
        asked.append(file)
        return read(data, file, *rest)

    monkeypatch.setattr(module, name, reading)
    return asked


@pytest.mark.parametrize(
    ("page", "module", "reader"),
    [
        ("measurements", upload_panel, "read_uploaded_run"),
        ("cost", cost_catalogue, "read_uploaded_catalogue"),
    ],
)
def test_file_is_forgotten_when_it_is_removed(
    open_page: OpenPage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    module: Any,
    reader: str,
) -> None:
    """It is read once while it is there, and anew when it or its visitor comes back."""
    asked = counted(monkeypatch, module, reader)
    data = write_run(tmp_path, RACK).read_bytes()
    data = data if page == "measurements" else f"{HEADING}\n{GOOD}\n".encode()
    name = "mine.parquet" if page == "measurements" else "mine.csv"
    app = upload(open_page(page), name, data)
    app.run()
    assert not app.exception
    assert not app.error
    assert asked == [name]
    app.get("file_uploader")[-1].set_value([]).run()
    assert asked == [name]
    app = upload(app, name, data)
    assert asked == [name] * 2
    clear_session_data_cache("test session id")  # as Streamlit does where a visitor has left
    app.run()
    assert asked == [name] * 3


def test_typed_prices_stay_with_their_instances(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the same name and length with other rows gets a table without edits."""
    keys: list[str] = []

    def editor(frame: pd.DataFrame, *, key: str, **_: Any) -> pd.DataFrame:
        keys.append(key)
        return frame

    monkeypatch.setattr(st, "data_editor", editor)
    dearer, other = GOOD.replace(",2.5,", ",2.75,"), GOOD.replace("big-1", "big-2")
    app = open_page("cost")
    last = [keys[-1]]
    for row in (GOOD, dearer, other):
        app = upload(app, "prices.csv", f"{HEADING}\n{row}\n".encode())
        assert not app.exception
        last.append(keys[-1])
    shipped, first, same_rows, other_rows = last
    assert first == same_rows
    assert len({shipped, first, other_rows}) == 3
