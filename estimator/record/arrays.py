"""The arrays that a recorded program holds: NumPy's own, with each use by the program noted.

Code of libraries that meets one gets plain arrays out of it, and nothing is noted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import perf_counter_ns as clock
from types import FrameType
from typing import Any

import numpy as np

from estimator.record.cupy_functions import lacking
from estimator.record.elision import ELISION
from estimator.record.log import LOG, VIEW, Call, Key, new_memory, signature
from estimator.record.perform import NONE, NUMBERS, Recorded, perform, shown_plain, stripped

_getframe = sys._getframe
ndarray = np.ndarray
_getitem, _setitem, _view = ndarray.__getitem__, ndarray.__setitem__, ndarray.view
_BASIC = frozenset({slice, int, type(None), type(Ellipsis)})


def _elementwise(ufunc: Any, inputs: Any, frame: FrameType, start: int) -> Any:
    """The short way of small arrays through ``perform``; None where it is not for these."""
    first = inputs[0]
    if len(inputs) == 1:
        signed: tuple[int, ...] = (first._signature,)
        on_gpu = first._memory.on_gpu
        given: Any = (_view(first, ndarray),)
    else:
        second = inputs[1]
        if type(first) is Recorded:
            if type(second) is Recorded:
                signed = (first._signature, second._signature)
                on_gpu = first._memory.on_gpu and second._memory.on_gpu
                given = (_view(first, ndarray), _view(second, ndarray))
            elif type(second) in NUMBERS:
                signed, on_gpu = (first._signature,), first._memory.on_gpu
                given = (_view(first, ndarray), second)
            else:
                return None
        elif type(first) in NUMBERS:
            signed, on_gpu = (second._signature,), second._memory.on_gpu
            given = (first, _view(second, ndarray))
        else:
            return None
    if not on_gpu:
        return None
    call = _CALLS.get(ufunc) or ufunc_call(ufunc, "__call__")
    began = clock()
    result = ufunc(*given)
    ended = clock()
    code = frame.f_code
    if type(result) is not ndarray:  # of arrays without dimensions
        key = (call, id(code), frame.f_lasti, (), *signed, -1, signature(result))
        LOG.tally(key, code, start, began, ended)
        LOG.value(frame, result)
        return result
    array: Any = _view(result, Recorded)
    array._memory = new_memory(result.nbytes, True)
    array._signature = number = signature(array)
    key = (call, id(code), frame.f_lasti, (), *signed, -1, number)
    LOG.tally(key, code, start, began, ended)
    return array


class _Behaviour(ndarray):
    """What ``Recorded`` does; it gets these methods below."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if LOG.records(frame):
            if not kwargs and ufunc in _PLAIN and self.nbytes < ELISION.least_bytes:
                result = _elementwise(ufunc, inputs, frame, start)
                if result is not None:
                    return result
            call = ufunc_call(ufunc, method)
            real = ufunc if method == "__call__" else getattr(ufunc, method)
            settings = NONE if method == "__call__" else REDUCING
            if ufunc in POWERS:
                settings = EXPONENT
            if not kwargs and self.nbytes >= ELISION.least_bytes:
                place = ELISION.temporary(ufunc, self, inputs, frame)
                if place >= 0:
                    return perform(
                        *(call, real, settings, inputs, {"out": (inputs[place],)}, frame, start),
                        asked=False,
                    )
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

    def __getitem__(self: Any, index: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if not LOG.records(frame):
            return _getitem(_view(self, ndarray), shown_plain(index))
        kind = type(index)
        if kind in _BASIC or (kind is tuple and all(type(one) in _BASIC for one in index)):
            began = clock()
            result = _getitem(self, index)
            ended = clock()
            code = frame.f_code
            key: Key
            if type(result) is Recorded:
                result._memory = self._memory
                result._signature = number = signature(result)
                key = (VIEW, id(code), frame.f_lasti, (), self._signature, -1, number)
                LOG.tally(key, code, start, began, ended)
            elif not self._memory.on_cpu:
                key = (ITEM, id(code), frame.f_lasti, (), self._signature, -1)
                LOG.tally(key, code, start, began, ended)
            return result
        call = _index_call(index, READS)
        if call is None:
            result = _getitem(self, index)
            if type(result) is Recorded:
                result._memory = LOG.memory_of(self)
                result._signature = signature(result)
            return result
        return perform(call, _getitem, NONE, (self, index), {}, frame, start)

    def __setitem__(self: Any, index: Any, value: Any) -> None:
        start = clock()
        frame = _getframe(1)
        view = _view(self, ndarray)
        if not LOG.records(frame):
            _setitem(view, shown_plain(index), shown_plain(value))
            return
        if type(value) in NUMBERS and type(index) is int and self.ndim == 1:
            began = clock()
            _setitem(view, index, value)
            ended = clock()
            if self._memory.on_gpu:
                code = frame.f_code
                key = (SETITEM, id(code), frame.f_lasti, (), self._signature, -1)
                LOG.tally(key, code, start, began, ended)
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
        if call is SETITEM:
            LOG.note(call, frame, (self,), (), (), start, began, ended)
        else:
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
REDUCING: Mapping[int | str, str] = {1: "axis", "axis": "axis"}
EXPONENT: Mapping[int | str, str] = {1: "exponent"}
POWERS = frozenset({np.power, np.float_power})

_REDUCTIONS = {
    **{"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"},
    **{"logical_and": "all", "logical_or": "any"},
}
_ACCUMULATIONS = {"add": "cumsum", "multiply": "cumprod"}
#: universal functions of NumPy with one result, whose operation has no attributes
_PLAIN = frozenset(
    one for one in vars(np).values() if isinstance(one, np.ufunc) and one.nout == 1
) - POWERS - {np.matmul, np.vecdot, np.matvec, np.vecmat, np.isnat, np.spacing}  # fmt: skip
_CALLS: dict[Any, Call] = {}
_UFUNC_CALLS: dict[tuple[Any, str], Call] = {}


def ufunc_call(ufunc: Any, method: str) -> Call:
    """The operation of a universal function, or of a method of it."""
    call = _UFUNC_CALLS.get((ufunc, method))
    if call is None:
        call = _UFUNC_CALLS[ufunc, method] = _named(ufunc, method)
        if method == "__call__":
            _CALLS[ufunc] = call
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
    for name, method in vars(_Behaviour).items():
        if callable(method):
            setattr(Recorded, name, method)
    for name, kind in METHODS.items():
        setattr(Recorded, name, _method(name, kind, False))
    for name, kind in _MUTATING.items():
        setattr(Recorded, name, _method(name, kind, True))
    for name in _LOOKING:
        setattr(Recorded, name, _looking(name))
    for name in _VIEWS:
        setattr(Recorded, name, _attribute(name))


_fill()
