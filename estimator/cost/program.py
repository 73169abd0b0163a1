"""A traced job's length in steps, and what an epoch or a million samples or tokens cost."""

from __future__ import annotations

import math
import textwrap

import pandas as pd

from collector.errors import SelectionError
from collector.jobs import Job as Program
from estimator.cost.inputs import Job
from estimator.cost.table import cheapest
from estimator.text import WIDTH, dollars

_PER_STEP = {
    "samples": "samples_per_step",
    "tokens": "tokens_per_step",
    "epochs": "steps_per_epoch",
}
#: column of the table -> its words
UNIT_PRICES = {
    "usd_per_epoch": "an epoch",
    "usd_per_million_samples": "a million samples",
    "usd_per_million_tokens": "a million tokens",
}


def steps_of(program: Program, unit: str, amount: float) -> float:
    """Whole steps for so many samples, tokens or epochs. Raises SelectionError."""
    if not 0.0 < amount < math.inf:
        raise SelectionError(f"--{unit} {amount:g}: write a number above 0")
    count = getattr(program, _PER_STEP[unit])
    if not count:
        what = "steps an epoch has" if unit == "epochs" else f"{unit} a step takes"
        raise SelectionError(f"--{unit}: the job does not say how many {what}; give --steps")
    return float(math.ceil(amount * count if unit == "epochs" else amount / count))


def with_unit_prices(table: pd.DataFrame, program: Program, job: Job) -> pd.DataFrame:
    """The table of costs with the price of the job's units: the steps alone, no start-up."""
    step = table["part_steps_usd"] / (job.steps * job.jobs)
    units = {
        "usd_per_epoch": float(program.steps_per_epoch),
        "usd_per_million_samples": _in_million(program.samples_per_step),
        "usd_per_million_tokens": _in_million(program.tokens_per_step),
    }
    return table.assign(**{name: step * count for name, count in units.items() if count})


def _in_million(per_step: int) -> float:
    return 1e6 / per_step if per_step else 0.0


def unit_price_lines(table: pd.DataFrame) -> list[str]:
    """What the units cost on the cheapest instance; nothing where the table does not say it."""
    best = cheapest(table)
    if best is None:
        return []
    prices = [
        f"{dollars(float(best[name]))} {words}"
        for name, words in UNIT_PRICES.items()
        if name in table
    ]
    text = f"Its steps alone, without start-up and rounding: {', '.join(prices)}."
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ") if prices else []
