"""What the way into and out of recording takes, which its own clock does not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns as clock
from typing import Any

import numpy as np

from estimator.record.elision import ELISION
from estimator.record.functions import UFunc
from estimator.record.log import LOG, Memory, signature
from estimator.record.perform import Recorded

_FILE = "<breakeven calibration>"
_ROUNDS, _CALLS = 5, 400
_LARGE_BYTES = 32 << 20
_BODIES = {
    "operator": "a + a",
    "function": "add(a, a)",
    "view": "a[1:3]",
    "item": "a[1]",
    "setitem": "a[1] = 2.0",
    "copyto": "a[1:3] = 2.0",
    "method": "a.copy()",
    "reduction": "a.sum()",
}

_TEMPORARIES = """
def loop(a, b):
    c = a * b
    (a * b) + c
    c + (a * b)
"""


@dataclass(frozen=True)
class Bias:
    """Nanoseconds that a recorded call adds to what is measured of it, and to Python before it."""

    inside_ns: float = 0.0
    outside_ns: float = 0.0


def biases() -> Mapping[str, Bias]:
    """By the kind of call, measured with small arrays."""
    plain = np.arange(8.0)
    recorded = plain.view(Recorded)
    recorded._memory, recorded._signature = Memory(), signature(recorded)
    LOG.users[_FILE] = True
    names: dict[str, Any] = {}
    exec(compile(_TEMPORARIES, _FILE, "exec"), names)
    LOG.on = True
    ELISION.learn(names["loop"], recorded, recorded)
    LOG.on = False
    loops = {name: _loop(body) for name, body in _BODIES.items()}
    single = {name: _of(loop, plain, recorded) for name, loop in loops.items()}
    mixed = _of(_loop("\n  ".join(_BODIES.values())), plain, recorded)
    number, real = UFunc(np.negative), np.negative
    passing = _loop("add(2.0)")
    passed = median(_run(passing, 0, number) - _run(passing, 0, real) for _ in range(_ROUNDS))
    LOG.pass_ns = max(0, round(passed / _CALLS))
    LOG.free_ns = median(_letting_go() for _ in range(_ROUNDS))
    LOG.reset()
    # among others of its kind each finds less in the processor's caches
    added = sum(one.inside_ns + one.outside_ns for one in single.values())
    factor = max(1.0, (mixed.inside_ns + mixed.outside_ns) / max(added, 1.0))
    return {
        name: Bias(one.inside_ns * factor, one.outside_ns * factor) for name, one in single.items()
    }


def _letting_go() -> float:
    """Nanoseconds that a byte of a large array takes which nobody needs any more."""
    array = np.ones(_LARGE_BYTES // 8)
    start = clock()
    del array
    return (clock() - start) / _LARGE_BYTES


def _of(loop: Callable[..., None], plain: Any, recorded: Any) -> Bias:
    """What a loop's calls take longer where they are recorded, by the clock of the recording."""
    rounds = []
    for _ in range(_ROUNDS):
        alone = _run(loop, plain, np.add) / _CALLS
        LOG.on = True
        before = LOG.totals()
        LOG.last_ns = clock()
        _run(loop, recorded, UFunc(np.add))
        LOG.on = False
        array, gaps = (now - then for now, then in zip(LOG.totals(), before, strict=True))
        rounds.append((array / _CALLS, gaps / _CALLS, alone))
    inside, outside, alone = (median(one) for one in zip(*rounds, strict=True))
    return Bias(max(0.0, inside - alone), max(0.0, outside - max(0.0, alone - inside)))


def _loop(body: str) -> Callable[..., None]:
    names: dict[str, Any] = {}
    text = f"def loop(a, add):\n for _ in range({_CALLS}):\n  {body}\n"
    exec(compile(text, _FILE, "exec"), names)
    loop: Callable[..., None] = names["loop"]
    return loop


def _run(loop: Callable[..., None], array: Any, add: Any) -> int:
    start = clock()
    loop(array, add)
    return clock() - start
