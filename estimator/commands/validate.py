"""``validate``: errors on held-out cells."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from collector.errors import OutputError
from estimator.commands.options import REPEATS, add_data, print_json, shipped_runs, warn

if TYPE_CHECKING:
    from estimator.commands import Subparsers
    from estimator.validation.validate import Validation


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "validate", help="errors on held-out cells, beside simpler rules, against the goals"
    )
    add_data(parser)
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="also write a report in Markdown"
    )
    parser.add_argument(
        "--split",
        action="append",
        metavar="NAME",
        help="only this split, such as between; repeatable (default: all)",
    )
    parser.add_argument(
        "--repeats",
        type=Path,
        metavar="PATH",
        help="further runs of machines measured twice, for the difference between runs "
        f"(default: {REPEATS} with the default data)",
    )
    parser.set_defaults(command=validate)


def validate(arguments: argparse.Namespace) -> None:
    """Print the report, and write it where asked."""
    from estimator.dataset.measurements import load
    from estimator.validation.report import terminal_report, validation_object
    from estimator.validation.splits import SPLITS
    from estimator.validation.validate import run_validation

    repeats = arguments.repeats
    if repeats is None and not arguments.data and REPEATS.is_dir():
        repeats = REPEATS
    # the report is about the shipped runs, unless asked otherwise
    measurements = load(*(arguments.data or [shipped_runs()]))
    warn(measurements.problems)
    validation = run_validation(
        measurements,
        tuple(arguments.split or SPLITS),
        None if repeats is None else load(repeats),
        _progress if sys.stderr.isatty() else None,
    )
    if sys.stderr.isatty():
        _progress("", 0.0)
    if arguments.out is not None:
        _write_report(validation, arguments)
    if arguments.json:
        print_json(validation_object(validation))
    else:
        print(terminal_report(validation))


def _progress(turn: str, _: float) -> None:
    """The fold just done, on one line of a terminal that is written over."""
    print(f"\r{turn:<60}\r", end="", file=sys.stderr, flush=True)


def _write_report(validation: Validation, arguments: argparse.Namespace) -> None:
    """Write the document. Raises OutputError."""
    import datetime

    from estimator.validation.report import document

    words = ["python -m estimator validate"]
    words += [f"--data {path}" for path in arguments.data or ()]
    words += [f"--repeats {arguments.repeats}"] if arguments.repeats else []
    words += [f"--split '{split}'" for split in arguments.split or ()]
    command = " ".join([*words, f"-o {arguments.out}"])
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    try:
        arguments.out.write_text(document(validation, command, today), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{arguments.out}: cannot be written: {error.strerror}") from error
