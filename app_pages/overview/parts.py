"""Sections of the page Overview: machines, coverage, runs, what failed."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages.frame import fleet_queries, shared, widgets
from app_pages.frame.text import params_text, seconds
from charts.coverage import coverage_heatmap
from charts.run_timeline import OUTCOMES, run_timeline
from collector.workloads import FAMILIES

STATUS_NAMES = {
    "ok": "With a time",
    "unsupported": "Unsupported",
    "out_of_memory": "Out of memory",
    "timeout": "Timed out",
    "crashed": "Crashed",
    "wrong_result": "Wrong result",
}
#: Runs of the timeline and its table, rows of the table of failures.
MOST_RUNS, MOST_FAILURES = 200, 200


def show_machines(source: shared.Source, names: list[str], own_id: str | None) -> None:
    """Table of the machines that are shown."""
    frame = source.machines.set_index("name").loc[names].reset_index()
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


def show_coverage(source: shared.Source, names: list[str]) -> None:
    """Heat map workload against machine."""
    st.subheader("Coverage", anchor=False)
    frame = fleet_queries.coverage(source.connection, ids_of(source, names))
    frame["machine"] = frame["machine_id"].map(source.names)
    found = set(frame["workload"])
    known = [name for name in FAMILIES if name in found]
    workloads = [*known, *sorted(found - set(known))]
    if not workloads:
        st.info("Nothing was tried on these machines yet. Show others above.")
        return
    order = [name for name in source.machine_names if name in names]
    widgets.chart(
        coverage_heatmap,
        frame[["machine", "workload", "ok", "failed"]],
        order,
        workloads,
        alt=f"Cells with a time for {len(workloads)} workloads on {len(order)} machines",
        name="coverage",
    )
    st.caption(
        "Figures are cells with a measured time; hover for those without. "
        "A blank square means that nothing was tried there."
    )


def show_runs(source: shared.Source, names: list[str]) -> None:
    """When each machine was measured, and which runs ended badly."""
    st.subheader("Runs", anchor=False)
    runs = fleet_queries.runs(source.connection, ids_of(source, names), MOST_RUNS)
    finished = runs["finished"].fillna(True).astype(bool)
    complete = finished & (runs["ended"].fillna("complete") == "complete")
    frame = pd.DataFrame(
        {
            "machine": runs["machine_id"].map(source.names),
            "started": runs["started_at"],
            "outcome": [
                OUTCOMES[2] if not whole else OUTCOMES[1] if failed else OUTCOMES[0]
                for whole, failed in zip(complete, runs["failed"], strict=True)
            ],
            "cells": runs["ok"],
            "failed": runs["failed"],
            "suite": runs["suite"],
        }
    )
    dated = frame[frame["started"].notna()]
    if len(dated):
        order = [name for name in names if name in set(dated["machine"])]
        widgets.chart(
            run_timeline,
            dated,
            order,
            alt=f"When {len(dated)} runs of {len(order)} machines started, and how they ended",
            name="runs",
        )
    with st.expander(f"Table of the runs ({_latest(len(runs), MOST_RUNS)})"):
        widgets.table(
            pd.DataFrame(
                {
                    "Started": runs["started_at"],
                    "Machine": frame["machine"],
                    "Suite": runs["suite"],
                    "Cells": runs["ok"],
                    "Without a time": runs["failed"],
                    "Planned": runs["cells_planned"],
                    "Wall time": runs["wall_s"].map(seconds),
                    "Complete": complete,
                    "Run": runs["run_id"],
                    "Collector": runs["collector_version"],
                }
            ),
            "Runs of these machines, the latest first",
            {
                "Started": st.column_config.DatetimeColumn(
                    "Started (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
                ),
                "Cells": st.column_config.NumberColumn(help="Cells with a time"),
                "Without a time": st.column_config.NumberColumn(
                    help="Crashes, timeouts, wrong results, too little memory; not what a "
                    "missing library explains"
                ),
            },
        )


def show_failures(source: shared.Source, names: list[str]) -> None:
    """Counts by status and the cells without a time."""
    st.subheader("What failed", anchor=False)
    ids = ids_of(source, names)
    frame = fleet_queries.statuses(source.connection, ids)
    frame["Machine"] = frame["machine_id"].map(source.names)
    frame["status"] = frame["status"].map(lambda status: STATUS_NAMES.get(status, status))
    table = frame.pivot_table(
        index="Machine", columns="status", values="cells", aggfunc="sum", fill_value=0
    )
    order = [name for name in STATUS_NAMES.values() if name in table.columns]
    table = table[[*order, *[name for name in table.columns if name not in order]]]
    widgets.table(table.reset_index(), alt="Cells per machine and status")
    failed = fleet_queries.failures(source.connection, ids, MOST_FAILURES)
    if failed.empty:
        st.caption("Every cell that was tried on these machines has a time.")
        return
    failed["machine_id"] = failed["machine_id"].map(source.names)
    failed["params"] = failed["params"].map(params_text)
    failed["status"] = failed["status"].map(lambda status: STATUS_NAMES.get(status, status))
    with st.expander(
        f"Cells without a time and the reason ({_latest(len(failed), MOST_FAILURES)})"
    ):
        widgets.table(
            failed.rename(columns={"machine_id": "machine"}).rename(
                columns=lambda name: name.replace("_", " ").capitalize()
            ),
            alt="Cells without a time, with status and error",
        )


def ids_of(source: shared.Source, names: list[str]) -> list[str]:
    """Machine ids of these names."""
    known = dict(zip(source.machines["name"], source.machines["machine_id"], strict=True))
    return [str(known[name]) for name in names]


def _latest(count: int, most: int) -> str:
    return f"the latest {most}" if count == most else str(count)
