"""axe-core on every page in the dark theme; in the light one it runs where a page is opened."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.axe import grave_violations
from tests.browser.conftest import Visit
from tests.browser.server import PAGES

MakeVisit = Callable[..., Visit]


@pytest.mark.parametrize("name", PAGES)
def test_dark_page_has_no_serious_violation(visit: MakeVisit, dashboard: str, name: str) -> None:
    """Names, roles, contrast and focus as WCAG asks."""
    page = visit(dashboard, scheme="dark").open("" if name == "overview" else name)
    assert grave_violations(page) == []
