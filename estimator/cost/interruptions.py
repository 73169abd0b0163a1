"""Time of a job on a machine that can be taken away: its mean, its spread, checkpoints.

The mean of one machine is Daly's. Of several machines the last one counts, which is later than that
mean, so the spread is needed too. The variance of a stretch of T seconds that starts over, R
seconds per restart, at L interruptions a second is exact: once interrupted it lasts until the first
gap of t = R + T in a Poisson process, whose variance is

    (exp(2 L t) - 2 L t exp(L t) - 1) / L^2

(D. R. Cox, *Renewal Theory*, 1962: waiting for a gap). The distribution is approximated: with the
exact probability nothing is lost, else the loss is gamma distributed with the exact mean and
variance. Failed attempts alone are exact: the negative binomial distribution of whole rounds.

Interruptions form a Poisson process with rate L. A stretch of T seconds that starts again after
each interruption, at R seconds per restart, takes exp(L R) (exp(L T) - 1) / L on average, where
restarts can be interrupted too (J. T. Daly, "A higher order estimate of the optimum checkpoint
interval for restart dumps", Future Generation Computer Systems 22(3), 2006, 303-312, the complete
model). Checkpoints of C seconds cut a job into such stretches; the best distance between them is
about sqrt(2 C / L) (J. W. Young, "A first order approximation to the optimum checkpoint interval",
Communications of the ACM 17(9), 1974, 530-531) and here the exact minimum of Daly's formula.

By Wald's identity, L times the mean time is the mean number of interruptions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from collector.errors import EstimateError
from estimator.checks import check_number

HOUR_S = 3600.0

# exp(50) restarts: no rental lasts that long.
_LARGEST_EXPONENT = 50.0
_NEWTON_STEPS = 60


def expected_wall_s(
    work_s: float,
    interruptions_per_h: float,
    restart_s: float,
    checkpoint_interval_s: float | None = None,
    checkpoint_s: float = 0.0,
) -> float:
    """Mean seconds that ``work_s`` seconds of work take under Poisson interruptions.

    A checkpoint of ``checkpoint_s`` is written after each interval of work but not after the last
    stretch, also where nothing interrupts; without an interval the work starts over. Raises
    EstimateError where the work would practically never end.
    """
    for name, value in (
        ("work_s", work_s),
        ("interruptions_per_h", interruptions_per_h),
        ("restart_s", restart_s),
        ("checkpoint_s", checkpoint_s),
    ):
        check_number(name, value)
    if checkpoint_interval_s is not None:
        check_interval(checkpoint_interval_s)
    rate_per_s = interruptions_per_h / HOUR_S
    if work_s == 0.0:
        return work_s
    if checkpoint_interval_s is None or checkpoint_interval_s >= work_s:
        return _stretch_s(work_s, rate_per_s, restart_s)
    full = math.ceil(work_s / checkpoint_interval_s) - 1
    if rate_per_s == 0.0:
        return work_s + full * checkpoint_s
    last_s = max(0.0, work_s - full * checkpoint_interval_s)
    each_s = _stretch_s(checkpoint_interval_s + checkpoint_s, rate_per_s, restart_s)
    return full * each_s + _stretch_s(last_s, rate_per_s, restart_s)


def _stretch_s(length_s: float, rate_per_s: float, restart_s: float) -> float:
    exponent = rate_per_s * length_s
    if exponent + rate_per_s * restart_s > _LARGEST_EXPONENT:
        raise EstimateError(
            f"at {rate_per_s * HOUR_S:g} interruptions per hour the work between two checkpoints "
            "practically never ends; shorten checkpoint_interval_s"
        )
    # (exp(L T) - 1) / L written as T expm1(x) / x, which stays exact as L tends to zero.
    growth = max(1.0, math.expm1(exponent) / exponent) if exponent > 0.0 else 1.0
    return length_s * growth * math.exp(rate_per_s * restart_s)


def best_checkpoint_interval_s(checkpoint_s: float, interruptions_per_h: float) -> float:
    """Seconds of work between checkpoints that make long work shortest; infinite if none interrupt.

    The minimum over T of (exp(L (T + C)) - 1) / T: the root of x = 1 - exp(-x - L C) at x = L T,
    by Newton's method from Young's value, which lies above it. 0 where checkpoints are free.
    """
    check_number("checkpoint_s", checkpoint_s)
    check_number("interruptions_per_h", interruptions_per_h)
    rate_per_s = interruptions_per_h / HOUR_S
    cost = rate_per_s * checkpoint_s
    if rate_per_s == 0.0:
        return math.inf
    if cost == 0.0:
        return 0.0
    x = min(1.0, math.sqrt(2.0 * cost))
    for _ in range(_NEWTON_STEPS):
        slope = -math.expm1(-(x + cost))
        step = (x - slope) / slope
        x -= step
        if abs(step) <= 1e-14 * x:
            break
    return x / rate_per_s


def best_checkpoints(
    work_s: float, interruptions_per_h: float, restart_s: float, checkpoint_s: float
) -> float | None:
    """Distance between checkpoints that suits work of ``work_s`` best; None: better without any.

    The work is cut into equal stretches, as many as :func:`best_checkpoint_interval_s` asks for.
    Raises EstimateError for checkpoints that cost nothing: there is no best distance then.
    """
    check_number("work_s", work_s)
    if checkpoint_s == 0.0:
        raise EstimateError(
            "the best checkpoint interval needs the time of one checkpoint; give checkpoint_s "
            "above 0"
        )
    ideal_s = best_checkpoint_interval_s(checkpoint_s, interruptions_per_h)
    if work_s == 0.0 or ideal_s >= work_s * 2.0:
        return None
    count = max(1, math.floor(work_s / ideal_s))
    best: tuple[float, float | None] | None = None
    for stretches in (1, count, count + 1):
        interval_s = None if stretches == 1 else work_s / stretches
        try:
            wall_s = expected_wall_s(
                work_s, interruptions_per_h, restart_s, interval_s, checkpoint_s
            )
        except EstimateError:
            continue  # too long a stretch: more of them are better
        if best is None or wall_s < best[0]:
            best = wall_s, interval_s
    return None if best is None else best[1]


def check_interval(checkpoint_interval_s: float) -> None:
    """EstimateError unless the distance between checkpoints is a positive, finite time."""
    check_number("checkpoint_interval_s", checkpoint_interval_s)
    if checkpoint_interval_s == 0.0:
        raise EstimateError("checkpoint_interval_s is 0; give a positive time or leave it out")


_SERIES_BELOW = 0.5  # where the closed form would lose its digits
_POINTS = 400
_TAIL = 1e-7
_NOTHING_S = 1e-9  # a loss this short is none


@dataclass(frozen=True, slots=True)
class Lateness:
    """Time of one machine for all its rounds: ``calm_s`` and what is lost beyond that.

    ``calm_probability`` is that of losing nothing. ``rounds``, ``round_s`` and ``completion``
    (share of attempts that succeed) say what failed attempts cost where nothing interrupts.
    """

    calm_s: float
    mean_s: float
    variance_s2: float
    calm_probability: float
    rounds: int = 1
    round_s: float = 0.0
    completion: float = 1.0
    interrupted: bool = False

    def chance(self, limit_s: float, machines: int = 1) -> float:
        """Probability that all of ``machines`` such machines are done by ``limit_s``."""
        left_s = limit_s - self.calm_s
        if left_s < -1e-9 * limit_s:
            return 0.0
        return float(self._done(np.array([max(0.0, left_s)]))[0] ** machines)

    def last_s(self, machines: int) -> float:
        """Mean time until the last of ``machines`` is done, as if all had as many rounds."""
        mean_s = self.calm_s + self.mean_s
        shape, scale_s = self._gamma()
        if machines == 1 or scale_s <= 0.0:
            return mean_s
        from scipy import special

        most_s = float(special.gammainccinv(shape, _TAIL / machines)) * scale_s
        lost_s = np.linspace(0.0, most_s, _POINTS)
        beyond = 1.0 - self._loss_below(lost_s) ** machines
        return max(mean_s, self.calm_s + float(np.trapezoid(beyond, lost_s)))

    def _done(self, lost_s: np.ndarray) -> np.ndarray:
        if not self.interrupted and self.completion < 1.0 and self.round_s > _NOTHING_S:
            from scipy import special

            extra = np.floor(lost_s / self.round_s * (1.0 + 1e-12))
            return np.asarray(special.betainc(self.rounds, extra + 1.0, self.completion))
        return self._loss_below(lost_s)

    def _loss_below(self, lost_s: np.ndarray) -> np.ndarray:
        shape, scale_s = self._gamma()
        if scale_s <= 0.0:
            return np.ones_like(lost_s)
        from scipy import special

        lossy = 1.0 - self.calm_probability
        return np.asarray(1.0 - lossy * special.gammaincc(shape, lost_s / scale_s))

    def _gamma(self) -> tuple[float, float]:
        """Shape and scale of the loss where there is one; scale 0 where there is none."""
        lossy = 1.0 - self.calm_probability
        if lossy <= 0.0 or self.mean_s <= _NOTHING_S:
            return 1.0, 0.0
        mean_s = self.mean_s / lossy
        square = (self.variance_s2 + self.mean_s * self.mean_s) / lossy
        variance = max(1e-9 * mean_s * mean_s, square - mean_s * mean_s)
        return mean_s * mean_s / variance, variance / mean_s


def wall_variance_s2(
    work_s: float,
    interruptions_per_h: float,
    restart_s: float,
    checkpoint_interval_s: float | None = None,
    checkpoint_s: float = 0.0,
) -> float:
    """Variance (s^2) of the time whose mean is ``expected_wall_s``."""
    rate = interruptions_per_h / HOUR_S
    if rate == 0.0 or work_s == 0.0:
        return 0.0
    if checkpoint_interval_s is None or checkpoint_interval_s >= work_s:
        return _stretch_s2(work_s, rate, restart_s)
    full = math.ceil(work_s / checkpoint_interval_s) - 1
    last_s = max(0.0, work_s - full * checkpoint_interval_s)
    each = _stretch_s2(checkpoint_interval_s + checkpoint_s, rate, restart_s)
    return full * each + _stretch_s2(last_s, rate, restart_s)


def _stretch_s2(length_s: float, rate: float, restart_s: float) -> float:
    x = rate * length_s
    hit = -math.expm1(-x)
    if hit == 0.0:
        return 0.0
    if x < 1e-3:  # the lost part of the first try is then nearly uniform
        lost_s, lost_s2 = length_s * (0.5 - x / 12.0), length_s * length_s / 12.0
    else:
        rest = math.exp(-x) / hit
        lost_s = 1.0 / rate - length_s * rest
        lost_s2 = 1.0 / rate**2 - length_s**2 * rest / hit
    gap = rate * (restart_s + length_s)
    again_s = math.expm1(gap) / rate
    again_s2 = _gap_variance_s2(restart_s + length_s, gap)
    beyond_s = lost_s + again_s - length_s
    return hit * (lost_s2 + again_s2) + hit * (1.0 - hit) * beyond_s * beyond_s


def _gap_variance_s2(gap_s: float, x: float) -> float:
    """The variance above with x = L t, by its series where the closed form loses digits."""
    if x >= _SERIES_BELOW:
        return (math.exp(2.0 * x) - 2.0 * x * math.exp(x) - 1.0) * (gap_s / x) ** 2
    terms = ((2.0**n - 2.0 * n) * x ** (n - 2) / math.factorial(n) for n in range(3, 20))
    return gap_s * gap_s * sum(terms)
