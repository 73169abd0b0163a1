"""axe-core on every page: nothing that it calls serious or critical."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Visit
from tests.browser.server import PAGES

MakeVisit = Callable[..., Visit]
GRAVE = {"serious", "critical"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_serious_violation(
    visit: MakeVisit, dashboard: str, name: str, scheme: str
) -> None:
    """Names, roles, contrast and focus as WCAG asks, in both themes."""
    page = visit(dashboard, scheme=scheme).open("" if name == "overview" else name)
    found = Axe().run(page).response["violations"]
    grave = [
        f"{one['id']} ({one['impact']}): {node['html'][:160]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]
    assert grave == []
