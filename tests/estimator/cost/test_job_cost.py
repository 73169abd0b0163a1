"""Cost per completed job: the formula by hand, its laws, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.catalogue.hardware import match_gpu
from estimator.catalogue.instances import Instance
from estimator.catalogue.rental_terms import RentalTerms
from estimator.cost.inputs import CostOptions, Job, Timing
from estimator.cost.job_cost import (
    JobCost,
    job_cost,
    round_up,
)
from estimator.cost.ownership import breakeven_jobs, own_machine
from estimator.cost.sensitivity import sensitivity

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
    money: 3900 s x 0.001 USD/s + 6 x 0.5 GiB x 0.1 USD             = 4.20 USD
    per job: 4.20 / 6                                              = 0.70 USD
    GPUs filled: 6 of 2 x 4                                        = 0.75
    """
    cost = job_cost(
        GPU4,
        Timing(0.6, 0.9, 1.2, "interpolated"),
        Job(steps=1000, jobs=6, set_up_s=50.0, transfer_s=30.0, egress_gib=0.5),
        CostOptions(
            start_up_s=100.0,
            billing_increment_s=60.0,
            probability_of_completion=0.5,
            egress_usd_per_gib=0.1,
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


def test_a_job_on_spot_with_every_term_by_hand():
    """Six jobs on four GPUs at 1.80 USD/h spot = 0.0005 USD/s, one interruption per hour.

    L = 1 / 3600 s. start-up 100 s + set-up 200 s = 300 s, and as much for each restart.

    start, itself interrupted   3600 x (e^(300/3600) - 1)             =    312.855 s
    one job                     60 s transfer + 1000 x 3.54 s         =   3600 s
    checkpoints of 60 s after each 1800 s of work but not at the end: stretches of 1860 and 1800 s
    one round    3600 x e^(300/3600) x ((e^(1860/3600) - 1) + (e^(1800/3600) - 1))
                 = 3600 x 1.086904 x (0.676430 + 0.648721)            =   5185.125 s
    of five attempts four succeed: / 0.8                              =   6481.406 s
    six jobs on four GPUs: 2 rounds   312.855 + 2 x 6481.406          =  13275.667 s  wall
    billed in steps of 60 s           222 x 60                        =  13320 s
    machine      13320 s x 0.0005                                     =      6.66   USD
    storage      100 GiB x 0.7305 USD/month / 730.5 h x 3.687685 h    =      0.368769 USD
    egress       6 x 10 GiB x 0.09 USD                                =      5.4    USD
    all                                                               =     12.428769 USD
    one job      / 6                                                  =      2.071461 USD
    interruptions expected            13275.667 / 3600                =      3.6877
    none at all  e^-((300 + 2 x (3600 + 60)) / 3600)                  =      0.12043
    With a minimum charge of 4 h, 14400 s are billed: 7.20 USD instead of 6.66.
    """
    rented = replace(GPU4, spot_usd_per_h=1.8)
    job = Job(1000, jobs=6, set_up_s=200.0, transfer_s=60.0, storage_gib=100.0, egress_gib=10.0)
    how = CostOptions(
        spot=True,
        start_up_s=100.0,
        billing_increment_s=60.0,
        interruptions_per_h=1.0,
        checkpoint_interval_s=1800.0,
        checkpoint_s=60.0,
        probability_of_completion=0.8,
        storage_usd_per_gib_month=0.7305,
        egress_usd_per_gib=0.09,
    )
    cost = job_cost(rented, timing(3.54), job, how)
    assert cost.wall_s[1] == pytest.approx(13275.667, abs=1e-3)
    assert cost.billed_s[1] == 13320.0
    assert cost.total_usd[1] == pytest.approx(12.428769, abs=1e-6)
    assert cost.cost_usd[1] == pytest.approx(2.071461, abs=1e-6)
    assert (cost.rounds, cost.jobs_at_once, cost.share_used) == (2, 4, 0.75)
    assert cost.expected_interruptions == pytest.approx(3.6877, abs=1e-4)
    assert cost.uninterrupted == pytest.approx(0.12043, abs=1e-5)
    parts = cost.parts
    assert parts.start == pytest.approx(300 * 0.0005)
    assert parts.transfer == pytest.approx(2 * 60 * 0.0005)
    assert parts.steps == pytest.approx(2 * 3540 * 0.0005)
    assert parts.interruptions == pytest.approx((13275.667 - 300 - 2 * 3600) * 0.0005, abs=1e-6)
    assert parts.rounding == pytest.approx((13320 - 13275.667) * 0.0005, abs=1e-6)
    assert parts.storage == pytest.approx(0.368769, abs=1e-6)
    assert parts.egress == pytest.approx(5.4)
    longer = job_cost(rented, timing(3.54), job, replace(how, minimum_billed_s=14400.0))
    assert longer.total_usd[1] == pytest.approx(cost.total_usd[1] + 7.2 - 6.66)


def test_jobs_are_spread_over_machines_for_a_deadline_by_hand():
    """Ten jobs of 1 h on four GPUs: 3 batches; 600 s start-up; to be done within 1 h 20 min.

    One round fits (600 + 3600 = 4200 s), two (7800 s) do not: 3 machines, 4200 s each. Paid:
    3 x 4200 s x 0.001 USD/s = 12.60 USD. Within 2 h 10 min two rounds fit: 2 machines, of which
    one runs 2 rounds (7800 s) and one runs 1 (4200 s): 12.00 USD. One machine: 11400 s, 11.40 USD.
    """
    job, how = Job(steps=3600, jobs=10), CostOptions(start_up_s=600.0, most_machines=10)
    close = job_cost(GPU4, timing(1.0), job, replace(how, deadline_s=4800.0))
    assert (close.machines, close.rounds, close.wall_s[1]) == (3, 1, 4200.0)
    assert close.total_usd[1] == pytest.approx(12.6)
    loose = job_cost(GPU4, timing(1.0), job, replace(how, deadline_s=7800.0))
    assert (loose.machines, loose.rounds, loose.wall_s[1]) == (2, 2, 7800.0)
    assert loose.total_usd[1] == pytest.approx(12.0)
    alone = job_cost(GPU4, timing(1.0), job, how)
    assert (alone.machines, alone.total_usd[1]) == (1, pytest.approx(11.4))
    assert close.share_used == loose.share_used == alone.share_used == 10 / 12


def test_a_deadline_that_no_number_of_machines_meets_is_not_met():
    how = CostOptions(deadline_s=1800.0, most_machines=100)
    late = job_cost(GPU4, timing(1.0), Job(steps=3600, jobs=10), how)
    assert late.machines == 1
    assert late.meets_deadline(1800.0) == "no"


@given(jobs, st.floats(0.0, 10.0), st.floats(1.0, 1e8), st.integers(1, 60))
def test_machines_for_a_deadline_are_as_few_as_meet_it(job, seconds, deadline_s, most):
    how = CostOptions(start_up_s=30.0, deadline_s=deadline_s, most_machines=most)
    cost = job_cost(GPU4, timing(seconds), job, how)
    alone = job_cost(GPU4, timing(seconds), job, replace(how, most_machines=1))
    assert 1 <= cost.machines <= most
    assert cost.wall_s[1] <= alone.wall_s[1]
    if cost.machines > 1:
        assert cost.meets_deadline(deadline_s) == "yes"
        fewer = replace(how, most_machines=cost.machines - 1)
        assert job_cost(GPU4, timing(seconds), job, fewer).meets_deadline(deadline_s) == "no"


@given(instances, jobs, st.floats(0.0, 10.0), st.floats(0.0, 1.0), st.floats(0.0, 3600.0))
def test_the_parts_sum_to_the_total(instance, job, seconds, rate, increment):
    job = replace(job, storage_gib=10.0, egress_gib=1.0, transfer_s=min(job.transfer_s, 1e4))
    how = CostOptions(
        spot=True,
        start_up_s=60.0,
        interruptions_per_h=rate,
        billing_increment_s=increment,
        minimum_billed_s=60.0,
        checkpoint_interval_s=600.0,
        checkpoint_s=5.0,
        restart_s=60.0,
        storage_usd_per_gib_month=0.1,
        egress_usd_per_gib=0.1,
    )
    job = replace(job, set_up_s=min(job.set_up_s, 1e4))
    cost = job_cost(instance, timing(seconds), job, how)
    parts = [getattr(cost.parts, name) for name in cost.parts.__slots__]
    assert min(parts) >= 0.0
    assert sum(parts) == pytest.approx(cost.total_usd[1])


@given(instances, jobs, st.floats(0.0, 10.0), st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_more_interruptions_never_cost_less(instance, job, seconds, a, b):
    few, many = sorted((a, b))
    job = replace(job, transfer_s=min(job.transfer_s, 1e4), set_up_s=min(job.set_up_s, 1e4))
    how = CostOptions(spot=True, checkpoint_interval_s=600.0, checkpoint_s=10.0)
    # a checkpoint is written only where something interrupts
    calm, rough = (
        job_cost(instance, timing(seconds), job, replace(how, interruptions_per_h=max(rate, 1e-9)))
        for rate in (few, many)
    )
    assert calm.cost_usd[1] <= rough.cost_usd[1] * (1 + 1e-9)
    assert calm.uninterrupted >= rough.uninterrupted


@given(instances, jobs, st.integers(2, 5))
def test_full_machines_cost_the_same_per_job_however_many_rounds(instance, job, times_more):
    """Without start-up and rounding, filling every GPU again costs each job the same."""
    slots = instance.gpu_count
    free = CostOptions(billing_increment_s=0.0)
    once = replace(job, jobs=slots, set_up_s=0.0)
    often = replace(once, jobs=slots * times_more)
    a, b = (job_cost(instance, STEP, each, free) for each in (once, often))
    assert b.cost_usd[1] == pytest.approx(a.cost_usd[1])
    assert b.wall_s[1] == pytest.approx(times_more * a.wall_s[1])
    assert a.share_used == b.share_used == 1.0


@given(instances, jobs, st.floats(1.0, 4.0))
def test_the_cost_is_proportional_to_the_price(instance, job, factor):
    dear = replace(instance, on_demand_usd_per_h=factor * instance.on_demand_usd_per_h)
    base = job_cost(instance, STEP, job).cost_usd[1]
    assert job_cost(dear, STEP, job).cost_usd[1] == pytest.approx(factor * base)


def test_the_best_checkpoints_cost_less_than_none_and_than_neighbours():
    job = Job(steps=36000)
    how = CostOptions(spot=True, interruptions_per_h=0.5, checkpoint_s=30.0, restart_s=120.0)
    best = job_cost(CPU, timing(1.0), job, replace(how, checkpoint_interval_s="auto"))
    assert best.checkpoint_interval_s is not None
    for interval in (None, best.checkpoint_interval_s / 2, best.checkpoint_interval_s * 2):
        other = job_cost(CPU, timing(1.0), job, replace(how, checkpoint_interval_s=interval))
        assert best.cost_usd[1] < other.cost_usd[1]


def test_checkpoints_that_are_asked_for_cost_time_at_any_rate_of_interruptions():
    """3600 s of work with 60 s written after each 600 s but not at the end: 5 x 60 s more."""
    how = CostOptions(spot=True, checkpoint_interval_s=600.0, checkpoint_s=60.0)
    cost = job_cost(CPU, timing(1.0), Job(steps=3600), how)
    assert (cost.wall_s[1], cost.checkpoint_interval_s) == (3900.0, 600.0)
    assert cost.parts.interruptions == pytest.approx(300 * 0.18 / 3600)
    rare = job_cost(CPU, timing(1.0), Job(3600), replace(how, interruptions_per_h=1e-9))
    assert rare.wall_s[1] == pytest.approx(cost.wall_s[1])


def test_the_last_of_several_machines_is_later_than_one_on_average():
    """40 machines, 1 h each, 0.5 interruptions an hour: simulated 4,671 s each, 11,147 s the last.

    Within 8000 s each is done with 93 %, all 40 with 0.93^40 = 6 %: not likely.
    """
    how = CostOptions(spot=True, interruptions_per_h=0.5, deadline_s=8000.0, most_machines=40)
    one = job_cost(CPU, timing(1.0), Job(3600), how)
    assert one.wall_s[1] == pytest.approx(4670.8, abs=0.1)
    assert one.in_time_probability(8000.0) == pytest.approx(0.931, abs=0.01)
    plan = one.lateness[0]
    assert plan.last_s(40) == pytest.approx(11_147.0, rel=0.02)
    assert plan.chance(8000.0, 40) == pytest.approx(0.93**40, abs=0.03)
    assert job_cost(CPU, timing(1.0), Job(3600, jobs=40), how).meets_deadline(8000.0) == "no"
    late = replace(how, deadline_s=14_000.0)
    many = job_cost(CPU, timing(1.0), Job(3600, jobs=40), late)
    assert many.machines > 1
    assert many.wall_s[1] <= 14_000.0
    assert many.in_time_probability(14_000.0) > 0.5
    assert many.meets_deadline(14_000.0) == "likely"


def test_failed_attempts_count_towards_the_chance_of_being_in_time():
    """Half of the attempts succeed: within 2.6 times the work two fit, 1 - 0.5^2 = 75 %."""
    how = CostOptions(probability_of_completion=0.5)
    cost = job_cost(CPU, timing(1.0), Job(3600), how)
    assert cost.in_time_probability(2.6 * 3600) == pytest.approx(0.75)
    assert cost.meets_deadline(2.6 * 3600) == "likely"
    assert cost.meets_deadline(5 * 3600) == "yes"  # 1 - 0.5^5 = 97 %
    assert cost.meets_budget(1e6) == "likely"
    thrice = job_cost(CPU, timing(1.0), Job(3600, jobs=3), how)
    # three jobs one after another within 5 attempts: at least 3 successes of 5
    assert thrice.in_time_probability(5.5 * 3600) == pytest.approx(0.5)


def test_a_machine_that_may_be_taken_away_never_surely_meets_a_deadline():
    how = CostOptions(spot=True, interruptions_per_h=0.5)
    cost = job_cost(CPU, timing(1.0), Job(steps=3600), how)
    assert cost.meets_deadline(1e6) == "likely"
    assert job_cost(CPU, timing(1.0), Job(steps=36), how).meets_deadline(1e6) == "yes"


def test_what_is_left_open_is_what_the_provider_says():
    terms = RentalTerms("aws", billing_increment_s=3600.0, start_up_s=60.0)
    how = CostOptions(start_up_s=10.0).with_terms(terms)
    assert (how.start_up_s, how.billing_increment_s, how.minimum_billed_s) == (10.0, 3600.0, None)
    assert (how.term("minimum_billed_s"), CostOptions().term("billing_increment_s")) == (0.0, 1.0)
    assert CostOptions().with_terms(None) == CostOptions()


def test_a_job_of_centuries_is_refused():
    with pytest.raises(EstimateError, match="more than 100 years"):
        job_cost(CPU, timing(1e6), Job(steps=1e15))
    with pytest.raises(EstimateError, match="steps is 1e\\+300"):
        Job(steps=1e300)
    with pytest.raises(EstimateError, match=r"too long|100 years"):
        job_cost(CPU, Timing(1.0, 1e300, 1e308, "measured"), Job(steps=1e15))


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


@given(instances, jobs)
def test_spot_without_interruptions_and_checkpoints_is_on_demand_at_the_spot_price(instance, job):
    spot = job_cost(instance, STEP, job, CostOptions(spot=True))
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
        lambda x: CostOptions(storage_usd_per_gib_month=x),
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
        (lambda: CostOptions(checkpoint_interval_s="often"), "'often'; give seconds or 'auto'"),
        (lambda: CostOptions(checkpoint_interval_s="auto"), "give checkpoint_s above 0"),
        (lambda: CostOptions(most_machines=0), "most_machines is 0"),
        (lambda: CostOptions(most_machines=1.5), "whole number"),
    ],
)
def test_input_that_makes_no_sense_is_refused_with_the_reason(make, reason):
    with pytest.raises(EstimateError, match=reason):
        make()
