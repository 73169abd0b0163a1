"""The dashboard in a real browser: a Streamlit server on made-up data, and Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.browser.server import CHROMIUM, CHROMIUM_ARGS, running_dashboard, wait_until_quiet
from tests.pages.made_up_runs import HOSTILE, write_dataset, write_run

LOCAL_HOSTS = {"localhost", "127.0.0.1"}
LOCAL_SCHEMES = {"data", "blob", "about"}


@dataclass
class Visit:
    """An open page and what it did behind the scenes."""

    page: Page
    base: str
    foreign_requests: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a path of the dashboard and wait until it stands still."""
        self.page.goto(f"{self.base}/{path}")
        wait_until_quiet(self.page)
        return self.page

    def note_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in LOCAL_SCHEMES and address.hostname not in LOCAL_HOSTS:
            self.foreign_requests.append(request.url)

    def note_console(self, message: ConsoleMessage) -> None:
        path = urlsplit(message.location.get("url", "")).path
        if message.type == "error" and not _is_streamlits_probe(path):
            self.console_errors.append(f"{message.text} ({path})")


def _is_streamlits_probe(path: str) -> bool:
    """On a page's own address Streamlit first looks for its server below that path."""
    return path.count("/") > 2 and path.endswith(("/_stcore/health", "/_stcore/host-config"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; skipped where there is none, but for CI."""
    if not Path(CHROMIUM).exists():
        message = f"no browser at {CHROMIUM}; set BREAKEVEN_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(message)  # a green run without a browser would hide a missing install
        pytest.skip(message)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server on two ordinary machines."""
    with running_dashboard(write_dataset(tmp_path_factory.mktemp("runs"))) as base:
        yield base


@pytest.fixture(scope="session")
def hostile_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server on a machine whose label tries to load things."""
    root = tmp_path_factory.mktemp("hostile")
    write_run(root, HOSTILE)
    with running_dashboard(root) as base:
        yield base


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Make a fresh page that notes foreign requests and console errors."""
    opened: list[Page] = []

    def make(base: str, width: int = 1280, scheme: str = "light") -> Visit:
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        opened.append(page)
        made = Visit(page, base)
        page.on("request", made.note_request)
        page.on("console", made.note_console)
        page.on("pageerror", lambda error: made.console_errors.append(str(error)))
        return made

    yield make
    for page in opened:
        page.close()
