"""Command line of the collector: parses, runs one command, turns errors into exit codes."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from collector import __version__
from collector.commands import INTERRUPTED, check, compare, info, merge, plan, run, show
from collector.commands import list as listing
from collector.errors import BreakevenError

_PROGRAM = "breakeven-collect"  # as the package installs it

#: in the order in which the help names them
_COMMANDS = (run, plan, info, listing, check, show, compare, merge)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors become one line on standard error and an exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except BreakevenError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM if Path(sys.argv[0]).stem == _PROGRAM else "python -m collector",
        description="Measure standardized CPU and GPU workloads on this machine into Parquet.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser
