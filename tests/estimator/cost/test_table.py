"""Questions to the table of costs: who is cheapest, fastest, in time, and from how many jobs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import SelectionError
from estimator.cost.inputs import CostOptions, Job
from estimator.cost.instance_costs import instance_costs
from estimator.cost.table import (
    cheapest,
    cheapest_in_time,
    compare_with,
    fastest,
    mark_front,
    overlapping,
)
from tests.estimator.priced_rows import instance, timings

CHEAP, FAST = instance("cheap", 1.0), instance("fast", 20.0)
BOTH = [CHEAP, FAST]


def table(job=None, **options):
    rows = timings(BOTH, [1.0, 0.1])
    return instance_costs(rows, BOTH, job or Job(steps=3600), CostOptions(**options))


def test_the_cheapest_the_fastest_and_the_cheapest_in_time():
    """Cheap: 1 h, 1 USD, at the slow end 75 min. Fast: 6 min, 2 USD."""
    assert cheapest(table())["instance"] == "cheap"
    assert fastest(table())["instance"] == "fast"
    assert cheapest_in_time(table(deadline_s=1800.0))["instance"] == "fast"
    near = table(deadline_s=4000.0)
    assert cheapest_in_time(near)["instance"] == "cheap"
    assert cheapest_in_time(near, certain=True)["instance"] == "fast"
    assert cheapest_in_time(table(deadline_s=60.0)) is None
    assert cheapest_in_time(table(deadline_s=1800.0, budget_usd=1.5)) is None
    assert cheapest_in_time(table())["instance"] == "cheap"
    assert cheapest(table().head(0)) is None


def test_how_many_others_may_be_as_cheap():
    assert overlapping(table()) == 0
    near = [CHEAP, instance("near", 1.1)]
    assert overlapping(instance_costs(timings(near, [1.0, 1.0]), near, Job(3600))) == 1
    assert overlapping(table().head(0)) == 0


def test_only_other_instances_that_are_in_time_may_be_as_cheap():
    """The late one and the answer's own spot price do not count; a twin in two regions once."""
    offer = [
        instance("answer", 1.0, spot=0.9),
        instance("late", 0.5),
        instance("twin", 1.0),
        instance("twin", 1.1, region="there"),
    ]
    rows = timings(offer, [1.0, 3.0, 1.0, 1.0])
    how = CostOptions(deadline_s=6000.0, interruptions_per_h=0.0)
    costs = instance_costs(rows, offer, Job(3600), how, None, ("on-demand", "spot"))
    assert overlapping(costs) == 1


def test_the_front_is_marked_anew_after_a_filter():
    slow = instance("slow", 5.0)
    rows = instance_costs(timings([*BOTH, slow], [1.0, 0.1, 1.0]), [*BOTH, slow], Job(3600))
    assert set(rows.loc[rows["on_front"], "instance"]) == {"cheap", "fast"}
    alone = mark_front(rows[rows["instance"] == "slow"])
    assert alone["on_front"].all()


def test_a_baseline_sets_every_row_in_proportion_and_says_from_when_it_pays():
    """A job costs 1 USD in 1 h on the cheap one, 2 USD in 6 min on the fast one.

    With a start-up of 600 s and steps of 0.01 s: 0.1667 USD and 1 USD per job on the cheap one,
    3.3333 USD and 0.2 USD per job on the fast one, which pays from job 3.1667 / 0.8 = 3.96 on.
    """
    found = compare_with(table(), CHEAP.key).set_index("instance")
    assert found.loc["fast", "cost_ratio"] == pytest.approx(2.0)
    assert found.loc["fast", "time_ratio"] == pytest.approx(0.1)
    assert found.loc["cheap", "verdict"] == "the baseline"
    rows = timings(BOTH, [1.0, 0.01])
    costs = instance_costs(rows, BOTH, Job(3600), CostOptions(start_up_s=600.0))
    found = compare_with(costs, CHEAP.key).set_index("instance")
    assert found.loc["fast", "cheaper_from_jobs"] == 4
    assert found.loc["fast", "verdict"] == "cheaper from 4 jobs on"
    back = compare_with(costs, FAST.key).set_index("instance")
    assert back.loc["cheap", "verdict"] == "cheaper up to 3 jobs"


@settings(max_examples=40)  # two tables each
@given(st.floats(0.0, 900.0), st.floats(0.001, 2.0), st.floats(0.5, 40.0), st.integers(1, 50))
def test_the_verdict_holds_for_any_count_of_jobs(start_up, seconds, price, jobs):
    other = instance("other", price)
    rows = timings([CHEAP, other], [1.0, seconds])
    how = CostOptions(start_up_s=start_up, billing_increment_s=0.0)

    def costs(count):
        return instance_costs(rows, [CHEAP, other], Job(3600, jobs=count), how)

    row = compare_with(costs(1), CHEAP.key).set_index("instance").loc["other"]
    many = costs(jobs).set_index("instance")["total_usd_p50"]
    cheaper = many["other"] < many["cheap"] * (1 - 1e-9)
    if row["verdict"] == "always cheaper":
        assert many["other"] <= many["cheap"] * (1 + 1e-9)
    elif row["verdict"] in ("never cheaper", "costs the same"):
        assert not cheaper
    elif row["verdict"].startswith("cheaper from"):
        assert cheaper == (jobs >= row["cheaper_from_jobs"]) or many["other"] == pytest.approx(
            many["cheap"]
        )


@settings(max_examples=40)  # two tables each
@given(
    st.lists(st.tuples(st.floats(0.1, 50.0), st.floats(1e-3, 5.0)), min_size=1, max_size=8),
    st.floats(60.0, 20_000.0),
    st.floats(0.1, 50.0),
)
def test_the_answer_is_the_cheapest_of_those_in_time_and_in_budget(pairs, deadline_s, budget_usd):
    instances = [instance(f"i{n}", price) for n, (price, _) in enumerate(pairs)]
    how = CostOptions(deadline_s=deadline_s, budget_usd=budget_usd)
    rows = timings(instances, [seconds for _, seconds in pairs])
    costs = instance_costs(rows, instances, Job(3600), how)
    able = costs[(costs["wall_s_p50"] <= deadline_s) & (costs["total_usd_p50"] <= budget_usd)]
    sure = costs[(costs["wall_s_p95"] <= deadline_s) & (costs["total_usd_p95"] <= budget_usd)]
    for certain, right in ((False, able), (True, sure)):
        found = cheapest_in_time(costs, certain)
        assert (found is None) == right.empty
        assert found is None or found["cost_usd_p50"] == right["cost_usd_p50"].min()


def test_an_unknown_baseline_is_refused():
    with pytest.raises(SelectionError, match="aws/nowhere"):
        compare_with(table(), "aws/nowhere/here")
    with pytest.raises(SelectionError, match="no priced instance"):
        compare_with(table(), CHEAP.key, "spot")
