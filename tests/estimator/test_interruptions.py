"""Expected time under spot interruptions: the published formula by hand, and its laws."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.interruptions import best_checkpoint_interval_s, expected_wall_s

times = st.floats(min_value=0.0, max_value=1e6)
rates = st.floats(min_value=0.0, max_value=1.0)


def test_interruptions_stretch_a_job_as_the_formula_says():
    """One interruption per hour, 1 h of work, 300 s per restart: (3600 + 300)(e - 1) s."""
    assert expected_wall_s(3600.0, 1.0, 300.0) == pytest.approx(3900.0 * (math.e - 1.0))


def test_checkpoints_cut_a_job_into_stretches():
    """Two hours in stretches of an hour: one with its checkpoint of 60 s, the last without."""
    first = (3600.0 + 300.0) * math.expm1(3660.0 / 3600.0)
    last = (3600.0 + 300.0) * math.expm1(1.0)
    assert expected_wall_s(7200.0, 1.0, 300.0, 3600.0, 60.0) == pytest.approx(first + last)


@given(times, rates, rates, times)
def test_more_interruptions_never_finish_sooner(work_s, a, b, restart_s):
    few, many = sorted((a, b))
    assume(work_s * many / 3600.0 < 50.0)
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


def test_youngs_interval_is_near_the_best():
    """120 s per checkpoint, one interruption in 8 h: sqrt(2 x 120 x 28800) = 2629 s."""
    best = best_checkpoint_interval_s(120.0, 1.0 / 8.0)
    assert best == pytest.approx(2629.07, abs=0.01)

    def wall(interval_s: float) -> float:
        return expected_wall_s(1e6, 1.0 / 8.0, 0.0, interval_s, 120.0)

    assert wall(best) < min(wall(best / 3.0), wall(best * 3.0))
    assert best_checkpoint_interval_s(120.0, 0.0) == math.inf


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
