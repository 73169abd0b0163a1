"""Coverage: how many cells of each workload were measured on each machine."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import row_labels, stack


def coverage_heatmap(
    frame: pd.DataFrame, machines: list[str], workloads: list[str]
) -> alt.LayerChart:
    """Heat map of machine against workload.

    ``frame`` has one row per pair: machine, workload, ok (cells with a time), failed (cells
    without one). A pair with no row stays blank: nothing was tried there.
    """
    # Names stand above their row: beside it there is no room on a narrow screen.
    y = alt.Y(
        "machine:N",
        title=None,
        sort=machines,
        scale=alt.Scale(domain=machines, paddingInner=0.42, paddingOuter=0.3),
        axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False),
    )
    base = alt.Chart(frame).encode(
        x=alt.X(
            "workload:N",
            title=None,
            sort=workloads,
            scale=alt.Scale(domain=workloads),
            axis=alt.Axis(orient="top", labelAngle=-35, labelOverlap=False, grid=False),
        ),
        y=y,
        tooltip=[
            alt.Tooltip("machine:N", title="Machine"),
            alt.Tooltip("workload:N", title="Workload"),
            alt.Tooltip("ok:Q", title="Cells with a time", format=","),
            alt.Tooltip("failed:Q", title="Cells without a time", format=","),
        ],
    )
    # Both ends of this ramp carry white figures legibly on a light and on a dark page.
    colour = alt.Color(
        "ok:Q",
        title="Cells with a time",
        scale=alt.Scale(range=["#5f87a6", "#0b4a75"], zero=False),
        legend=None,
    )
    squares = base.mark_rect(cornerRadius=3, stroke="transparent", strokeWidth=3).encode(
        color=colour
    )
    figures = base.mark_text(color="#ffffff", fontSize=13).encode(text=alt.Text("ok:Q", format=","))
    rows = frame[["machine"]].drop_duplicates()
    names = row_labels(alt.Chart(rows).encode(y=y), "machine", above_px=19)
    return stack(squares, figures, names, height=alt.Step(58))
