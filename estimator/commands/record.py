"""``record``: from a NumPy program to a job, while it runs here once."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from collector.errors import SelectionError

if TYPE_CHECKING:
    from estimator.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "record",
        help="from a NumPy program to a job file: its array calls, measured while it runs",
        description="Runs a NumPy program on this machine once, unmodified, and writes its array "
        "calls, with shapes and measured seconds, into a job file. The program runs in a process "
        "of its own; what it writes goes to a folder that is removed, and nothing is sent "
        "anywhere.",
    )
    parser.add_argument(
        "target",
        nargs="*",
        metavar="FILE.py:FUNCTION | -- SCRIPT.py ARGS",
        help="a function, or a script with its arguments after --",
    )
    parser.add_argument("-o", "--output", default="job.json", metavar="FILE", help="job.json")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="only so much of the program's own time"
    )
    parser.add_argument(
        "--init",
        metavar="FILE.py:FUNCTION",
        help="makes the function's arguments: a tuple, a dictionary or one value",
    )
    parser.add_argument(
        "-p",
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of --init and of the function that names it",
    )
    parser.add_argument("--frames", type=int, default=20, metavar="N", help="of an animation (20)")
    parser.add_argument("--keep-files", action="store_true", help="write files where it says")
    parser.add_argument("--show-output", action="store_true", help="of the program")
    parser.set_defaults(command=record)


def record(arguments: argparse.Namespace) -> None:
    """Record, write the job and say where the time went."""
    if sys.platform == "win32":
        raise SelectionError("record runs on Linux and macOS; on Windows in WSL")
    from collector.jobs import write_job
    from estimator.record.run import record as run
    from estimator.record.summary import summary

    if not arguments.target:
        raise SelectionError(
            "name a script: record -- heat.py, or a function: record kernels.py:solve"
        )
    if arguments.frames < 1 or not (arguments.seconds is None or arguments.seconds > 0):
        raise SelectionError("--frames of at least 1, --seconds above 0")
    target, *rest = arguments.target
    job = run(
        target,
        rest,
        init=arguments.init,
        parameters=dict(map(parameter, arguments.param)),
        seconds=arguments.seconds,
        frames=arguments.frames,
        keep_files=arguments.keep_files,
        show_output=arguments.show_output,
    )
    write_job(job, arguments.output)
    print(summary(job))
    print(f"written to {arguments.output}; ask: predict --job {arguments.output}, "
          f"pays --job {arguments.output}")  # fmt: skip


def parameter(text: str) -> tuple[str, float | int | bool | str]:
    """Name and value of N=1000, eps=1e-3, fast=true or mode=full. Raises SelectionError."""
    name, equal, value = text.partition("=")
    if not equal or not name.isidentifier():
        raise SelectionError(f"-p {text[:40]!r}: write NAME=VALUE, such as -p N=1000")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value
