"""How much work a job is and how the machine is rented, as the page Cost asks for it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages import widgets
from estimator.cost import CostOptions, Job


def rental_form() -> tuple[Job, CostOptions, float, str]:
    """Steps and rental options; returns job, options, deadline in seconds, provider."""
    left, right = st.columns(2)
    with left:
        steps = st.number_input(
            "Steps in one job",
            min_value=1,
            max_value=10**12,
            value=1_000_000,
            step=1,
            key="cost_steps",
            bind="query-params",
            help="How often the operation above is called in one job",
        )
    with right:
        market = widgets.choose(
            "Price",
            ["on-demand", "spot"],
            "cost_market",
            help="Spot machines can be taken away; set the interruptions below",
        )
    with st.expander("Rental options"):
        numbers = st.columns(3)
        jobs = _number(numbers[0], "Jobs", "cost_jobs", 1, "Equal jobs, one on each GPU")
        start_up = _number(
            numbers[1],
            "Start-up (s)",
            "cost_start_up",
            0,
            "From the request to a machine that answers, billed",
        )
        set_up = _number(
            numbers[2], "Set-up (s)", "cost_set_up", 0, "Install, load the data; once per rental"
        )
        numbers = st.columns(3)
        increment = _number(
            numbers[0],
            "Billing increment (s)",
            "cost_increment",
            1,
            "The billed time is rounded up to a multiple; 3600 = by the hour",
        )
        deadline = _number(
            numbers[1], "Deadline (s)", "cost_deadline", 0, "0: none. All jobs must be done by then"
        )
        interruptions = numbers[2].number_input(
            "Spot interruptions per hour",
            min_value=0.0,
            max_value=100.0,
            value=0.0,
            step=0.01,
            key="cost_interruptions",
            bind="query-params",
            help="Mean rate; an interrupted job starts over",
        )
    job = Job(steps=float(steps), jobs=jobs, set_up_s=float(set_up))
    options = CostOptions(
        spot=market == "spot",
        start_up_s=float(start_up),
        billing_increment_s=float(increment),
        interruptions_per_h=float(interruptions) if market == "spot" else 0.0,
    )
    return job, options, float(deadline), market


def _number(column: Any, label: str, key: str, value: int, help: str) -> int:
    entered = column.number_input(
        label,
        min_value=min(value, 1),
        max_value=10**9,
        value=value,
        step=1,
        key=key,
        bind="query-params",
        help=help,
    )
    return int(entered if entered is not None else value)
