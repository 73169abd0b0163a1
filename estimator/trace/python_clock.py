"""What a program's Python takes between its calls of torch, in units that hold on any machine.

A clock does not say it: between two calls a trace runs a thousand times as much Python of its own,
so that the program's finds the processor's caches cold and takes two to ten times as long as it
would. So its calls are counted, of functions in Python and in C, at a fixed price in points of the
loop of the family python_loop, which the collector measures on every machine; a clock is read only
for what takes long between two of them (decoding of an image, sums in numpy) and for operations of
torch on the CPU.

The prices are 1.6 times what makes up for modules that call modules, walks over parameters, an
optimizer's lists, contexts and small classes when they are run again and again (0.5 to 1.5 of
each): in a program torch's own code lies between, and with other data between they took 1.5 to 3
times as long. Loops that call little (JSON, deep copies) are counted several times too long.
"""

from __future__ import annotations

import _weakrefset
import contextlib
import gc
import statistics
import sys
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

from estimator.running.point import point_seconds

#: points of a call in Python, and for each unit of its code; of a call in C; of torch on the CPU
_CALL, _UNIT, _C_CALL, _OPERATION = 2.0, 0.018, 3.2, 30.0
#: what takes less is what its price has in it
_LONG_S = 20e-6

_TORCH = Path(torch.__file__).parent
#: whose frames only a trace has, or next to only
_OWN = tuple(
    str(path)
    for path in (
        Path(__file__).parent,
        _TORCH / "_subclasses",
        _TORCH / "_library",
        _TORCH / "_dynamo",
        _TORCH / "_compile.py",
        _TORCH / "compiler",
        _TORCH / "utils" / "_python_dispatch.py",
        Path(weakref.__file__),
        Path(_weakrefset.__file__),
    )
)


#: where: a function, and what it called
_Slow = tuple[CodeType | str, str]


class _Gap(NamedTuple):
    """What lies between two calls: counted points, and what took long."""

    points: float
    slow: list[tuple[_Slow, float]]


class PythonClock:
    """Keeps, for each operation, the Python between the call before it and its own."""

    def __init__(self) -> None:
        self._main = threading.main_thread().ident
        self._watched = self._ours = False
        self._points = self._last = 0.0
        self._slow: list[tuple[_Slow, float]] = []
        self._depth = 0
        self._prices: dict[CodeType, float] = {}  # of a call; 0: only a trace makes it
        self._gaps: defaultdict[int, list[_Gap]] = defaultdict(list)
        self._before: dict[_Slow, float] | None = None  # the step before's long intervals

    def begin(self) -> None:
        """The step that counts begins, or one before it."""
        if threading.get_ident() != self._main:
            return
        if not self._watched:
            self._watched = True
            gc.callbacks.append(self._collected)
        else:
            self._before = _sums(self._gaps)
        self._gaps.clear()
        self._forget()
        self._watch()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What is done meanwhile is none of the host's work."""
        kept = self._points, self._slow
        self._forget()
        self.enter()
        try:
            yield
        finally:
            self.leave()
            self._points, self._slow = kept

    def enter(self) -> None:
        """A call begins."""
        if threading.get_ident() != self._main:
            return
        self._depth += 1
        if self._depth == 1 and self._watched:
            sys.setprofile(None)

    def leave(self) -> None:
        """A call ends."""
        if threading.get_ident() != self._main:
            return
        self._depth -= 1
        if self._depth == 0 and self._watched:
            self._watch()

    @contextlib.contextmanager
    def working(self, name: str) -> Iterator[None]:
        """An operation on the CPU: it is the host's work, like the program's Python."""
        start = time.thread_time()
        try:
            yield
        finally:
            if threading.get_ident() == self._main:
                passed = time.thread_time() - start
                if passed > _LONG_S:
                    self._slow.append(((name, ""), passed))
                else:
                    self._points += _OPERATION

    def called(self, number: int) -> None:
        """The operation of this number was noted."""
        if threading.get_ident() == self._main:
            self._gaps[number].append(_Gap(self._points, self._slow))
            self._forget()

    def points(self) -> dict[int, float]:
        """Of each operation the mean Python before it, in points of the reference loop.

        An interval that was shorter in the step before counts as it was there: what else a machine
        does makes some take longer.
        """
        if self._watched:
            sys.setprofile(None)
            gc.callbacks.remove(self._collected)
            self._watched = False
        point_s = point_seconds()
        sums = _sums(self._gaps)
        before = sums if self._before is None else self._before
        shares = {key: min(1.0, before.get(key, 0.0) / here) for key, here in sums.items()}

        def points(gap: _Gap) -> float:
            slow = sum(seconds * shares[key] for key, seconds in gap.slow)
            return gap.points + slow / point_s

        return {number: statistics.fmean(map(points, gaps)) for number, gaps in self._gaps.items()}

    def _forget(self) -> None:
        self._points, self._slow = 0.0, []

    def _watch(self) -> None:
        self._ours = True  # what follows is the way back from the trace
        sys.setprofile(self._event)

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        """Python calls a function, or comes back from it."""
        code = frame.f_code
        price = self._prices.get(code)
        if price is None:
            own = code.co_filename.startswith(_OWN)
            price = self._prices[code] = 0.0 if own else _CALL + _UNIT * len(code.co_code) / 2
        if price and not self._ours:
            passed = time.thread_time() - self._last
            if passed > _LONG_S:
                called = getattr(argument, "__name__", "") if event.startswith("c_") else ""
                self._slow.append(((code, called), passed))
        if price and event == "call":
            self._points += price
        elif price and event == "c_call":
            self._points += _C_CALL
        self._ours = not price
        self._last = time.thread_time()

    def _collected(self, phase: str, information: dict[str, int]) -> None:
        """Garbage is mostly the trace's."""
        self._ours = True


def _sums(gaps: Mapping[int, list[_Gap]]) -> dict[_Slow, float]:
    sums: defaultdict[_Slow, float] = defaultdict(float)
    for listed in gaps.values():
        for gap in listed:
            for key, seconds in gap.slow:
                sums[key] += seconds
    return sums
