"""From how many jobs on one choice is the cheaper: staircases, exact for every count."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.cost.inputs import CostOptions, Job
from estimator.cost.instance_costs import instance_costs
from estimator.cost.ownership import OwnMachine
from estimator.cost.table import (
    ALWAYS,
    NEVER,
    SAME,
    JobLine,
    compare_lines,
    compare_with,
    line_of,
    rented_to_compare,
    row_of_own,
)
from tests.estimator.priced_rows import instance, timings

money = st.integers(0, 200).map(lambda quarters: quarters / 4.0)
lines = st.builds(JobLine, money, money, st.sampled_from([1, 2, 4, 8]), money)


def test_one_job_pays_for_all_gpus_and_eight_share_them():
    """8 USD a round of eight jobs against 2 USD a job: 1 to 4 jobs are dearer there, or as dear."""
    eight, one = JobLine(0.0, 8.0, 8), JobLine(0.0, 2.0)
    assert [eight.total_usd(n) for n in (1, 8, 9)] == [8.0, 8.0, 16.0]
    found = compare_lines(eight, one)
    # 5 to 8 jobs are cheaper, 9 to 12 cost as much or more at 9 (16 < 18 is cheaper)
    assert (found.verdict, found.from_jobs) == ("cheaper from 5 jobs on", 5)
    close = compare_lines(JobLine(0.0, 14.0, 8), one)
    assert close.verdict == "cheaper from 50 jobs on, at times before"
    assert compare_lines(one, eight).verdict == "cheaper up to 3 jobs"
    assert compare_lines(one, one).verdict == SAME


@settings(max_examples=300)
@given(lines, lines)
def test_the_verdict_is_that_of_every_count(one, base):
    found = compare_lines(one, base)
    cheaper = {n for n in range(1, 4000) if one.total_usd(n) < base.total_usd(n)}
    first = min(cheaper, default=None)
    if found.verdict == ALWAYS:
        assert len(cheaper) == 3999
    elif found.verdict in (NEVER, SAME):
        assert not cheaper
    elif found.from_jobs is not None:
        start = found.from_jobs
        assert all(n in cheaper for n in range(start, 4000))
        assert start == 1 or start - 1 not in cheaper
        assert ("before" in found.verdict) == (first is not None and first < start)
    elif found.up_to_jobs is not None:
        last = found.up_to_jobs
        assert last >= 4000 or max(cheaper) == last
        assert last >= 4000 or ("at times" in found.verdict) == (len(cheaper) < last)
    else:
        assert "some counts" in found.verdict
        assert 0 < len(cheaper) < 3999


@settings(max_examples=60)
@given(
    st.sampled_from([1, 2, 4, 8]),
    st.floats(0.5, 40.0),
    st.floats(0.001, 2.0),
    st.integers(1, 20),
    st.sampled_from([0.0, 1.0, 60.0, 3600.0]),
)
def test_no_verdict_contradicts_the_ratio_beside_it(gpus, price, seconds, jobs, minimum):
    """Whatever the GPUs, the minimum charge and the jobs: "always cheaper" has a ratio below 1."""
    pair = [instance("base", 1.0), instance("other", price, gpus=gpus)]
    how = CostOptions(start_up_s=30.0, minimum_billed_s=minimum, billing_increment_s=minimum)
    table = instance_costs(timings(pair, [1.0, seconds]), pair, Job(600, jobs=jobs), how)
    row = compare_with(table, pair[0].key).set_index("instance").loc["other"]
    if row["verdict"] == ALWAYS:
        assert row["cost_ratio"] <= 1.0 + 1e-9
    if row["verdict"] == NEVER:
        assert row["cost_ratio"] >= 1.0 - 1e-9
    if row["verdict"].startswith("cheaper from") and "before" not in row["verdict"]:
        assert (row["cost_ratio"] < 1.0 + 1e-9) == (jobs >= row["cheaper_from_jobs"]) or row[
            "cost_ratio"
        ] == pytest.approx(1.0)


def test_the_line_of_a_row_is_its_cost_at_every_count():
    """Without rounding, fixed + rounds + egress is what instance_costs says for that many jobs."""
    four = instance("four", 3.6, gpus=4)
    how = CostOptions(start_up_s=100.0, billing_increment_s=0.0, egress_usd_per_gib=0.1)

    def row(jobs):
        job = Job(1000, jobs=jobs, egress_gib=2.0)
        return instance_costs(timings([four], [0.9]), [four], job, how).iloc[0]

    line = line_of(row(3).to_dict())
    for jobs in (1, 4, 5, 8, 9, 100):
        assert line.total_usd(jobs) == pytest.approx(row(jobs)["total_usd_p50"])


def test_buying_is_electricity_for_each_round_and_set_against_who_is_in_time():
    """1000 USD, 500 W at 0.20 USD/kWh: 0.10 USD for each round of 1 h of two jobs."""
    desk = OwnMachine("RTX 4090", 1000.0, 3.0, 0.5, 500.0, 0.2, name="desk", gpus=2)
    pair = [desk.instance("2026-11-01"), instance("cheap", 1.0), instance("fast", 20.0)]
    rows = timings(pair, [1.0, 1.0, 0.1])
    table = instance_costs(rows, pair, Job(3600, jobs=2), CostOptions(start_up_s=600.0))
    mine = row_of_own(table, desk)
    line = line_of(mine.to_dict(), desk)
    assert (line.fixed_usd, line.slots) == (1000.0, 2)
    assert line.round_usd == pytest.approx(0.1)
    assert rented_to_compare(table)["instance"] == "cheap"
    how = CostOptions(start_up_s=600.0, deadline_s=1800.0)
    hurried = instance_costs(rows, pair, Job(3600, jobs=2), how)
    assert rented_to_compare(hurried)["instance"] == "fast"
