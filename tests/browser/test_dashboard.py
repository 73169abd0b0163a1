"""What a person sees in a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import grave_violations
from tests.browser.conftest import Visit
from tests.browser.server import PAGES, wait_until_quiet

MakeVisit = Callable[..., Visit]


def path_of(name: str) -> str:
    return "" if name == "overview" else name


def first_chart(page: Page) -> str:
    """The drawn marks of the first chart, as SVG text."""
    return str(page.locator('[data-testid="stVegaLiteChart"] svg').first.inner_html())


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_quietly_and_is_accessible(visit: MakeVisit, dashboard: str, name: str) -> None:
    """Every page draws a chart, logs no error and asks no other host for anything.

    And has names, roles, contrast and focus as WCAG asks; on 390 pixels nothing but tables scrolls
    sideways.
    """
    seen = visit(dashboard)
    page = seen.open(path_of(name))
    expect(page.locator("h1")).to_have_text(name.replace("-", " ").capitalize())
    expect(page.locator('[data-testid="stVegaLiteChart"]').first).to_be_visible()
    expect(page.locator('[data-testid="stException"]')).to_have_count(0)
    assert seen.foreign_requests == []
    assert seen.console_errors == []
    assert grave_violations(page) == []
    page.set_viewport_size({"width": 390, "height": 900})
    wait_until_quiet(page)
    main = page.locator('[data-testid="stMain"]')
    overflow = main.evaluate("element => element.scrollWidth - element.clientWidth")
    assert overflow <= 1


def test_dark_scheme_has_a_dark_background(visit: MakeVisit, dashboard: str) -> None:
    """A browser that asks for dark gets the dark theme of the configuration."""
    page = visit(dashboard, scheme="dark").open("")
    color = page.locator('[data-testid="stApp"]').evaluate(
        "element => getComputedStyle(element).backgroundColor"
    )
    assert color == "rgb(18, 24, 31)"


def test_changing_the_element_type_changes_the_chart(visit: MakeVisit, dashboard: str) -> None:
    """A click on a pill redraws the sweep from other rows and is kept in the address."""
    page = visit(dashboard).open("measurements")
    before = first_chart(page)
    page.get_by_role("radio", name="float64").click()
    page.wait_for_url("**measurements_dtype=float64**")
    wait_until_quiet(page)
    assert first_chart(page) != before


def test_link_restores_the_page(visit: MakeVisit, dashboard: str) -> None:
    """An address with parameters opens the page as its sender saw it."""
    query = "measurements?measurements_workload=elementwise&measurements_timed=with+transfers"
    page = visit(dashboard).open(query)
    expect(page.get_by_role("combobox", name="Workload")).to_have_value("elementwise")
    expect(page.get_by_role("radio", name="with transfers")).to_be_checked()


def test_estimate_follows_the_size(visit: MakeVisit, dashboard: str) -> None:
    """Another size gives another time, and the cost page keeps the job."""
    page = visit(dashboard).open("estimate")
    before = page.locator('[data-testid="stMetricValue"]').all_inner_texts()
    field = page.get_by_role("spinbutton", name="Rows and columns").first
    field.fill("64")
    field.press("Enter")
    page.wait_for_url("**job_square_n=64**")
    wait_until_quiet(page)
    assert page.locator('[data-testid="stMetricValue"]').all_inner_texts() != before
    page.get_by_role("link", name="Cost").first.click()
    expect(page.locator("h1")).to_have_text("Cost")
    wait_until_quiet(page)
    expect(page.get_by_role("spinbutton", name="Rows and columns").first).to_have_value("64")


@pytest.mark.parametrize("name", PAGES)
def test_hostile_label_loads_nothing(visit: MakeVisit, hostile_dashboard: str, name: str) -> None:
    """A label full of mark-up is shown as text: no picture, no link, no request."""
    seen = visit(hostile_dashboard)
    page = seen.open(path_of(name))
    assert page.locator('[data-testid="stMain"] img').count() == 0
    assert page.locator('[data-testid="stMain"] a[href*="evil"]').count() == 0
    assert seen.foreign_requests == []


def test_hostile_series_stays_text_when_chosen(visit: MakeVisit, hostile_dashboard: str) -> None:
    """The chips of chosen series show mark-up as text, too."""
    seen = visit(hostile_dashboard)
    page = seen.open("measurements")
    page.get_by_role("combobox", name="Series").click()
    page.get_by_role("option").first.click()
    wait_until_quiet(page)
    assert page.locator('[data-testid="stMain"] img').count() == 0
    assert seen.foreign_requests == []


def test_command_line_of_a_page_is_there(visit: MakeVisit, dashboard: str) -> None:
    """The estimate page names the command that reproduces it."""
    page = visit(dashboard).open("estimate")
    page.get_by_text("The same on the command line").click()
    expect(page.get_by_text("python -m estimator predict").first).to_be_visible()
