"""Did a machine get faster or slower while it was measured?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages import health_queries, shared, widgets
from charts.drift import drift_chart


def show_drift(source: shared.Source, chosen: list[str]) -> None:
    """The operation that is repeated along a run: a chart of the last run, a row for each run.

    Nothing where no run of the chosen machines has repetitions.
    """
    frame = health_queries.drift(source.connection)
    frame["machine"] = frame["machine_id"].map(source.names)
    frame = frame[frame["machine"].isin(chosen)]
    if frame.empty:
        return
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
        st.altair_chart(
            drift_chart(latest[fields], names),
            alt=f"Deviation of a repeated operation from its first time for {len(names)} series",
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
    widgets.table(
        pd.DataFrame(
            {
                "Machine": rows["machine"],
                "Where": rows["place"],
                "Repetitions": rows["count"],
                "Range": 100 * (rows["high"] - rows["low"]) / rows["middle"],
                "Last against first": rows["last"],
                "Run of": rows["started"],
            }
        ),
        "Range of a repeated operation's time along each run",
        {
            "Range": st.column_config.NumberColumn(
                format="%.2f %%", help="Largest less smallest median, over the middle one"
            ),
            "Last against first": st.column_config.NumberColumn(format="%+.2f %%"),
            "Run of": st.column_config.DatetimeColumn(
                "Run of (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
            ),
        },
    )
    st.caption(
        "A matrix product and a copy, the same at each repetition; the chart shows each machine's "
        "last run. They enter no estimate."
    )
