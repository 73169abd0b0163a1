"""Arguments of the estimator's command line. Imports nothing but the standard library."""

from __future__ import annotations

import argparse
from pathlib import Path

DATA = Path("data/runs")
REPEATS = Path("data/repeats")


def build_parser() -> argparse.ArgumentParser:
    """Arguments of every command; ``command`` names the one that was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m estimator",
        description="Fit measured machines, predict the time of an operation, and price it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="fit a dataset and save the model as JSON")
    _add_data(fit)
    fit.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the model file")
    fit.set_defaults(command="fit")

    validate = commands.add_parser(
        "validate", help="errors on held-out cells, beside simpler rules, against the goals"
    )
    _add_data(validate)
    validate.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="also write a report in Markdown"
    )
    validate.add_argument(
        "--split",
        action="append",
        metavar="NAME",
        help="only this split, such as between; repeatable (default: all)",
    )
    validate.add_argument(
        "--repeats",
        type=Path,
        metavar="PATH",
        help="further runs of machines measured twice, for the difference between runs "
        f"(default: {REPEATS} with the default data)",
    )
    validate.set_defaults(command="validate")

    predict = commands.add_parser("predict", help="time of one operation on one machine")
    _add_question(predict)
    predict.add_argument("--backend", default="torch", help="library (default: torch)")
    predict.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    predict.add_argument(
        "--machine", metavar="NAME", help="id or part of the label (default: all that measured it)"
    )
    predict.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="host threads (default: the most that were measured)",
    )
    _add_data(predict)
    _add_model(predict)
    predict.set_defaults(command="predict")

    probes = commands.add_parser(
        "probes", help="the few cells to measure on a new machine that tell most of it"
    )
    probes.add_argument(
        "--device",
        action="append",
        choices=("cpu", "cuda"),
        help="repeatable (default: both)",
    )
    probes.add_argument(
        "--backend", action="append", help="library; repeatable (default: numpy and torch)"
    )
    probes.add_argument("--cores", type=int, default=8, metavar="N", help="physical (default: 8)")
    probes.add_argument("-n", type=int, default=12, metavar="N", help="cells (default: 12)")
    probes.add_argument("--json", action="store_true", help="JSON on standard output")
    probes.set_defaults(command="probes")

    cost = commands.add_parser("cost", help="cost of one completed job on each cloud instance")
    _add_question(cost)
    cost.add_argument("--backend", help="library (default: the fastest of each machine)")
    cost.add_argument(
        "--steps", type=float, required=True, metavar="N", help="calls of the operation in one job"
    )
    cost.add_argument("--jobs", type=int, default=1, metavar="N", help="default: 1")
    cost.add_argument(
        "--set-up",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="paid once per rental (default: 0)",
    )
    cost.add_argument("--spot", action="store_true", help="spot prices")
    cost.add_argument(
        "--top",
        type=int,
        default=25,
        metavar="N",
        help="lines to show, the cheapest (default: 25; 0: all)",
    )
    cost.add_argument(
        "--instances", type=Path, metavar="FILE", help="catalogue (default: data/instances.csv)"
    )
    _add_data(cost)
    _add_model(cost)
    cost.set_defaults(command="cost")
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="PATH",
        help=f"directory of runs, or one file; repeatable (default: {DATA})",
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="what `fit -o FILE` wrote, instead of a dataset"
    )


def _add_question(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workload", metavar="WORKLOAD", help="family, such as matmul")
    parser.add_argument("--case", help="case of the family (default: its first)")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the case; may be given several times",
    )
    parser.add_argument("--dtype", help="element type (default: the family's first)")
    parser.add_argument(
        "--math-mode", choices=("ieee", "tf32"), default="ieee", help="default: ieee"
    )
    parser.add_argument(
        "--mode",
        choices=("hot", "cold", "resident", "end_to_end"),
        help="default: hot on a CPU, resident on a GPU",
    )
