"""Objects of SciPy and pandas that compute on arrays or give them out: noted where the user asks.

Methods are replaced in the classes themselves, for everybody: called from any code but the user's
they are what they were.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from time import perf_counter_ns as clock
from types import ModuleType
from typing import Any

import numpy as np

from estimator.record.cupy_functions import lacking
from estimator.record.log import LOG, Call
from estimator.record.perform import NONE, Results, perform

_getframe = sys._getframe

#: by module: classes, methods, and the names of their operations
_METHODS: dict[str, dict[str, dict[str, str]]] = {
    "scipy.sparse._base": {
        "_spbase": {"__matmul__": "matmul", "__rmatmul__": "matmul", "dot": "matmul",
                    "toarray": "toarray"},
    },
    "scipy.sparse._matrix": {"spmatrix": {"__mul__": "matmul", "__rmul__": "matmul"}},
    "scipy.interpolate._interpolate": {"PPoly": {"__call__": "PPoly"}},
    "scipy.interpolate._polyint": {"_Interpolator1D": {"__call__": "interp1d"}},
    "scipy.interpolate._rgi": {"RegularGridInterpolator": {"__call__": "RegularGridInterpolator"}},
    "scipy.spatial._kdtree": {"KDTree": {"query": "KDTree.query"}},
}  # fmt: skip
_SHOWN = ("scipy.sparse", "scipy.interpolate", "scipy.spatial")


class Objects:
    """Replaces methods of classes, once their module is there."""

    def __init__(self, real: Callable[[Any], Any]) -> None:
        self._real = real  # what a program's name stands for
        self._done: set[str] = set()

    def imported(self, _: ModuleType) -> None:
        """A file of the user's has imported something."""
        for name, classes in _METHODS.items():
            module = sys.modules.get(name)
            if module is None or name in self._done:
                continue
            self._done.add(name)
            shown = next(one for one in _SHOWN if name.startswith(one))
            for of, methods in classes.items():
                for method, kind in methods.items():
                    _replace(getattr(module, of, None), method, f"{shown}.{kind}")
        self._compiling()
        pandas = sys.modules.get("pandas")
        if pandas is not None and hasattr(pandas, "Series") and "pandas" not in self._done:
            self._done.add("pandas")
            for table in (pandas.Series, pandas.DataFrame):
                table.to_numpy = _given(table.to_numpy)
                values: Any = table.__dict__.get("values")
                if isinstance(values, property) and values.fget is not None:
                    table.values = property(_given(values.fget), doc=values.__doc__)

    def _compiling(self) -> None:
        """What numba compiles has the real NumPy."""
        bytecode = sys.modules.get("numba.core.bytecode")
        interpreter = sys.modules.get("numba.core.interpreter")
        if bytecode is None or interpreter is None or "numba" in self._done:
            return
        self._done.add("numba")
        used = bytecode.ByteCode._compute_used_globals.__func__
        found = interpreter.Interpreter.get_global_value

        def used_globals(cls: Any, *args: Any) -> Any:
            return {name: self._real(value) for name, value in used(cls, *args).items()}

        def global_value(reader: Any, name: str) -> Any:
            return self._real(found(reader, name))

        bytecode.ByteCode._compute_used_globals = classmethod(used_globals)
        interpreter.Interpreter.get_global_value = global_value


def _replace(of: Any, name: str, kind: str) -> None:
    real = getattr(of, name, None)
    if real is None or name not in vars(of):
        return
    call = Call(kind, lacking(kind) if not kind.startswith("scipy.sparse.") else "")

    @wraps(real)
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        start = clock()
        frame = _getframe(1)
        if not LOG.records(frame):
            return real(self, *args, **kwargs)
        content = getattr(self, "data", None)

        def bound(_: Any, /, *args: Any, **kwargs: Any) -> Any:
            return real(self, *args, **kwargs)

        given = (content if type(content) is np.ndarray else None, *args)
        return perform(call, bound, NONE, given, kwargs, frame, start)

    setattr(of, name, method)


def _given(real: Callable[..., Any]) -> Callable[..., Any]:
    """A method that gives out an array, which is then the program's."""

    @wraps(real)
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = real(self, *args, **kwargs)
        if not LOG.records(_getframe(1)):
            return result
        return Results([], [], False).wrapped(result)

    return method
