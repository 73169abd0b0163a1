"""Cost per completed job: the formula by hand, its laws, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.cost import (
    CostOptions,
    Job,
    JobCost,
    Timing,
    breakeven_jobs,
    cheapest_within_deadline,
    job_cost,
    own_machine,
    pareto_front,
    round_up,
    sensitivity,
)
from estimator.hardware import match_gpu
from estimator.instances import Instance

CPU = Instance(
    provider="aws",
    instance="c7g.2xlarge",
    region="us-east-1",
    vcpu=8,
    memory_gib=16.0,
    gpu="",
    gpu_count=0,
    gpu_memory_gib=None,
    on_demand_usd_per_h=0.36,
    spot_usd_per_h=0.18,
    as_of="2026-07-20",
    source="a price list",
    hardware="AWS c7g (Graviton3)",
)
GPU4 = replace(
    CPU, instance="g4", gpu="T4", gpu_count=4, gpu_memory_gib=16.0, on_demand_usd_per_h=3.6
)
STEP = Timing(0.5, 1.0, 2.0, "measured")

times = st.floats(min_value=0.0, max_value=1e6)
prices = st.floats(min_value=0.01, max_value=200.0)
counts = st.integers(min_value=1, max_value=50)
jobs = st.builds(Job, steps=st.floats(0.0, 1e4), jobs=counts, set_up_s=times, transfer_s=times)
instances = st.builds(
    lambda price, gpus: replace(
        GPU4, on_demand_usd_per_h=price, spot_usd_per_h=price / 2, gpu_count=gpus
    ),
    prices,
    st.integers(1, 9),
)


def timing(seconds: float) -> Timing:
    return Timing(seconds, seconds, seconds, "measured")


def test_the_cost_of_a_job_by_hand():
    """Six jobs of 1000 steps of 0.9 s on four GPUs at 3.60 USD/h, that is 0.001 USD/s.

    start-up 100 s + set-up 50 s                                   = 150 s, once
    one round: 30 s transfers + 1000 x 0.9 s = 930 s; / 0.5 chance = 1860 s
    rounds: 6 jobs, one per GPU, 4 GPUs -> 2                       = 3720 s
    wall 150 + 3720                                                = 3870 s
    billed in steps of 60 s: 65 x 60                               = 3900 s
    money: 3900 s x 0.001 USD/s + 6 x 0.05 USD egress              = 4.20 USD
    per job: 4.20 / 6                                              = 0.70 USD
    GPUs filled: 6 of 2 x 4                                        = 0.75
    """
    cost = job_cost(
        GPU4,
        Timing(0.6, 0.9, 1.2, "interpolated"),
        Job(steps=1000, jobs=6, set_up_s=50.0, transfer_s=30.0),
        CostOptions(
            start_up_s=100.0,
            billing_increment_s=60.0,
            probability_of_completion=0.5,
            egress_usd_per_job=0.05,
        ),
    )
    assert cost.wall_s[1] == pytest.approx(3870.0)
    assert cost.billed_s[1] == pytest.approx(3900.0)
    assert cost.total_usd[1] == pytest.approx(4.20)
    assert cost.cost_usd[1] == pytest.approx(0.70)
    assert (cost.share_used, cost.jobs_at_once, cost.basis) == (0.75, 4, "interpolated")
    # The ends of the interval by the same sum: rounds of 1260 s and 2460 s.
    assert cost.wall_s[0] == pytest.approx(150 + 2 * 1260)
    assert cost.wall_s[2] == pytest.approx(150 + 2 * 2460)
    assert cost.fixed_usd == pytest.approx(0.15)
    assert cost.marginal_usd_per_job == pytest.approx(1.86 / 4 + 0.05)
    assert (cost.price_usd_per_h, cost.as_of) == (3.6, "2026-07-20")


def test_one_job_pays_for_the_whole_instance():
    alone = job_cost(GPU4, STEP, Job(steps=3600))
    assert alone.cost_usd[1] == pytest.approx(3.6)
    assert alone.share_used == 0.25


def test_without_packing_jobs_run_one_after_another():
    job = Job(steps=3600, jobs=4)
    packed = job_cost(GPU4, STEP, job)
    serial = job_cost(GPU4, STEP, job, CostOptions(pack_one_job_per_gpu=False))
    assert packed.cost_usd[1] == pytest.approx(0.9)
    assert serial.cost_usd[1] == pytest.approx(3.6)
    assert serial.jobs_at_once == 1


@given(instances, jobs, st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_a_slower_step_never_costs_less(instance, job, a, b):
    fast, slow = sorted((a, b))
    assert (
        job_cost(instance, timing(fast), job).cost_usd[1]
        <= job_cost(instance, timing(slow), job).cost_usd[1]
    )


@given(jobs, prices, prices)
def test_a_dearer_instance_never_costs_less(job, a, b):
    low, high = sorted((a, b))
    cheap = job_cost(replace(CPU, on_demand_usd_per_h=low), STEP, job)
    dear = job_cost(replace(CPU, on_demand_usd_per_h=high), STEP, job)
    assert cheap.cost_usd[1] <= dear.cost_usd[1]


@given(instances, jobs)
def test_the_interval_in_dollars_follows_the_interval_in_seconds(instance, job):
    cost = job_cost(instance, STEP, job)
    assert cost.cost_usd[0] <= cost.cost_usd[1] <= cost.cost_usd[2]
    assert cost.wall_s[0] <= cost.wall_s[1] <= cost.wall_s[2]
    assert 0.0 < cost.share_used <= 1.0


@given(instances, jobs, st.floats(1.0, 1e5), times)
def test_spot_without_interruptions_is_on_demand_at_the_spot_price(
    instance, job, interval_s, checkpoint_s
):
    spot = job_cost(
        instance,
        STEP,
        job,
        CostOptions(spot=True, checkpoint_interval_s=interval_s, checkpoint_s=checkpoint_s),
    )
    at_spot_price = replace(instance, on_demand_usd_per_h=instance.spot_usd_per_h)
    assert spot.cost_usd == job_cost(at_spot_price, STEP, job).cost_usd


@given(times, st.floats(0.0, 3600.0))
def test_rounding_never_lowers_and_adds_less_than_one_increment(seconds, increment):
    rounded = round_up(seconds, increment)
    assert seconds <= rounded
    assert rounded <= seconds + increment


def test_a_whole_number_of_increments_is_not_rounded_up():
    assert round_up(3600.0, 60.0) == 3600.0
    assert round_up(0.3, 0.1) == pytest.approx(0.3)
    assert round_up(61.0, 60.0) == 120.0
    assert round_up(61.5, 0.0) == 61.5


def test_the_minimum_is_billed_for_a_short_job():
    cost = job_cost(CPU, timing(1.0), Job(steps=1), CostOptions(minimum_billed_s=60.0))
    assert cost.billed_s[1] == 60.0
    assert cost.wall_s[1] == 1.0


def test_an_interruption_costs_start_up_and_set_up_unless_said_otherwise():
    job = Job(steps=3600, set_up_s=200.0)
    how = CostOptions(spot=True, start_up_s=100.0, interruptions_per_h=1.0)
    said = replace(how, restart_s=300.0)
    assert job_cost(CPU, STEP, job, how) == job_cost(CPU, STEP, job, said)
    assert job_cost(CPU, STEP, job, replace(how, restart_s=0.0)).cost_usd < (
        job_cost(CPU, STEP, job, how).cost_usd
    )


def test_a_job_that_never_ends_is_refused_with_what_to_do():
    how = CostOptions(spot=True, interruptions_per_h=1.0)
    with pytest.raises(EstimateError, match="shorten checkpoint_interval_s"):
        job_cost(CPU, timing(100 * 3600.0), Job(steps=1), how)


def test_spot_is_refused_where_no_spot_price_is_known():
    with pytest.raises(EstimateError, match=r"aws/c7g\.2xlarge/us-east-1 has no spot price"):
        job_cost(replace(CPU, spot_usd_per_h=None), STEP, Job(steps=1), CostOptions(spot=True))


def costs_at(points: list[tuple[int, int]]) -> list[JobCost]:
    base = job_cost(CPU, STEP, Job(steps=1))
    return [
        replace(base, wall_s=(t / 2.0, float(t), 2.0 * t), total_usd=(c / 2.0, float(c), 2.0 * c))
        for t, c in points
    ]


grids = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=20)


@given(grids)
def test_no_member_of_the_pareto_front_is_dominated_and_all_others_are(points):
    costs = costs_at(points)
    front = pareto_front(costs)

    def beaten(one: JobCost) -> bool:
        mine = (one.wall_s[1], one.total_usd[1])
        others = [(c.wall_s[1], c.total_usd[1]) for c in costs]
        return any(o[0] <= mine[0] and o[1] <= mine[1] and o != mine for o in others)

    assert list(front) == sorted(
        (c for c in costs if not beaten(c)), key=lambda c: (c.wall_s[1], c.total_usd[1])
    )


def test_the_cheapest_within_a_deadline():
    fast, slow = costs_at([(10, 5), (20, 2)])
    assert cheapest_within_deadline([fast, slow], 30.0) is slow
    assert cheapest_within_deadline([fast, slow], 15.0) is fast
    assert cheapest_within_deadline([fast, slow], 9.0) is None
    assert cheapest_within_deadline([fast, slow], 30.0, certain=True) is fast
    assert cheapest_within_deadline([], 30.0) is None


def test_deadline_and_budget_are_met_surely_likely_or_not():
    (cost,) = costs_at([(10, 5)])
    assert [cost.meets_deadline(s) for s in (20.0, 15.0, 9.0)] == ["yes", "likely", "no"]
    assert [cost.meets_budget(usd) for usd in (10.0, 5.0, 4.0)] == ["yes", "likely", "no"]


def test_job_costs_compare_by_their_own_fixed_and_marginal_money():
    """CPU: 1 h a job at 0.36 USD/h. GPU: 600 s start-up, then 60 s a job on 4 GPUs at 3.60 USD/h.

    0.60 USD more at the start, 0.36 - 0.015 USD less per job: cheaper from the second job on.
    """
    cpu = job_cost(CPU, timing(3600.0), Job(steps=1))
    gpu = job_cost(GPU4, timing(60.0), Job(steps=1), CostOptions(start_up_s=600.0))
    assert breakeven_jobs(gpu, cpu) == 2


def test_a_machine_of_ones_own_is_a_row_like_any_other():
    spec = match_gpu("RTX 4090")
    assert spec is not None
    mine = own_machine("workstation", spec, 0.5, "2026-11-01", gpu_count=2)
    cost = job_cost(mine, STEP, Job(steps=3600, jobs=2), CostOptions(billing_increment_s=0.0))
    assert cost.cost_usd[1] == pytest.approx(0.25)
    assert (mine.device, mine.hardware, cost.as_of) == ("cuda", "RTX 4090", "2026-11-01")


def test_sensitivity_moves_one_input_at_a_time():
    how = CostOptions(spot=True, start_up_s=600.0, interruptions_per_h=0.1)
    job = Job(steps=3600)
    base = job_cost(CPU, STEP, job, how).cost_usd[1]
    moved = sensitivity(CPU, STEP, job, how)
    assert set(moved) == {"price", "seconds_per_step", "start_up_s", "interruptions_per_h"}
    assert moved["price"] == (pytest.approx(0.8 * base), pytest.approx(1.2 * base))
    assert all(low < base < high for low, high in moved.values())
    assert "interruptions_per_h" not in sensitivity(CPU, STEP, job)


BAD = [-1.0, math.nan, math.inf]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    "make",
    [
        lambda x: Timing(x, 1.0, 2.0, "measured"),
        lambda x: Timing(0.0, 1.0, x, "measured"),
        lambda x: Job(steps=x),
        lambda x: Job(steps=1, jobs=x),
        lambda x: Job(steps=1, set_up_s=x),
        lambda x: Job(steps=1, transfer_s=x),
        lambda x: CostOptions(start_up_s=x),
        lambda x: CostOptions(probability_of_completion=x),
        lambda x: CostOptions(interruptions_per_h=x),
        lambda x: CostOptions(checkpoint_interval_s=x),
        lambda x: CostOptions(storage_usd_per_h=x),
        lambda x: job_cost(replace(CPU, on_demand_usd_per_h=x), STEP, Job(steps=1)),
        lambda x: round_up(x, 60.0),
        lambda x: round_up(60.0, x),
        lambda x: costs_at([(10, 5)])[0].meets_deadline(x),
        lambda x: sensitivity(CPU, STEP, Job(steps=1), change=x),
    ],
)
def test_input_that_is_negative_or_no_number_is_refused(make, bad):
    with pytest.raises(EstimateError, match="it must be a finite number"):
        make(bad)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Timing(2.0, 1.0, 3.0, "measured"), "must not fall"),
        (lambda: Job(steps=1, jobs=0), "jobs is 0"),
        (lambda: Job(steps=1, jobs=1.5), "whole number"),
        (lambda: CostOptions(probability_of_completion=0.0), "never completes"),
        (lambda: CostOptions(probability_of_completion=1.5), "from 0 to 1"),
        (lambda: CostOptions(checkpoint_interval_s=0.0), "checkpoint_interval_s is 0"),
    ],
)
def test_input_that_makes_no_sense_is_refused_with_the_reason(make, reason):
    with pytest.raises(EstimateError, match=reason):
        make()
