"""What a program's Python takes between its calls of torch, in units that hold on any machine.

The CPU time of the main thread from one call to the next, less what a call takes that nothing lies
between, over the time of a known loop of Python in the same process: that of the family
python_loop, which the collector measures on every machine.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from collector.workloads.python_loop import count_in_python

_POINTS = 10_000
_ROUNDS = 7
_CALLS = 400


class PythonClock:
    """Sums, for each operation, the time between the call before it and its own."""

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._left = time.thread_time()
        self._gap = 0.0
        self._depth = 0
        self._unseen = 0  # calls on the CPU since the last one that was noted
        self.gaps: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)

    def begin(self) -> None:
        """The step that counts begins."""
        self.gaps.clear()
        self._gap, self._unseen = 0.0, 0
        self._left = time.thread_time()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What is done meanwhile is none of the host's work."""
        self._gap += time.thread_time() - self._left
        kept = self._gap, self._unseen
        try:
            yield
        finally:
            self._gap, self._unseen = kept
            self._left = time.thread_time()

    def enter(self) -> None:
        """A call begins."""
        if threading.get_ident() != self._main:
            return
        self._depth += 1
        if self._depth == 1:
            self._gap += time.thread_time() - self._left
            self._unseen += 1

    def leave(self) -> None:
        """A call ends."""
        if threading.get_ident() == self._main:
            self._depth -= 1
            if self._depth == 0:
                self._left = time.thread_time()

    def called(self, number: int) -> None:
        """The operation of this number was noted."""
        if threading.get_ident() != self._main:
            return
        self.gaps[number].append((self._gap, self._unseen))
        self._gap, self._unseen = 0.0, 0

    def points(self, call: Callable[[], Any]) -> dict[int, float]:
        """Of each operation the mean Python before it, in points of the reference loop.

        ``call`` makes a call of torch that nothing lies between.
        """
        gaps = dict(self.gaps)
        self.gaps = defaultdict(list)
        for _ in range(_CALLS):
            call()
        bare = statistics.median(gap for listed in self.gaps.values() for gap, _ in listed)
        point_s = _point_seconds()
        return {
            number: max(
                0.0, statistics.fmean(gap - bare * unseen for gap, unseen in listed) / point_s
            )
            for number, listed in gaps.items()
        }


def _point_seconds() -> float:
    """Seconds of this Python for a point of the loop of the family python_loop."""
    generator = np.random.default_rng(0)
    x, y = (generator.random(_POINTS).tolist() for _ in range(2))
    seconds = []
    for _ in range(_ROUNDS):
        start = time.thread_time()
        count_in_python(x, y)
        seconds.append(time.thread_time() - start)
    return statistics.median(seconds) / _POINTS
