"""A real Streamlit server on a free port, and waiting for its pages to stand still."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("BREAKEVEN_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAGES = ("overview", "machines", "measurements", "model", "estimate", "cost", "rules-of-thumb")

_START_LIMIT_S = 60.0
_QUIET_LIMIT_MS = 90_000


@contextmanager
def running_dashboard(data: str | Path) -> Iterator[str]:
    """Start the dashboard on this dataset; yields its address and stops it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard.py"]
    command += ["--server.port", str(port), "--server.fileWatcherType", "none"]
    environment = {**os.environ, "BREAKEVEN_DATA": str(data)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        base = f"http://localhost:{port}"
        try:
            _wait_for_health(base, process)
            yield base
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for_health(base: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the dashboard ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"{base}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError("the dashboard did not answer in time")


_QUIET = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    if (!app || app.getAttribute('data-test-script-state') !== 'notRunning') return false;
    if (document.querySelector('[data-testid="stSpinner"]')) return false;
    const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')];
    return charts.every(chart => chart.querySelector(
        'svg path, canvas.marks, path[aria-roledescription]'));
}"""


def wait_until_quiet(page: Page) -> None:
    """Wait until the script has run, every chart is drawn, and no other run has begun since."""
    page.wait_for_selector('[data-testid="stApp"]', timeout=_QUIET_LIMIT_MS)
    page.wait_for_selector("h1", timeout=_QUIET_LIMIT_MS)
    while True:  # each wait has a limit of its own
        page.wait_for_function(_QUIET, timeout=_QUIET_LIMIT_MS)
        page.wait_for_timeout(700)
        if page.evaluate(_QUIET):
            return
