"""What a NumPy program's host spends: its Python, the calls of CuPy, what CuPy lacks.

Python between calls, and calls that only the host makes, take as long as where they were recorded,
times as much as the machine's Python is slower than Python was there (``Recording.point_s``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Job, Operation
from estimator.jobs.cupy_calls import call_seconds
from estimator.jobs.host import Speed
from estimator.jobs.place import Device

Array = np.ndarray[Any, Any]


def recorded_seconds(job: Job, operations: Sequence[Operation], speed: Speed) -> Array:
    """Seconds of each call on this host, (m,), by what it took where it was recorded."""
    point_s = job.recording.point_s if job.recording is not None else 0.0
    slower = speed.point_s / point_s if point_s else 1.0
    found: Array = slower * np.array([one.measured_s for one in operations], dtype=float)
    return found


def array_dispatch_seconds(
    job: Job, operations: Sequence[Operation], device: Device, speed: Speed
) -> Array:
    """Seconds of the host for each operation, (m,): the Python before it, and the call itself.

    On a CPU calls have their own cost in them, but for views.
    """
    python = np.array([one.python_points for one in operations], dtype=float) * speed.point_s
    there = recorded_seconds(job, operations, speed)
    copies = np.array([one.kind in (COPY_TO_GPU, COPY_TO_CPU) for one in operations], dtype=bool)
    if device == "cpu":
        views = np.array([not one.launches for one in operations], dtype=bool)
        return python + np.where(views & ~copies, there, 0.0)
    by_host = np.array([one.device == "cpu" for one in operations], dtype=bool)
    calls = speed.scale * np.array([call_seconds(one) for one in operations], dtype=float)
    calls = np.where(copies, 0.0, np.where(by_host, there, calls))
    total: Array = python + calls
    return total
