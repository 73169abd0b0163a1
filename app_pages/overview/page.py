"""Overview: what was measured, on which machines, when, and what failed."""

from __future__ import annotations

import streamlit as st

from app_pages.frame import navigation, shared, widgets
from app_pages.frame.fleet import path_arguments, some_machines
from app_pages.frame.text import escape
from app_pages.overview.parts import show_coverage, show_failures, show_machines, show_runs
from estimator.text import plural

METHOD = """
**A cell** is one operation with its parameters, element type, library, device and mode.
Each cell is measured in one launch of a worker process: warm-up, then samples until the 95 %
interval of the median is narrow enough or the time is up. First calls, and the operation that is
repeated along a run to show drift, are not counted here.

**A row with a status other than ok has no time** and enters no fit: a wrong result, a timeout,
too little memory, a crash, or a library that is not there (unsupported).

**Machines** are told apart by hashed identifiers; the dataset holds no host or user names.
"""


@st.cache_data(max_entries=1, show_spinner=False)
def this_machine() -> str | None:
    """Identifier of the machine that runs the dashboard, None where it cannot be told."""
    try:
        from collector.machine.fingerprint import read_machine

        return read_machine().machine_id
    except (OSError, ValueError, RuntimeError):  # an odd driver must not take the page down
        return None


def show_figures(source: shared.Source) -> None:
    """The four numbers that say how much there is."""
    total = source.totals
    with st.container(horizontal=True):
        st.metric("Machines", f"{int(total['machines']):,}", border=True)
        st.metric("Runs", f"{int(total['runs']):,}", border=True)
        st.metric(
            "Cells with a time",
            f"{int(total['ok']):,}",
            help=f"{int(total['samples']):,} timed samples in all; "
            "a cell that several runs measured counts once for each",
            border=True,
        )
        st.metric("Cells without a time", f"{int(total['not_ok']):,}", border=True)


def show_links() -> None:
    """Where two questions that begin here are answered."""
    with st.container(horizontal=True):
        navigation.link("machines", "Which of my machines is unwell?")
        navigation.link("measurements", "Look at a run without storing it")


def show_this_machine(source: shared.Source, own_id: str | None) -> None:
    """Say whether the machine that runs the dashboard is in the data."""
    if own_id is None:
        return
    own = source.machines[source.machines["machine_id"] == own_id]
    if own.empty:
        st.info(
            "The machine that runs this dashboard is not in the data. "
            "The last section says how to add it."
        )
        return
    row = own.iloc[0]
    st.success(
        f"This machine is in the data as **{escape(row['name'])}**: "
        f"{plural(int(row['ok']), 'cell')} with a time, last measured "
        f"{shared.day(row['last_at'])} (UTC)."
    )


def show_unfinished(source: shared.Source) -> None:
    """Name runs that were stopped; their finished cells count."""
    unfinished = [run for run in source.measurements.runs if not run.finished]
    if unfinished:
        cells = sum(run.rows for run in unfinished)
        st.info(
            f"{plural(len(unfinished), 'run')} did not finish (or is running now): "
            f"{plural(cells, 'cell')} of it count. `python -m collector run --resume` "
            "with the same output directory goes on."
        )


def page() -> None:
    """What was measured, on which machines, when, and what failed."""
    source = shared.open_dataset(need_rows=False)
    shared.header(
        "Overview", "What was measured, on which machines, when, and what failed?", METHOD
    )
    if source.totals["row_count"] == 0:
        st.info("The dataset is empty. Measure a machine to fill this page.")
        shared.show_problems(source)
        shared.how_to_add_a_machine(expanded=True)
        st.stop()
    shared.provenance(source, "counts of what was measured")
    show_figures(source)
    show_links()
    own = this_machine()
    show_this_machine(source, own)
    show_unfinished(source)
    st.subheader("Machines", anchor=False)
    names = some_machines(source, "overview")
    if names:
        show_machines(source, names, own)
        show_coverage(source, names)
        show_runs(source, names)
        show_failures(source, names)
    shared.show_problems(source)
    widgets.command(
        f"python -m collector check {path_arguments(source)}",
        "Says of each run whether it is valid and quiet enough.",
    )
    shared.how_to_add_a_machine()
