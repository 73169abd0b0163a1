"""``probes``: the few cells that tell most of a new machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from collector.errors import SelectionError
from estimator.catalogue.names import device_of
from estimator.commands.options import print_json

if TYPE_CHECKING:
    from estimator.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "probes", help="the few cells to measure on a new machine that tell most of it"
    )
    parser.add_argument(
        "--device",
        action="append",
        type=device_of,
        choices=("cpu", "cuda"),
        help="repeatable (default: both)",
    )
    parser.add_argument(
        "--backend", action="append", help="library; repeatable (default: numpy and torch)"
    )
    parser.add_argument("--cores", type=int, default=8, metavar="N", help="physical (default: 8)")
    parser.add_argument("-n", type=int, default=12, metavar="N", help="cells (default: 12)")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=probes)


def probes(arguments: argparse.Namespace) -> None:
    """Print the cells."""
    from estimator.others.probes import probe_cells, probe_report

    if arguments.cores < 1 or arguments.n < 1:
        raise SelectionError("--cores and -n are whole numbers of at least 1")
    cells = probe_cells(
        tuple(arguments.device or ("cpu", "cuda")),
        backends=tuple(arguments.backend or ("numpy", "torch")),
        physical_cores=arguments.cores,
        n=arguments.n,
    )
    if arguments.json:
        print_json(cells.to_dict("records"))
    else:
        print(probe_report(cells))
