"""Buying against renting, by hand and by law."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.cost.ownership import CostLine, breakeven_jobs, own_machine_usd_per_h, purchase_line


def test_a_larger_fixed_cost_pays_off_from_a_count_of_jobs_on():
    a, b = CostLine(10.0, 1.0), CostLine(0.0, 3.0)
    assert breakeven_jobs(a, b) == 6  # at 5 jobs both cost 15 USD
    assert breakeven_jobs(b, a) == 6
    assert breakeven_jobs(CostLine(10.0, 3.0), CostLine(0.0, 3.0)) is None
    assert breakeven_jobs(CostLine(10.0, 5.0), CostLine(0.0, 3.0)) is None
    assert breakeven_jobs(CostLine(1.0, 1.0), CostLine(1.0, 2.0)) == 1
    assert breakeven_jobs(CostLine(1.0, 1.0), CostLine(1.0, 1.0)) is None


money = st.integers(0, 1000).map(lambda cents: cents / 4.0)


@given(money, money, money, money)
def test_the_breakeven_count_is_the_first_at_which_the_dear_start_is_cheaper(f1, m1, f2, m2):
    assume(f1 > f2)
    count = breakeven_jobs(CostLine(f1, m1), CostLine(f2, m2))
    if count is None:
        assert f1 + 1e6 * m1 >= f2 + 1e6 * m2
    else:
        assert f1 + count * m1 < f2 + count * m2
        assert f1 + (count - 1) * m1 >= f2 + (count - 1) * m2


def test_the_hour_of_a_machine_of_ones_own_by_hand():
    """8766 USD over 2 years used half the time: 8766 / (2 x 8766 x 0.5) = 1 USD; 500 W working
    and 100 W idle for as long: 0.6 kWh at 0.25 USD = 0.15 USD."""
    assert own_machine_usd_per_h(8766.0, 2.0, 0.5, 500.0, 0.25, 100.0) == pytest.approx(1.15)


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_machine_that_is_used_more_costs_less_per_hour(a, b):
    rare, often = sorted((a, b))
    price = [own_machine_usd_per_h(5000.0, 3.0, u, 400.0, 0.3, 50.0) for u in (rare, often)]
    assert price[1] <= price[0]


def test_buying_pays_off_after_a_count_of_jobs():
    """2000 USD and 0.1 USD of energy per job of 1 h (500 W at 0.20) against 2.10 USD rented."""
    line = purchase_line(2000.0, 500.0, 0.20, 3600.0)
    assert (line.fixed_usd, line.marginal_usd_per_job) == (2000.0, pytest.approx(0.1))
    assert breakeven_jobs(line, CostLine(0.0, 2.1)) in (1000, 1001)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: own_machine_usd_per_h(x, 3.0, 0.5, 100.0, 0.2),
        lambda x: own_machine_usd_per_h(1000.0, x, 0.5, 100.0, 0.2),
        lambda x: own_machine_usd_per_h(1000.0, 3.0, x, 100.0, 0.2),
        lambda x: CostLine(x, 1.0),
    ],
)
def test_input_that_is_negative_or_no_number_is_refused(make, bad):
    with pytest.raises(EstimateError, match="it must be a finite number"):
        make(bad)


@pytest.mark.parametrize(("years", "utilisation"), [(0.0, 0.5), (3.0, 0.0)])
def test_a_machine_that_is_never_used_has_no_price(years, utilisation):
    with pytest.raises(EstimateError, match="above 0"):
        own_machine_usd_per_h(1000.0, years, utilisation, 100.0, 0.2)
