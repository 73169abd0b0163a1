"""How fast this Python is now."""

from __future__ import annotations

import statistics
import time

import numpy as np

from collector.workloads.python_loop import count_in_python

_POINTS, _ROUNDS = 10_000, 7


def point_seconds() -> float:
    """Seconds of this Python for a point of the loop of the family python_loop."""
    generator = np.random.default_rng(0)
    x, y = (generator.random(_POINTS).tolist() for _ in range(2))
    seconds = []
    for _ in range(_ROUNDS):
        start = time.thread_time()
        count_in_python(x, y)
        seconds.append(time.thread_time() - start)
    return statistics.median(seconds) / _POINTS
