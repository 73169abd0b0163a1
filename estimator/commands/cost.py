"""``cost``: cost of one completed job on each cloud instance."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from collector.errors import EstimateError, SelectionError
from estimator.commands.options import (
    add_data,
    add_model,
    add_question,
    open_model,
    print_json,
    read_question,
)

if TYPE_CHECKING:
    from estimator.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("cost", help="cost of one completed job on each cloud instance")
    add_question(parser)
    parser.add_argument("--backend", help="library (default: the fastest of each machine)")
    parser.add_argument(
        "--steps", type=float, required=True, metavar="N", help="calls of the operation in one job"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument(
        "--set-up",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="paid once per rental (default: 0)",
    )
    parser.add_argument("--spot", action="store_true", help="spot prices")
    parser.add_argument(
        "--top",
        type=int,
        default=25,
        metavar="N",
        help="lines to show, the cheapest (default: 25; 0: all)",
    )
    parser.add_argument(
        "--instances", type=Path, metavar="FILE", help="catalogue (default: data/instances.csv)"
    )
    add_data(parser)
    add_model(parser)
    parser.set_defaults(command=cost)


def cost(arguments: argparse.Namespace) -> None:
    """Print the instances, the cheapest first."""
    from estimator.cost import CostOptions, Job
    from estimator.instances import INSTANCES_PATH, read_instances
    from estimator.job_timings import instance_costs, instance_timings
    from estimator.report import cost_report

    if arguments.steps == 0:
        raise EstimateError("steps is 0; a job has at least one")
    if arguments.top < 0:
        raise SelectionError(f"--top {arguments.top}: write 0 (all) or more")
    question = read_question(arguments) | {"backend": arguments.backend}
    job = Job(steps=arguments.steps, jobs=arguments.jobs, set_up_s=arguments.set_up)
    instances = read_instances(arguments.instances or INSTANCES_PATH)
    model = open_model(arguments)
    timings = instance_timings(model, instances, question)
    table = instance_costs(timings, instances, job, CostOptions(spot=arguments.spot))
    if not (table["excluded"] == "").any():
        reason = table["excluded"].mode().iloc[0]
        raise EstimateError(f"no instance can do this job: {reason}")
    if arguments.json:
        # nobody measured these instances: at best a machine with the same GPU was
        same = table["basis"].isin(
            ["measured", "interpolated", "extrapolated", "new_workload", "probed"]
        )
        table["basis"] = table["basis"].where(~same, "same_gpu_" + table["basis"])
        print_json(table.to_dict("records"))
    else:
        kind = "spot" if arguments.spot else "on-demand"
        notes = (
            f"{kind} prices, billed by the second: start-up, a provider's minimum charge, storage "
            "and egress are not included"
        )
        print(cost_report(table, notes, arguments.top))
