"""The dashboard on a made-up dataset, without a browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.pages.made_up_runs import GRID, every_family_rows, write_dataset, write_run

ROOT = Path(__file__).resolve().parents[2]
OpenPage = Callable[..., AppTest]
#: Addresses of all pages, in the order of the menu.
PAGES = ("overview", "machines", "measurements", "model", "estimate", "cost", "rules-of-thumb")


@pytest.fixture(scope="session", autouse=True)
def empty_caches() -> Iterator[None]:
    """Let go of the dashboard's cached connections before the interpreter ends."""
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines, one of them with a GPU."""
    return write_dataset(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def every_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One machine with a GPU on which every family was measured."""
    root = tmp_path_factory.mktemp("every")
    write_run(root, GRID, every_family_rows())
    return root


def _draw(address: str) -> None:
    """The script of a test: what dashboard.py does, with this page at the root."""
    from app_pages.frame.navigation import navigate

    navigate(first=address).run()


def page_app(address: str, timeout_s: float = 60.0) -> AppTest:
    """One page of the dashboard, not run yet; one run is enough, whatever its address."""
    assert address in PAGES  # the dashboard opens the overview for an address that it lacks
    return AppTest.from_function(_draw, default_timeout=timeout_s, args=(address,))


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, dataset: Path) -> OpenPage:
    """Open one page on a dataset, with widgets set as a link would set them."""

    def open_one(page: str, data: Path | str | None = None, **query: Any) -> AppTest:
        monkeypatch.chdir(ROOT)
        monkeypatch.setenv("BREAKEVEN_DATA", str(dataset if data is None else data))
        monkeypatch.setenv("BREAKEVEN_MODEL_PROCESS", "0")  # a page costs no process
        app = page_app(page)
        for key, value in query.items():
            app.query_params[key] = str(value)
        return app.run()

    return open_one


def chart_spec(app: AppTest, index: int = 0) -> dict[str, Any]:
    """Specification of a chart on the page."""
    spec: dict[str, Any] = json.loads(app.get("vega_lite_chart")[index].proto.spec)
    return spec
