"""Energy of one call, from a counter that ticks slowly."""

import pytest

from collector.measure.energy import energy_per_call
from tests.collector.doubles import FakeClock

POWER_W = 500.0
CALLS = 10


def measure(tick_s, batch_s=0.004, cap_s=1.0, power_w=POWER_W):
    clock = FakeClock()

    def run_batch():
        clock.now_s += batch_s

    def read_energy_j():  # the driver updates its counter at each tick only
        return power_w * tick_s * int(clock.now_s / tick_s + 1e-9) if tick_s else 0.0

    return energy_per_call(run_batch, CALLS, read_energy_j, cap_s, clock), clock


@pytest.mark.parametrize("tick_s", [0.02, 0.1])
def test_energy_is_power_times_the_time_of_a_call(tick_s):
    joules, _ = measure(tick_s)
    assert joules == pytest.approx(POWER_W * 0.004 / CALLS, rel=0.06)


def test_a_counter_that_does_not_move_gives_nothing_and_costs_the_cap_only():
    joules, clock = measure(None)
    assert joules is None
    assert clock.now_s == pytest.approx(1.0, abs=0.005)


def test_a_counter_that_ticks_too_seldom_gives_nothing():
    assert measure(tick_s=0.3)[0] is None
