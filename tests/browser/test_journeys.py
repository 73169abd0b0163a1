"""Three journeys, as the people make them for whom the dashboard is.

The first two run on the shipped measurements, the third on a made-up fleet with one sick machine.
The numbers on the pages are compared with those of the command line.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from estimator.commands.cli import main
from tests.browser.conftest import Visit
from tests.browser.server import ROOT, running_dashboard, wait_until_quiet
from tests.estimator.made_up_fleet import slower, write_fleet

MakeVisit = Callable[..., Visit]
SHIPPED = ROOT / "data" / "runs"


@pytest.fixture(scope="module")
def shipped() -> Iterator[str]:
    """Address of a server on the shipped runs."""
    with running_dashboard(SHIPPED) as base:
        yield base


@pytest.fixture(scope="module")
def fleet_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server on eight machines of one type, one with a slow link to its GPU."""
    root: Path = write_fleet(
        tmp_path_factory.mktemp("fleet"), 8, {3: [slower(2.0, workload="transfer")]}
    )
    with running_dashboard(root) as base:
        yield base


def command(*arguments: str) -> Any:
    """What the estimator's command line answers with ``--json``."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*arguments, "--data", str(SHIPPED), "--json"])
    assert code == 0
    return json.loads(out.getvalue())


def main_text(page: Page) -> str:
    """The words of the page, blanks and line ends as single blanks."""
    return re.sub(r"\s+", " ", page.locator('[data-testid="stMain"]').inner_text())


def tab_to(page: Page, found: Callable[[], bool], most: int = 120) -> None:
    """Press Tab until the focus is where it should be."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if found():
            return
    raise AssertionError("the keyboard does not reach it")


def focus_is(page: Page, script: str) -> Callable[[], bool]:
    """Whether a JavaScript expression holds for the focused element ``e``."""
    return lambda: bool(page.evaluate(f"() => {{ const e = document.activeElement; {script} }}"))


def shown_command(page: Page, name: str) -> list[str]:
    """The arguments of the estimator's command that the page gives for its view."""
    page.get_by_text("The same on the command line").first.click()
    code = page.locator("code", has_text=f"python -m estimator {name}").first
    lines = code.inner_text().splitlines()
    line = next(line for line in lines if line.startswith(f"python -m estimator {name}"))
    return shlex.split(line)[3:]


def choose_option(page: Page, label: str, words: str) -> None:
    """Pick from a select box the option with these words."""
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=re.compile(re.escape(words))).first.click()
    wait_until_quiet(page)


def test_does_my_matrix_product_pay_on_a_gpu(visit: MakeVisit, shipped: str) -> None:
    """n = 3,000 in float32, transfers included, by the keyboard alone: a verdict with its doubt."""
    page = visit(shipped).open("estimate")
    expect(page.get_by_role("combobox", name="Workload")).to_have_value(re.compile("matmul"))
    expect(page.get_by_role("radio", name="float32")).to_be_checked()
    tab_to(page, focus_is(page, "return e.type === 'number';"))
    page.keyboard.press("Control+A")
    page.keyboard.type("3000")
    page.keyboard.press("Enter")
    page.wait_for_url("**n=3000**")
    wait_until_quiet(page)
    tab_to(page, focus_is(page, "return e.innerText === 'already on the device';"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_url("**job_mode=*")
    wait_until_quiet(page)
    words = main_text(page)
    assert "transfers included" in words
    said = re.search(r"([\d.]+)x as fast \(([\d.]+)x to ([\d.]+)x with 90 % confidence\)", words)
    assert said is not None
    answer = command(*shown_command(page, "pays"))["speedup"]
    ends = [answer[f"ratio_{end}"] for end in ("p50", "p5", "p95")]
    assert [float(text) for text in said.groups()] == pytest.approx(ends, rel=0.01)


def test_cheapest_instance_for_ten_thousand_steps(visit: MakeVisit, shipped: str) -> None:
    """10,000 training steps on AWS within 2 hours, spot allowed: four interactions, one answer."""
    page = visit(shipped).open("cost")
    choose_option(page, "Workload", "training_step")
    page.get_by_label("Deadline", exact=True).fill("2h")
    page.get_by_label("Deadline", exact=True).press("Enter")
    wait_until_quiet(page)
    choose_option(page, "Provider", "AWS")
    page.get_by_role("radio", name="whichever is cheaper").click()
    page.wait_for_url("**cost_market=*")
    wait_until_quiet(page)
    expect(page.get_by_role("spinbutton", name="Steps in one job")).to_have_value("10000")
    answer = command(*shown_command(page, "cost"))["answer"]
    wait_until_quiet(page)  # a run may begin after the address changed
    sentence = re.search(r"AWS (\S+), (\S+) is the cheapest.*?: \$([\d.]+)", main_text(page))
    assert sentence is not None
    cheapest = answer["cheapest_in_time"]
    assert cheapest["key"] == f"aws/{sentence[1]}/{sentence[2]}"
    assert float(sentence[3]) == pytest.approx(cheapest["cost_usd_p50"], rel=0.01)
    assert cheapest["wall_s_p50"] <= 7200.0


def test_which_of_my_machines_is_unwell(visit: MakeVisit, fleet_dashboard: str) -> None:
    """The page opens on the sick one, with what is wrong and what to do; marking a row opens it."""
    page = visit(fleet_dashboard).open("machines")
    words = main_text(page)
    assert "Unwell 1" in words
    machine = page.get_by_role("combobox", name="Machine", exact=True)
    expect(machine).to_have_value("m003")
    assert "link" in words.lower()
    assert "What to do" in words
    choose_option(page, "Machine", "m001")
    expect(machine).to_have_value("m001")
    mark_row(page, 0)
    expect(machine).to_have_value("m003")


def mark_row(page: Page, row: int) -> None:
    """Click the mark at the left end of a row of the first table of the page (a canvas)."""
    table = page.locator('[data-testid="stDataFrame"]').first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 15, box["y"] + 36 * (row + 1) + 17)
    wait_until_quiet(page)
