"""``health``: which of the measured machines is unwell?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from estimator.commands.options import add_data, open_measurements, print_json

if TYPE_CHECKING:
    from estimator.commands import Subparsers
    from estimator.health.rows import Finding


def add_parser(commands: Subparsers) -> None:
    parser = commands.add_parser("health", help="which of my machines is unwell?")
    parser.add_argument(
        "--machine", metavar="NAME", help="findings of this machine only: id or part of the label"
    )
    parser.add_argument("--notes", action="store_true", help="list notes too")
    parser.add_argument(
        "--fail", action="store_true", help="exit code 1 if a machine is unwell (else 0)"
    )
    add_data(parser)
    parser.set_defaults(command=health)


def health(arguments: argparse.Namespace) -> int:
    """Print the findings, worst first; raises SelectionError for a machine that is not there."""
    from estimator.health.check import findings
    from estimator.health.rows import unwell_machines

    measurements = open_measurements(arguments)
    names = _names(measurements.machines.to_dict("records"))
    found = findings(measurements)
    if arguments.machine is not None:
        kept = _like(names, arguments.machine)
        found = [one for one in found if one.machine_id in kept]
        names = {machine: names[machine] for machine in kept}
    unwell = unwell_machines(found)
    if arguments.json:
        print_json(
            {
                "machines": len(names),
                "unwell": unwell,
                "findings": [{"machine": names[one.machine_id], **_plain(one)} for one in found],
            }
        )
    else:
        _print(found, names, len(unwell), arguments.notes)
    return int(bool(arguments.fail and unwell))


def _print(found: list[Finding], names: dict[str, str], unwell: int, notes: bool) -> None:
    if not names:
        print("the dataset holds no machine: run `python -m collector run` first")
        return
    print(f"{unwell} of {len(names)} machines unwell")
    listed = [one for one in found if notes or one.severity != "note"]
    for one in listed:
        since = f", since {one.since:%Y-%m-%d}" if one.since is not None else ""
        amount = f": {one.amount}" if one.amount else ""
        print(f"\n{one.severity.upper()}  {names[one.machine_id]}\n  {one.what}{amount}{since}")
        sure = f" ({one.sure})" if one.sure else ""
        print(f"  {_printable(one.evidence)}{sure}\n  {one.advice}")
    hidden = len(found) - len(listed)
    if hidden:
        print(f"\n{hidden} note{'s' if hidden > 1 else ''} not shown; --notes lists them")


def _names(machines: list[dict[Any, Any]]) -> dict[str, str]:
    """machine_id -> label with the start of the id, printable on one line."""
    names = {}
    for row in machines:
        names[str(row["machine_id"])] = f"{_printable(row['label'])} ({str(row['machine_id'])[:8]})"
    return names


def _printable(text: object) -> str:
    """Text of a dataset without what moves a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _like(names: dict[str, str], wanted: str) -> list[str]:
    from collector.errors import SelectionError

    kept = [
        machine
        for machine, name in names.items()
        if machine.startswith(wanted) or wanted.lower() in name.lower()
    ]
    if not kept:
        listed = "; ".join(sorted(names.values())[:10])
        raise SelectionError(f"no machine {wanted!r} in the dataset; there are: {listed}")
    return kept


def _plain(finding: Finding) -> dict[str, Any]:
    values = dict(vars(finding))
    if finding.since is not None:
        values["since"] = finding.since.isoformat()
    return values
