"""Starts the process in which a program is traced, and reads the job that it leaves."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.errors import JobError
from collector.jobs import Job, parse_job

_END_OF_INPUT = b"\x04"
_GRACE_S = 60.0  # to import torch, and to stop by itself at the limit


@dataclass(frozen=True)
class Traced:
    """A job, and the seconds that its trace took."""

    job: Job
    seconds: float


def trace(
    target: str,
    arguments: Sequence[str] = (),
    *,
    steps: int = 3,
    skip: int = 0,
    limit_s: float = 600.0,
    show_output: bool = False,
) -> Traced:
    """Trace a script (``train.py``) or a function of one (``model.py:step``).

    Raises JobError, in one line, where there is no job to be had: what is wrong, in which line of
    the program, and what to do.
    """
    path, function = _divided(target)
    with tempfile.TemporaryDirectory(prefix="breakeven-") as folder:
        result = Path(folder) / "result.json"
        request = Path(folder) / "request.json"
        request.write_text(
            json.dumps(
                {
                    "path": str(path.resolve()),
                    "name": path.name,
                    "function": function,
                    "arguments": list(arguments),
                    "steps": steps,
                    "skip": skip,
                    "limit_s": limit_s,
                    "result": str(result),
                }
            )
        )
        _run(request, path, limit_s, show_output)
        try:
            answer = json.loads(result.read_text())
        except (OSError, ValueError):
            raise JobError(f"{path.name}: it ended the process before its third step") from None
    if "error" in answer:
        if show_output and answer.get("trace"):
            print(answer["trace"], file=sys.stderr)
        raise JobError(_plain(answer["error"]))
    return Traced(parse_job(answer["job"].encode(), path.name), answer["seconds"])


def _divided(target: str) -> tuple[Path, str | None]:
    """The file and the function of FILE.py:FUNCTION."""
    path, function = Path(target), None
    if not path.is_file() and ":" in target:
        name, _, function = target.rpartition(":")
        path = Path(name)
    if not path.is_file():
        raise JobError(f"{path}: {'a directory, no file' if path.is_dir() else 'no such file'}")
    return path, function


def _run(request: Path, path: Path, limit_s: float, show_output: bool) -> None:
    """Run the child in the script's directory; kill it where it outlives its limit."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "MPLBACKEND": "Agg",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        "TOKENIZERS_PARALLELISM": "false",
    }
    output = None if show_output else subprocess.DEVNULL
    screen, keyboard = pty.openpty()  # some programs ask how wide their terminal is
    termios.tcsetwinsize(keyboard, (24, 80))
    os.write(screen, _END_OF_INPUT * 64)  # whoever reads is told that nobody types
    process = subprocess.Popen(
        [sys.executable, "-m", "estimator.trace.child", str(request)],
        cwd=path.resolve().parent,
        env=environment,
        stdin=keyboard,
        stdout=output if output is not None else sys.stderr,
        stderr=output,
        start_new_session=True,
    )
    try:
        process.wait(limit_s + _GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(screen)
        os.close(keyboard)


def _plain(text: str) -> str:
    """One printable line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
