"""What would change the answer of a cost report, as text: other inputs, buying. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from estimator.cost_report import WIDTH, shortened
from estimator.cost_table import cheapest, priced
from estimator.own_machines import OwnMachine
from estimator.ownership import CostLine, breakeven_jobs
from estimator.report import dollars, text_table

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
    """For each machine of one's own: from how many jobs buying it beats renting the cheapest."""
    able = priced(table)
    rented = cheapest(able[able["provider"] != "own"])
    lines = []
    for machine in own:
        name = machine.name or machine.hardware
        mine = able[(able["provider"] == "own") & (able["instance"] == name)]
        if rented is None or mine.empty:
            continue
        row = mine.iloc[0]
        jobs = row["total_usd_p50"] / row["cost_usd_p50"]
        work_usd = row["part_transfer_usd"] + row["part_steps_usd"]
        seconds = work_usd / row["price_usd_per_h"] * 3600.0 / jobs
        rent = CostLine(float(rented["fixed_usd"]), float(rented["marginal_usd_per_job"]))
        count = breakeven_jobs(machine.purchase_line(float(seconds)), rent)
        place = f"{rented['provider']}/{rented['instance']}"
        when = "never" if count is None else f"from {count:,} jobs on"
        text = (
            f"Bought for {dollars(machine.purchase_usd)} only for these jobs, {name} is cheaper "
            f"than renting {place} {when}."
        )
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return lines
