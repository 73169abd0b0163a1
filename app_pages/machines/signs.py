"""Was a machine quiet while it was measured, and did it get faster or slower?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages.frame import fleet_queries, shared, widgets
from app_pages.frame.text import reasons_text
from charts.drift import drift_chart
from estimator.text import plural

#: Rows of the table: the latest runs.
MOST_RUNS = 50


def show_drift(source: shared.Source, chosen: list[str]) -> None:
    """The operation that is repeated along a run: a chart of the last run, a row for each run.

    Nothing where no run of the chosen machines has repetitions.
    """
    ids = [source.machine_id(name) for name in chosen]
    frame = fleet_queries.drift(source.connection, ids)
    if frame.empty:
        return
    frame["machine"] = frame["machine_id"].map(source.names)
    st.markdown("**Drift along the run**")
    place = frame["device"].where(
        frame["device"] != "cpu",
        "cpu, " + frame["threads"].map(lambda count: plural(int(count), "thread")),
    )
    frame = frame.assign(
        place=frame["backend"] + " " + place,
        percent=100 * frame["relative"],
    )
    frame["series"] = frame["place"] + " · " + frame["machine"]
    latest = frame[frame["started_at"] == frame.groupby("machine")["started_at"].transform("max")]
    fields = ["series", "repetition", "percent", "median_s"]
    if len(latest):  # a run without a date has a row of the table only
        names = sorted(latest["series"].unique())
        widgets.chart(
            drift_chart,
            latest[fields],
            names,
            alt=f"Deviation of a repeated operation from its first time for {len(names)} series",
            name="drift",
        )
    groups = frame.groupby(["run_id", "series"], sort=False, dropna=False)
    rows = groups.agg(
        machine=("machine", "first"),
        place=("place", "first"),
        started=("started_at", "first"),
        count=("repetition", "size"),
        low=("median_s", "min"),
        high=("median_s", "max"),
        middle=("median_s", "median"),
        last=("percent", "last"),
    ).sort_values("started", ascending=False)
    shown = rows.head(MOST_RUNS)
    widgets.table(
        pd.DataFrame(
            {
                "Machine": shown["machine"],
                "Where": shown["place"],
                "Repetitions": shown["count"],
                "Middle": 1000 * shown["middle"],
                "Range": 100 * (shown["high"] - shown["low"]) / shown["middle"],
                "Last against first": shown["last"],
                "Run of": shown["started"],
            }
        ),
        "Range of a repeated operation's time along each run",
        {
            "Middle": st.column_config.NumberColumn(
                format="%.4g ms", help="Median of the repetitions: compare runs with each other"
            ),
            "Range": st.column_config.NumberColumn(
                format="%.2f %%", help="Largest less smallest median, over the middle one"
            ),
            "Last against first": st.column_config.NumberColumn(format="%+.2f %%"),
            "Run of": st.column_config.DatetimeColumn(
                "Run of (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
            ),
        },
    )
    more = f" The latest {len(shown)} of {len(rows)}." if len(rows) > len(shown) else ""
    st.caption(
        "A matrix product and a copy, the same at each repetition; the chart shows each machine's "
        f"last run. They enter no estimate.{more}"
    )


STOLEN = "Most stolen, repeated cells"
_STOLEN_HELP = (
    "Largest share of processor time that the hypervisor took during one cell, first calls and "
    "the operation repeated for drift left out. `python -m collector check` counts those too and "
    "may name more"
)


def show_signs(source: shared.Source, chosen: list[str]) -> None:
    """Signs of disturbance per machine, then per workload."""
    st.subheader("Was it quiet and unthrottled?", anchor=False)
    ids = [source.machine_id(name) for name in chosen]
    frame = fleet_queries.health(source.connection, ids)
    if frame.empty:
        st.info("None of its cells has a time. The page Overview says why.")
        return
    percent = st.column_config.NumberColumn(format="%.1f %%")
    table = pd.DataFrame(
        {
            "Machine": frame["machine_id"].map(source.names),
            "Cells": frame["cells"],
            "Noisy": 100 * frame["noisy_share"],
            "Median spread": 100 * frame["median_spread"],
            STOLEN: 100 * frame["worst_steal"],
            "Preemptions": frame["involuntary_switches"],
            "Clock held down": 100 * frame["throttled_share"],
            "Hottest": frame["hottest_c"],
            "SM clock": frame["median_sm_clock_mhz"],
            "Highest power": frame["highest_power_w"],
        }
    ).dropna(axis="columns", how="all")
    widgets.table(
        table,
        columns={
            **dict.fromkeys(("Noisy", "Median spread"), percent),
            STOLEN: st.column_config.NumberColumn(format="%.1f %%", help=_STOLEN_HELP),
            "Clock held down": st.column_config.NumberColumn(
                format="%.1f %%",
                help="Cells on the GPU during which the driver named any reason for a lower "
                "clock, its power limit included",
            ),
            "Hottest": st.column_config.NumberColumn(format="%.0f °C"),
            "SM clock": st.column_config.NumberColumn(format="%.0f MHz", help="Median"),
            "Highest power": st.column_config.NumberColumn(format="%.0f W"),
        },
        alt="Noise, stolen time, throttling, temperature and clock per machine",
    )
    _show_reasons(source, ids, "throttle", "Reasons that the driver gave for a lower clock")
    _show_reasons(source, ids, "noise", "Why cells are flagged noisy")
    show_drift(source, chosen)
    noise = fleet_queries.noise_by_workload(source.connection, ids)
    with st.expander("Noise by workload"):
        widgets.table(
            pd.DataFrame(
                {
                    "Machine": noise["machine_id"].map(source.names),
                    "Workload": noise["workload"],
                    "Device": noise["device"],
                    "Cells": noise["cells"],
                    "Noisy": 100 * noise["noisy_share"],
                    "Median spread": 100 * noise["median_spread"],
                }
            ),
            columns={"Noisy": percent, "Median spread": percent},
            alt="Share of noisy cells per workload",
        )


def _show_reasons(source: shared.Source, ids: list[str], kind: str, title: str) -> None:
    reasons = fleet_queries.reasons(source.connection, ids, kind)
    if reasons.empty:
        return
    st.markdown(f"**{title}**")
    widgets.table(
        pd.DataFrame(
            {
                "Machine": reasons["machine_id"].map(source.names),
                "Reason": reasons["reason"].map(reasons_text),
                "Cells": reasons["cells"],
            }
        ),
        alt=f"{title}, with the number of cells",
    )
