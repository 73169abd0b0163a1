"""Expected time under spot interruptions: the published formula by hand, and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.cost.interruptions import (
    best_checkpoint_interval_s,
    best_checkpoints,
    expected_wall_s,
)

times = st.floats(min_value=0.0, max_value=1e6)
rates = st.floats(min_value=0.0, max_value=1.0)


def test_interruptions_stretch_a_job_as_the_formula_says():
    """One interruption per hour, 1 h of work, 300 s per restart: 3600 e^(1/12) (e - 1) s."""
    assert expected_wall_s(3600.0, 1.0, 300.0) == pytest.approx(
        3600.0 * math.exp(1 / 12) * (math.e - 1.0)
    )


def test_checkpoints_cut_a_job_into_stretches():
    """Two hours in stretches of an hour: one with its checkpoint of 60 s, the last without."""
    first = 3600.0 * math.exp(1 / 12) * math.expm1(3660.0 / 3600.0)
    last = 3600.0 * math.exp(1 / 12) * math.expm1(1.0)
    assert expected_wall_s(7200.0, 1.0, 300.0, 3600.0, 60.0) == pytest.approx(first + last)


@given(times, rates, rates, times)
def test_more_interruptions_never_finish_sooner(work_s, a, b, restart_s):
    few, many = sorted((a, b))
    assume((work_s + restart_s) * many / 3600.0 < 50.0)
    calm = expected_wall_s(work_s, few, restart_s)
    assert work_s <= calm
    assert calm <= expected_wall_s(work_s, many, restart_s) * (1 + 1e-12)


@given(st.floats(1.0, 1e5), st.floats(1e-12, 1e-9), times)
def test_very_rare_interruptions_change_nothing(work_s, rate, restart_s):
    assert expected_wall_s(work_s, rate, restart_s) == pytest.approx(work_s, rel=1e-3, abs=0.1)


@given(st.floats(1.0, 1e5), st.floats(0.01, 1.0), st.floats(1.0, 1e5))
def test_free_checkpoints_never_slow_a_job_down(work_s, rate, interval_s):
    assume(work_s * rate / 3600.0 < 50.0)
    with_checkpoints = expected_wall_s(work_s, rate, 10.0, interval_s, 0.0)
    assert with_checkpoints <= expected_wall_s(work_s, rate, 10.0) * (1 + 1e-9)


def simulated_s(rng, work_s, rate_per_h, restart_s, interval_s, checkpoint_s):
    """Seconds of one job, second by second in thought: draw the next interruption, and see."""
    now, saved = 0.0, 0.0
    next_at = rng.exponential(3600.0 / rate_per_h)
    while saved < work_s:
        stretch = min(interval_s, work_s - saved)
        needs = stretch + (checkpoint_s if saved + stretch < work_s else 0.0)
        if now + needs <= next_at:
            now, saved = now + needs, saved + stretch
            continue
        while now + needs > next_at:  # the lost stretch, then restarts until one holds
            now = next_at
            next_at = now + rng.exponential(3600.0 / rate_per_h)
            needs = restart_s
        now += restart_s
    return now


@pytest.mark.parametrize(
    ("rate", "restart_s", "interval_s", "checkpoint_s"),
    [(0.5, 300.0, 1800.0, 60.0), (1.0, 900.0, 7200.0, 0.0), (2.0, 600.0, 1000.0, 120.0)],
)
def test_the_formula_agrees_with_a_simulation(rate, restart_s, interval_s, checkpoint_s):
    """2 h of work, 20,000 times: the mean within 4 standard errors of the formula's."""
    rng = np.random.default_rng(1974)
    draws = np.array(
        [simulated_s(rng, 7200.0, rate, restart_s, interval_s, checkpoint_s) for _ in range(20_000)]
    )
    expected = expected_wall_s(7200.0, rate, restart_s, interval_s, checkpoint_s)
    error = draws.std() / math.sqrt(len(draws))
    assert error < 0.01 * expected
    assert abs(draws.mean() - expected) < 4.0 * error


def test_the_best_interval_lies_near_youngs_and_dalys():
    """120 s per checkpoint, one interruption in 8 h.

    Young: sqrt(2 x 120 x 28800) = 2629.07 s. Daly's higher order: 2629.07 x (1 + sqrt(120 / (2 x
    28800)) / 3 + 120 / (2 x 28800) / 9) - 120 = 2549.7 s.
    """
    best = best_checkpoint_interval_s(120.0, 1.0 / 8.0)
    assert best == pytest.approx(2549.7, abs=0.1)
    assert best_checkpoint_interval_s(120.0, 0.0) == math.inf
    assert best_checkpoint_interval_s(0.0, 1.0) == 0.0


@given(st.floats(1e-3, 1e5), st.floats(1e-6, 10.0), st.floats(0.01, 5.0))
def test_no_other_interval_is_better_for_long_work(checkpoint_s, rate, factor):
    def per_second(interval_s: float) -> float:
        return math.expm1(rate / 3600.0 * (interval_s + checkpoint_s)) / interval_s

    best = best_checkpoint_interval_s(checkpoint_s, rate)
    assume(rate / 3600.0 * (best * factor + checkpoint_s) < 500.0)
    assert per_second(best) <= per_second(best * factor) * (1 + 1e-9)


@given(st.floats(60.0, 1e6), st.floats(0.01, 2.0), st.floats(1.0, 600.0), st.floats(1.0, 600.0))
def test_the_chosen_checkpoints_are_no_worse_than_others(work_s, rate, restart_s, checkpoint_s):
    assume(rate / 3600.0 * (restart_s + checkpoint_s) < 1.0)
    chosen = best_checkpoints(work_s, rate, restart_s, checkpoint_s)
    wall_s = expected_wall_s(work_s, rate, restart_s, chosen, checkpoint_s)
    for stretches in (1, 2, 3, 10, 100):
        if rate / 3600.0 * (work_s / stretches + checkpoint_s + restart_s) < 49.0:
            interval_s = None if stretches == 1 else work_s / stretches
            other = expected_wall_s(work_s, rate, restart_s, interval_s, checkpoint_s)
            assert wall_s <= other * (1 + 1e-3)


def test_checkpoints_that_cost_nothing_have_no_best_distance():
    with pytest.raises(EstimateError, match="checkpoint_s above 0"):
        best_checkpoints(3600.0, 1.0, 0.0, 0.0)
    assert best_checkpoints(60.0, 0.01, 0.0, 60.0) is None


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: expected_wall_s(x, 0.1, 0.0),
        lambda x: expected_wall_s(1.0, x, 0.0),
        lambda x: expected_wall_s(1.0, 0.1, x),
    ],
)
def test_input_that_is_negative_or_no_number_is_refused(make, bad):
    with pytest.raises(EstimateError, match="it must be a finite number"):
        make(bad)


def test_checkpoints_without_any_distance_are_refused():
    with pytest.raises(EstimateError, match="checkpoint_interval_s is 0"):
        expected_wall_s(1.0, 0.1, 0.0, 0.0)
