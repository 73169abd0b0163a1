"""Timeline: when each machine was measured, and which runs ended badly."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, bottom_legend, row_labels, stack

#: What a run may be; the order fixes colour and shape.
OUTCOMES = ("every cell has a time", "some cells without a time", "did not finish")


def run_timeline(frame: pd.DataFrame, machines: list[str]) -> alt.LayerChart:
    """One mark per run, one row per machine.

    ``frame``: machine, started (UTC), outcome (of ``OUTCOMES``), cells, failed, suite.
    """
    y = alt.Y(
        "machine:N",
        title=None,
        sort=machines,
        scale=alt.Scale(domain=machines, paddingInner=0.1),
        axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False),
    )
    days = (frame["started"].max() - frame["started"].min()).days
    lines = (
        alt.Chart(pd.DataFrame({"machine": machines}))
        .mark_rule(color=GREY, opacity=0.25, yOffset=7)
        .encode(y=y)
    )
    marks = (
        alt.Chart(frame)
        .mark_point(filled=True, size=90, opacity=0.9, yOffset=7)
        .encode(
            y=y,
            x=alt.X(
                "started:T",
                title="Start of the run (UTC)",
                scale=alt.Scale(type="utc", padding=16),
                axis=alt.Axis(
                    format="%Y-%m-%d" if days > 3 else "%d %b %H:%M",
                    labelOverlap=True,
                    tickCount=6,
                ),
            ),
            color=alt.Color(
                "outcome:N",
                title="Runs",
                scale=alt.Scale(domain=list(OUTCOMES)),
                legend=bottom_legend(),
            ),
            shape=alt.Shape(
                "outcome:N",
                title="Runs",
                scale=alt.Scale(domain=list(OUTCOMES), range=["circle", "triangle-up", "square"]),
            ),
            tooltip=[
                alt.Tooltip("machine:N", title="Machine"),
                alt.Tooltip("started:T", title="Start (UTC)", format="%Y-%m-%d %H:%M"),
                alt.Tooltip("suite:N", title="Suite"),
                alt.Tooltip("cells:Q", title="Cells with a time", format=","),
                alt.Tooltip("failed:Q", title="Cells without a time", format=","),
                alt.Tooltip("outcome:N", title="Outcome"),
            ],
        )
    )
    rows = pd.DataFrame({"machine": machines})
    names = row_labels(alt.Chart(rows).encode(y=y), "machine", above_px=3)
    return stack(lines, marks, names, height=alt.Step(34))
