"""Why a cell is noisy. Flags only: no sample is dropped for any of these reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collector.measure.statistics import Summary
from collector.measure.telemetry import THROTTLED

SPREAD_LIMIT = 0.10  # interquartile range over the median
STEAL_LIMIT = 0.02
PREEMPTIONS_PER_S = 100.0
_OUTLIER_SHARE = 0.05
#: hyperfine's threshold: 10 standard deviations of a normal distribution, in median absolute
#: deviations (10 / 0.6745)
_OUTLIER_MADS = 14.8


#: the least deviation, over the median: clocks tick, so that quiet samples may be all alike
_LEAST_DEVIATION = 1e-3


def count_outliers(samples: Sequence[float]) -> int:
    """Samples further from the median than 14.8 median absolute deviations (at least 1.5 %)."""
    values = np.asarray(samples, dtype=np.float64)
    median = float(np.median(values))
    distance = np.abs(values - median)
    deviation = max(float(np.median(distance)), _LEAST_DEVIATION * median)
    return int(np.sum(distance > _OUTLIER_MADS * deviation))


def reasons_in_samples(
    summary: Summary, outliers: int, half_width: float, steady: bool
) -> list[str]:
    """What the samples themselves tell: words of the column ``noise_reasons``."""
    found = {
        "wide_interval": summary.relative_half_width > half_width,
        "spread": summary.relative_interquartile > SPREAD_LIMIT,
        "outliers": outliers > max(1.0, _OUTLIER_SHARE * summary.n),
        "unsteady": not steady,
    }
    return [reason for reason, holds in found.items() if holds]


def reasons_around(row: Mapping[str, Any]) -> list[str]:
    """What telemetry and thread control tell of a row: words of the column ``noise_reasons``."""
    switches, timing_s = row.get("involuntary_switches") or 0, row.get("timing_s") or 0.0
    throttle = set((row.get("throttle_reasons") or "").split(","))
    found = {
        "steal": (row.get("steal_fraction") or 0.0) > STEAL_LIMIT,
        "preempted": timing_s > 0 and switches / timing_s > PREEMPTIONS_PER_S,
        "throttled": bool(THROTTLED & throttle),
        "shared_gpu": (row.get("other_gpu_processes") or 0) > 0,
        "threads": row.get("threads_confirmed") is False,
    }
    return [reason for reason, holds in found.items() if holds]
