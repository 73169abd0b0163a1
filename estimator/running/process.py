"""The process in which a user's program is watched: started, ended, and what it is asked to run."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

from collector.errors import JobError

_END_OF_INPUT = b"\x04"
_TO_LEAVE_S = 20.0


def divided(target: str) -> tuple[Path, str | None]:
    """The file and the function of FILE.py:FUNCTION. Raises JobError where there is no file."""
    path, function = Path(target), None
    if not path.is_file() and ":" in target:
        name, _, function = target.rpartition(":")
        path = Path(name)
    if not path.is_file():
        raise JobError(f"{path}: {'a directory, no file' if path.is_dir() else 'no such file'}")
    return path, function


def run_child(
    module: str,
    request: Path,
    path: Path,
    limit_s: float | None,
    show_output: bool,
    variables: Mapping[str, str],
    *,
    interruptible: bool = False,
) -> None:
    """Run ``python -m module request`` in the directory of ``path``, without a terminal's user.

    It is killed where it outlives its limit, and at Ctrl-C; ``interruptible``: that is passed on
    to it first, so that it leaves what it has.
    """
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "MPLBACKEND": "Agg",
        **variables,
    }
    output = None if show_output else subprocess.DEVNULL
    screen, keyboard = pty.openpty()  # some programs ask how wide their terminal is
    termios.tcsetwinsize(keyboard, (24, 80))
    os.write(screen, _END_OF_INPUT * 64)  # whoever reads is told that nobody types
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(request)],
        cwd=path.resolve().parent,
        env=environment,
        stdin=keyboard,
        stdout=output if output is not None else sys.stderr,
        stderr=output,
        start_new_session=True,
    )
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        pass
    except KeyboardInterrupt:
        if not interruptible:
            raise
        os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TO_LEAVE_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(screen)
        os.close(keyboard)


def plain(text: str) -> str:
    """One printable line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
