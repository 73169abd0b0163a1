"""What would change the answer: one input at a time, and who wins then."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.catalogue.rental_terms import RentalTerms
from estimator.cost.inputs import CostOptions, Job
from estimator.cost.instance_costs import instance_costs
from estimator.cost.sensitivity import price_margin, sensitivity_table
from estimator.cost.table import cheapest
from tests.estimator.priced_rows import instance, timings

FIRST, SECOND = instance("first", 1.0, 0.5), instance("second", 1.1, 0.55)
BOTH = [FIRST, SECOND]
ROWS = timings(BOTH, [1.0, 1.0])


def test_a_dearer_or_slower_winner_loses_to_the_next():
    found = sensitivity_table(ROWS, BOTH, Job(steps=3600), change=0.2).set_index("input")
    price = found.loc["price"]
    assert (price["low_usd"], price["base_usd"], price["high_usd"]) == pytest.approx((0.8, 1, 1.2))
    assert (price["low_key"], price["high_key"]) == (FIRST.key, SECOND.key)
    assert price["changes"]
    assert found.loc["seconds_per_step", "high_key"] == SECOND.key
    small = sensitivity_table(ROWS, BOTH, Job(steps=3600), change=0.05)
    assert not small["changes"].any()
    assert (small.attrs["key"], small.attrs["market"]) == (FIRST.key, "on-demand")
    assert small.attrs["margin"] == pytest.approx(0.1)


def test_inputs_that_are_zero_are_left_out():
    found = sensitivity_table(ROWS, BOTH, Job(steps=3600))
    assert list(found["input"]) == ["price", "seconds_per_step", "jobs"]
    how = CostOptions(spot=True, start_up_s=600.0, interruptions_per_h=0.1)
    found = sensitivity_table(ROWS, BOTH, Job(steps=3600, jobs=10), how)
    assert list(found["input"]) == [
        *("price", "seconds_per_step", "start_up_s", "interruptions_per_h", "jobs"),
    ]
    row = found.set_index("input").loc["interruptions_per_h"]
    assert (row["low_input"], row["high_input"]) == pytest.approx((0.08, 0.12))
    assert row["low_usd"] < row["base_usd"] < row["high_usd"]
    assert found.set_index("input").loc["jobs", ["low_input", "high_input"]].to_list() == [8, 12]


def test_a_provider_s_start_up_is_varied_too():
    terms = {"aws": RentalTerms("aws", start_up_s=600.0)}
    found = sensitivity_table(ROWS, BOTH, Job(steps=3600), None, terms).set_index("input")
    assert found.loc["start_up_s", ["low_input", "high_input"]].to_list() == [480.0, 720.0]
    assert found.loc["start_up_s", "high_usd"] == pytest.approx(4320 / 3600)


def test_only_who_meets_the_deadline_can_win():
    slow = timings(BOTH, [1.0, 2.0])
    how = CostOptions(deadline_s=4600.0)
    found = sensitivity_table(slow, BOTH, Job(steps=3600), how, change=0.9)
    price = found.set_index("input").loc["price"]
    assert price["high_key"] == FIRST.key
    assert found.attrs["margin"] == math.inf


def test_nothing_to_vary_is_said():
    with pytest.raises(EstimateError, match="no instance can be priced"):
        sensitivity_table(ROWS, BOTH, Job(steps=1), CostOptions(spot=True), markets=())
    with pytest.raises(EstimateError, match="change is 2"):
        sensitivity_table(ROWS, BOTH, Job(steps=1), change=2.0)


@settings(max_examples=40)  # two tables each
@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0), st.floats(0.0, 10.0))
def test_the_margin_is_the_price_at_which_the_next_is_as_cheap(a, b, egress):
    pair = [instance("a", a), instance("b", b)]
    job = Job(steps=3600, egress_gib=egress)
    how = CostOptions(egress_usd_per_gib=0.1)
    table = instance_costs(ROWS.assign(key=[i.key for i in pair]), pair, job, how)
    best = cheapest(table)
    margin = price_margin(table, best)
    raised = [instance(i.instance, i.on_demand_usd_per_h * (1 + margin)) for i in pair]
    kept = [r if i.key == best["key"] else i for r, i in zip(raised, pair, strict=True)]
    after = instance_costs(ROWS.assign(key=[i.key for i in pair]), kept, job, how)
    assert after["cost_usd_p50"].iloc[0] == pytest.approx(after["cost_usd_p50"].iloc[1])
