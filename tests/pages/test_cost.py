"""Cost: price of a completed job on each instance."""

from __future__ import annotations

import pytest

from tests.pages.conftest import OpenPage


def test_cost_is_price_times_time(open_page: OpenPage) -> None:
    """Without options, cost = price per hour x time / 3600."""
    table = open_page("cost").dataframe[0].value
    expected = table["Price per hour"] * table["Time (s)"] / 3600
    assert list(table["Cost per job"]) == pytest.approx(list(expected), rel=0.01)
    assert list(table["Cost per job"]) == sorted(table["Cost per job"])
    assert (table["90 % from"] <= table["Cost per job"]).all()
    assert (table["Cost per job"] <= table["90 % to"]).all()


def test_every_price_has_a_date_and_a_source(open_page: OpenPage) -> None:
    """No price without its source; undated ones are counted in the caption."""
    app = open_page("cost")
    table = app.dataframe[0].value
    assert (table["Price of"] != "").all()
    assert (table["Price source"] != "").all()


def test_twice_the_steps_cost_twice(open_page: OpenPage) -> None:
    """Cost grows with the steps."""
    one = open_page("cost", cost_steps=10**7).dataframe[0].value["Cost per job"].iloc[0]
    two = open_page("cost", cost_steps=2 * 10**7).dataframe[0].value["Cost per job"].iloc[0]
    assert two == pytest.approx(2 * one, rel=0.01)


def test_spot_is_cheaper(open_page: OpenPage) -> None:
    """Spot prices lower the cheapest cost."""
    demand = open_page("cost").dataframe[0].value["Cost per job"].iloc[0]
    spot = open_page("cost", cost_market="spot").dataframe[0].value["Cost per job"].iloc[0]
    assert spot < demand


def test_impossible_deadline_is_said(open_page: OpenPage) -> None:
    """If nothing is done in time, the page says so and shows all the same."""
    app = open_page("cost", cost_deadline=1)
    assert any("Relax the deadline" in warning.value for warning in app.warning)
    assert set(app.dataframe[0].value["In time"]) == {"no"}


def test_excluded_instances_have_a_reason(open_page: OpenPage) -> None:
    """Nothing is dropped silently."""
    excluded = open_page("cost").dataframe[1].value
    assert len(excluded)
    assert (excluded["Reason"].str.len() > 10).all()


def test_provider_filter(open_page: OpenPage) -> None:
    """A link can narrow the table to one provider."""
    table = open_page("cost", cost_provider="gcp").dataframe[0].value
    assert table["Instance"].str.startswith("gcp ").all()
