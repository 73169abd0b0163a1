"""``show``: the measured cells of a family, one line each."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.commands import Subparsers
    from collector.dataset.shown_cells import ShownCell

_TIMED = ("alone", "cold", "resident", "transfers", "first")
_UNITS = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"))


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("show", help="print the measured cells of a family")
    parser.add_argument("path", metavar="PATH", nargs="+", help="directory of runs, or a run")
    parser.add_argument("--workload", required=True, help="a family (see list)")
    parser.add_argument("--case", help="a case of the family (default: all)")
    parser.add_argument("--dtype", help="element type, or tf32 (default: all)")
    parser.add_argument(
        "--backend", action="append", default=[], help="library; repeatable (default: all)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: both")
    parser.add_argument("--machine", help="start of an id, or part of a label (default: all)")
    parser.add_argument(
        "--mode",
        choices=("first_call", "hot", "cold", "resident", "end_to_end"),
        help="default: all",
    )
    parser.add_argument(
        "--timed",
        choices=_TIMED,
        help="what is timed, as on page Measurements: a mode for CPUs and one for GPUs",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    parser.set_defaults(command=show)


def show(arguments: argparse.Namespace) -> int:
    """Print the cells; SelectionError (exit code 2) where none fits."""
    from collector.dataset.read import merge_datasets, read_dataset
    from collector.dataset.shown_cells import Wanted, as_csv, as_dict, read_cells

    dataset = merge_datasets(read_dataset(path) for path in arguments.path)
    for problem in dataset.problems:
        print(f"warning: {problem.path}: {problem.reason}", file=sys.stderr)
    cells = read_cells(
        dataset,
        Wanted(
            workload=arguments.workload,
            case=arguments.case,
            dtype=arguments.dtype,
            backends=tuple(arguments.backend),
            device=arguments.device,
            machine=arguments.machine,
            mode=arguments.mode,
            timed=arguments.timed,
        ),
    )
    if arguments.json:
        print(json.dumps([as_dict(cell) for cell in cells], indent=2))
    elif arguments.csv:
        print(as_csv(cells), end="")
    else:
        for line in _lines(cells):
            print(line)
    return 0


def _lines(cells: list[ShownCell]) -> list[str]:
    from collector.dataset.shown_cells import params_text

    heading = ("machine", "library", "case", "mode", "n", "median", "95 % from", "to", "")
    rows = [
        (
            f"{_printable(cell.machine)} ({cell.machine_id[:8]})",
            f"{cell.backend}/{cell.device}"
            + (f" {cell.threads} threads" if cell.device == "cpu" else ""),
            f"{cell.case}({params_text(cell.params)}) {cell.dtype}",
            cell.mode,
            str(cell.n),
            _time(cell.median_s),
            _time(cell.ci95_low_s),
            _time(cell.ci95_high_s),
            "noisy" if cell.noisy else "",
        )
        for cell in cells
    ]
    widths = [max(len(row[i]) for row in (heading, *rows)) for i in range(len(heading))]
    numbers = range(4, 8)
    return [
        "  ".join(
            text.rjust(width) if index in numbers else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (heading, *rows)
    ]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for limit, factor, unit in _UNITS:
        if seconds < limit:
            return f"{seconds * factor:.4g} {unit}"
    return f"{seconds:.4g} s"


def _printable(text: str) -> str:
    """Text of a dataset without what moves a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text)
