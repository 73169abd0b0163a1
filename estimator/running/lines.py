"""Where in a user's program something is, and what an error of it says, in a line."""

from __future__ import annotations

import re
import sys
import sysconfig
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from collector.errors import JobError

_OURS = str(Path(__file__).resolve().parents[1])
_LIBRARIES = tuple({sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")})


def where() -> str:
    """The line of the user's program that is running, as "train.py:54"; empty if there is none."""
    frame: FrameType | None
    if threading.current_thread() is threading.main_thread():
        frame = sys._getframe(1)
    else:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        name = frame.f_code.co_filename
        if is_users(name):
            return f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def is_users(name: str) -> bool:
    """Whether the file of this name is the user's own: neither a library's nor Breakeven's."""
    return not (name.startswith(("<", _OURS, *_LIBRARIES)) or "site-packages" in name or not name)


def place_of(error: BaseException, name: str) -> str:
    """The innermost line of the user's program that an error passed; ``name`` if none."""
    place = name
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_users(frame.f_code.co_filename):
            place = f"{Path(frame.f_code.co_filename).name}:{line}"
    return place


def explained(error: BaseException, name: str) -> str | None:
    """One line on an error that any program may end with, None for others."""
    if isinstance(error, JobError):
        return line(error)
    place = place_of(error, name)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{place}: {error.name} is not installed: pip install {error.name.split('.')[0]}"
    if isinstance(error, FileNotFoundError) and error.filename:
        return (
            f"{place}: {error.filename} is not here: the program reads it (it runs in its own "
            "directory)"
        )
    return None


def line(said: Any) -> str:
    """What an error says, in one short line."""
    try:
        return " ".join(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(said)).split())[:240]
    except Exception:  # noqa: BLE001 - errors of the program's own need not be printable
        return ""
