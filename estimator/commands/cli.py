"""Command line of the estimator: parses, runs one command, turns errors into exit codes."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from collector.errors import BreakevenError, SelectionError
from estimator.commands import (
    catalogue,
    cost,
    fit,
    health,
    pays,
    predict,
    probes,
    record,
    rules,
    trace,
    validate,
)

_PROGRAM = "breakeven"  # as the package installs it
_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended

#: What the extra ``estimate`` installs; the collector alone needs none of it.
_ESTIMATE = ("duckdb", "pandas", "scipy", "threadpoolctl")

#: in the order in which the help names them
COMMANDS = (trace, record, predict, pays, cost, catalogue, rules, health, probes, validate, fit)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors become one line on standard error and an exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments) or 0)
    except BreakevenError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if error.name not in _ESTIMATE:
            raise
        print(
            f"error: {error.name} is not installed: pip install 'breakeven[estimate]'",
            file=sys.stderr,
        )
        return SelectionError.exit_code
    except BrokenPipeError:
        # the reader went away: nothing more to say, and nothing to flush at exit either
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM if Path(sys.argv[0]).stem == _PROGRAM else "python -m estimator",
        description="Fit measured machines, predict the time of an operation, and price it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
