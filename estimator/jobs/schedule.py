"""Two clocks: when the host has asked for a step's calls, and when the device has done them.

The host asks for one call after the other and does not wait: h += dispatch. The device does them in
that order: d = max(d, h) + seconds. Where the host waits (a synchronous copy, a number that it
reads), h = max(h, d). Copies on a stream of their own have a third clock. A step that is waited for
ends at the latest clock; of steps in a row each begins where the host is, so that the slower of the
two sets the pace.

Pure, in arrays of numpy; several scenarios at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Bound = Literal["device", "host", "copies"]

#: Steps in a row until each takes as long as the one before.
_REPETITIONS = 3


@dataclass(frozen=True)
class Calls:
    """The calls of a step in the order in which the program makes them, (n,) each.

    ``dispatch_s``: seconds of the host to ask for it. ``device_s``: of the device to do it, 0
    where nothing is launched. ``copies``: it moves data between host and device. ``apart``: on a
    stream of its own, beside the kernels. ``waits``: the host goes on when the queue is done.
    ``one_clock``: the host computes too, one thing after the other.
    """

    dispatch_s: Array
    device_s: Array
    copies: Array
    apart: Array
    waits: Array
    one_clock: bool = False

    def scaled(self, host: Array, kernels: Array, copies: Array) -> tuple[Array, Array]:
        """Dispatch and device seconds of k scenarios, (k, n), from factors (k,) of each."""
        factor = np.where(self.copies, np.asarray(copies)[:, None], np.asarray(kernels)[:, None])
        return self.dispatch_s * np.asarray(host)[:, None], self.device_s * factor


@dataclass(frozen=True)
class Step:
    """Seconds of one step: waited for, and in a row of many; and what it consists of.

    ``device_s``, ``host_s`` and ``copy_s`` are sums over kernels, dispatch and copies; ``bound``
    names the largest. The idle shares are of a step in a row.
    """

    waited_s: float
    pipelined_s: float
    device_s: float
    host_s: float
    copy_s: float

    @property
    def bound(self) -> Bound:
        parts: dict[Bound, float] = {
            "device": self.device_s,
            "host": self.host_s,
            "copies": self.copy_s,
        }
        return max(parts, key=lambda name: parts[name])

    @property
    def device_idle_share(self) -> float:
        """Of the time in which the device neither computes nor copies, at least."""
        return self._idle(self.device_s + self.copy_s)

    @property
    def host_idle_share(self) -> float:
        """Of the time in which the host waits."""
        return self._idle(self.host_s)

    def _idle(self, busy_s: float) -> float:
        return max(0.0, 1.0 - busy_s / self.pipelined_s) if self.pipelined_s > 0.0 else 0.0


def schedule(calls: Calls) -> Step:
    """The step that these calls make."""
    return schedule_of([(1, calls)])


def scenarios(calls: Calls, host: Array, kernels: Array, copies: Array) -> tuple[Array, Array]:
    """Waited-for and pipelined seconds, (k,) each, where the parts take so many times as long.

    ``host``, ``kernels`` and ``copies`` are factors (k,) of the dispatch, of what the device
    computes, and of copies.
    """
    dispatch, device = calls.scaled(host, kernels, copies)
    if calls.one_clock:
        total = dispatch.sum(axis=1) + device.sum(axis=1)
        return total, total
    beside = np.where(calls.apart, device, 0.0)
    queued = device - beside
    stops = [*(np.flatnonzero(calls.waits) + 1).tolist(), len(calls.waits)]
    clocks = _Clocks(np.zeros(len(host)), np.zeros(len(host)), np.zeros(len(host)))
    ends = []
    for _ in range(_REPETITIONS):
        start = 0
        for stop in stops:
            part = slice(start, stop)
            waits = stop > start and bool(calls.waits[stop - 1])
            clocks = clocks.after(dispatch[:, part], queued[:, part], beside[:, part], waits)
            start = stop
        ends.append(clocks.latest)
    # a pace is at most the first step's: later ones differ from it by rounding alone
    return ends[0], np.minimum(ends[-1] - ends[-2], ends[0])


def schedule_of(parts: Sequence[tuple[int, Calls]]) -> Step:
    """What these calls make, each part so many times in a row, one part after the other."""
    one = np.ones(1)
    waited, pipelined = scenarios_of(parts, one, one, one)
    device = sum(count * calls.device_s[~calls.copies].sum() for count, calls in parts)
    copied = sum(count * calls.device_s[calls.copies].sum() for count, calls in parts)
    host = sum(count * calls.dispatch_s.sum() for count, calls in parts)
    return Step(float(waited[0]), float(pipelined[0]), float(device), float(host), float(copied))


def scenarios_of(
    parts: Sequence[tuple[int, Calls]], host: Array, kernels: Array, copies: Array
) -> tuple[Array, Array]:
    """``scenarios`` of parts in a row: waited for at the end of each part, and never."""
    waited, pipelined = np.zeros(len(host)), np.zeros(len(host))
    for count, calls in parts:
        first, pace = scenarios(calls, host, kernels, copies)
        waited = waited + first + (count - 1) * pace
        pipelined = pipelined + count * pace
    return waited, pipelined


@dataclass(frozen=True)
class _Clocks:
    """Where the host, the device's queue and its second stream are, in seconds, (k,) each."""

    host: Array
    queue: Array
    beside: Array

    @property
    def latest(self) -> Array:
        latest: Array = np.maximum(np.maximum(self.host, self.queue), self.beside)
        return latest

    def after(self, dispatch: Array, queued: Array, beside: Array, waits: bool) -> _Clocks:
        """The clocks after calls (k, m) between which nobody waits; at their end the host may."""
        if dispatch.shape[1] == 0:
            return self
        asked = self.host[:, None] + np.cumsum(dispatch, axis=1)
        queue = _done(self.queue, asked, queued)
        apart = _done(self.beside, asked, beside) if beside.any() else self.beside
        host = np.maximum(asked[:, -1], queue) if waits else asked[:, -1]
        return _Clocks(host, queue, apart)


def _done(clock: Array, asked: Array, seconds: Array) -> Array:
    """d = max(d, h) + t over all calls, (k,): of each call that could be the last to be waited for.

    With sums s of the seconds up to each call, d = max(d + s_end, max over i of h_i + s_end -
    s_before(i)).
    """
    done = np.cumsum(seconds, axis=1)
    slack: Array = (asked - done + seconds).max(axis=1)
    ends: Array = done[:, -1] + np.maximum(clock, slack)
    return ends
