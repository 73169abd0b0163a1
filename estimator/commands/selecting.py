"""Options that fit to a part of a dataset: some machines, runs or families."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from collector.errors import SelectionError

if TYPE_CHECKING:
    from estimator.dataset import Measurements
    from estimator.selection import Selection

_WHAT = ("machine", "run", "workload")
_NAMES = {
    "machine": "machines of this id or label",
    "run": "the run of this id",
    "workload": "this family",
}


def add_selection(parser: argparse.ArgumentParser) -> None:
    """``--only-machine``, ``--leave-out-machine`` and the same of runs and families."""
    group = parser.add_argument_group("which measurements to fit (default: all)")
    for what in _WHAT:
        for start, words in (("only", "only"), ("leave-out", "all but")):
            group.add_argument(
                f"--{start}-{what}",
                action="append",
                default=[],
                metavar="NAME",
                help=f"{words} {_NAMES[what]}; repeatable",
            )


def asks_selection(arguments: argparse.Namespace) -> bool:
    """Whether any of the options was given."""
    return any(
        getattr(arguments, f"{start}_{what}", [])
        for start in ("only", "leave_out")
        for what in _WHAT
    )


def read_selection(arguments: argparse.Namespace, measurements: Measurements) -> Selection:
    """What the options select. Raises SelectionError for a name that the dataset does not have."""
    from estimator.selection import Selection, find_machines

    machines = measurements.machines
    runs = measurements.query("select distinct run_id from runs order by run_id")
    known = {
        "run": [str(run) for run in runs["run_id"]],
        "workload": [str(name) for name in _workloads(measurements)],
    }
    for what, names in known.items():
        for name in [*getattr(arguments, f"only_{what}"), *getattr(arguments, f"leave_out_{what}")]:
            if name not in names:
                raise SelectionError(
                    f"{what} {name!r} is not in the dataset; it has {_listed(names)}"
                )
    only = find_machines(machines, arguments.only_machine)
    return Selection(
        machines=only or None,
        without_machines=find_machines(machines, arguments.leave_out_machine),
        runs=tuple(arguments.only_run) or None,
        without_runs=tuple(arguments.leave_out_run),
        workloads=tuple(arguments.only_workload) or None,
        without_workloads=tuple(arguments.leave_out_workload),
    )


def _workloads(measurements: Measurements) -> list[str]:
    found = measurements.query("select distinct workload from fit_cells order by workload")
    return [str(name) for name in found["workload"]]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
