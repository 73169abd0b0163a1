"""Overview: what was measured, on which machines, when, and what failed."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages import queries, shared, widgets
from app_pages.text import escape, params_text, seconds
from charts.coverage import coverage_heatmap
from collector.workloads import FAMILIES

METHOD = """
**A cell** is one operation with its parameters, element type, library, device and mode.
Each cell is measured in one launch of a worker process: warm-up, then samples until the 95 %
interval of the median is narrow enough or the time is up. First calls, and the operation that is
repeated along a run to show drift, are not counted here.

**A row with a status other than ok has no time** and enters no fit: a wrong result, a timeout,
too little memory, a crash, or a library that is not there (unsupported).

**Machines** are told apart by hashed identifiers; the dataset holds no host or user names.
"""

STATUS_NAMES = {
    "ok": "With a time",
    "unsupported": "Unsupported",
    "out_of_memory": "Out of memory",
    "timeout": "Timed out",
    "crashed": "Crashed",
    "wrong_result": "Wrong result",
}


@st.cache_data(max_entries=1, show_spinner=False)
def this_machine() -> str | None:
    """Identifier of the machine that runs the dashboard, None where it cannot be told."""
    try:
        from collector.fingerprint import read_machine

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
        f"{shared.plural(int(row['ok']), 'cell')} with a time, last measured "
        f"{shared.day(row['last_at'])} (UTC)."
    )


def show_machines(source: shared.Source, own_id: str | None) -> None:
    """Table of the machines."""
    st.subheader("Machines", anchor=False)
    frame = source.machines
    table = pd.DataFrame(
        {
            "Machine": frame["name"],
            "Here": frame["machine_id"] == own_id,
            "Processor": frame["cpu_model"],
            "Cores": frame["physical_cores"],
            "Memory": frame["memory_bytes"] / 2**30,
            "GPU": frame["gpu_model"].where(frame["gpu_model"].fillna("") != "", "none"),
            "GPUs": frame["gpu_count"].fillna(0),
            "Suites": frame["suites"],
            "Runs": frame["runs"],
            "Cells": frame["ok"],
            "Last measured": frame["last_at"],
        }
    )
    if not table["Here"].any():
        table = table.drop(columns="Here")
    widgets.table(
        table,
        columns={
            "Machine": st.column_config.TextColumn(pinned=True),
            "Here": st.column_config.CheckboxColumn(help="The machine that runs this dashboard"),
            "Cores": st.column_config.NumberColumn(help="Physical cores that a process may use"),
            "Memory": st.column_config.NumberColumn(format="%.1f GiB"),
            "Cells": st.column_config.NumberColumn(help="Cells with a time", format="localized"),
            "Last measured": st.column_config.DatetimeColumn(
                "Last measured (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
            ),
        },
        alt="Measured machines with processor, memory, GPU, runs and date",
    )


def show_runs(source: shared.Source) -> None:
    """One line per run, the latest first."""
    rows = []
    for run in source.measurements.runs:
        started = pd.to_datetime(str(run.run.get("started_at")), utc=True, errors="coerce")
        complete = run.finished and run.run.get("ended", "complete") == "complete"
        rows.append(
            {
                "Started (UTC)": started,
                "Machine": source.names.get(str(run.machine.get("machine_id")), "unknown"),
                "Suite": run.run.get("suite"),
                "Cells": run.rows,
                "Planned": run.run.get("cells_planned"),
                "Wall time": seconds(run.run.get("wall_s")),
                "Complete": complete,
                "Run": run.run_id,
                "Collector": run.run.get("collector_version"),
            }
        )
    table = pd.DataFrame(rows).sort_values("Started (UTC)", ascending=False)
    with st.expander(f"Runs ({len(table)})"):
        widgets.table(
            table,
            "Runs of the dataset, the latest first",
            {"Started (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
        )


def show_coverage(source: shared.Source) -> None:
    """Heat map workload against machine."""
    st.subheader("Coverage", anchor=False)
    frame = queries.coverage(source.connection)
    frame["machine"] = frame["machine_id"].map(source.names)
    found = set(frame["workload"])
    known = [name for name in FAMILIES if name in found]
    workloads = [*known, *sorted(found - set(known))]
    chart = coverage_heatmap(
        frame[["machine", "workload", "ok", "failed"]], source.machine_names, workloads
    )
    st.altair_chart(
        chart,
        alt=f"Cells with a time for {len(workloads)} workloads on "
        f"{len(source.machine_names)} machines",
    )
    st.caption(
        "Figures are cells with a measured time; hover for those without. "
        "A blank square means that nothing was tried there."
    )


def show_statuses(source: shared.Source) -> None:
    """Counts by status and the cells without a time."""
    st.subheader("Outcome of the cells", anchor=False)
    frame = queries.statuses(source.connection)
    frame["Machine"] = frame["machine_id"].map(source.names)
    frame["status"] = frame["status"].map(lambda status: STATUS_NAMES.get(status, status))
    table = frame.pivot_table(
        index="Machine", columns="status", values="cells", aggfunc="sum", fill_value=0
    )
    order = [name for name in STATUS_NAMES.values() if name in table.columns]
    table = table[[*order, *[name for name in table.columns if name not in order]]]
    widgets.table(table.reset_index(), alt="Cells per machine and status")
    failed = queries.failures(source.connection)
    if failed.empty:
        return
    failed["machine_id"] = failed["machine_id"].map(source.names)
    failed["params"] = failed["params"].map(params_text)
    failed["status"] = failed["status"].map(lambda status: STATUS_NAMES.get(status, status))
    with st.expander(f"Cells without a time ({len(failed)} listed) and the reason"):
        widgets.table(
            failed.rename(columns={"machine_id": "machine"}).rename(
                columns=lambda name: name.replace("_", " ").capitalize()
            ),
            alt="Cells without a time, with status and error",
        )


def show_unfinished(source: shared.Source) -> None:
    """Name runs that were stopped; their finished cells count."""
    unfinished = [run for run in source.measurements.runs if not run.finished]
    if unfinished:
        cells = sum(run.rows for run in unfinished)
        st.info(
            f"{shared.plural(len(unfinished), 'run')} did not finish (or is running now): "
            f"{shared.plural(cells, 'cell')} of it count. `python -m collector run --resume` "
            "with the same output directory goes on."
        )


source = shared.open_dataset(need_rows=False)
shared.header("Overview", "What was measured, on which machines, when, and what failed?", METHOD)
if source.totals["row_count"] == 0:
    st.info("The dataset is empty. Measure a machine to fill this page.")
    shared.show_problems(source)
    shared.how_to_add_a_machine(expanded=True)
    st.stop()
shared.provenance(source)
show_figures(source)
own = this_machine()
show_this_machine(source, own)
show_unfinished(source)
show_machines(source, own)
show_runs(source)
show_coverage(source)
show_statuses(source)
shared.show_problems(source)
shared.how_to_add_a_machine()
