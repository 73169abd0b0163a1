"""How late the last machine is: variance and distribution against a simulation, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.cost.inputs import CostOptions, Job
from estimator.cost.interruptions import wall_variance_s2
from estimator.cost.job_cost import plan_of
from tests.estimator.cost.test_interruptions import simulated_s


@pytest.mark.parametrize(
    ("rate", "restart_s", "interval_s", "checkpoint_s"),
    [(0.5, 0.0, 1e9, 0.0), (0.5, 300.0, 1800.0, 60.0), (2.0, 600.0, 1000.0, 120.0)],
)
def test_spread_and_last_machine_agree_with_a_simulation(rate, restart_s, interval_s, checkpoint_s):
    """1 h of work, 20,000 times: variance within 10 %, the last of ten within 4 %."""
    rng = np.random.default_rng(1962)
    draws = np.array(
        [simulated_s(rng, 3600.0, rate, restart_s, interval_s, checkpoint_s) for _ in range(20_000)]
    )
    variance = wall_variance_s2(3600.0, rate, restart_s, interval_s, checkpoint_s)
    assert variance == pytest.approx(draws.var(), rel=0.1)
    how = CostOptions(
        spot=True, interruptions_per_h=rate, restart_s=restart_s, checkpoint_s=checkpoint_s
    )
    one = plan_of(1.0, Job(3600), how, interval_s).lateness(1)
    assert one.last_s(10) == pytest.approx(draws.reshape(-1, 10).max(axis=1).mean(), rel=0.04)
    for limit in np.quantile(draws, [0.6, 0.8, 0.95]):
        assert one.chance(limit) == pytest.approx((draws <= limit).mean(), abs=0.06)


@given(
    st.floats(0.0, 1e5),
    st.floats(0.0, 0.5),
    st.floats(0.0, 1e4),
    st.floats(0.05, 1.0),
    st.integers(1, 50),
    st.integers(1, 1000),
)
def test_more_machines_are_never_sooner_nor_likelier(
    work_s, rate, restart_s, completion, rounds, machines
):
    how = CostOptions(
        spot=True,
        interruptions_per_h=rate,
        restart_s=restart_s,
        probability_of_completion=completion,
    )
    one = plan_of(1.0, Job(work_s), how, None).lateness(rounds)
    mean_s = one.calm_s + one.mean_s
    assert one.last_s(1) == mean_s
    assert mean_s <= one.last_s(machines) <= one.last_s(machines + 1) * (1 + 1e-3)
    for limit_s in (0.5 * one.calm_s, one.calm_s, mean_s, 3 * mean_s):
        few, many = one.chance(limit_s, machines), one.chance(limit_s, machines + 1)
        assert 0.0 <= many <= few <= 1.0


def test_nothing_is_late_where_nothing_goes_wrong():
    one = plan_of(1.0, Job(100), CostOptions(start_up_s=20.0), None).lateness(3)
    assert (one.last_s(1000), one.chance(320.0, 1000), one.chance(319.0)) == (320.0, 1.0, 0.0)
    assert wall_variance_s2(100.0, 1e-300, 10.0) == pytest.approx(0.0, abs=1e-6)
    assert math.isfinite(wall_variance_s2(1e-300, 1e-300, 0.0))
