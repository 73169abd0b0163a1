"""How much work a job is and how the machine is rented, as the page Cost asks for it.

Four inputs are in sight; the rest has a default: what the provider's terms say, with their source.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.cost.words import ALL, MARKETS, PROVIDERS
from app_pages.frame import widgets
from app_pages.frame.text import escape
from collector.errors import BreakevenError
from estimator.catalogue.rental_terms import TERMS, all_rental_terms
from estimator.cost.inputs import AUTO, CostOptions, Job
from estimator.cost.options import BY_FIELD, Option
from estimator.text import parse_duration

_STEPS = 10_000
_LONGEST_S = 10 * 365.25 * 86400.0
#: Fields under "More", row by row.
_DETAILS = (
    *("jobs", "set_up_s", "transfer_s", "storage_gib", "egress_gib", "budget_usd"),
    *("start_up_s", "billing_increment_s", "minimum_billed_s", "interruptions_per_h"),
    *("checkpoint_s", "checkpoint_interval_s", "most_machines", "probability_of_completion"),
)
#: Names of fields in a link that are not those of the command line.
_LINK_NAMES = {
    "checkpoint_interval_s": "checkpoint_every",
    "most_machines": "machines",
    "probability_of_completion": "completes",
}


@dataclass(frozen=True)
class Rental:
    """What the form says: the job, how it is rented, which prices are looked at."""

    job: Job
    options: CostOptions
    market: str
    provider: str

    @property
    def markets(self) -> tuple[str, ...]:
        return ("on-demand", "spot") if self.market == "cheaper" else (self.market,)


def rental_form(providers: list[str]) -> Rental:
    """Draw the form; ends the page where what was typed in is impossible."""
    columns = st.columns([4, 4, 4, 6])
    with columns[0]:
        steps = _field(BY_FIELD["steps"])
    with columns[1]:
        deadline = _field(BY_FIELD["deadline_s"])
    with columns[2]:
        provider = widgets.select(
            "Provider",
            [ALL, *providers],
            "cost_provider",
            ALL,
            names={name: PROVIDERS.get(name, name) for name in [ALL, *providers]},
            help="Whose instances are looked at.",
        )
    with columns[3]:
        market = widgets.choose(
            "Price",
            list(MARKETS),
            "cost_market",
            "on-demand",
            names=MARKETS,
            help="Spot machines cost less and can be taken away at any time; the time that "
            "interruptions cost is counted in.",
        )
    with st.expander("More about the job and the rental"):
        job, options = _details({"steps": float(steps), "deadline_s": deadline})
    return Rental(job, options, market, provider)


def _details(values: dict[str, Any]) -> tuple[Job, CostOptions]:
    st.caption("Times as 30, 90 s, 5 min or 2h. An empty field means what its hint says.")
    cells: list[DeltaGenerator] = []
    for name in _DETAILS:
        cells = cells or list(st.columns(3))  # row by row, so that a phone shows them in order
        with cells.pop(0):
            values[name] = _field(BY_FIELD[name])
    show_terms()
    try:
        if values["checkpoint_s"] and values["checkpoint_interval_s"] is None:
            values["checkpoint_interval_s"] = AUTO
        of_job = {field.name for field in fields(Job)}
        options = CostOptions(**{k: v for k, v in values.items() if k not in of_job})
        job = Job(**{k: v for k, v in values.items() if k in of_job})
    except BreakevenError as error:
        st.error(f"This rental cannot be: {escape(error)}")
        st.stop()
    return job, options


def _field(option: Option) -> Any:
    """Draw an option; what was typed in, or its default."""
    key = f"cost_{_LINK_NAMES.get(option.field, option.name.replace('-', '_'))}"
    help = f"{option.help[0].upper()}{option.help[1:]}."
    if option.kind == "count":
        first, most = int(option.default or _STEPS), int(option.most)
        return widgets.number(option.label, key, first, 1, most, help, step=1)
    if option.kind == "share":
        label = f"{option.label} ({option.unit})"
        return widgets.number(label, key, 100, 1, 100, help, step=1) / 100
    hint = _hint(option)
    entered = (
        _time(option.label, key, help, hint)
        if option.kind == "time"
        else _amount(option, key, help, hint)
    )
    return option.default if entered is None else entered


def _hint(option: Option) -> str:
    """What an empty field means."""
    if option.field in TERMS:
        return "the provider's terms"
    if option.field == "checkpoint_interval_s":
        return AUTO
    return "none" if option.default is None else f"{option.default:g}"


def _time(label: str, key: str, help: str, hint: str) -> float | None:
    """Seconds of a duration as people write it; None if the field is empty or makes no sense."""
    text = st.text_input(
        label, key=key, bind="query-params", placeholder=hint, max_chars=40, help=help
    )
    if not text or text.strip().lower() in ("auto", "none"):
        return None
    try:
        seconds = parse_duration(text)
    except BreakevenError as error:
        st.error(escape(error))
        return None
    if seconds > _LONGEST_S:
        st.error("Longer than ten years; it is not used. Write 2h, 90 min or 1 d.")
        return None
    return seconds


def _amount(option: Option, key: str, help: str, hint: str) -> float | None:
    unit = option.unit if option.kind == "rate" else f"({option.unit})"
    value = st.number_input(
        f"{option.label} {unit}",
        min_value=0.0,
        max_value=option.most,
        value=None,
        key=key,
        bind="query-params",
        placeholder=hint,
        help=help,
    )
    return None if value is None or not 0.0 <= value <= option.most else float(value)


def show_terms() -> None:
    """What the providers' terms are, with date and source of each."""
    with st.popover("The providers' terms"):
        widgets.table(_terms_table(), "Rental terms of each provider with date and source")
        st.caption(
            "Where a provider's figure is not known, the longest or dearest of the others' stands "
            "in for it, but interruptions count as 0. Start-up counts as billed, which is "
            "pessimistic: providers begin to bill when the machine runs. None of these hold for a "
            "machine of your own."
        )


@cache
def _terms_table() -> pd.DataFrame:
    rows = [
        {
            "Provider": PROVIDERS.get(name, name),
            "Term": BY_FIELD[term].label,
            "Value": getattr(terms, term),
            "Unit": BY_FIELD[term].unit,
            "Of": terms.as_of(term),
            "Source": terms.source(term),
        }
        for name, terms in all_rental_terms().items()
        for term in BY_FIELD
        if term in TERMS and getattr(terms, term) is not None
    ]
    return pd.DataFrame(rows)
