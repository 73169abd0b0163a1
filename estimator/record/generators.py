"""Random generators: NumPy's own, each draw of arrays noted."""

from __future__ import annotations

import sys
from time import perf_counter_ns as clock
from typing import Any

import numpy as np

from estimator.record.functions import Function, named_call
from estimator.record.log import LOG
from estimator.record.perform import NONE, perform

_getframe = sys._getframe

#: of a generator, what draws nothing
_QUIET = frozenset({"bit_generator", "spawn", "get_state", "set_state", "seed", "bytes"})
LEGACY = (("legacy", True),)


class Generator(np.random.Generator):
    """A generator of the user's program."""


class RandomState(np.random.RandomState):
    """A legacy generator of the user's program."""


def default_rng(seed: Any = None) -> Any:
    """As NumPy's."""
    if isinstance(seed, np.random.Generator):
        return seed
    return Generator(np.random.default_rng(seed).bit_generator)


def legacy_function(real: Any, name: str) -> Any:
    """A function of ``numpy.random`` itself, which draws from the one legacy generator."""
    if name in _QUIET:
        return real
    kind = f"random.{name}"
    return Function(real, kind, named_call(kind, attributes=LEGACY))


def _drawing(of: type, name: str, legacy: bool) -> Any:
    real = getattr(of, name)
    call = named_call(f"random.{name}", **({"attributes": LEGACY} if legacy else {}))

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if not LOG.records(frame):
            return real(self, *args, **kwargs)

        def bound(*args: Any, **kwargs: Any) -> Any:
            return real(self, *args, **kwargs)

        return perform(call, bound, NONE, args, kwargs, frame, start)

    method.__name__ = name
    method.__doc__ = real.__doc__
    return method


def _fill() -> None:
    for recorded, legacy in ((Generator, False), (RandomState, True)):
        plain = recorded.__mro__[1]
        for name in dir(plain):
            if not name.startswith("_") and name not in _QUIET:
                setattr(recorded, name, _drawing(plain, name, legacy))
        recorded.__module__ = plain.__module__


_fill()
