"""Options that select what to measure, shared by ``run`` and ``plan``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.runs.plan import Selection


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command."""
    parser.add_argument(
        "--suite", default="standard", help="quick, standard (default), full or survey"
    )
    parser.add_argument("--device", action="append", default=[], help="cpu or cuda; repeatable")
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        help="python, numpy, numba, torch, cupy or jax; repeatable",
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


def selection_from(arguments: argparse.Namespace) -> Selection:
    """What the options ask for; names are checked where a plan is made."""
    from collector.runs.plan import Selection

    return Selection(
        suite=arguments.suite,
        devices=tuple(arguments.device),
        backends=tuple(arguments.backend),
        workloads=tuple(arguments.workload),
        threads=tuple(arguments.threads),
        seed=arguments.seed,
    )
