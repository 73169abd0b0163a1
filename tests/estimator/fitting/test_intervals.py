import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.fitting.intervals import (
    UNCALIBRATED,
    UNTRIED,
    WIDEST,
    between_run_spread,
    calibrate,
    half_widths,
)

ONE = np.ones(1)


def scores(values, regime="interpolated", device="cpu", workload="matmul"):
    return pd.DataFrame({"device": device, "workload": workload, "regime": regime, "score": values})


def asked(regime="interpolated", device="cpu", workload="matmul"):
    return pd.DataFrame({"device": [device], "workload": [workload], "regime": [regime]})


def test_a_family_with_many_errors_gets_their_own_quantile():
    calibration = calibrate(scores(np.linspace(0.0, 1.0, 1001)))
    assert half_widths(calibration, asked(), ONE) == pytest.approx(0.9, abs=0.02)


def test_a_half_width_is_in_expected_deviations():
    calibration = calibrate(scores(np.full(500, 2.0)))
    widths = [half_widths(calibration, asked(), np.array([each]))[0] for each in (0.1, 0.2)]
    assert widths[1] == pytest.approx(2.0 * widths[0])


def test_coverage_of_new_errors_is_what_is_promised():
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(200):
        known, new = np.abs(generator.normal(0, 1.0, 60)), abs(generator.normal(0, 1.0))
        covered.append(new <= half_widths(calibrate(scores(known)), asked(), ONE)[0])
    assert 0.84 <= np.mean(covered) <= 0.96


def test_few_errors_lean_on_the_device():
    many = scores(np.full(200, 5.0), workload="fft")
    few = scores(np.full(2, 1.0))
    calibration = calibrate(pd.concat([many, few], ignore_index=True))
    width = half_widths(calibration, asked(), ONE)[0]
    assert 3.0 < width < 5.0


def test_an_unknown_family_takes_its_device_and_an_unknown_device_takes_any():
    calibration = calibrate(scores(np.full(500, 2.0)))
    other = half_widths(calibration, asked(workload="fft"), ONE)
    elsewhere = half_widths(calibration, asked(device="cuda"), ONE)
    assert other == pytest.approx(2.0, abs=0.05)
    assert elsewhere == pytest.approx(2.0, abs=0.05)


def test_a_regime_without_errors_is_wider_than_normal_errors_ask():
    calibration = calibrate(scores(np.full(50, 0.1)))
    assert half_widths(calibration, asked("extrapolated"), ONE) == pytest.approx(UNTRIED)
    assert half_widths(calibrate(scores([])), asked(), ONE) == pytest.approx(UNTRIED)


def test_no_deviation_is_as_wide_as_published_rooflines():
    empty = calibrate(scores([]))
    assert half_widths(empty, asked(), np.array([np.nan])) == pytest.approx(UNCALIBRATED)


@given(st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_a_larger_deviation_is_never_narrower_nor_endless(one, other):
    one, other = sorted((one, other))
    calibration = calibrate(scores(np.full(50, 0.1)))
    widths = [half_widths(calibration, asked(), np.array([d]))[0] for d in (one, other)]
    assert widths[0] <= widths[1] <= WIDEST


def test_the_spread_between_runs_is_that_of_the_runs():
    generator = np.random.default_rng(2)
    for count in (2, 3, 6):
        spreads = pd.Series(generator.normal(0, 0.05, (2000, count)).std(axis=1, ddof=1))
        runs = pd.Series(np.full(2000, count))
        assert between_run_spread(spreads, runs) == pytest.approx(0.05, rel=0.1)
    assert between_run_spread(pd.Series([np.nan]), pd.Series([1])) == 0.0
