"""The arrays that a recorded program holds: NumPy's own, with each use by the program noted.

A ``Recorded`` is a view of a plain array of the same memory. Functions get the plain one and give
plain ones, so that what is computed is what would be computed without a recording. Code of
libraries that meets one gets plain arrays out of it, and nothing is noted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns as clock
from types import FrameType
from typing import Any

import numpy as np

from collector.jobs import Value
from estimator.record.cupy_functions import lacking
from estimator.record.log import LOG, VIEW, Attributes, Call, Memory

_getframe = sys._getframe
ndarray = np.ndarray
_getitem, _setitem, _view = ndarray.__getitem__, ndarray.__setitem__, ndarray.view

#: of a list whose elements are such, no element is an array
_NO_ARRAYS = frozenset({float, int, bool, complex, str, bytes, np.float64, np.int64, np.bool_})
_BASIC = frozenset({slice, int, type(None), type(Ellipsis)})


class _LikeArray(type):
    """``type(x) == np.ndarray`` holds for what a program takes for one."""

    def __eq__(cls, other: object) -> bool:
        return other is ndarray or other is cls

    def __hash__(cls) -> int:
        return hash(ndarray)


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
                return array
        array = result.view(Recorded)
        array._memory = Memory(result.nbytes, self.on_gpu)
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
) -> Any:
    """Call a function of NumPy or SciPy for the user's program, and note it.

    ``settings``: which arguments, by place or name, are attributes of the operation.
    """
    found: list[Any] = []
    plain: list[Any] = []
    given = [stripped(one, found, plain) for one in args]
    named: dict[str, Any] = {}
    outs: tuple[Any, ...] = ()
    for key, value in kwargs.items():
        if key == "out" and value is not None:
            outs = value if type(value) is tuple else (value,)
            named[key] = shown_plain(value)
        else:
            named[key] = stripped(value, found, plain)
    calls = LOG.calls
    began = clock()
    result = real(*given, **named)
    ended = clock()
    called_back = LOG.calls != calls
    if (
        type(result) is ndarray
        and result.base is None
        and not (outs or settings or called_back or call.outside)
        and not any(result is view for view in plain)
    ):  # the usual case: an array of its own memory
        array = result.view(Recorded)
        array._memory = Memory(result.nbytes, not call.reason)
        LOG.note(call, frame, found, (array,), call.attributes, start, began, ended)
        return array
    if called_back:  # what it called was noted: the rest is SciPy's Python, on the host
        for one in found:
            LOG.leave(frame, one, clock())
        return Results(found, plain, False).wrapped(result)
    attributes = call.attributes
    if settings:
        attributes += _attributes(settings, given, named)
    if outs or call.mutates:
        changed = [one for one in outs or found[:1] if one is not None]
        if any(one is other for one in outs for other in found):
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


#: calls that make arrays of others, not of Python's values
OF_ARRAYS: dict[Call, Call] = {}
_IN_PLACE: Attributes = (("in_place", True),)


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


class Recorded(ndarray, metaclass=_LikeArray):
    """A plain array of the user's program."""

    __slots__ = ("_memory",)
    _memory: Memory

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if LOG.records(frame):
            call = ufunc_call(ufunc, method)
            real = ufunc if method == "__call__" else getattr(ufunc, method)
            settings = NONE if method == "__call__" else REDUCING
            if ufunc in POWERS:
                settings = EXPONENT
            return perform(call, real, settings, inputs, kwargs, frame, start)
        plain = [shown_plain(one) for one in inputs]
        named = {key: shown_plain(one) for key, one in kwargs.items()}
        result = getattr(ufunc, method)(*plain, **named)
        out = kwargs.get("out")
        if out is None:
            return result
        return out[0] if len(out) == 1 else out

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        named = {key: shown_plain(one) for key, one in kwargs.items()}
        return function(*map(shown_plain, args), **named)

    def __getitem__(self, index: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if not LOG.records(frame):
            return _getitem(_view(self, ndarray), shown_plain(index))
        kind = type(index)
        if kind in _BASIC or (kind is tuple and all(type(one) in _BASIC for one in index)):
            began = clock()
            result = _getitem(self, index)
            ended = clock()
            if type(result) is Recorded:
                result._memory = LOG.memory_of(self)
                LOG.note(VIEW, frame, (self,), (result,), (), start, began, ended)
            elif not LOG.memory_of(self).on_cpu:
                LOG.note(ITEM, frame, (), (result,), (), start, began, ended)
            return result
        call = _index_call(index, READS)
        if call is None:
            result = _getitem(self, index)
            if type(result) is Recorded:
                result._memory = LOG.memory_of(self)
            return result
        return perform(call, _getitem, NONE, (self, index), {}, frame, start)

    def __setitem__(self, index: Any, value: Any) -> None:
        start = clock()
        frame = _getframe(1)
        view = _view(self, ndarray)
        if not LOG.records(frame):
            _setitem(view, shown_plain(index), shown_plain(value))
            return
        found: list[Any] = []
        plain: list[Any] = []
        where = stripped(index, found, plain)
        given = stripped(value, found, plain)
        call = _index_call(index, WRITES)
        began = clock()
        _setitem(view, where, given)
        ended = clock()
        memory = LOG.memory_of(self)
        if not memory.on_gpu:
            LOG.enter(frame, self)
        memory.on_cpu = False
        target: Any = self
        if call is None:
            target = _getitem(view, where)
            call = COPYTO if isinstance(target, ndarray) else SETITEM
        LOG.note(call, frame, found, (target,), (), start, began, ended)

    def __float__(self) -> float:
        return float(_read(self))

    def __int__(self) -> int:
        return int(_read(self))

    def __bool__(self) -> bool:
        return bool(_read(self))

    def __complex__(self) -> complex:
        return complex(_read(self))

    def __index__(self) -> int:
        return int(_read(self).__index__())

    def __str__(self) -> str:
        return str(_read(self))

    def __repr__(self) -> str:
        return repr(_read(self))

    def __format__(self, form: str) -> str:
        return format(_read(self), form)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _read(self).__reduce_ex__(protocol)

    def __reduce__(self) -> Any:
        return _read(self).__reduce__()

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        if self.dtype.hasobject:
            return _read(self).__deepcopy__(memo)
        return self.copy()


Recorded.__name__ = Recorded.__qualname__ = "ndarray"
Recorded.__module__ = "numpy"

ITEM, SETITEM, COPYTO = Call("item"), Call("setitem"), Call("copyto")
READS = (Call("take"), Call("compress"))
WRITES = (Call("put"), Call("putmask"))
NONE: Mapping[int | str, str] = {}
REDUCING: Mapping[int | str, str] = {1: "axis", "axis": "axis"}
EXPONENT: Mapping[int | str, str] = {1: "exponent"}
POWERS = frozenset({np.power, np.float_power})

_REDUCTIONS = {
    **{"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"},
    **{"logical_and": "all", "logical_or": "any"},
}
_ACCUMULATIONS = {"add": "cumsum", "multiply": "cumprod"}
_UFUNC_CALLS: dict[tuple[Any, str], Call] = {}


def ufunc_call(ufunc: Any, method: str) -> Call:
    """The operation of a universal function, or of a method of it."""
    call = _UFUNC_CALLS.get((ufunc, method))
    if call is None:
        call = _UFUNC_CALLS[ufunc, method] = _named(ufunc, method)
    return call


def _named(ufunc: Any, method: str) -> Call:
    name = ufunc.__name__
    if getattr(np, name, None) is not ufunc:
        name = f"scipy.special.{name}"
    if method == "reduce" and name in _REDUCTIONS:
        name = _REDUCTIONS[name]
    elif method == "accumulate" and name in _ACCUMULATIONS:
        name = _ACCUMULATIONS[name]
    elif method != "__call__":
        name = f"{name}.{method}"
    return Call(name, lacking(name), mutates=method == "at")


def _index_call(index: Any, calls: tuple[Call, Call]) -> Call | None:
    """Which operation an index with arrays in it asks for; None: a basic one, or a field's name."""
    for one in index if type(index) is tuple else (index,):
        if isinstance(one, np.bool_ | bool):
            return calls[1]
        if isinstance(one, (ndarray, list)):
            dtype = one.dtype if isinstance(one, ndarray) else np.asarray(one).dtype
            if one is index and isinstance(one, list) and one and isinstance(one[0], str):
                return None
            return calls[dtype.kind == "b"]
    return None


def _read(array: Any) -> Any:
    """The plain array, where the program looks at its values."""
    frame = _getframe(2)
    if LOG.records(frame):
        LOG.leave(frame, array, clock())
    return _view(array, ndarray)


def _method(name: str, kind: str, mutates: bool) -> Any:
    real = getattr(ndarray, name)
    call = Call(kind, lacking(kind), mutates=mutates)
    settings = METHOD_SETTINGS.get(name, NONE)

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if LOG.records(frame):
            return perform(call, real, settings, (self, *args), kwargs, frame, start)
        named = {key: shown_plain(one) for key, one in kwargs.items()}
        return real(_view(self, ndarray), *map(shown_plain, args), **named)

    method.__name__ = name
    method.__doc__ = real.__doc__
    return method


def _looking(name: str) -> Any:
    """A method that gives Python the values."""
    real = getattr(ndarray, name)

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return real(_read(self), *args, **kwargs)

    method.__name__ = name
    return method


def _attribute(name: str) -> Any:
    """A property that is a view."""
    real: Any = getattr(ndarray, name)

    def get(self: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if not LOG.records(frame):
            return real.__get__(_view(self, ndarray))
        return perform(VIEW, real.__get__, NONE, (self,), {}, frame, start)

    def put(self: Any, value: Any) -> None:
        real.__set__(_view(self, ndarray), shown_plain(value))

    return property(get, put) if name in ("real", "imag") else property(get)


#: methods, by the function whose name their operations have
METHODS = {
    **{name: name for name in (
        *("all", "any", "argmax", "argmin", "argpartition", "argsort", "astype", "choose", "clip"),
        *("compress", "copy", "cumprod", "cumsum", "diagonal", "dot", "max", "mean", "min"),
        *("nonzero", "prod", "ravel", "repeat", "reshape", "round", "searchsorted", "squeeze"),
        *("std", "sum", "swapaxes", "take", "trace", "transpose", "var", "view", "byteswap"),
    )},
    **{"conj": "conjugate", "conjugate": "conjugate", "flatten": "copy"},
}  # fmt: skip
_MUTATING = {"fill": "full", "sort": "sort", "partition": "partition", "put": "put"}
_LOOKING = ("item", "tolist", "tobytes", "tofile", "dump", "dumps")
_VIEWS = ("T", "mT", "real", "imag")
_ALONG = (
    *("all", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum", "max", "mean"),
    *("min", "prod", "std", "sum", "var", "sort"),
)
_AXIS: Mapping[int | str, str] = {1: "axis", "axis": "axis"}
METHOD_SETTINGS: Mapping[str, Mapping[int | str, str]] = {
    **dict.fromkeys(_ALONG, _AXIS),
    **{name: {1: "kth", 2: "axis", "kth": "kth", "axis": "axis"}
       for name in ("partition", "argpartition")},
    "take": {2: "axis", "axis": "axis"},
    "repeat": {1: "repeats", 2: "axis", "repeats": "repeats", "axis": "axis"},
}  # fmt: skip


def _fill() -> None:
    for name, kind in METHODS.items():
        setattr(Recorded, name, _method(name, kind, False))
    for name, kind in _MUTATING.items():
        setattr(Recorded, name, _method(name, kind, True))
    for name in _LOOKING:
        setattr(Recorded, name, _looking(name))
    for name in _VIEWS:
        setattr(Recorded, name, _attribute(name))


_fill()
