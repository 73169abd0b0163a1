"""What a NumPy program's host spends: its Python, the calls of CuPy, what CuPy lacks.

Python between calls, and calls that only the host makes, take as long as where they were recorded,
times as much as the machine's Python is slower than Python was there (``Recording.point_s``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Job, Operation
from estimator.jobs.host import Speed
from estimator.jobs.place import Device

Array = np.ndarray[Any, Any]

#: of CuPy on the shipped H200 machines' hosts: a view, and a call whose own cost is not known
#: (family launch, cases dispatch_views and dispatch_allocating)
VIEW_S, CALL_S = 0.9e-6, 9e-6


def recorded_seconds(job: Job, operations: Sequence[Operation], speed: Speed) -> Array:
    """Seconds of each call on this host, (m,), by what it took where it was recorded."""
    point_s = job.recording.point_s if job.recording is not None else 0.0
    slower = speed.point_s / point_s if point_s else 1.0
    found: Array = slower * np.array([one.measured_s for one in operations], dtype=float)
    return found


def array_dispatch_seconds(
    job: Job, operations: Sequence[Operation], device: Device, speed: Speed, asking: Array
) -> Array:
    """Seconds of the host for each operation, (m,): the Python before it, and the call itself.

    ``asking`` (m,): of a call of CuPy, NaN where its cells do not say it. On a CPU calls have their
    own cost in them, but for views.
    """
    python = np.array([one.python_points for one in operations], dtype=float) * speed.point_s
    there = recorded_seconds(job, operations, speed)
    views = np.array([not one.launches for one in operations], dtype=bool)
    if device == "cpu":
        return python + np.where(views & ~_copies(operations), there, 0.0)
    by_host = np.array([one.device == "cpu" for one in operations], dtype=bool)
    calls = np.where(np.isfinite(asking), asking, CALL_S * speed.scale)
    calls = np.where(views, VIEW_S * speed.scale, calls)
    calls = np.where(_copies(operations), 0.0, np.where(by_host, there, calls))
    total: Array = python + calls
    return total


def _copies(operations: Sequence[Operation]) -> Array:
    return np.array([one.kind in (COPY_TO_GPU, COPY_TO_CPU) for one in operations], dtype=bool)
