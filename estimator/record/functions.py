"""NumPy's and SciPy's functions as the user's program gets them: the real ones, noted.

Each stands for the real one wherever that is asked for: by type, equality, hash, attributes,
pickle. Numbers in and numbers out is no array call and stays Python's.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cache
from time import perf_counter_ns as clock
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from estimator.record.arrays import EXPONENT, POWERS, REDUCING, ufunc_call
from estimator.record.cupy_functions import lacking
from estimator.record.log import LOG, Call, Memory, signature
from estimator.record.perform import NONE, NUMBERS, STRIPS, Recorded, perform, shown_plain
from estimator.record.words import words

_getframe = sys._getframe

#: parameters that decide the work of a function
_SETTINGS = words(
    "axis axes subscripts bins kth ord mode k n s deg full_matrices compute_uv repeats reps UPLO",
    "rowvar replace decimals shift pad_width invert side order sigma size",
)
#: functions that make arrays of Python's values, of bytes or of files
_OUTSIDE = words(
    "array asarray asanyarray ascontiguousarray asfortranarray load loadtxt genfromtxt fromfile",
    "frombuffer fromiter fromstring fromfunction fromregex",
)
_MUTATING = frozenset(
    ["copyto", "put", "putmask", "place", "fill_diagonal", "put_along_axis", "random.shuffle"]
)
#: the same operation by another name
_SAME = {
    **{"amax": "max", "amin": "min", "around": "round", "round_": "round", "product": "prod"},
    **{"permute_dims": "transpose", "concat": "concatenate", "random.sample": "random.random"},
    **{"random.random_sample": "random.random", "random.ranf": "random.random"},
    **{"linalg.matmul": "matmul", "linalg.outer": "outer", "linalg.cross": "cross"},
    **{"linalg.trace": "trace", "linalg.tensordot": "tensordot", "linalg.diagonal": "diagonal"},
}


class Function:
    """A function of NumPy or SciPy."""

    __slots__ = ("__weakref__", "call", "real", "settings")

    def __init__(self, real: Any, kind: str, call: Call | None = None) -> None:
        self.real = real
        self.call = call or named_call(kind)
        self.settings = _settings(real)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if LOG.records(frame):
            return perform(self.call, self.real, self.settings, args, kwargs, frame, start)
        return self.real(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def __eq__(self, other: object) -> bool:
        return self is other or other is self.real

    def __hash__(self) -> int:
        return hash(self.real)

    def __repr__(self) -> str:
        return repr(self.real)

    def __reduce__(self) -> Any:
        return _itself, (self.real,)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.real)

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return self.real.__doc__

    @property
    def __wrapped__(self) -> Any:
        return self.real


class UFunc(Function):
    """A universal function; its methods are noted as well."""

    __slots__ = ("_parts",)

    def __init__(self, real: Any) -> None:
        super().__init__(real, "", ufunc_call(real, "__call__"))
        self.settings = EXPONENT if real in POWERS else NONE
        self._parts: dict[str, Function] = {}

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        real = self.real
        if type(args[0]) in NUMBERS and not kwargs and type(args[-1]) in NUMBERS and args[2:] == ():
            LOG.last_ns += LOG.pass_ns
            return real(*args)
        start = clock()
        frame = _getframe(1)
        if not LOG.records(frame):
            return real(*args, **kwargs)
        if len(args) > real.nin:
            kwargs["out"] = args[real.nin :]
            args = args[: real.nin]
        return perform(self.call, real, self.settings, args, kwargs, frame, start)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.real, name)
        if name not in ("reduce", "accumulate", "reduceat", "outer", "at"):
            return real
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = Function(real, "", ufunc_call(self.real, name))
            part.settings = REDUCING if name in ("reduce", "accumulate") else NONE
        return part


class Grid:
    """``np.mgrid``, ``np.r_`` and their like: arrays by an index."""

    def __init__(self, real: Any, kind: str) -> None:
        self._real = real
        self._call = Call(kind)

    def __getitem__(self, index: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        real = self._real.__getitem__
        if LOG.records(frame):
            return perform(self._call, real, NONE, (index,), {}, frame, start)
        return real(index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Bound:
    """An object of SciPy whose methods are functions: ``scipy.stats.norm``."""

    def __init__(self, real: Any, kind: str) -> None:
        self.real = real
        self._kind = kind

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        frozen = self.real(*map(shown_plain, args), **kwargs)
        return Bound(frozen, self._kind)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if isinstance(value, MethodType) and not name.startswith("_"):
            return Function(value, f"{self._kind}.{name}")
        return value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.real)

    def __reduce__(self) -> Any:
        return _itself, (self.real,)


class vectorize(np.vectorize):  # noqa: N801 - NumPy's name
    """``np.vectorize``: Python for each element."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        real = super().__call__
        if LOG.records(frame):
            return perform(_VECTORIZE, real, NONE, args, kwargs, frame, start)
        return real(*args, **kwargs)


_VECTORIZE = Call("vectorize", "a Python function of each element")


class Callback:
    """A function of the user's that a library calls: it gets arrays that are noted."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", "function")

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        start = clock()
        shown = [_shown(one) for one in args]
        LOG.last_ns += clock() - start
        result = self.__wrapped__(*shown, **kwargs)
        if LOG.on and type(result) is Recorded:
            LOG.leave(_getframe(0), result, clock())
        return shown_plain(result)


def _shown(value: Any) -> Any:
    if type(value) is not np.ndarray or not LOG.on or value.ndim == 0:
        return value
    array = value.view(Recorded)
    array._memory = Memory(on_gpu=False)
    array._signature = signature(array)
    return array


def _users_function(function: Any) -> Any:
    code = getattr(function, "__code__", None)
    if code is None or not LOG.users[code.co_filename]:
        return function
    return Callback(function)


def _itself(value: Any) -> Any:
    return value


def install() -> None:
    """Say how functions are given to functions."""
    for kind in (Function, UFunc, Bound):
        STRIPS[kind] = lambda one: one.real
    STRIPS[FunctionType] = STRIPS[MethodType] = _users_function


def named_call(kind: str, **options: Any) -> Call:
    """The operation of a function's name, as users write it without "numpy."."""
    kind = _SAME.get(kind, kind)
    if kind in _OUTSIDE:
        return Call(kind, "", outside=True)
    return Call(kind, lacking(kind), mutates=kind in _MUTATING, **options)


def _settings(real: Any) -> Mapping[int | str, str]:
    """Where a function takes what decides its work."""
    try:
        return _settings_of(real)
    except TypeError:
        return NONE


@cache
def _settings_of(real: Any) -> Mapping[int | str, str]:
    try:
        parameters = inspect.signature(real).parameters.values()
    except (ValueError, TypeError):
        return NONE
    chosen: dict[int | str, str] = {}
    for place, parameter in enumerate(parameters):
        if parameter.name in _SETTINGS and parameter.name != "size":
            chosen[parameter.name] = parameter.name
            if parameter.kind is not parameter.KEYWORD_ONLY:
                chosen[place] = parameter.name
    if getattr(real, "__name__", "") == "einsum":
        return {0: "subscripts"}
    return chosen
