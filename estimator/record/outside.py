"""Other libraries, as the user's files import them: what they are given leaves the GPU.

Of a module only its functions are replaced, for the user's files alone; classes stay what they
are, so that what is given to their methods is not seen.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns as clock
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from estimator.record.log import LOG
from estimator.record.perform import STRIPS, Results, stripped

_getframe = sys._getframe
#: libraries that look into functions, or have arrays of their own
_ALONE = frozenset({"numba", "torch", "jax", "tensorflow", "cupy", "cython", "pytest", "typing"})


def is_outside(name: str) -> bool:
    """Whether a module of this name is another library's."""
    top = name.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in _ALONE and not top.startswith("_")


class Leaving:
    """A function of another library."""

    __slots__ = ("__weakref__", "real")

    def __init__(self, real: Any) -> None:
        self.real = real

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        if not LOG.records(frame):
            return self.real(*args, **kwargs)
        found: list[Any] = []
        plain: list[Any] = []
        given = [stripped(one, found, plain) for one in args]
        named = {key: stripped(one, found, plain) for key, one in kwargs.items()}
        for one in found:
            LOG.leave(frame, one, clock())
        result = self.real(*given, **named)
        if isinstance(result, (np.ndarray, tuple, list)):
            return Results(found, plain, False).wrapped(result)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __eq__(self, other: object) -> bool:
        return self is other or other is self.real

    def __hash__(self) -> int:
        return hash(self.real)

    def __repr__(self) -> str:
        return repr(self.real)

    def __reduce__(self) -> Any:
        return self.real.__reduce__()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.real)


STRIPS[Leaving] = lambda one: one.real


def shown(value: Any) -> Any:
    """What the user's files get for something of another library's module."""
    return Leaving(value) if isinstance(value, (FunctionType, BuiltinFunctionType)) else value


def is_library(module: ModuleType) -> bool:
    """Whether a module is another library's and no file of the user's."""
    file = getattr(module, "__file__", None) or ""
    return is_outside(module.__name__) and not LOG.users[file] and type(module) is ModuleType
