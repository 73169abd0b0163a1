"""Time of a job on a machine that can be taken away: spot interruptions and checkpoints.

Interruptions form a Poisson process with rate L. A stretch of T seconds that starts again after
each interruption, at R seconds per restart, takes (1/L + R)(exp(L T) - 1) on average (J. T. Daly,
"A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation
Computer Systems 22(3), 2006, 303-312; here restarts themselves are not interrupted). Checkpoints
cut a job into such stretches; the best distance between them is about sqrt(2 C / L) for C seconds
per checkpoint (J. W. Young, "A first order approximation to the optimum checkpoint interval",
Communications of the ACM 17(9), 1974, 530-531).
"""

from __future__ import annotations

import math

from collector.errors import EstimateError
from estimator.checks import check_number

HOUR_S = 3600.0

# exp(50) restarts: no rental lasts that long.
_LARGEST_EXPONENT = 50.0


def expected_wall_s(
    work_s: float,
    interruptions_per_h: float,
    restart_s: float,
    checkpoint_interval_s: float | None = None,
    checkpoint_s: float = 0.0,
) -> float:
    """Mean seconds that ``work_s`` seconds of work take under Poisson interruptions.

    A checkpoint of ``checkpoint_s`` is written after each interval of work but not after the last
    stretch; without an interval the work starts over. Where nothing interrupts, no checkpoint is
    written. Raises EstimateError where the work would practically never end.
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
    if rate_per_s == 0.0 or work_s == 0.0:
        return work_s
    if checkpoint_interval_s is None or checkpoint_interval_s >= work_s:
        return _stretch_s(work_s, rate_per_s, restart_s)
    full = math.ceil(work_s / checkpoint_interval_s) - 1
    last_s = max(0.0, work_s - full * checkpoint_interval_s)
    each_s = _stretch_s(checkpoint_interval_s + checkpoint_s, rate_per_s, restart_s)
    return full * each_s + _stretch_s(last_s, rate_per_s, restart_s)


def _stretch_s(length_s: float, rate_per_s: float, restart_s: float) -> float:
    exponent = rate_per_s * length_s
    if exponent > _LARGEST_EXPONENT:
        raise EstimateError(
            f"{length_s:g} s without a checkpoint practically never end at "
            f"{rate_per_s * HOUR_S:g} interruptions per hour; shorten checkpoint_interval_s"
        )
    # (1/L)(exp(L T) - 1) written as T expm1(x)/x, which stays exact as L tends to zero.
    growth = max(1.0, math.expm1(exponent) / exponent) if exponent > 0.0 else 1.0
    return length_s * growth + restart_s * math.expm1(exponent)


def best_checkpoint_interval_s(checkpoint_s: float, interruptions_per_h: float) -> float:
    """Young's first-order best distance between checkpoints; infinite if nothing interrupts."""
    check_number("checkpoint_s", checkpoint_s)
    check_number("interruptions_per_h", interruptions_per_h)
    if interruptions_per_h == 0.0:
        return math.inf
    return math.sqrt(2.0 * checkpoint_s * HOUR_S / interruptions_per_h)


def check_interval(checkpoint_interval_s: float) -> None:
    """EstimateError unless the distance between checkpoints is a positive, finite time."""
    check_number("checkpoint_interval_s", checkpoint_interval_s)
    if checkpoint_interval_s == 0.0:
        raise EstimateError("checkpoint_interval_s is 0; give a positive time or leave it out")
