"""``catalogue``: import price lists of other tools, check a catalogue, list its instances."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import CatalogueError, SelectionError
from estimator.commands.options import print_json
from estimator.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estimator.catalogue.instances import Instance
    from estimator.catalogue.local import Catalogue
    from estimator.commands import Subparsers

_MOST_REASONS = 20


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser(
        "catalogue", help="import, check or list the prices of cloud instances"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_import(actions)
    _add_check(actions)
    _add_list(actions)


def _add_import(actions: Subparsers) -> None:
    parser = actions.add_parser(
        "import",
        help="read a price list of SkyPilot, of gpuhunt or any CSV file, and write a catalogue",
        description="Read a price list and write a catalogue for `cost --instances` and the page "
        "Cost. Lines of one machine in several zones become one row: the median price, its range "
        "in the source. Lines that cannot be right are left out and reported.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--format",
        choices=("auto", "breakeven", "skypilot", "gpuhunt", "plain"),
        default="auto",
        help="default: by the file's heading",
    )
    parser.add_argument(
        "--provider", default="", metavar="NAME", help="whose prices they are, such as aws"
    )
    parser.add_argument(
        "--as-of", default="", metavar="DATE", help='the prices\' date, or "undated"'
    )
    parser.add_argument(
        "--source", default="", metavar="TEXT", help="where they are from: repository and commit"
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="OURS=THEIRS",
        help="a plain file's name for one of a catalogue's columns; repeatable",
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="the catalogue to write (default: only say)"
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=import_)


def _add_check(actions: Subparsers) -> None:
    parser = actions.add_parser("check", help="every row that cannot be right, with its reason")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=check)


def _add_list(actions: Subparsers) -> None:
    parser = actions.add_parser("list", help="the instances of a catalogue")
    parser.add_argument("--provider", metavar="NAME", help="only this provider's")
    parser.add_argument("--region", metavar="TEXT", help="only regions with this text")
    parser.add_argument("--gpu", metavar="TEXT", help='only GPUs with this text; "none": CPUs')
    parser.add_argument(
        "--instances", type=Path, metavar="FILE", help="catalogue (default: data/instances.csv)"
    )
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    parser.set_defaults(command=list_)


def import_(arguments: argparse.Namespace) -> None:
    """Import, write what is good, report what is not."""
    from estimator.catalogue.importers import import_file
    from estimator.catalogue.local import write_catalogue

    found = import_file(
        arguments.file,
        arguments.provider,
        arguments.as_of,
        arguments.source,
        arguments.format,
        _mapping(arguments.column),
    )
    if not found.instances:
        _report(found, arguments.file.name, sys.stderr)
        raise CatalogueError(f"{arguments.file.name}: no row of it can be used")
    if arguments.out is not None:
        write_catalogue(arguments.out, found.instances)
    if arguments.json:
        print_json(_as_json(found))
        return
    where = f", written to {arguments.out}" if arguments.out is not None else ""
    print(
        f"{arguments.file.name}: {found.format}, {plural(len(found.instances), 'instance')}{where}"
    )
    _report(found, arguments.file.name, sys.stdout)


def check(arguments: argparse.Namespace) -> int:
    """Report all problems of a catalogue; 1 if there are any."""
    from estimator.catalogue.local import read_catalogue

    found = read_catalogue(arguments.file)
    if arguments.json:
        print_json(_as_json(found))
    else:
        print(f"{arguments.file.name}: {plural(len(found.instances), 'row')} good")
        for row in found.refused:
            print(f"row {row.row}: {row.name + ': ' if row.name else ''}{row.reason}")
    return 1 if found.refused else 0


def list_(arguments: argparse.Namespace) -> None:
    """Print the instances that fit, as a table or as JSON."""
    from estimator.catalogue.instances import INSTANCES_PATH, read_instances

    instances = read_instances(arguments.instances or INSTANCES_PATH)
    chosen = [instance for instance in instances if _fits(instance, arguments)]
    if not chosen:
        names = ", ".join(sorted({instance.provider for instance in instances}))
        raise SelectionError(f"no instance fits; the providers are {names}")
    if arguments.json:
        print_json([_fields(instance) for instance in chosen])
        return
    for line in _table(chosen):
        print(line)


def _mapping(texts: Sequence[str]) -> Mapping[str, str]:
    mapping: dict[str, str] = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not ours or not equals or not theirs:
            raise SelectionError(
                f"--column {text}: write OURS=THEIRS, such as on_demand_usd_per_h=Price"
            )
        mapping[ours] = theirs
    return mapping


def _report(found: Catalogue, name: str, stream: Any) -> None:
    for note in found.notes:
        print(f"note: {note}", file=stream)
    if not found.refused:
        return
    print(f"{plural(len(found.refused), 'line')} left out:", file=stream)
    reasons = found.reasons()
    for _, count, first in reasons[:_MOST_REASONS]:
        more = "" if count == 1 else f" (and {count - 1:,} like it)"
        named = f"{first.name}: " if first.name else ""
        print(f"  {name} row {first.row}: {named}{first.reason}{more}", file=stream)
    if len(reasons) > _MOST_REASONS:
        rest = sum(count for _, count, _ in reasons[_MOST_REASONS:])
        print(f"  and {plural(rest, 'line')} for other reasons; --json lists all", file=stream)


def _fits(instance: Instance, arguments: argparse.Namespace) -> bool:
    gpu = arguments.gpu
    if arguments.provider and instance.provider.casefold() != arguments.provider.casefold():
        return False
    if arguments.region and arguments.region.casefold() not in instance.region.casefold():
        return False
    if gpu and gpu.casefold() == "none":
        return not instance.gpu_count
    names = f"{instance.gpu} {instance.hardware}" if instance.gpu_count else ""
    return not gpu or gpu.casefold() in names.casefold()


def _table(instances: Sequence[Instance]) -> list[str]:
    heading = ("instance", "region", "vCPU", "GiB", "GPU", "$/h", "spot $/h", "as of")
    rows = [heading]
    for i in instances:
        gpu = f"{i.gpu_count} x {i.gpu}" if i.gpu_count else "-"
        spot = f"{i.spot_usd_per_h:.4f}" if i.spot_usd_per_h is not None else "-"
        price = f"{i.on_demand_usd_per_h:.4f}"
        name = f"{i.provider}/{i.instance}"
        rows.append((name, i.region, str(i.vcpu), f"{i.memory_gib:g}", gpu, price, spot, i.as_of))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    left = (0, 1, 4, 7)
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _as_json(found: Catalogue) -> dict[str, Any]:
    return {
        "format": found.format,
        "notes": list(found.notes),
        "instances": [_fields(instance) for instance in found.instances],
        "refused": [
            {"row": row.row, "name": row.name, "reason": row.reason} for row in found.refused
        ],
    }


def _fields(instance: Instance) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(instance)
