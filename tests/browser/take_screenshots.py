"""Shoot every page of the dashboard, light, dark and narrow, into a folder.

python -m tests.browser.take_screenshots docs/screenshots [--data data/runs] [--page overview]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.server import CHROMIUM, CHROMIUM_ARGS, PAGES, running_dashboard, wait_until_quiet

LOOKS = {
    "light": ("light", 1280, 900),
    "dark": ("dark", 1280, 900),
    "narrow": ("light", 390, 844),
}


def shoot(page: Page, url: str, target: Path, most_px: int) -> None:
    """Open one page, wait until it stands still, and save it down to ``most_px``."""
    page.goto(url)
    wait_until_quiet(page)
    main = page.locator('[data-testid="stMain"]')
    height = int(main.evaluate("element => element.scrollHeight"))
    width = page.viewport_size["width"] if page.viewport_size else 1280
    page.set_viewport_size({"width": width, "height": min(height + 20, most_px)})
    wait_until_quiet(page)
    page.screenshot(path=target)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default=os.environ.get("BREAKEVEN_DATA", "data/runs"))
    parser.add_argument("--page", action="append", help="only this page; PAGE?QUERY sets widgets")
    parser.add_argument("--look", action="append", choices=sorted(LOOKS))
    parser.add_argument("--most-px", type=int, default=6000, help="cut off below this height")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with running_dashboard(options.data) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        for look in options.look or LOOKS:
            scheme, width, height = LOOKS[look]
            for name in options.page or PAGES:
                page = browser.new_page(
                    color_scheme=scheme,  # type: ignore[arg-type]
                    viewport={"width": width, "height": height},
                )
                path = "" if name == "overview" else name
                target = options.folder / f"{name.split('?')[0]}-{look}.png"
                shoot(page, f"{base}/{path}", target, options.most_px)
                page.close()
                print(target)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
