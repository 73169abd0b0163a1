"""NumPy and SciPy as the user's files import them; all other code gets the real ones.

``sys.modules`` stays as it is: only what an import statement in a file of the user's gives is
another, a module that looks up each name in the real one.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable
from time import perf_counter_ns as clock
from types import ModuleType
from typing import Any

import numpy as np

from estimator.record import generators, outside
from estimator.record.functions import Bound, Function, Grid, UFunc, vectorize
from estimator.record.log import LOG
from estimator.record.words import words

_ROOTS = ("numpy", "scipy")
#: modules whose functions are no array work, or whose arrays are of kinds of their own
_REAL = (
    *("numpy.testing", "numpy.ma", "numpy.polynomial", "numpy.ctypeslib", "numpy.lib"),
    *("numpy.typing", "numpy.exceptions", "numpy.dtypes", "numpy.char", "numpy.strings"),
    *("numpy.rec", "numpy.core", "numpy._core", "numpy.f2py", "scipy.io", "scipy.constants"),
    *("scipy.datasets", "scipy.version"),
)
#: functions that compute nothing with arrays
_QUIET = words(
    "seterr geterr seterrcall geterrcall setbufsize getbufsize set_printoptions get_printoptions",
    "printoptions errstate issubdtype result_type can_cast promote_types min_scalar_type",
    "common_type isscalar ndim shape size iterable isdtype typename mintypecode find_common_type",
    "base_repr binary_repr format_float_positional format_float_scientific show_config",
    "show_runtime get_include info test may_share_memory shares_memory broadcast_shapes isfortran",
    "iscomplexobj isrealobj ix_ nested_iters array_str array_repr array2string save savez",
    "savez_compressed savetxt frompyfunc asmatrix bmat busday_count ndindex get_state set_state",
    "set_string_function unravel_index ravel_multi_index einsum_path get_workers set_workers",
    "next_fast_len prev_fast_len LowLevelCallable",
)
_GRIDS = frozenset({"mgrid", "ogrid", "r_", "c_"})


class Modules:
    """The modules that the user's files get, made as they are asked for."""

    def __init__(self, imported: Callable[[ModuleType], None]) -> None:
        self._made: dict[str, ModuleType] = {}
        self._imported = imported
        self._depth = 0
        self._import = builtins.__import__
        self._import_module = importlib.import_module

    def install(self) -> None:
        """Have import statements of the user's files give these."""
        builtins.__import__ = self._imports
        importlib.import_module = self._imports_module

    def _imports(
        self,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        users = bool(globals) and LOG.users[str(globals.get("__file__") or "")]
        if not users or level:
            return self._import(name, globals, locals, fromlist, level)
        with _Importing(self, name):
            module = self._import(name, globals, locals, fromlist, level)
        return self._given(module)

    def _imports_module(self, name: str, package: str | None = None) -> Any:
        users = LOG.users[sys._getframe(1).f_code.co_filename]
        module = self._import_module(name, package)
        return self._given(module) if users else module

    def _given(self, module: Any) -> Any:
        if LOG.on and isinstance(module, ModuleType):
            self._imported(module)
            if module.__name__.partition(".")[0] in _ROOTS or outside.is_library(module):
                return self.module(module)
        return module

    def module(self, real: ModuleType) -> ModuleType:
        """What stands for a module of NumPy, SciPy or another library."""
        name = real.__name__
        if name.startswith(_REAL):
            return real
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = ModuleType(name, real.__doc__)
            kept = made.__dict__
            kept["__getattr__"] = lambda wanted: self._looked_up(real, kept, wanted)
            kept["__dir__"] = lambda: dir(real)
            for entry in ("__file__", "__path__", "__spec__", "__version__", "__package__"):
                if hasattr(real, entry):
                    kept[entry] = getattr(real, entry)
        return made

    def _looked_up(self, real: ModuleType, kept: dict[str, Any], name: str) -> Any:
        if name == "__all__":
            listed = getattr(real, "__all__", None)
            value: Any = listed or [one for one in dir(real) if not one.startswith("_")]
        else:
            value = self._shown(real.__name__, name, getattr(real, name))
        if real.__name__.partition(".")[0] in _ROOTS:  # others may change what they hold
            kept[name] = value
        return value

    def _shown(self, module: str, name: str, value: Any) -> Any:
        root = module.partition(".")[0]
        if isinstance(value, ModuleType):
            inside = value.__name__.partition(".")[0] in (*_ROOTS, root)
            return self.module(value) if inside else value
        if root not in _ROOTS:
            return outside.shown(value)
        if module == "numpy.random":
            return _random(name, value)
        if value is np.vectorize:
            return vectorize
        if name in _QUIET or name.startswith("_") or isinstance(value, type):
            return value
        if isinstance(value, np.ufunc):
            return UFunc(value)
        kind = f"{module}.{name}".removeprefix("numpy.")
        if module == "numpy" and name in _GRIDS:
            return Grid(value, name)
        if module == "scipy.stats" and hasattr(value, "rvs"):
            return Bound(value, kind)
        if callable(value) and hasattr(value, "__name__"):
            return Function(value, kind)
        return value


class _Importing:
    """An import: a library's takes no time of the program."""

    def __init__(self, modules: Modules, name: str) -> None:
        self._modules = modules
        self._name = name
        self._start = 0

    def __enter__(self) -> None:
        self._modules._depth += 1
        self._start = clock()
        self._last = LOG.last_ns

    def __exit__(self, *error: object) -> None:
        modules = self._modules
        modules._depth -= 1
        if not modules._depth and LOG.last_ns == self._last:
            passed = clock() - self._start
            LOG.import_ns += passed
            LOG.last_ns = self._last + passed


def _random(name: str, value: Any) -> Any:
    if name in ("Generator", "RandomState", "default_rng"):
        return getattr(generators, name)
    if name.startswith("_") or isinstance(value, type) or not callable(value):
        return value
    return generators.legacy_function(value, name)
