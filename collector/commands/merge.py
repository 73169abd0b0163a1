"""``merge``: bring the runs of several directories into one dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from collector.errors import OutputError

if TYPE_CHECKING:
    from collector.commands import Subparsers


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("merge", help="bring runs of several places into one directory")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a run, or a directory of runs")
    parser.add_argument("--out", required=True, metavar="DIR", help="directory of the dataset")
    parser.set_defaults(command=merge_runs)


def merge_runs(arguments: argparse.Namespace) -> int:
    """Merge, and print counts and what was set aside; exit code 0."""
    from collector.dataset.merge import merge
    from collector.dataset.storage import as_path, as_url

    if as_url(arguments.out) is not None:
        raise OutputError(
            f"--out {arguments.out}: takes a directory, not a URL; copy it there afterwards"
        )
    out: Path = as_path(arguments.out)
    report = merge(arguments.paths, out)
    for line in report.set_aside:
        print(f"set aside: {line}")
    print(
        f"{out}: {report.copied} runs copied, {report.converted} killed runs made whole files, "
        f"{report.already_there} there already, {report.duplicates} duplicates dropped, "
        f"{report.still_written} still being written"
    )
    return 0
