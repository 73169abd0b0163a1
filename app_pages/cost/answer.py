"""The answer of the page Cost: cheapest and fastest, how sure, and why, in a few sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app_pages.cost.tables import Row, rental_text, row_key, why_text
from app_pages.cost.words import basis_name, dollars, instance_name
from app_pages.frame.text import escape, is_known, seconds
from estimator.catalogue.instances import UNDATED
from estimator.cost.inputs import CostOptions
from estimator.cost.table import cheapest, cheapest_in_time, fastest, overlapping
from estimator.text import plural


def show_answer(priced: pd.DataFrame, options: CostOptions, jobs: int, asked: str) -> Row:
    """Sentence and at most four figures; returns the row that the answer names first.

    ``asked``: what was asked, in the words of ``decide.words``.
    """
    limits = _limits(options)
    quick: Any = fastest(priced)
    lowest: Any = cheapest(priced)
    best: Any = cheapest_in_time(priced) if limits else lowest
    if best is None:
        st.warning(
            f"No instance is done {escape(limits)}. The fastest takes "
            f"{seconds(quick['wall_s_p50'])}, the cheapest costs "
            f"{escape(dollars(lowest['total_usd_p50']))}. Relax the deadline or the budget, allow "
            "more machines, or look at more providers."
        )
    shown = lowest if best is None else best
    with st.container(border=True):
        st.markdown(_sentence(shown, limits if best is not None else "", jobs))
        _figures(shown, quick, lowest, limits if best is not None else "", priced)
        st.caption(_how_sure(shown, priced, options, asked))
    result: Row = shown.to_dict()
    return result


def _limits(options: CostOptions) -> str:
    """The deadline and the budget in words, "" without them; plain text."""
    parts = []
    if options.deadline_s is not None:
        parts.append(f"within {seconds(options.deadline_s)}")
    if options.budget_usd is not None:
        parts.append(f"for at most {dollars(options.budget_usd)}")
    return " and ".join(parts)


def _sentence(row: Any, limits: str, jobs: int) -> str:
    name = escape(instance_name(row, with_market=False))
    if row["provider"] == "own":
        name = name[:1].upper() + name[1:]
    low, high = escape(dollars(row["cost_usd_p5"])), escape(dollars(row["cost_usd_p95"]))
    which = f"the cheapest that finishes {escape(limits)}" if limits else "the cheapest"
    done = "the last done" if row["machines"] > 1 else "done"
    each = f" for each of {jobs:,} jobs" if jobs > 1 else ""
    return (
        f"**{name}** is {which}: **{escape(dollars(row['cost_usd_p50']))}**{each} (90 %: {low} to "
        f"{high}), {done} in **{seconds(row['wall_s_p50'])}**; {escape(rental_text(row))}."
    )


def _figures(row: Any, quick: Any, lowest: Any, limits: str, priced: pd.DataFrame) -> None:
    """Cheapest (in time), fastest, cheapest of all where it is another one, others as cheap."""
    entries = [
        (
            "Cheapest within both limits" if " and " in limits else f"Cheapest {limits}".strip(),
            dollars(row["cost_usd_p50"]),
            f"{instance_name(row, with_market=False)} · {seconds(row['wall_s_p50'])}",
        ),
        (
            "Fastest",
            seconds(quick["wall_s_p50"]),
            f"{instance_name(quick, with_market=False)} · {dollars(quick['cost_usd_p50'])}",
        ),
    ]
    if row_key(lowest) != row_key(row):
        late = "Cheapest at any time" if limits else "Cheapest"
        text = f"{instance_name(lowest, with_market=False)} · {seconds(lowest['wall_s_p50'])}"
        entries.append((late, dollars(lowest["cost_usd_p50"]), text))
    others = overlapping(priced)
    entries.append(
        (
            "Could be as cheap",
            plural(others, "other"),
            "in time too, and their 90 % intervals of the cost reach into this one's"
            if limits
            else "their 90 % intervals of the cost reach into the cheapest's",
        )
    )
    with st.container(horizontal=True):
        for label, value, text in entries:
            with st.container(width=230):
                # values and labels of metrics render Markdown, and a dollar sign begins a formula
                st.metric(escape(label), escape(value))
                st.caption(escape(text))


def _how_sure(row: Any, priced: pd.DataFrame, options: CostOptions, asked: str) -> str:
    device = "GPU" if row["device"] == "cuda" else "CPU"
    parts = [f"{asked}, {row['backend']} on the {device}. Time: {basis_name(row)}"]
    if row["machine"]:
        parts[0] += f" ({row['machine']})"
    if row["meets_deadline"] == "likely" and options.deadline_s is not None:
        late = row["wall_s_p95"] > options.deadline_s
        slow_end = f"the slow end of its interval, {seconds(row['wall_s_p95'])}, is too late"
        parts.append(slow_end if late else "an interruption or a failed run may make it late")
    known = is_known(row["expected_interruptions"]) and row["expected_interruptions"] > 0
    if is_known(row["in_time_probability"]) and row["in_time_probability"] < 0.995:
        parts.append(f"in time with a probability of {100 * row['in_time_probability']:.0f} %")
    if row["market"] == "spot" and known:
        undisturbed = 100 * row["uninterrupted_probability"]
        parts.append(f"not interrupted at all with a probability of {undisturbed:.0f} %")
    text = escape("; ".join(parts))
    why = f" Why: {escape(why_text(row))}."
    dated = "undated" if row["as_of"] == UNDATED else f"of {row['as_of']}"
    source = f" Price {escape(dated)}: {escape(row['source'])}."
    assumed = f" {escape(row['assumed'])}." if row["assumed"] else ""
    return f"{text}.{why}{source}{assumed}"
