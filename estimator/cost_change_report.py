"""What would change the answer of a cost report, as text: other inputs, buying. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from estimator.cost_report import shortened
from estimator.cost_table import rented_to_compare, row_of_own
from estimator.job_lines import compare_lines, line_of
from estimator.own_machines import OwnMachine
from estimator.report import WIDTH, dollars, text_table

_INPUTS = {
    "price": "its price, USD/h",
    "seconds_per_step": "its step, s",
    "start_up_s": "start-up, s",
    "interruptions_per_h": "interruptions/h",
    "jobs": "jobs",
}


def sensitivity_lines(found: pd.DataFrame) -> list[str]:
    """The table of :func:`estimator.sensitivity.sensitivity_table` as text."""
    rows = [
        (
            _INPUTS.get(str(row["input"]), str(row["input"])),
            f"{row['low_input']:.4g} to {row['high_input']:.4g}",
            dollars(row["low_usd"]),
            dollars(row["base_usd"]),
            dollars(row["high_usd"]),
            shortened(_winner(row, str(found.attrs.get("key", ""))), 34),
        )
        for row in found.to_dict("records")
    ]
    header = ("input", "from, to", "low", "as asked", "high", "who wins then")
    return text_table(header, rows).splitlines()


def _winner(row: Mapping[Any, Any], base: str) -> str:
    if not row["changes"]:
        return "the same"
    keys = dict.fromkeys(str(row[f"{end}_key"]) for end in ("low", "high"))
    names = [key.rsplit("/", 1)[0] for key in keys if key and key != base]
    return " / ".join(names) or "the same, at its other price"


def purchase_lines(table: pd.DataFrame, own: Sequence[OwnMachine]) -> list[str]:
    """For each machine of one's own: from how many jobs buying it beats renting.

    Set against the cheapest rented instance in time, or the cheapest rented if none is.
    """
    rented = rented_to_compare(table)
    lines = []
    for machine in own:
        mine = row_of_own(table, machine)
        if rented is None or mine is None:
            continue
        bought = line_of(mine.to_dict(), machine)
        found = compare_lines(bought, line_of(rented.to_dict()))
        text = (
            f"Bought for {dollars(machine.purchase_usd)} only for these jobs, "
            f"{machine.name or machine.hardware} against renting "
            f"{rented['provider']}/{rented['instance']}: {found.verdict}."
        )
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return lines
