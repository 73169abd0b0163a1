"""Did a machine get faster or slower while it was measured?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages import fleet_queries, shared, widgets
from charts.drift import drift_chart

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
        "cpu, " + frame["threads"].map(lambda count: shared.plural(int(count), "thread")),
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
