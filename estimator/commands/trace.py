"""``trace``: from a torch program to a job, without a GPU."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from collector.errors import SelectionError

if TYPE_CHECKING:
    from estimator.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "trace",
        help="from a torch program to a job file, without a GPU",
        description="Runs a torch program on this machine, with a GPU that is only pretended, up "
        "to its third step, and writes what that step asks of a GPU into a job file. The program "
        "itself runs, in a process of its own, and nothing is sent anywhere.",
    )
    parser.add_argument(
        "target",
        nargs="*",
        metavar="FILE.py:FUNCTION | -- SCRIPT.py ARGS",
        help="a function without arguments, or a script with its arguments after --",
    )
    parser.add_argument("-o", "--output", default="job.json", metavar="FILE", help="job.json")
    parser.add_argument("--steps", type=int, default=3, metavar="N", help="stop after N (3)")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="steps before those (0)")
    parser.add_argument(
        "--limit", type=float, default=600.0, metavar="SECONDS", help="give up after (600)"
    )
    parser.add_argument("--show-output", action="store_true", help="of the program")
    parser.set_defaults(command=trace)


def trace(arguments: argparse.Namespace) -> None:
    """Trace, write the job and say what is in it."""
    from collector.jobs import write_job
    from estimator.trace.run import trace as run

    if not arguments.target:
        raise SelectionError("name a script: trace -- train.py, or a function: trace model.py:step")
    if arguments.steps < 1 or arguments.skip < 0 or not arguments.limit > 0:
        raise SelectionError("--steps of at least 1, --skip of at least 0, --limit above 0")
    target, *rest = arguments.target
    traced = run(
        target,
        rest,
        steps=arguments.steps,
        skip=arguments.skip,
        limit_s=arguments.limit,
        show_output=arguments.show_output,
    )
    write_job(traced.job, arguments.output)
    job = traced.job
    step = job.operations_of(job.step)
    print(
        f"{arguments.output}: one step of {job.name}: {sum(one.launches for one in step):,} kernels, "
        f"{sum(one.flop for one in step):.3g} FLOP, {job.memory.peak_bytes / 2**30:.2f} GiB at its "
        f"peak, {job.parameters:,} parameters; traced in {traced.seconds:.1f} s"
    )
    for note in job.notes:
        print(f"note: {note}")
