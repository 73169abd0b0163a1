"""Time of a job on a machine that can be taken away: spot interruptions and checkpoints.

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
