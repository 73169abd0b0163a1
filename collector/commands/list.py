"""``list``: workloads, cases and backends."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("list", help="list workloads, cases and backends")
    parser.set_defaults(command=list_workloads)


def list_workloads(arguments: argparse.Namespace) -> int:
    """Print every family with its cases; exit code 0."""
    from collector.workloads import FAMILIES

    for workload in FAMILIES.values():
        print(f"{workload.name}: {workload.summary}")
        for case, signature in workload.signatures.items():
            given = ", ".join(
                name if default is None else f"{name}={default}"
                for name, default in signature.items()
            )
            backends = sorted(workload.case_backends.get(case, ()))
            only = f" on {', '.join(backends)}" if backends else ""
            print(f"    {case}({given}){only}")
        pairs = [f"{backend}/{device}" for backend, device in workload.support]
        print(f"  on {', '.join(pairs)}; size: {workload.size_meaning}")
    return 0
