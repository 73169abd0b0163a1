"""The table of costs: a row per instance and market, terms, deadlines, reasons, columns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.catalogue.rental_terms import RentalTerms
from estimator.cost.inputs import CostOptions, Job, Timing
from estimator.cost.instance_costs import COST_COLUMNS, instance_costs
from estimator.cost.job_cost import job_cost
from tests.estimator.priced_rows import instance, timings

CHEAP = instance("cheap", 1.0, 0.4)
FAST = instance("fast", 10.0, gpus=4)
OTHER = instance("other", 2.0, provider="lambda")
BOTH = ("on-demand", "spot")
HOUR = Job(steps=3600)


def test_every_number_is_that_of_the_cost_model():
    job, how = Job(steps=3600, jobs=6), CostOptions(start_up_s=60.0)
    row = instance_costs(timings([FAST], [0.5]), [FAST], job, how).iloc[0]
    cost = job_cost(FAST, Timing(0.4, 0.5, 0.625, "measured"), job, how)
    for name in ("wall_s", "billed_s", "total_usd", "cost_usd"):
        assert tuple(row[[f"{name}_p5", f"{name}_p50", f"{name}_p95"]]) == getattr(cost, name)
    assert (row["rounds"], row["jobs_at_once"], row["share_used"]) == (2, 4, 0.75)
    assert (row["price_usd_per_h"], row["source"]) == (10.0, "a price list")
    assert row["part_steps_usd"] == cost.parts.steps
    assert set(COST_COLUMNS) < set(row.index)


def test_cheapest_first_and_the_excluded_last_with_their_reasons():
    table = instance_costs(
        timings([FAST, OTHER, CHEAP], [1.0, "no GPU has this operation", 1.0]),
        [FAST, OTHER, CHEAP],
        HOUR,
        CostOptions(spot=True),
    )
    assert list(table["instance"][:1]) == ["cheap"]
    assert set(table["excluded"][1:]) == {"no spot price is known", "no GPU has this operation"}
    assert table["cost_usd_p50"].iloc[1:].isna().all()
    assert not table["on_front"].iloc[1:].any()


def test_both_markets_give_a_row_each():
    table = instance_costs(timings([CHEAP], [1.0]), [CHEAP], HOUR, markets=BOTH)
    assert list(table["market"]) == ["spot", "on-demand"]
    assert list(table["cost_usd_p50"]) == pytest.approx([0.4, 1.0])


def test_a_machine_of_ones_own_has_one_price_in_either_market():
    mine = instance("desk", 0.3, provider="own")
    table = instance_costs(timings([mine], [1.0]), [mine], HOUR, markets=("spot",))
    assert list(table["market"]) == ["on-demand"]
    assert (table["excluded"] == "").all()


def test_no_cloud_bills_a_machine_of_ones_own():
    """No start-up, increment, minimum, storage or egress price, typed in or of a provider."""
    mine = instance("desk", 0.36, provider="own")
    how = CostOptions(
        start_up_s=600.0,
        billing_increment_s=3600.0,
        minimum_billed_s=7200.0,
        storage_usd_per_gib_month=1.0,
        egress_usd_per_gib=1.0,
    )
    job = Job(steps=1000, egress_gib=10.0, storage_gib=100.0)
    row = instance_costs(timings([mine], [1.0]), [mine], job, how).iloc[0]
    assert (row["wall_s_p50"], row["billed_s_p50"]) == (1000.0, 1000.0)
    assert row["cost_usd_p50"] == pytest.approx(0.1)
    assert row["assumed"] == ""


def test_a_provider_s_terms_hold_where_nothing_else_is_said_and_are_named():
    terms = {"lambda": RentalTerms("lambda", billing_increment_s=60.0, start_up_s=90.0)}
    rows = timings([CHEAP, OTHER], [0.001, 0.001])
    table = instance_costs(rows, [CHEAP, OTHER], Job(steps=1000), None, terms).set_index("key")
    assert table.loc[OTHER.key, "billed_s_p50"] == 120.0  # 91 s in whole minutes
    assert table.loc[OTHER.key, "assumed"] == "lambda: start-up 90 s, billed by 60 s"
    assert table.loc[CHEAP.key, "assumed"] == ""
    said = instance_costs(rows, [OTHER, CHEAP], Job(1000), CostOptions(start_up_s=0.0), terms)
    assert said.set_index("key").loc[OTHER.key, "billed_s_p50"] == 60.0


def test_an_unknown_interruption_rate_is_said_to_be_unknown():
    table = instance_costs(timings([CHEAP], [1.0]), [CHEAP], HOUR, CostOptions(spot=True))
    assert table["assumed"].iloc[0] == "not known, so 0 interruptions per hour"
    assert math.isnan(table["uninterrupted_probability"].iloc[0])
    late = CostOptions(spot=True, deadline_s=1e6)
    unsure = instance_costs(timings([CHEAP], [1.0]), [CHEAP], HOUR, late)
    assert unsure["meets_deadline"].iloc[0] == "likely"
    sure = instance_costs(
        timings([CHEAP], [1.0]), [CHEAP], HOUR, replace(late, interruptions_per_h=0.0)
    )
    assert sure["meets_deadline"].iloc[0] == "yes"
    given_rate = CostOptions(spot=True, interruptions_per_h=0.2)
    table = instance_costs(timings([CHEAP], [1.0]), [CHEAP], HOUR, given_rate)
    row = table.iloc[0]
    assert row["assumed"] == ""
    assert row["uninterrupted_probability"] == pytest.approx(math.exp(-0.2))
    assert row["expected_interruptions"] == pytest.approx(math.expm1(0.2))
    assert row["interruption_overhead_s"] == pytest.approx(3600 * (math.expm1(0.2) / 0.2 - 1))


def test_deadline_and_budget_are_answered_only_where_they_were_asked():
    rows, both = timings([CHEAP, FAST], [1.0, 0.1]), [CHEAP, FAST]
    assert set(instance_costs(rows, both, HOUR)["meets_deadline"]) == {""}
    how = CostOptions(deadline_s=1800.0, budget_usd=1.5)
    table = instance_costs(rows, both, HOUR, how).set_index("instance")
    assert table.loc["fast", ["meets_deadline", "meets_budget"]].to_list() == ["yes", "yes"]
    assert table.loc["cheap", ["meets_deadline", "meets_budget"]].to_list() == ["no", "yes"]


def test_measured_energy_is_counted_and_priced_on_ones_own_machine():
    mine = instance("desk", 0.3, provider="own")
    rows = timings([mine, CHEAP], [1.0, 1.0], energy_j=100.0)
    table = instance_costs(rows, [mine, CHEAP], HOUR, CostOptions(usd_per_kwh=0.5))
    found = table.set_index("instance")
    assert found.loc["desk", "energy_kwh"] == pytest.approx(0.1)
    assert found.loc["desk", "energy_usd"] == pytest.approx(0.05)
    assert np.isnan(found.loc["cheap", "energy_usd"])
    unknown = instance_costs(timings([CHEAP], [1.0]), [CHEAP], HOUR)
    assert unknown["energy_kwh"].isna().all()


def test_a_time_that_is_no_number_is_a_reason_not_a_price():
    table = instance_costs(timings([CHEAP], [float("inf")]), [CHEAP], HOUR)
    assert "finite" in table["excluded"].iloc[0]
    assert table["cost_usd_p50"].isna().all()
    empty = instance_costs(timings([CHEAP], [1.0]).head(0), [], HOUR)
    assert empty.empty
    assert set(COST_COLUMNS) < set(empty.columns)


@given(st.lists(st.tuples(st.floats(0.01, 50.0), st.floats(1e-6, 10.0)), min_size=1, max_size=8))
def test_nobody_on_the_front_is_beaten_and_all_others_are(pairs):
    instances = [instance(f"i{n}", price) for n, (price, _) in enumerate(pairs)]
    table = instance_costs(timings(instances, [seconds for _, seconds in pairs]), instances, HOUR)
    points = list(zip(table["wall_s_p50"], table["cost_usd_p50"], strict=True))
    for point, on_front in zip(points, table["on_front"], strict=True):
        beaten = any(a <= point[0] and b <= point[1] and (a, b) != point for a, b in points)
        assert on_front != beaten
