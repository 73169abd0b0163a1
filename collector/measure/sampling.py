"""When to start and when to stop sampling. Pure: the clock and the operation are passed in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from collector.measure.statistics import SMALLEST_SAMPLE_WITH_INTERVAL, summarise

Clock = Callable[[], float]


@dataclass(frozen=True)
class StopRule:
    """Precise enough, or long enough.

    Sampling stops when ``min_samples`` samples taken over ``min_time_s`` have a 95 % interval
    of the median whose half-width is within ``half_width`` of it; on a plateau; at
    ``max_samples``; or when ``max_time_s`` of wall time is spent (but never before there are
    samples enough for an interval).
    """

    half_width: float
    min_samples: int = 30
    min_time_s: float = 0.2
    max_time_s: float = 1.0
    max_samples: int = 2000
    warmup_time_s: float = 1.0
    #: shorter operations are timed in blocks of calls of about this length
    block_s: float = 0.01
    #: energy of one call is measured for at most so long; 0: not at all
    energy_time_s: float = 0.0


#: Half-widths per device: GPU 0.5 %, CPU 1 %. The quick suite accepts twice as much.
_HALF_WIDTH = {"cpu": 0.01, "cuda": 0.005}


def stop_rule(suite: str, device: str) -> StopRule:
    """The rule of a suite on a device."""
    half_width = _HALF_WIDTH[device]
    # device events resolve about half a microsecond, the host's clock is read more cheaply
    block_s = 0.001 if device == "cuda" else 0.01
    if suite == "quick":
        return StopRule(
            2 * half_width,
            min_time_s=0.05,
            max_time_s=0.25,
            warmup_time_s=0.15,
            block_s=block_s / 2,
        )
    if suite == "survey":
        # many shapes rather than a precise time of each: a GPU's kernels repeat within 1 %
        cpu = device == "cpu"
        return StopRule(
            half_width if cpu else 2 * half_width,
            min_time_s=0.1 if cpu else 0.03,
            max_time_s=0.35 if cpu else 0.15,
            warmup_time_s=0.2 if cpu else 0.1,
            block_s=block_s,
        )
    if suite == "standard":
        return StopRule(
            half_width,
            min_time_s=0.1,
            max_time_s=0.35,
            warmup_time_s=0.2,
            block_s=block_s,
            energy_time_s=1.0,
        )
    return StopRule(
        half_width, max_time_s=3.0, warmup_time_s=5.0, block_s=block_s, energy_time_s=2.0
    )


@dataclass(frozen=True)
class Samples:
    """Seconds of one call, each; and why sampling stopped."""

    samples_s: list[float]
    calls_per_sample: int
    stop_reason: str


_GROWTH = 1.5  # between checks of the interval, so that checking costs O(n log n) in all
_PLATEAU_GAIN = 0.9  # an interval that shrinks less than this in two checks will not shrink


def collect_samples(
    sample: Callable[[], float], calls_per_sample: int, rule: StopRule, clock: Clock
) -> Samples:
    """Call ``sample`` (seconds for ``calls_per_sample`` calls) until the rule says stop."""
    samples: list[float] = []
    started = clock()
    next_check = rule.min_samples
    half_widths: list[float] = []
    while True:
        samples.append(sample() / calls_per_sample)
        n, elapsed_s = len(samples), clock() - started
        if n >= rule.max_samples:
            return Samples(samples, calls_per_sample, "max_samples")
        if n >= next_check and elapsed_s >= rule.min_time_s:
            half_width = summarise(samples).relative_half_width
            if half_width <= rule.half_width:
                return Samples(samples, calls_per_sample, "precise")
            half_widths.append(half_width)
            if len(half_widths) > 2 and half_width > _PLATEAU_GAIN * half_widths[-3]:
                return Samples(samples, calls_per_sample, "plateau")
            next_check = math.ceil(n * _GROWTH)
        if n >= SMALLEST_SAMPLE_WITH_INTERVAL and elapsed_s >= rule.max_time_s:
            reason = "time_cap"
            if n >= rule.min_samples and summarise(samples).relative_half_width <= rule.half_width:
                reason = "precise"
            return Samples(samples, calls_per_sample, reason)


@dataclass(frozen=True)
class WarmUp:
    """Seconds of each call, and whether the last two windows of calls agreed."""

    durations_s: list[float]
    steady: bool

    @property
    def settled_s(self) -> float:
        """Seconds of one call towards the end."""
        return float(np.median(self.durations_s[len(self.durations_s) // 2 :]))


def warm_up(call: Callable[[], float], cap_s: float, clock: Clock) -> WarmUp:
    """Call until two windows of calls agree within 2 %, or until the cap.

    A window is 3 calls at first and doubles, so that slow drifts are seen too. ``call`` does
    one call and returns its seconds.
    """
    started, durations, window = clock(), [call()], 3
    previous = math.inf
    while True:
        recent = [call() for _ in range(window)]
        durations += recent
        current = float(np.median(recent))
        steady = abs(current - previous) <= 0.02 * current
        if steady or clock() - started >= cap_s:
            return WarmUp(durations, steady)
        previous = current
        window = min(2 * window, 200)
