"""Plots of a recorded program: nothing is drawn, animations are driven a few frames.

A plotting library is a stand-in that takes everything, whether it is installed or not: what drawing
takes is no part of a question for a GPU.
"""

from __future__ import annotations

import dis
import importlib
import importlib.abc
import importlib.machinery
import itertools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from estimator.record.perform import shown_plain


class Plots:
    """Drives the animations of a program, and says what was left out."""

    def __init__(self, frames: int, note: Callable[[str], None]) -> None:
        self._frames = frames
        self._note = note
        self._told = False
        self._waiting: list[Callable[[], None]] = []

    def left_out(self) -> None:
        """The program has imported a plotting library."""
        if not self._told:
            self._told = True
            self._note("plots are not drawn")

    def show(self, *args: Any, **kwargs: Any) -> None:
        waiting, self._waiting = self._waiting, []
        for drive in waiting:
            drive()

    def animation(
        self, figure: Any, func: Any, frames: Any = None, init_func: Any = None,
        fargs: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """What stands for FuncAnimation."""
        self._waiting.append(lambda: self._run(func, frames, init_func, fargs or ()))
        made = _Nothing("animation")
        made.__dict__.update(save=self.show, to_html5_video=self.show, to_jshtml=self.show)
        return made

    def _run(self, func: Any, frames: Any, init_func: Any, fargs: Any) -> None:
        numbers = _numbers(frames)
        if init_func is not None:
            init_func()
        driven = 0
        for frame in itertools.islice(numbers, self._frames):
            func(frame, *fargs)
            driven += 1
        self._note(f"an animation was driven {driven} frames")


def _numbers(frames: Any) -> Any:
    if frames is None:
        return itertools.count()
    if isinstance(frames, int):
        return range(frames)
    return frames() if callable(frames) else iter(shown_plain(frames))


_UNPACK = dis.opmap["UNPACK_SEQUENCE"]


class _Nothing(ModuleType):
    """Whatever a plotting library has: it takes everything and gives itself."""

    def __init__(self, name: str = "nothing") -> None:
        super().__init__(name)
        self.__dict__.update(__path__=[], __all__=[])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = self.__dict__[name] = _Nothing(name)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def __getitem__(self, index: Any) -> Any:
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        pass

    def __iter__(self) -> Any:
        """As many as the program unpacks, as in ``figure, axes = plt.subplots()``."""
        frame = sys._getframe(1)
        code, place = frame.f_code.co_code, frame.f_lasti
        unpacked = code[place] == _UNPACK
        return iter((self,) * (code[place + 1] if unpacked else 1))

    def __len__(self) -> int:
        return 1

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __add__(self, other: Any) -> Any:
        return self

    __radd__ = __sub__ = __mul__ = __rmul__ = __add__


_PLOTTING = ("matplotlib", "mpl_toolkits", "pylab", "seaborn")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: tuple[str, ...], plots: Plots) -> None:
        self._names = names
        self._plots = plots

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in self._names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> ModuleType:
        self._plots.left_out()
        module = _Nothing(spec.name)
        module.__dict__.update(show=self._plots.show, savefig=module, pause=module)
        if spec.name == "matplotlib.animation":
            module.__dict__["FuncAnimation"] = self._plots.animation
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == "matplotlib":  # of which programs import animation as a name
            module.__dict__["animation"] = importlib.import_module("matplotlib.animation")


def stand_in(plots: Plots) -> None:
    """Put stand-ins where a program looks for a plotting library."""
    sys.meta_path.insert(0, _Finder(_PLOTTING, plots))
