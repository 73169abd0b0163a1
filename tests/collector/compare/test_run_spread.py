"""The spread between runs is found again in runs made up from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.compare.run_spread import CellTime, estimate_spread, fit_variances, run_shifts
from collector.measure.statistics import false_discovery_rates


def make_runs(rng, cells, runs, scale, df, shift=0.0, groups=1, noisy_share=0.0):
    """Log medians that scatter with variance scale^2 x df / chi-square(df) about each cell's own.

    Each run is shifted as a whole by a normal deviate of standard deviation ``shift``.
    """
    centers = rng.normal(-8, 2, cells)
    spreads = scale * np.sqrt(df / rng.chisquare(df, cells))
    noisy = rng.random(cells) < noisy_share
    made = []
    for _ in range(runs):
        logs = centers + rng.normal(0, shift) + spreads * rng.normal(size=cells)
        made.append(
            {
                str(i): CellTime(logs[i], 0.001, "cpu", f"family{i % groups}", bool(noisy[i]))
                for i in range(cells)
            }
        )
    return made


@pytest.mark.parametrize("df", [1.5, 4.0])
def test_scale_and_tails_are_found_from_one_pair_of_runs(df):
    rng = np.random.default_rng(1)
    scale = estimate_spread([make_runs(rng, 1000, 2, 0.03, df)]).strata["cpu", False]
    assert math.sqrt(scale.variance) == pytest.approx(0.03, rel=0.15)
    assert scale.df == pytest.approx(df, rel=0.3)
    assert scale.cells == 1000


def test_variances_of_alike_cells_have_light_tails():
    rng = np.random.default_rng(2)
    variance, df = fit_variances(0.04**2 * rng.chisquare(1, 2000), np.ones(2000))
    assert math.sqrt(variance) == pytest.approx(0.04, rel=0.05)
    assert df > 20


def test_a_shift_of_a_whole_run_is_no_spread_of_its_cells():
    rng = np.random.default_rng(3)
    (still, moved) = make_runs(rng, 400, 2, 0.01, 4.0)
    moved = {
        cell: CellTime(time.log_median + 0.2, 0.001, "cpu", "f", False)
        for cell, time in moved.items()
    }
    assert run_shifts([still, moved], "cpu") == pytest.approx([-0.1, 0.1], abs=0.002)
    spread = estimate_spread([[still, moved]])
    assert math.sqrt(spread.strata["cpu", False].variance) == pytest.approx(0.01, rel=0.2)
    # squares 2 x 0.1^2 with one degree of freedom, and the prior 0.01^2 with one
    assert spread.shifts["cpu"].variance == pytest.approx((0.02 + 0.01**2) / 2, rel=0.1)
    assert spread.shifts["cpu"].df == 2


def test_a_group_that_repeats_worse_is_told_apart():
    rng = np.random.default_rng(4)
    runs = make_runs(rng, 600, 2, 0.01, 4.0, groups=6)
    for run in runs:
        for cell, time in run.items():
            if time.group == "family0":
                louder = time.log_median + rng.normal(0, 0.1)
                run[cell] = CellTime(louder, 0.001, "cpu", "family0", False)
    groups = estimate_spread([runs]).groups
    assert groups["cpu", False, "family0"] > 20 * groups["cpu", False, "family1"]


def test_noisy_cells_have_their_own_spread():
    rng = np.random.default_rng(5)
    runs = make_runs(rng, 400, 2, 0.01, 4.0, noisy_share=0.5)
    for run in runs:
        for cell, time in run.items():
            if time.noisy:
                run[cell] = CellTime(
                    time.log_median + rng.normal(0, 0.1), 0.001, "cpu", "family0", True
                )
    strata = estimate_spread([runs]).strata
    assert strata["cpu", True].variance > 30 * strata["cpu", False].variance


def test_a_cells_own_repeats_count_only_on_its_own_machine():
    rng = np.random.default_rng(6)
    runs = make_runs(rng, 200, 2, 0.01, 4.0)
    runs[1]["7"] = CellTime(runs[0]["7"].log_median + 1.0, 0.001, "cpu", "family0", False)
    cell = runs[0]["7"]
    foreign = estimate_spread([runs]).of_cell("7", cell)
    own = estimate_spread([], [runs]).of_cell("7", cell)
    assert own.variance > 100 * foreign.variance
    assert own.df == pytest.approx(foreign.df + 1, rel=0.01)


def test_too_few_repeats_tell_nothing():
    runs = make_runs(np.random.default_rng(7), 20, 2, 0.01, 4.0)
    assert estimate_spread([runs]).of_cell("7", runs[0]["7"]) is None
    assert estimate_spread([]).of_cell("7", runs[0]["7"]) is None


def test_false_discovery_rates_of_a_worked_example():
    """p times 4 / rank is 0.04, 0.04, 0.0533, 0.9; each is at most what follows it."""
    assert false_discovery_rates([0.9, 0.01, 0.02, 0.04]) == pytest.approx(
        [0.9, 0.04, 0.04, 0.16 / 3]
    )
    assert false_discovery_rates([]) == []


@given(st.lists(st.floats(0, 1), max_size=50))
def test_false_discovery_rates_are_no_smaller_than_p_and_keep_its_order(p_values):
    rates = false_discovery_rates(p_values)
    assert all(p <= rate <= 1 for p, rate in zip(p_values, rates, strict=True))
    pairs = sorted(zip(p_values, rates, strict=True))
    assert [rate for _, rate in pairs] == sorted(rates)
