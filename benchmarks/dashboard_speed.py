"""Time and memory of the dashboard's pages in Chromium, beside an empty Streamlit page.

python -m benchmarks.dashboard_speed [--data DIRECTORY] [--page overview ...] [--json FILE]

Two servers run with the same configuration: the dashboard on the dataset, and a script with
nothing but ``st.title``. Reruns of a page and of the empty page alternate, so that whatever
disturbs the machine disturbs both; the ratio is that of the medians. A rerun lasts from the
moment the browser asks for it until the script has ended and the browser has drawn a frame.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from benchmarks.process_memory import MemoryWatch, serve
from tests.browser.server import CHROMIUM, CHROMIUM_ARGS, ROOT, wait_until_quiet

PAGES = (
    *("overview", "machines", "measurements", "model", "estimate"),
    *("rules-of-thumb", "cost"),
)
#: pages that need the fitted model, which lives in a process of its own
MODEL_PAGES = ("model", "estimate", "rules-of-thumb", "cost")

_LIMIT_MS = 600_000
_RERUN_LIMIT_MS = 20_000
_ATTEMPTS = 3
_PAUSE_S = 0.15
_EMPTY = 'import streamlit as st\n\nst.set_page_config(layout="wide")\nst.title("Empty")\n'

# Notes when a script run is asked for and when it has ended and been drawn.
_OBSERVE = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    const state = () => app.getAttribute('data-test-script-state');
    window.runs = []; window.began = null; window.busy = false;
    window.ask = () => { window.began = performance.now(); };
    new MutationObserver(() => {
        if (state() !== 'notRunning') {
            if (!window.busy) { window.busy = true; window.began ??= performance.now(); }
        } else if (window.busy) {
            window.busy = false;
            requestAnimationFrame(() => requestAnimationFrame(() => {
                if (window.busy || window.began === null) return;
                window.runs.push(performance.now() - window.began); window.began = null;
            }));
        }
    }).observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
    document.addEventListener('keydown', event => {
        if (event.key === 'r' && window.began === null) window.ask();
    }, true);
}"""
_PAINTED = """() => {
    const main = document.querySelector('[data-testid="stMain"]');
    if (!main || !main.querySelector('h1')) return false;
    return main.innerText.trim().length > main.querySelector('h1').innerText.length + 20;
}"""


@dataclass(frozen=True)
class Speed:
    """Times of one page, ms; medians over the reruns, of the page and of the empty page."""

    page: str
    first_paint_ms: float
    complete_ms: float
    rerun_ms: float
    changed_ms: float | None
    empty_ms: float
    reruns: int

    @property
    def ratio(self) -> float:
        """Rerun with nothing changed over the rerun of the empty page."""
        return self.rerun_ms / self.empty_ms

    @property
    def changed_ratio(self) -> float | None:
        """Rerun after a changed widget over the rerun of the empty page."""
        return None if self.changed_ms is None else self.changed_ms / self.empty_ms


def open_page(browser: Browser, url: str, painted: str) -> tuple[Page, float, float]:
    """A page in a fresh profile: the page, time to its first content, and until it is complete."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(painted, timeout=_LIMIT_MS, polling=20)
    first_ms = 1e3 * (time.perf_counter() - began)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=\"stApp\"]')"
        ".getAttribute('data-test-script-state') === 'notRunning'",
        timeout=_LIMIT_MS,
        polling=20,
    )
    complete_ms = 1e3 * (time.perf_counter() - began)
    wait_until_quiet(page)
    page.evaluate(_OBSERVE)
    return page, first_ms, complete_ms


def rerun(page: Page, act: Callable[[], object]) -> float:
    """Milliseconds of the script run that ``act`` asks for; asked again where it was not heard."""
    for attempt in reversed(range(_ATTEMPTS)):
        time.sleep(_PAUSE_S)
        page.evaluate("() => { window.runs = []; window.began = null; }")
        act()
        try:
            page.wait_for_function("() => window.runs.length > 0", timeout=_RERUN_LIMIT_MS)
        except TimeoutError:
            if not attempt:
                raise
        else:
            break
    return float(page.evaluate("() => window.runs[window.runs.length - 1]"))


def change_widget(page: Page) -> Callable[[], object] | None:
    """What changes the first widget of the page to another value each time; None without one."""
    main = page.locator('[data-testid="stMain"]')
    pills = main.locator('[data-testid="stButtonGroup"] button[kind="pills"]:visible')
    if pills.count():
        return pills.first.click
    boxes = main.locator('[data-testid="stSelectbox"] input:visible')
    if boxes.count():
        keys = iter(["ArrowDown", "ArrowUp"] * 1000)

        def choose() -> None:
            boxes.first.click()
            page.keyboard.press(next(keys))
            page.evaluate("() => window.ask()")
            page.keyboard.press("Enter")

        return choose
    toggles = main.locator('[data-testid="stCheckbox"] label:visible')
    return toggles.first.click if toggles.count() else None


def measure_page(browser: Browser, base: str, name: str, empty: Page, reruns: int) -> Speed:
    """One page's times, its reruns alternating with those of the empty page."""
    path = "" if name == "overview" else name
    page, first_ms, complete_ms = open_page(browser, f"{base}/{path}", _PAINTED)
    try:
        same, bare, changed = [], [], []
        act = change_widget(page)
        for number in range(reruns + 2):
            page.evaluate("() => document.activeElement?.blur()")
            times = (
                rerun(page, lambda: page.keyboard.press("r")),
                rerun(empty, lambda: empty.keyboard.press("r")),
            )
            if number >= 2:  # the first ones fill caches
                same.append(times[0])
                bare.append(times[1])
        for _ in range(reruns if act is not None else 0):
            try:
                changed.append(rerun(page, act))  # type: ignore[arg-type]
            except TimeoutError:
                break
    finally:
        page.context.close()
    return Speed(
        page=name,
        first_paint_ms=first_ms,
        complete_ms=complete_ms,
        rerun_ms=statistics.median(same),
        changed_ms=statistics.median(changed) if changed else None,
        empty_ms=statistics.median(bare),
        reruns=reruns,
    )


def table(speeds: Sequence[Speed]) -> str:
    """The times as lines of text."""
    lines = [
        f"{'page':14}{'first paint':>12}{'complete':>10}{'rerun':>8}{'empty':>8}{'ratio':>7}"
        f"{'changed':>9}{'ratio':>7}"
    ]
    for speed in speeds:
        changed = "-" if speed.changed_ms is None else f"{speed.changed_ms:.0f}"
        ratio = "-" if speed.changed_ratio is None else f"{speed.changed_ratio:.2f}"
        lines.append(
            f"{speed.page:14}{speed.first_paint_ms:12.0f}{speed.complete_ms:10.0f}"
            f"{speed.rerun_ms:8.0f}{speed.empty_ms:8.0f}{speed.ratio:7.2f}{changed:>9}{ratio:>7}"
        )
    return "\n".join([*lines, "times in ms"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", default="data/runs")
    parser.add_argument("--page", action="append", choices=PAGES, help="only this one")
    parser.add_argument("--reruns", type=int, default=12)
    parser.add_argument("--no-model", action="store_true", help="leave out pages with the model")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    names = options.page or [p for p in PAGES if not (options.no_model and p in MODEL_PAGES)]
    result: dict[str, Any] = {"data": options.data, "cpus": os.cpu_count()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = folder / "empty.py"
        script.write_text(_EMPTY)
        environment = {**os.environ, "BREAKEVEN_DATA": options.data}
        empty_base, empty_pid = stack.enter_context(serve(script, ROOT, environment))
        base, pid = stack.enter_context(serve(ROOT / "dashboard.py", ROOT, environment))
        memory = stack.enter_context(MemoryWatch(pid))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        stack.callback(browser.close)
        empty, _, _ = open_page(browser, empty_base, "() => document.querySelector('h1') !== null")
        page, _, opening_ms = open_page(browser, base, _PAINTED)
        page.context.close()
        result["opening_s"] = opening_ms / 1e3
        print(f"first visit with the opening of the dataset: {opening_ms / 1e3:.1f} s", flush=True)
        speeds = []
        for name in names:
            speeds.append(measure_page(browser, base, name, empty, options.reruns))
            peaks = memory.peaks()
            line = table(speeds[-1:]).splitlines()[1]
            print(f"{line}  server {peaks.server_mb:.0f} MB", flush=True)
        result["pages"] = [
            {**asdict(s), "ratio": s.ratio, "changed_ratio": s.changed_ratio} for s in speeds
        ]
        peaks = memory.peaks()
        result["memory_mb"] = {"server": peaks.server_mb, "children": peaks.children_mb}
        result["empty_memory_mb"] = MemoryWatch(empty_pid).peaks().server_mb
    print(table(speeds))
    print(
        f"peak memory of the server: {peaks.server_mb:.0f} MB (empty page's: "
        f"{result['empty_memory_mb']:.0f} MB)"
    )
    for command, size in peaks.children_mb.items():
        print(f"peak memory of its child {command}: {size:.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
