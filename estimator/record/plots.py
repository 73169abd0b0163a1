"""Plots of a recorded program: nothing is shown, animations are driven a few frames."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from estimator.record.arrays import shown_plain


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
        import sys

        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None and "pyplot" not in self._seen:
            self._seen.add("pyplot")
            pyplot.show = self._show  # type: ignore[attr-defined]
            pyplot.pause = lambda *args, **kwargs: None  # type: ignore[attr-defined]
            self._note("plots are not shown")
        animation = sys.modules.get("matplotlib.animation")
        if animation is not None and "animation" not in self._seen:
            self._seen.add("animation")
            self._drive(animation)

    def _show(self, *args: Any, **kwargs: Any) -> None:
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
        module.FuncAnimation.save = self._show
        module.FuncAnimation.to_html5_video = module.FuncAnimation.to_jshtml = self._page

    def _page(self, *args: Any, **kwargs: Any) -> str:
        self._show()
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
