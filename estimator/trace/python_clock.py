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
from typing import Any, NamedTuple

import numpy as np

from collector.workloads.python_loop import count_in_python

_POINTS = 10_000
_ROUNDS = 7
_CALLS = 400


class _Gap(NamedTuple):
    """CPU seconds between two calls; calls on the CPU and questions for a device among them."""

    seconds: float
    calls: int
    asked: int


class PythonClock:
    """Keeps, for each operation, the time between the call before it and its own."""

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._left = time.thread_time()
        self._gap = 0.0
        self._depth = self._calls = 0
        #: questions for a tensor's device, which only a trace answers in Python
        self.asked = 0
        self._gaps: defaultdict[int, list[_Gap]] = defaultdict(list)

    def begin(self) -> None:
        """The step that counts begins."""
        self._gaps.clear()
        self._gap, self._calls, self.asked = 0.0, 0, 0
        self._left = time.thread_time()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What is done meanwhile is none of the host's work."""
        self._gap += time.thread_time() - self._left
        kept = self._gap, self._calls, self.asked
        try:
            yield
        finally:
            self._gap, self._calls, self.asked = kept
            self._left = time.thread_time()

    def enter(self) -> None:
        """A call begins."""
        if threading.get_ident() != self._main:
            return
        self._depth += 1
        if self._depth == 1:
            self._gap += time.thread_time() - self._left
            self._calls += 1

    def leave(self) -> None:
        """A call ends."""
        if threading.get_ident() == self._main:
            self._depth -= 1
            if self._depth == 0:
                self._left = time.thread_time()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """An operation on the CPU: it is the host's work, like the program's Python."""
        start = time.thread_time()
        try:
            yield
        finally:
            if threading.get_ident() == self._main:
                self._gap += time.thread_time() - start

    def called(self, number: int) -> None:
        """The operation of this number was noted."""
        if threading.get_ident() == self._main:
            self._gaps[number].append(_Gap(self._gap, self._calls, self.asked))
            self._gap, self._calls, self.asked = 0.0, 0, 0

    def points(self, call: Callable[[], Any], ask: Callable[[], Any]) -> dict[int, float]:
        """Of each operation the mean Python before it, in points of the reference loop.

        ``call`` makes a call of torch that nothing lies between, ``ask`` only asks for devices.
        """
        gaps, self._gaps = self._gaps, defaultdict(list)
        start = time.thread_time()
        self.asked = 0
        for _ in range(_CALLS):
            ask()
        asking_s = (time.thread_time() - start) / max(self.asked, 1)
        self.begin()
        for _ in range(_CALLS):
            call()
        bare_s = statistics.median(
            gap.seconds - asking_s * gap.asked for listed in self._gaps.values() for gap in listed
        )
        point_s = _point_seconds()

        def mean(listed: list[_Gap]) -> float:
            seconds = (gap.seconds - bare_s * gap.calls - asking_s * gap.asked for gap in listed)
            return max(0.0, statistics.fmean(seconds) / point_s)

        return {number: mean(listed) for number, listed in gaps.items()}


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
