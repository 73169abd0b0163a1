"""Choosing some of many machines: a search box, and pages of the most recent ones."""

from __future__ import annotations

import shlex

import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import escape

#: So many machines are shown together; with more the page offers a search and a choice of pages.
MOST_TOGETHER = 12


def recent_names(source: shared.Source) -> list[str]:
    """Names of all machines, the one measured last first."""
    order = source.machines.sort_values(
        ["last_at", "name"], ascending=[False, True], na_position="last"
    )
    return list(order["name"])


def matching(source: shared.Source, words: str) -> list[str]:
    """Names of machines, most recent first, whose name or parts hold every word."""
    wanted = words.lower().split()
    facts = source.machines.set_index("name")[["cpu_model", "gpu_model", "instance_type"]]
    said = {
        str(name): " ".join([str(name), *(str(value) for value in row if value)]).lower()
        for name, row in zip(facts.index, facts.to_numpy().tolist(), strict=True)
    }
    ids = dict(zip(source.machines["name"], source.machines["machine_id"], strict=True))
    return [
        name
        for name in recent_names(source)
        if all(word in said[name] or str(ids[name]).startswith(word) for word in wanted)
    ]


def some_machines(source: shared.Source, key: str) -> list[str]:
    """Names of the machines to show, most recent first; all of them where they are few.

    Draws nothing for up to ``MOST_TOGETHER`` machines. Empty where the search finds none; the
    page has then said so.
    """
    if len(source.machine_names) <= MOST_TOGETHER:
        return recent_names(source)
    left, right = st.columns(2)
    with left:
        words = st.text_input(
            "Find machines",
            key=f"{key}_find",
            bind="query-params",
            placeholder="name, processor, GPU, instance type or id",
            help="Machines that have all of these words; empty: all machines.",
            max_chars=200,
        )
    found = matching(source, words or "")
    if not found:
        st.info(f"No machine has all of “{escape(words)}”. Use fewer or shorter words.")
        return []
    starts = range(0, len(found), MOST_TOGETHER)
    pages = [f"{at + 1} to {min(at + MOST_TOGETHER, len(found))}" for at in starts]
    with right:
        page = widgets.select(
            f"Shown of {len(found)}",
            pages,
            f"{key}_page",
            help="Machines measured last come first.",
        )
    at = pages.index(page) * MOST_TOGETHER
    return found[at : at + MOST_TOGETHER]


def path_arguments(source: shared.Source) -> str:
    """The dataset's paths for a command line, quoted for a shell."""
    return " ".join(
        "data/runs" if path.resolve() == shared.DEFAULT_DATA else shlex.quote(str(path))
        for path in source.paths
    )
