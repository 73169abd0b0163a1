"""Plots of a recorded program: nothing is shown, animations are driven a few frames."""

from __future__ import annotations

import dis
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from estimator.record.perform import shown_plain


class Plots:
    """Turns off what waits for a window, once the program has imported it."""

    def __init__(self, frames: int, note: Callable[[str], None]) -> None:
        self._frames = frames
        self._note = note
        self._seen: set[str] = set()
        self._waiting: list[Callable[[], None]] = []

    def imported(self, module: ModuleType) -> None:
        """A file of the user's has imported this module."""
        if module.__name__.partition(".")[0] != "matplotlib":
            return
        if isinstance(sys.modules.get("matplotlib"), _Nothing):
            return
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None and "pyplot" not in self._seen:
            self._seen.add("pyplot")
            pyplot.show = self.show  # type: ignore[attr-defined]
            pyplot.pause = lambda *args, **kwargs: None  # type: ignore[attr-defined]
            self._note("plots are not shown")
        animation = sys.modules.get("matplotlib.animation")
        if animation is not None and "animation" not in self._seen:
            self._seen.add("animation")
            self._drive(animation)

    def show(self, *args: Any, **kwargs: Any) -> None:
        waiting, self._waiting = self._waiting, []
        for drive in waiting:
            drive()

    def _drive(self, module: Any) -> None:
        begin = module.FuncAnimation.__init__
        plots = self

        def made(
            self: Any, figure: Any, func: Any, frames: Any = None, init_func: Any = None,
            fargs: Any = None, *args: Any, **kwargs: Any,
        ) -> None:  # fmt: skip
            begin(self, figure, func, frames, init_func, fargs, *args, **kwargs)
            self._draw_was_started = True  # it is driven here: no warning that it was not
            plots._waiting.append(lambda: plots._run(func, frames, init_func, fargs or ()))

        module.FuncAnimation.__init__ = made
        module.FuncAnimation.save = self.show
        module.FuncAnimation.to_html5_video = module.FuncAnimation.to_jshtml = self._page

    def animation(
        self, figure: Any, func: Any, frames: Any = None, init_func: Any = None,
        fargs: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """What stands for FuncAnimation where matplotlib is not installed."""
        self._waiting.append(lambda: self._run(func, frames, init_func, fargs or ()))
        made = _Nothing("animation")
        made.__dict__["save"] = self.show
        return made

    def _page(self, *args: Any, **kwargs: Any) -> str:
        self.show()
        return ""

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
        module = _Nothing(spec.name)
        module.__dict__.update(show=self._plots.show, savefig=module, pause=module)
        if spec.name == "matplotlib.animation":
            module.__dict__["FuncAnimation"] = self._plots.animation
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def stand_in(plots: Plots) -> None:
    """Put stand-ins where a plotting library is not installed: a recording draws nothing anyway."""
    missing = tuple(name for name in _PLOTTING if importlib.util.find_spec(name) is None)
    if missing:
        sys.meta_path.append(_Finder(missing, plots))
