"""``compare``: is B different from A, then by how much?"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from collector.errors import SelectionError
from collector.shipped import shipped

if TYPE_CHECKING:
    from collector.commands import Subparsers
    from collector.compare.runs import MeasuredRun

#: shipped runs, and those of an earlier collector that are kept to tell how well runs repeat
_SHIPPED = (shipped("runs"), shipped("repeats"))


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("compare", help="is B different from A, then by how much?")
    parser.add_argument("a", metavar="A", help="a run, or a directory of runs of one machine")
    parser.add_argument("b", metavar="B", help="the same for the other side")
    parser.add_argument(
        "--repeats",
        action="append",
        default=[],
        metavar="PATH",
        help="runs that tell the run-to-run spread; repeatable (default: the shipped ones)",
    )
    parser.add_argument(
        "--smallest-effect",
        type=float,
        default=0.02,
        metavar="0.02",
        help="relative difference below which nothing is called different",
    )
    parser.add_argument(
        "--false-discovery-rate",
        type=float,
        default=0.01,
        metavar="0.01",
        help="share of the cells called different that may be so by chance",
    )
    parser.add_argument("--all", action="store_true", help="list all cells, not the largest")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--fail-on-difference", action="store_true", help="exit code 1 if a cell differs"
    )
    parser.set_defaults(command=compare)


def compare(arguments: argparse.Namespace) -> int:
    """Print the comparison; exit code 1 on a difference if asked for, else 0."""
    try:
        import scipy  # noqa: F401 - the tests' distributions
    except ImportError as error:
        raise SelectionError("compare needs scipy; install it with `pip install scipy`") from error
    from collector.compare.compare import Settings, compare_runs
    from collector.compare.report import report_json, report_lines

    for option, value in (
        ("--smallest-effect", arguments.smallest_effect),
        ("--false-discovery-rate", arguments.false_discovery_rate),
    ):
        if not 0 <= value < 1:
            raise SelectionError(f"{option} {value}: give a fraction from 0 to below 1")
    a, b = _runs(arguments.a), _runs(arguments.b)
    paths = arguments.repeats or [str(path) for path in _SHIPPED if path.is_dir()]
    repeats = [run for path in paths for run in _runs(path)]
    settings = Settings(arguments.false_discovery_rate, arguments.smallest_effect)
    result = compare_runs(a, b, repeats, settings)
    if arguments.json:
        print(json.dumps(report_json(a, b, result, arguments.all), indent=2))
    else:
        for line in report_lines(a, b, result, arguments.all):
            print(line)
    return int(bool(arguments.fail_on_difference and result.different))


def _runs(path: str) -> list[MeasuredRun]:
    """Raises SelectionError where there is no run at a path."""
    from collector.compare.runs import read_runs
    from collector.dataset.read import read_dataset

    dataset = read_dataset(path)
    if not dataset.runs:
        problem = f": {dataset.problems[0].reason}" if dataset.problems else ""
        raise SelectionError(f"{path}: holds no run that can be read{problem}")
    return read_runs(dataset)
