"""What the way into and out of recording takes, which its own clock does not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns as clock
from typing import Any

import numpy as np

from estimator.record.arrays import Recorded
from estimator.record.functions import UFunc
from estimator.record.log import LOG, Memory

_FILE = "<breakeven calibration>"
_ROUNDS, _CALLS = 5, 400
_BODIES = {
    "operator": "a + a",
    "function": "add(a, a)",
    "view": "a[1:3]",
    "item": "a[1]",
    "nothing": "pass",
}


@dataclass(frozen=True)
class Bias:
    """Nanoseconds that a recorded call adds to what is measured of it, and to Python before it."""

    inside_ns: float = 0.0
    outside_ns: float = 0.0


def biases() -> Mapping[str, Bias]:
    """By the kind of call, measured with small arrays."""
    plain = np.arange(8.0)
    recorded = plain.view(Recorded)
    recorded._memory = Memory(0)
    LOG.users[_FILE] = True
    loops = {name: _loop(body) for name, body in _BODIES.items()}
    loop_ns = min(_run(loops["nothing"], plain, None) for _ in range(_ROUNDS)) / _CALLS
    found = {}
    LOG.on = True
    for name, loop in loops.items():
        if name == "nothing":
            continue
        alone = min(_run(loop, plain, np.add) for _ in range(_ROUNDS)) / _CALLS - loop_ns
        inside, outside = [], []
        for _ in range(_ROUNDS):
            before = LOG.totals()
            LOG.last_ns = clock()
            _run(loop, recorded, UFunc(np.add))
            array, gaps = (now - then for now, then in zip(LOG.totals(), before, strict=True))
            inside.append(array / _CALLS)
            outside.append(gaps / _CALLS)
        found[name] = Bias(max(0.0, min(inside) - alone), max(0.0, min(outside) - loop_ns))
    LOG.on = False
    LOG.reset()
    return found


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
