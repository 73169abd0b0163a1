"""What axe-core finds wrong with a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_GRAVE = {"serious", "critical"}


def grave_violations(page: Page) -> list[str]:
    """Violations of WCAG that axe-core calls serious or critical: rule, impact and element."""
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]}"
        for one in Axe().run(page).response["violations"]
        if one["impact"] in _GRAVE
        for node in one["nodes"]
    ]
