"""Order statistics of timing samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

#: below this many samples no order statistics enclose the median with 95 % confidence
SMALLEST_SAMPLE_WITH_INTERVAL = 6


@dataclass(frozen=True)
class Summary:
    """Location and spread of samples, in the samples' unit."""

    n: int
    median: float
    ci95_low: float | None
    ci95_high: float | None
    mean: float
    std: float | None
    minimum: float
    p95: float
    interquartile: float

    @property
    def relative_half_width(self) -> float:
        """Half the confidence interval over the median; infinity without an interval."""
        if self.ci95_low is None or self.ci95_high is None or self.median <= 0:
            return math.inf
        return (self.ci95_high - self.ci95_low) / 2 / self.median

    @property
    def relative_interquartile(self) -> float:
        return self.interquartile / self.median if self.median > 0 else math.inf


@cache
def median_interval_ranks(n: int, confidence: float = 0.95) -> tuple[int, int] | None:
    """0-based ranks of the order statistics that enclose the median, None if n is too small.

    The interval (x[l], x[n-1-l]) covers the median with probability
    1 - 2 P(Binomial(n, 1/2) <= l): the largest l, hence the narrowest interval, that keeps the
    coverage is taken
    (David and Nagaraja 2003, Order Statistics, section 7.1). No distribution is assumed.
    """
    tail, below = 0.0, -1
    for k in range(n // 2):
        log_probability = (
            math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
        )
        tail += math.exp(log_probability)
        if 2 * tail > 1 - confidence:
            break
        below = k
    return None if below < 0 else (below, n - 1 - below)


def summarise(samples: Sequence[float]) -> Summary:
    """Summary of at least one sample."""
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    n = len(ordered)
    ranks = median_interval_ranks(n)
    low, high = (None, None) if ranks is None else (ordered[ranks[0]], ordered[ranks[1]])
    quartiles = np.percentile(ordered, [25, 75, 95])
    return Summary(
        n=n,
        median=float(np.median(ordered)),
        ci95_low=None if low is None else float(low),
        ci95_high=None if high is None else float(high),
        mean=float(ordered.mean()),
        std=float(ordered.std(ddof=1)) if n > 1 else None,
        minimum=float(ordered[0]),
        p95=float(quartiles[2]),
        interquartile=float(quartiles[1] - quartiles[0]),
    )


def false_discovery_rates(p_values: Sequence[float]) -> list[float]:
    """For each test the smallest false discovery rate at which it is called (its q value).

    Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57, 289.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    rates = np.empty_like(p)
    rates[order] = np.minimum.accumulate(np.minimum(p[order] * (len(p) / ranks), 1.0))
    return [float(rate) for rate in rates]
