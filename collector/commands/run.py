"""``run``: measure this machine and write one Parquet file."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from typing import TYPE_CHECKING

from collector.commands import INTERRUPTED
from collector.commands.selection import add_selection, selection_from
from collector.errors import SelectionError

if TYPE_CHECKING:
    from collector.commands import Subparsers
    from collector.runs.plan import Plan
    from collector.runs.run import Outcome


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("run", help="measure this machine and write one Parquet file")
    add_selection(parser)
    parser.add_argument(
        "--out",
        default="runs",
        metavar="DIR-or-URL",
        help="dataset: a directory, or a URL that fsspec knows, such as s3://... (default: runs)",
    )
    parser.add_argument("--label", help="name of this machine for people")
    parser.add_argument(
        "--time-budget",
        metavar="5m",
        help="stop after this long (s, m, h) and keep what is finished",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the newest unfinished run of this suite and seed",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="do nothing if --out holds a whole run of this machine, of this suite or a larger one",
    )
    parser.add_argument(
        "--cloud-metadata",
        action="store_true",
        help="ask the cloud's metadata service (link-local address) for the instance type",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure; exit code 130 after an interrupt, 0 otherwise."""
    from collector.machine.fingerprint import read_machine
    from collector.runs.destination import open_destination
    from collector.runs.plan import make_plan
    from collector.runs.run import run_plan

    budget_s = duration_s(arguments.time_budget) if arguments.time_budget else None
    if arguments.label is not None and not arguments.label.isprintable():
        raise SelectionError("--label: not printable text; give a short name for people")
    destination = open_destination(arguments.out)
    machine = read_machine(arguments.label, _cloud_type() if arguments.cloud_metadata else None)
    plan = make_plan(selection_from(arguments), machine)
    destination.prepare()
    sent = destination.send_left(machine, to_be_resumed=arguments.resume)
    for url in sent:
        print(f"sent what an earlier run left: {url}", file=sys.stderr)
    if arguments.once and destination.is_measured(machine.machine_id, plan):
        print(f"{machine.label} is measured in {destination} already", file=sys.stderr)
        return 0
    if arguments.resume and not destination.bring_unfinished(plan, machine):
        if sent:
            return 0
        raise destination.nothing_to_resume()
    # also where a shell started this in the background, with interrupts ignored, and for the
    # polite signal of schedulers
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    print(
        f"{machine.label} (machine {machine.machine_id}): {plan.cell_count} cells", file=sys.stderr
    )
    outcome = run_plan(
        plan, machine, destination.directory, resume=arguments.resume, time_budget_s=budget_s
    )
    _report(outcome, plan)
    if outcome.counts:
        print(destination.deliver(outcome.path))
    return INTERRUPTED if outcome.ended == "interrupted" else 0


def _cloud_type() -> str | None:
    from collector.machine.cloud_metadata import read_cloud_instance_type

    instance_type = read_cloud_instance_type()
    if instance_type is None:
        print("no metadata service told an instance type; going on without", file=sys.stderr)
    return instance_type


def _report(outcome: Outcome, plan: Plan) -> None:
    from collector.runs.progress import format_seconds

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


def duration_s(text: str) -> float:
    """Seconds of 90s, 5m or 1h; a bare number is seconds. Raises SelectionError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match or float(match[1]) <= 0:
        raise SelectionError(f"--time-budget {text}: not a duration; write 90s, 5m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
