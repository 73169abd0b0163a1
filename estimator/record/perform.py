"""One call of NumPy or SciPy, made for the user's program and noted.

Functions get plain arrays and give plain ones, so that what is computed is what would be computed
without a recording; what they give is wrapped again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns as clock
from types import FrameType
from typing import Any

import numpy as np

from collector.jobs import Value
from estimator.record.log import LOG, VIEW, Attributes, Call, Memory, new_memory, signature

ndarray = np.ndarray
_view = ndarray.view

NONE: Mapping[int | str, str] = {}

#: types of single numbers, with which nothing is an array call
NUMBERS = frozenset({float, int, np.float64, np.int64, np.float32})
#: of a list whose elements are such, no element is an array
_NO_ARRAYS = frozenset({float, int, bool, complex, str, bytes, np.float64, np.int64, np.bool_})


class _LikeArray(type):
    """``type(x) == np.ndarray`` holds for what a program takes for one."""

    def __eq__(cls, other: object) -> bool:
        return other is ndarray or other is cls

    def __hash__(cls) -> int:
        return hash(ndarray)


class Recorded(ndarray, metaclass=_LikeArray):
    """An array of the user's program: a view of a plain one, ``arrays.py`` says how it behaves.

    ``_signature``: number of its shape, strides and type, as they were when it was made.
    """

    __slots__ = ("_memory", "_signature")
    _memory: Memory
    _signature: int

    def __getattr__(self, name: str) -> Any:
        """What an array that no noted call made lacks: NumPy itself made it from a recorded one."""
        if name == "_memory":
            self._memory = found = LOG.memory_of(self)
            return found
        if name == "_signature":
            self._signature = number = signature(self)
            return number
        raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")


def setting(value: Any) -> Value | None:
    """An argument as an attribute; None for what is none."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, (tuple, list)) and len(value) <= 32:
        listed = [setting(one) for one in value]
        if all(isinstance(one, (int, float)) for one in listed):
            return tuple(listed)  # type: ignore[arg-type]
    return None


def stripped(value: Any, found: list[Any], plain: list[Any]) -> Any:
    """An argument as NumPy's functions get it; its arrays go to ``found``, plain to ``plain``."""
    kind = type(value)
    if kind is Recorded:
        view = _view(value, ndarray)
        found.append(value)
        plain.append(view)
        return view
    if kind is ndarray:
        found.append(value)
        plain.append(value)
    elif kind is list or kind is tuple:
        if value and type(value[0]) not in _NO_ARRAYS:
            changed = [stripped(one, found, plain) for one in value]
            return changed if kind is list else tuple(changed)
    else:
        strip = STRIPS.get(kind)
        if strip is not None:
            return strip(value)
    return value


#: by type, how values of other kinds are given to functions
STRIPS: dict[type, Callable[[Any], Any]] = {}


def shown_plain(value: Any) -> Any:
    """The same without recorded arrays, for code that is not the user's."""
    return stripped(value, [], [])


class Results:
    """Wraps what a function gave: arrays become recorded ones, each with its memory."""

    __slots__ = ("found", "fresh", "on_gpu", "outputs", "plain")

    def __init__(self, found: list[Any], plain: list[Any], on_gpu: bool) -> None:
        self.found = found
        self.plain = plain
        self.on_gpu = on_gpu
        self.outputs: list[Any] = []
        self.fresh = False  # whether any has memory of its own

    def wrapped(self, result: Any) -> Any:
        if type(result) is ndarray:
            array = self._array(result)
            self.outputs.append(array)
            return array
        if isinstance(result, np.generic):
            self.outputs.append(result)
            self.fresh = True
            return result
        if isinstance(result, tuple):
            listed = [self.wrapped(one) for one in result]
            if type(result) is tuple:
                return tuple(listed)
            make = getattr(result, "_make", None)
            return result if make is None else make(listed)
        if type(result) is list:
            return [self.wrapped(one) for one in result]
        if isinstance(result, dict):  # results of SciPy's optimizers and integrators
            for key, one in result.items():
                if type(one) is ndarray:
                    result[key] = self.wrapped(one)
        return result

    def _array(self, result: Any) -> Any:
        base = result.base
        for original, view in zip(self.found, self.plain, strict=True):
            if result is view:
                return original
            if base is not None and (base is view or base is view.base):
                array = result.view(Recorded)
                array._memory = LOG.memory_of(original)
                array._signature = signature(array)
                return array
        array = result.view(Recorded)
        array._memory = new_memory(result.nbytes, self.on_gpu)
        array._signature = signature(result)
        self.fresh = True
        return array


def perform(
    call: Call,
    real: Callable[..., Any],
    settings: Mapping[int | str, str],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    frame: FrameType,
    start: int,
    asked: bool = True,
) -> Any:
    """Call a function of NumPy or SciPy for the user's program, and note it.

    ``settings``: which arguments, by place or name, are attributes of the operation. ``asked``:
    whether it was the program that named the array to write into.
    """
    found: list[Any] = []
    plain: list[Any] = []
    given: list[Any] = []
    for one in args:
        if type(one) is Recorded:
            view = _view(one, ndarray)
            found.append(one)
            plain.append(view)
            given.append(view)
        else:
            given.append(stripped(one, found, plain))
    named: dict[str, Any] = {}
    outs: tuple[Any, ...] = ()
    if kwargs:
        for key, value in kwargs.items():
            if key == "out" and value is not None:
                outs = value if type(value) is tuple else (value,)
                named[key] = shown_plain(value)
            else:
                named[key] = stripped(value, found, plain)
    last = LOG.last_ns
    began = clock()
    result = real(*given, **named)
    ended = clock()
    called_back = LOG.last_ns != last
    attributes = call.attributes
    if settings and (len(given) > 1 or named):
        attributes += _attributes(settings, given, named)
    if not (outs or call.mutates or call.outside or called_back):  # as most are
        if type(result) is ndarray and result.base is None and not _among(result, plain):
            array = result.view(Recorded)
            array._memory = new_memory(result.nbytes, not call.reason)
            array._signature = signature(result)
            LOG.note(call, frame, found, (array,), attributes, start, began, ended)
            return array
        if found and not call.reason and isinstance(result, np.generic):
            LOG.note(call, frame, found, (result,), attributes, start, began, ended)
            LOG.value(frame, result)
            return result
    if called_back:  # what it called was noted: the rest is SciPy's Python, on the host
        for one in found:
            LOG.leave(frame, one, clock())
        return Results(found, plain, False).wrapped(result)
    if outs or call.mutates:
        changed = [one for one in outs or found[:1] if one is not None]
        if not asked:
            attributes += _REUSED
        elif any(one is other for one in outs for other in found):
            attributes += _IN_PLACE
        LOG.note(call, frame, found, changed, attributes, start, began, ended)
        for one in changed:
            memory = LOG.memory_of(one)
            memory.on_cpu, memory.on_gpu = bool(call.reason), not call.reason
        if not outs:
            return result
        if len(outs) == 1:
            return outs[0]
        fresh = Results(found, plain, not call.reason)
        pairs = zip(result, outs, strict=True)
        return tuple(fresh.wrapped(one) if out is None else out for one, out in pairs)
    if call.outside and found:
        call = OF_ARRAYS.setdefault(call, Call(call.kind))
    results = Results(found, plain, not (call.reason or call.outside))
    wrapped = results.wrapped(result)
    outputs = results.outputs
    if not found and not any(isinstance(one, ndarray) for one in outputs):
        LOG.last_ns += began - start + clock() - ended
        return wrapped  # numbers in, numbers out: Python's
    if outputs and not results.fresh:
        call = VIEW
    LOG.note(call, frame, found, outputs, attributes, start, began, ended)
    if call.outside:
        for one in outputs:
            LOG.enter(frame, one)
    elif not call.reason and (not outputs or type(result) is not ndarray):
        wrapped = _left(frame, result, wrapped)
    return wrapped


def _among(result: Any, plain: list[Any]) -> bool:
    for view in plain:  # noqa: SIM110 - the quicker form
        if view is result:
            return True
    return False


#: calls that make arrays of others, not of Python's values
OF_ARRAYS: dict[Call, Call] = {}
_IN_PLACE: Attributes = (("in_place", True),)
_REUSED: Attributes = (("reused", True),)  # NumPy writes into a temporary by itself


def _left(frame: FrameType, result: Any, wrapped: Any) -> Any:
    """Single values that a function gave: on the GPU they would be there, and are used here."""
    if isinstance(result, np.generic):
        LOG.value(frame, result)
    elif isinstance(result, (bool, int, float)):
        LOG.value(frame, np.asarray(result))
    return wrapped


def _attributes(
    settings: Mapping[int | str, str], given: Sequence[Any], named: Mapping[str, Any]
) -> Attributes:
    chosen = []
    for where, name in settings.items():
        if isinstance(where, int):
            value = setting(given[where]) if where < len(given) else None
        else:
            value = setting(named[where]) if where in named else None
        if value is not None:
            chosen.append((name, value))
    return tuple(chosen)
