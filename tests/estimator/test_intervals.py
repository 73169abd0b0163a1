import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.intervals import (
    UNCALIBRATED,
    between_run_spread,
    calibrate,
    growth,
    half_widths,
)


def scores(values, regime="interpolated", device="cpu", workload="matmul"):
    return pd.DataFrame({"device": device, "workload": workload, "regime": regime, "score": values})


def asked(regime="interpolated", device="cpu", workload="matmul"):
    return pd.DataFrame({"device": [device], "workload": [workload], "regime": [regime]})


def test_a_family_with_many_errors_gets_their_own_quantile():
    calibration = calibrate(scores(np.linspace(0.0, 1.0, 1001)))
    assert half_widths(calibration, asked(), np.zeros(1)) == pytest.approx(0.9, abs=0.01)


def test_coverage_of_new_errors_is_what_is_promised():
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(200):
        known, new = np.abs(generator.normal(0, 0.1, 60)), abs(generator.normal(0, 0.1))
        covered.append(new <= half_widths(calibrate(scores(known)), asked(), np.zeros(1))[0])
    assert 0.84 <= np.mean(covered) <= 0.96


def test_few_errors_lean_on_the_device():
    many = scores(np.full(200, 0.5), workload="fft")
    few = scores(np.full(2, 0.1))
    calibration = calibrate(pd.concat([many, few], ignore_index=True))
    width = half_widths(calibration, asked(), np.zeros(1))[0]
    assert 0.3 < width < 0.5


def test_an_unknown_family_takes_its_device_and_an_unknown_device_takes_any():
    calibration = calibrate(scores(np.full(50, 0.2)))
    other = half_widths(calibration, asked(workload="fft"), np.zeros(1))
    elsewhere = half_widths(calibration, asked(device="cuda"), np.zeros(1))
    assert other == elsewhere == pytest.approx(0.2)


def test_a_regime_without_errors_is_twice_as_wide_as_the_one_inside_it():
    calibration = calibrate(scores(np.full(50, 0.1)))
    assert half_widths(calibration, asked("extrapolated"), np.zeros(1)) == pytest.approx(0.2)
    assert half_widths(calibration, asked("new_workload"), np.zeros(1)) == pytest.approx(0.4)


def test_nothing_held_out_is_as_wide_as_published_rooflines():
    empty = calibrate(scores([]))
    assert half_widths(empty, asked(), np.zeros(1)) == pytest.approx(UNCALIBRATED)


@given(st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_farther_outside_is_never_narrower(near, far):
    near, far = sorted((near, far))
    calibration = calibrate(scores(np.full(50, 0.1), "extrapolated"))
    widths = [half_widths(calibration, asked("extrapolated"), np.array([d])) for d in (near, far)]
    assert widths[0] <= widths[1]
    assert growth(np.zeros(1)) == 1.0


def test_the_spread_between_runs_is_that_of_the_runs():
    generator = np.random.default_rng(2)
    for count in (2, 3, 6):
        spreads = pd.Series(generator.normal(0, 0.05, (2000, count)).std(axis=1, ddof=1))
        runs = pd.Series(np.full(2000, count))
        assert between_run_spread(spreads, runs) == pytest.approx(0.05, rel=0.1)
    assert between_run_spread(pd.Series([np.nan]), pd.Series([1])) == 0.0
