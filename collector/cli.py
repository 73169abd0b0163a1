"""Command line of the collector. Imports what a command needs only when it runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collector import __version__
from collector.errors import BreakevenError, OutputError, SelectionError, UserError

if TYPE_CHECKING:
    from collector.planning import Plan, Selection
    from collector.run import Outcome

_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors become one line on standard error and an exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except BreakevenError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m collector",
        description="Measure standardized CPU and GPU workloads on this machine into Parquet.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="measure this machine and write one Parquet file")
    _add_selection(run)
    run.add_argument(
        "--out",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="directory of the dataset (default: runs)",
    )
    run.add_argument("--label", help="name of this machine for people")
    run.add_argument(
        "--time-budget",
        metavar="5m",
        help="stop after this long (s, m, h) and keep what is finished",
    )
    run.add_argument(
        "--resume",
        action="store_true",
        help="go on with the newest unfinished run of this suite and seed",
    )
    run.add_argument(
        "--once", action="store_true", help="do nothing if DIR holds a whole run of this machine"
    )
    run.set_defaults(command=_run)

    plan = commands.add_parser("plan", help="show what would run, how long, how much memory")
    _add_selection(plan)
    plan.add_argument("--json", action="store_true", help="print JSON")
    plan.set_defaults(command=_plan)

    info = commands.add_parser("info", help="show this machine's fingerprint")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(command=_info)

    listing = commands.add_parser("list", help="list workloads, cases and backends")
    listing.set_defaults(command=_list)

    check = commands.add_parser("check", help="is a dataset valid, and was it measured quietly?")
    check.add_argument("path", type=Path, help="a run, or a directory of runs")
    check.set_defaults(command=_check)
    return parser


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", default="standard", help="quick, standard (default) or full")
    parser.add_argument("--device", action="append", default=[], help="cpu or cuda; repeatable")
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        help="python, numpy, numba, torch or cupy; repeatable",
    )
    parser.add_argument(
        "--workload", action="append", default=[], help="a family (see list); repeatable"
    )
    parser.add_argument(
        "--threads",
        action="append",
        default=[],
        type=int,
        help="host threads of CPU cells; repeatable",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of order and inputs")


def _selection(arguments: argparse.Namespace) -> Selection:
    from collector.planning import Selection

    return Selection(
        suite=arguments.suite,
        devices=tuple(arguments.device),
        backends=tuple(arguments.backend),
        workloads=tuple(arguments.workload),
        threads=tuple(arguments.threads),
        seed=arguments.seed,
    )


def _run(arguments: argparse.Namespace) -> int:
    from collector.fingerprint import read_machine
    from collector.planning import make_plan
    from collector.run import run_plan

    budget_s = _duration_s(arguments.time_budget) if arguments.time_budget else None
    if re.match(r"\w+:/", str(arguments.out)):
        raise OutputError(
            f"--out {arguments.out}: takes a directory, not a URL; copy the file there afterwards"
        )
    if arguments.label is not None and not arguments.label.isprintable():
        raise SelectionError("--label: not printable text; give a short name for people")
    machine = read_machine(arguments.label)
    plan = make_plan(_selection(arguments), machine)
    if arguments.once and _is_measured(arguments.out, machine.machine_id):
        print(f"{machine.label} is measured in {arguments.out} already", file=sys.stderr)
        return 0
    # also where a shell started this in the background, with interrupts ignored, and for the
    # polite signal of schedulers
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    print(
        f"{machine.label} (machine {machine.machine_id}): {plan.cell_count} cells", file=sys.stderr
    )
    outcome = run_plan(
        plan, machine, arguments.out, resume=arguments.resume, time_budget_s=budget_s
    )
    _report(outcome, plan)
    return _INTERRUPTED if outcome.ended == "interrupted" else 0


def _is_measured(out: Path, machine_id: str) -> bool:
    from collector.dataset import read_dataset

    return out.exists() and any(
        info.finished
        and info.machine.get("machine_id") == machine_id
        and info.run.get("ended") == "complete"
        for info in read_dataset(out).runs
    )


def _report(outcome: Outcome, plan: Plan) -> None:
    from collector.progress import format_seconds

    done = sum(outcome.counts.values())
    if not done:
        print(
            "interrupted before the first cell was finished; nothing was written", file=sys.stderr
        )
        return
    counts = ", ".join(f"{count} {status}" for status, count in outcome.counts.most_common())
    if outcome.ended != "complete":
        print(f"stopped early: {done} of {plan.cell_count} cells are kept", file=sys.stderr)
    print(
        f"{counts}; {format_seconds(outcome.wall_s)}, "
        f"{outcome.operation_share:.0%} of it inside operations, "
        f"{outcome.timing_share:.0%} in timing loops",
        file=sys.stderr,
    )
    print(outcome.path)


def _plan(arguments: argparse.Namespace) -> int:
    from collector.fingerprint import read_machine
    from collector.planning import make_plan
    from collector.progress import format_seconds

    plan = make_plan(_selection(arguments), read_machine())
    low, high = plan.seconds_range()
    families = plan.cells_by("workload")
    if arguments.json:
        print(
            json.dumps(
                {
                    "suite": plan.selection.suite,
                    "cells": plan.cell_count,
                    "cells_by_workload": families,
                    "cells_by_backend": plan.cells_by("backend"),
                    "sampling_s_low": low,
                    "sampling_s_high": high,
                    "largest_operation_bytes": plan.largest_task_bytes,
                },
                indent=2,
            )
        )
        return 0
    print(
        f"suite {plan.selection.suite}: {plan.cell_count} cells in {len(plan.tasks)} "
        f"operations, {len(plan.worker_keys)} worker processes"
    )
    for name, count in families.most_common():
        print(f"  {name:<14} {count:5d} cells")
    print(
        f"sampling takes {format_seconds(low)} to {format_seconds(high)}; making operands and "
        "checking results comes on top"
    )
    print(f"the largest operation needs about {plan.largest_task_bytes / 2**30:.1f} GiB")
    return 0


def _info(arguments: argparse.Namespace) -> int:
    from collector.backends import BACKEND_DEVICES, missing_reason
    from collector.fingerprint import read_machine

    machine = read_machine()
    if arguments.json:
        print(json.dumps(machine.as_dict(), indent=2))
        return 0
    cpu, gpu = machine.cpu, machine.gpu
    cache = cpu.last_level_cache_bytes
    print(f"machine     {machine.label}")
    print(f"            id {machine.machine_id}, type {machine.machine_type_id}")
    print(
        f"processor   {cpu.model}, {cpu.physical_cores} physical and {cpu.logical_cores} "
        "logical cores usable"
    )
    print(
        f"memory      {machine.memory_bytes / 2**30:.1f} GiB"
        + (f", last-level cache {cache / 2**20:.0f} MiB" if cache else "")
    )
    if gpu:
        print(
            f"GPU         {gpu.count}x {gpu.model}, {gpu.memory_bytes / 2**30:.0f} GiB, "
            f"driver {gpu.driver}, CUDA {gpu.cuda}"
        )
    else:
        print("GPU         none visible (needs an NVIDIA driver and the package nvidia-ml-py)")
    print(f"system      {machine.system}, Python {machine.python}")
    print("libraries   " + ", ".join(f"{k} {v}" for k, v in machine.library_versions.items()))
    missing = sorted({name for name, _ in BACKEND_DEVICES if missing_reason(name)})
    if missing:
        print("missing     " + ", ".join(missing) + " (their cells become rows `unsupported`)")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from collector.workloads import FAMILIES

    for workload in FAMILIES.values():
        print(f"{workload.name}: {workload.summary}")
        for case, signature in workload.signatures.items():
            given = ", ".join(
                name if default is None else f"{name}={default}"
                for name, default in signature.items()
            )
            print(f"    {case}({given})")
        pairs = [f"{backend}/{device}" for backend, device in workload.support]
        print(f"  on {', '.join(pairs)}; size: {workload.size_meaning}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from collector.check import check_dataset
    from collector.dataset import read_dataset

    dataset = read_dataset(arguments.path)
    if not dataset.runs and not dataset.problems:
        raise UserError(
            f"{arguments.path}: holds no run; measure one with `python -m collector run`"
        )
    for info in dataset.runs:
        counts = info.run.get("cells_by_status", {})
        told = ", ".join(f"{n} {status}" for status, n in counts.items()) or f"{info.rows} cells"
        print(
            f"{info.run_id}  {info.machine.get('label', '?')}  {info.run.get('suite', '?')}  {told}"
        )
    findings = check_dataset(dataset)
    for finding in findings:
        print(f"{finding.severity}: {finding.run_id}: {finding.reason}")
    invalid = sum(finding.severity == "invalid" for finding in findings)
    print(
        f"{len(dataset.runs)} runs, {invalid} invalid findings, {len(findings) - invalid} warnings"
    )
    return UserError.exit_code if invalid else 0


def _duration_s(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match or float(match[1]) <= 0:
        raise SelectionError(f"--time-budget {text}: not a duration; write 90s, 5m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
