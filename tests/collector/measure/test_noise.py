"""Each reason for noise is told when it holds, and only then."""

import numpy as np
import pytest

from collector.measure.noise import count_outliers, reasons_around, reasons_in_samples
from collector.measure.statistics import summarise

QUIET = {
    "timing_s": 0.5,
    "involuntary_switches": 2,
    "steal_fraction": 0.0,
    "throttle_reasons": "power_cap",
    "other_gpu_processes": 0,
    "threads_confirmed": True,
}
LOUD = [
    ({"steal_fraction": 0.05}, "steal"),
    ({"involuntary_switches": 500}, "preempted"),
    ({"throttle_reasons": "power_cap,hw_thermal"}, "throttled"),
    ({"other_gpu_processes": 1}, "shared_gpu"),
    ({"threads_confirmed": False}, "threads"),
]


def test_a_quiet_cell_has_no_reasons():
    assert reasons_around(QUIET) == []
    assert reasons_around({}) == []


@pytest.mark.parametrize(("change", "reason"), LOUD)
def test_what_was_going_on_is_told(change, reason):
    assert reasons_around(QUIET | change) == [reason]


def samples(spread):
    return 1 + spread * np.random.default_rng(0).standard_normal(1000)


def test_samples_close_together_are_quiet():
    assert reasons_in_samples(summarise(samples(0.001)), 0, 0.01, steady=True) == []


@pytest.mark.parametrize(
    ("spread", "outliers", "steady", "reason"),
    [
        (0.2, 0, True, "wide_interval"),
        (0.2, 0, True, "spread"),
        (0.001, 100, True, "outliers"),
        (0.001, 0, False, "unsteady"),
    ],
)
def test_samples_that_are_not_are_told_why(spread, outliers, steady, reason):
    found = reasons_in_samples(summarise(samples(spread)), outliers, 0.01, steady)
    assert reason in found


def test_outliers_are_counted_by_median_deviations():
    values = [*samples(0.001), 2.0, 0.5]
    assert count_outliers(values) == 2
    assert count_outliers(samples(0.001)) == 0


def test_samples_of_a_coarse_clock_have_no_outliers():
    assert count_outliers([1.0] * 16 + [1.003]) == 0
    assert reasons_in_samples(summarise([1.0] * 16 + [1.003]), 1, 0.01, steady=True) == []
