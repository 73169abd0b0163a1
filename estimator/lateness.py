"""How late a machine may be: the spread of its time under interruptions and failed attempts.

The mean of one machine is Daly's (:mod:`estimator.interruptions`). Of several machines the last
one counts, which is later than that mean, so the spread is needed too. The variance of a stretch
of T seconds that starts over, R seconds per restart, at L interruptions a second is exact: once
interrupted it lasts until the first gap of t = R + T in a Poisson process, whose variance is

    (exp(2 L t) - 2 L t exp(L t) - 1) / L^2

(D. R. Cox, *Renewal Theory*, 1962: waiting for a gap). The distribution is approximated: with the
exact probability nothing is lost, else the loss is gamma distributed with the exact mean and
variance. Failed attempts alone are exact: the negative binomial distribution of whole rounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from estimator.interruptions import HOUR_S

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
    """Variance (s^2) of the time whose mean is :func:`estimator.interruptions.expected_wall_s`."""
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
