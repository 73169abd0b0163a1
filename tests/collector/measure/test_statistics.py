"""Order statistics: the interval of the median is exact, the summary is in order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from collector.measure.statistics import (
    SMALLEST_SAMPLE_WITH_INTERVAL,
    median_interval_ranks,
    summarise,
)

SECONDS = st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=200)


def coverage(n: int, low: int) -> float:
    """Probability that (x[low], x[n-1-low]) encloses the median: low < Binomial < n - low."""
    return float(binom.cdf(n - 1 - low, n, 0.5) - binom.cdf(low, n, 0.5))


def test_the_interval_is_the_narrowest_symmetric_one_with_its_coverage():
    for n in range(SMALLEST_SAMPLE_WITH_INTERVAL, 301):
        low, high = median_interval_ranks(n)
        assert high == n - 1 - low, n
        assert low < high, n
        assert coverage(n, low) >= 0.95 - 1e-12, n
        assert coverage(n, low + 1) < 0.95, n


def test_few_samples_have_no_interval():
    for n in range(SMALLEST_SAMPLE_WITH_INTERVAL):
        assert median_interval_ranks(n) is None, n


def test_a_higher_confidence_needs_more_samples_and_gives_a_wider_interval():
    assert median_interval_ranks(6, 0.99) is None
    assert median_interval_ranks(100, 0.99)[0] < median_interval_ranks(100, 0.95)[0]


@given(SECONDS)
def test_a_summary_is_in_order(samples):
    summary = summarise(samples)
    assert summary.n == len(samples)
    assert summary.minimum <= summary.median <= summary.p95 <= max(samples)
    assert summary.minimum == min(samples)
    assert (summary.ci95_low is None) == (len(samples) < SMALLEST_SAMPLE_WITH_INTERVAL)
    if summary.ci95_low is not None:
        assert summary.minimum <= summary.ci95_low <= summary.median <= summary.ci95_high


@given(SECONDS, st.randoms())
def test_a_summary_does_not_depend_on_the_order_of_the_samples(samples, random):
    shuffled = list(samples)
    random.shuffle(shuffled)
    assert summarise(shuffled) == summarise(samples)


@given(SECONDS)
def test_relative_widths_do_not_depend_on_the_unit(samples):
    seconds, doubled = summarise(samples), summarise([2 * sample for sample in samples])
    assert doubled.relative_half_width == seconds.relative_half_width
    assert doubled.relative_interquartile == seconds.relative_interquartile


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=50))
def test_mean_and_deviation_are_those_of_numpy(samples):
    summary = summarise(samples)
    assert summary.mean == pytest.approx(np.mean(samples), rel=1e-12)
    assert summary.std == pytest.approx(np.std(samples, ddof=1), rel=1e-9, abs=1e-12)


def test_without_an_interval_no_width_is_small_enough():
    assert summarise([1.0] * 5).relative_half_width == math.inf
    assert summarise([0.0] * 30).relative_half_width == math.inf


def test_one_sample_has_no_deviation():
    assert summarise([2.0]).std is None
