"""How much work a job is and how the machine is rented, as the page Cost asks for it.

Four inputs are in sight; the rest has a default: what the provider's terms say, with their source.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.cost.words import ALL, MARKETS, PROVIDERS
from app_pages.frame import widgets
from app_pages.frame.text import escape
from collector.errors import BreakevenError
from estimator.catalogue.rental_terms import all_rental_terms
from estimator.cost.inputs import CostOptions, Job
from estimator.durations import parse_duration

#: Machines of one kind that may share the jobs, here as on the command line.
MACHINES = 100
_MOST = 10**9
_LONGEST_S = 10 * 365.25 * 86400.0
_TERMS_HINT = "the provider's terms"
_TERM_NAMES = {
    "start_up_s": ("Start-up", "s"),
    "billing_increment_s": ("Billing increment", "s"),
    "minimum_billed_s": ("Shortest time billed", "s"),
    "interruptions_per_h": ("Interruptions of spot", "per hour"),
    "storage_usd_per_gib_month": ("Storage", "USD per GiB and month"),
    "egress_usd_per_gib": ("Data out", "USD per GiB"),
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
        steps = widgets.number(
            "Steps in one job",
            "cost_steps",
            10_000,
            1,
            10**12,
            "How often one job repeats the operation above, such as its training steps.",
            step=1,
        )
    with columns[1]:
        deadline = _time(
            "Deadline",
            "cost_deadline",
            "All jobs must be done by then, start-up included: 2h, 90 min, 1 d. Empty: none.",
            "none",
        )
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
        job, options = _details(steps, deadline)
    return Rental(job, options, market, provider)


def _details(steps: int, deadline: float | None) -> tuple[Job, CostOptions]:
    st.caption("Times as 30, 90 s, 5 min or 2h. An empty field means what its hint says.")
    fields = _Columns()
    with fields.next():
        jobs = widgets.number(
            "Jobs", "cost_jobs", 1, 1, _MOST, "Equal jobs; one runs on each GPU.", step=1
        )
    with fields.next():
        set_up = _time(
            "Set-up", "cost_set_up", "Installing, loading data; once for each machine rented.", "0"
        )
    with fields.next():
        transfer = _time(
            "Transfers", "cost_transfer", "Copying data in and results out, once for each job.", "0"
        )
    with fields.next():
        storage = _amount("Storage (GiB)", "cost_storage", "Disk kept on each machine meanwhile.")
    with fields.next():
        egress = _amount(
            "Data out (GiB)", "cost_egress", "What each job sends out of the provider's network."
        )
    with fields.next():
        budget = _amount("Budget (USD)", "cost_budget", "For all jobs together.", "none")
    with fields.next():
        start_up = _time(
            "Start-up",
            "cost_start_up",
            "From the request until the machine answers; counted as billed.",
            _TERMS_HINT,
        )
    with fields.next():
        increment = _time(
            "Billing increment",
            "cost_increment",
            "The billed time is rounded up to a multiple of it; 1h: by the hour.",
            _TERMS_HINT,
        )
    with fields.next():
        minimum = _time(
            "Shortest time billed", "cost_minimum", "A shorter rental costs as much.", _TERMS_HINT
        )
    with fields.next():
        interruptions = _amount(
            "Spot interruptions per hour",
            "cost_interruptions",
            "Mean rate at which a spot machine is taken away; 0.05 is once in 20 hours.",
            _TERMS_HINT,
            most=100.0,
        )
    with fields.next():
        checkpoint = _time(
            "Time to write a checkpoint",
            "cost_checkpoint",
            "On spot. Empty: writing one takes no time; without a distance beside it none is "
            "written, and the job starts over when a spot machine is taken away.",
            "0",
        )
    with fields.next():
        every = _time(
            "Checkpoint every",
            "cost_checkpoint_every",
            "auto: the distance that costs least at that rate (Young 1974, Daly 2006), none where "
            "the rate is not known. A distance typed in counts at any rate.",
            "auto",
        )
    with fields.next():
        machines = widgets.number(
            "Machines at most",
            "cost_machines",
            MACHINES,
            1,
            1000,
            "Several jobs are spread over so many of one kind if the deadline asks for it.",
            step=1,
        )
    with fields.next():
        completes = widgets.number(
            "Runs that succeed (%)",
            "cost_completes",
            100,
            1,
            100,
            "Share of jobs that end well; the others are run again.",
            step=1,
        )
    show_terms()
    try:
        options = CostOptions(
            start_up_s=start_up,
            billing_increment_s=increment,
            minimum_billed_s=minimum,
            interruptions_per_h=interruptions,
            checkpoint_interval_s="auto" if checkpoint and every is None else every,
            checkpoint_s=checkpoint or 0.0,
            deadline_s=deadline,
            budget_usd=budget,
            most_machines=machines,
            probability_of_completion=completes / 100,
        )
        job = Job(
            steps=float(steps),
            jobs=jobs,
            set_up_s=set_up or 0.0,
            transfer_s=transfer or 0.0,
            storage_gib=storage or 0.0,
            egress_gib=egress or 0.0,
        )
    except BreakevenError as error:
        st.error(f"This rental cannot be: {escape(error)}")
        st.stop()
    return job, options


class _Columns:
    """Cells of a grid of three columns, row by row, so that a phone shows them in order."""

    def __init__(self) -> None:
        self._row: list[DeltaGenerator] = []

    def next(self) -> DeltaGenerator:
        if not self._row:
            self._row = list(st.columns(3))
        return self._row.pop(0)


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


def _amount(
    label: str, key: str, help: str, hint: str = "0", most: float = float(_MOST)
) -> float | None:
    value = st.number_input(
        label,
        min_value=0.0,
        max_value=most,
        value=None,
        key=key,
        bind="query-params",
        placeholder=hint,
        help=help,
    )
    return None if value is None or not 0.0 <= value <= most else float(value)


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
            "Term": words,
            "Value": getattr(terms, term),
            "Unit": unit,
            "Of": terms.as_of(term),
            "Source": terms.source(term),
        }
        for name, terms in all_rental_terms().items()
        for term, (words, unit) in _TERM_NAMES.items()
        if getattr(terms, term) is not None
    ]
    return pd.DataFrame(rows)
