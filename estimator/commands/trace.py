"""``trace``: from a torch program to a job, without a GPU."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from collector.errors import SelectionError
from collector.jobs import COPY_TO_CPU, COPY_TO_GPU

if TYPE_CHECKING:
    from collector.jobs import Job
    from estimator.commands import Subparsers

GIB = 2.0**30


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
    parser.add_argument(
        "--fit-in",
        metavar="GPU",
        help="find the largest batch that fits a GPU of data/hardware.csv, or so many GiB: the "
        "script's arguments say {batch} where it goes, as --batch-size={batch}",
    )
    parser.add_argument("--show-output", action="store_true", help="of the program")
    parser.set_defaults(command=trace)


def trace(arguments: argparse.Namespace) -> None:
    """Trace, write the job and say what is in it."""
    if sys.platform == "win32":
        raise SelectionError("trace runs on Linux and macOS; on Windows in WSL")
    from collector.jobs import write_job
    from estimator.trace.run import trace as run

    if not arguments.target:
        raise SelectionError("name a script: trace -- train.py, or a function: trace model.py:step")
    if arguments.steps < 1 or arguments.skip < 0 or not arguments.limit > 0:
        raise SelectionError("--steps of at least 1, --skip of at least 0, --limit above 0")
    if arguments.fit_in is not None:
        _largest(arguments)
        return
    traced = run(**_options(arguments))
    write_job(traced.job, arguments.output)
    print(_summary(traced.job, f"traced in {traced.seconds:.1f} s"))
    _next(arguments.output)


def _options(arguments: argparse.Namespace, batch: int | None = None) -> dict[str, Any]:
    from estimator.trace.largest import BATCH

    target, *rest = arguments.target
    return {
        "target": target,
        "arguments": [one if batch is None else one.replace(BATCH, str(batch)) for one in rest],
        "steps": arguments.steps,
        "skip": arguments.skip,
        "limit_s": arguments.limit,
        "show_output": arguments.show_output,
    }


def _largest(arguments: argparse.Namespace) -> None:
    from collector.jobs import write_job
    from estimator.jobs.job_memory import needed_bytes
    from estimator.trace.largest import BATCH, largest_batch
    from estimator.trace.run import trace as run

    if not any(BATCH in one for one in arguments.target):
        raise SelectionError(f"--fit-in: write {BATCH} in the script's arguments: --batch={BATCH}")
    name, room_bytes = _room(arguments.fit_in)

    def traced(batch: int) -> Job:
        print(f"tracing a batch of {batch}", file=sys.stderr)
        return run(**_options(arguments, batch)).job

    found = largest_batch(traced, lambda job: needed_bytes(job, "cuda"), room_bytes)
    write_job(found.job, arguments.output)
    print(
        f"largest batch in {name}: {found.batch} (needs {found.needed_bytes / GIB:.2f} of "
        f"{room_bytes / GIB:.2f} GiB; {found.batch + 1} needs {found.next_needed_bytes / GIB:.2f})"
    )
    print(_summary(found.job, "traced at it and at one above"))
    _next(arguments.output)


def _room(text: str) -> tuple[str, float]:
    """Name and bytes of a GPU of the catalogue, or of so many GiB."""
    from estimator.catalogue.hardware import match_gpu

    with contextlib.suppress(ValueError):
        gib = float(text.lower().removesuffix("gib").removesuffix("gb"))
        if gib > 0 and math.isfinite(gib):
            return f"{gib:g} GiB", gib * GIB
    gpu = match_gpu(text)
    if gpu is None or gpu.memory_gib is None:
        raise SelectionError(f"--fit-in {text}: no GPU of data/hardware.csv, and no GiB such as 24")
    return gpu.name, gpu.memory_gib * GIB


def _summary(job: Job, how: str) -> str:
    """What one step of the job is, in a line each."""
    step = job.operations_of(job.step)
    copies = sum(one.kind in (COPY_TO_GPU, COPY_TO_CPU) for one in step)
    parts = {part.name.removesuffix("_bytes"): getattr(job.memory, part.name) / GIB
             for part in fields(job.memory)}  # fmt: skip
    named = ", ".join(f"{name} {gib:.2f}" for name, gib in parts.items() if gib >= 0.005)
    samples = f"a step is {job.samples_per_step:,} samples"
    waits = Counter(one.line for one in step if one.line)
    lines = [
        f"one step of {job.name}: {sum(one.launches for one in step):,} kernels, "
        f"{sum(one.flop for one in step):.3g} FLOP, {copies} copies, {len(step):,} calls; {how}",
        f"its model has {job.parameters:,} parameters; "
        + (samples if job.samples_per_step else "how many samples a step has is not known")
        + (f", {job.tokens_per_step:,} tokens" if job.tokens_per_step else ""),
        f"memory at its peak: {job.memory.peak_bytes / GIB:.2f} GiB"
        + (f" ({named})" if named else ""),
    ]
    if waits:
        lines.append("the host waits at " + ", ".join(
            f"{line} ({count}x)" if count > 1 else line for line, count in waits.most_common(5)
        ))  # fmt: skip
    lines += [f"note: {note}" for note in job.notes]
    return "\n".join(lines)


def _next(output: str) -> None:
    print(f"written to {output}; ask: predict --job {output}, cost --job {output} --steps N")
