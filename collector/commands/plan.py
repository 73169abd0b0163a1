"""``plan``: what would run, how long, how much memory."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from collector.commands.selection import add_selection, selection_from

if TYPE_CHECKING:
    from collector.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("plan", help="show what would run, how long, how much memory")
    add_selection(parser)
    parser.add_argument(
        "--out",
        default="runs",
        metavar="DIR",
        help="earlier runs that tell how long cells take, beside data/runs (default: runs)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=plan)


def plan(arguments: argparse.Namespace) -> int:
    """Print the plan; exit code 0."""
    from collector.machine.fingerprint import read_machine
    from collector.runs.plan import make_plan
    from collector.runs.plan_time import earlier_times, expected_time, read_earlier_rows
    from collector.runs.progress import format_seconds

    machine = read_machine()
    plan = make_plan(selection_from(arguments), machine)
    rows = read_earlier_rows((arguments.out, "data/runs"))
    expected = expected_time(plan, earlier_times(rows, machine, plan.selection.suite))
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
                    "expected_s": expected.seconds,
                    "expected_from": expected.source,
                    "cells_timed_before": expected.known_cells,
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
    print(f"takes about {format_seconds(expected.seconds)}, from {expected.source}")
    print(
        f"sampling alone takes {format_seconds(low)} to {format_seconds(high)} by the suite's rule"
    )
    print(f"the largest operation needs about {plan.largest_task_bytes / 2**30:.1f} GiB")
    return 0
