"""Parts of an estimate: where the model says that the time goes."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import bottom_legend, stack
from charts._marks import option_labels

PARTS = ("launch", "compute", "memory", "transfer")


def part_shares(frame: pd.DataFrame, options: list[str]) -> alt.LayerChart:
    """Stacked bars of shares, one per option: the times differ too much for one scale of seconds.

    ``frame``: option, part (one of ``PARTS``), seconds, share (0 to 1).
    """
    y = alt.Y(
        "option:N",
        title=None,
        sort=options,
        axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False),
    )
    bars = (
        alt.Chart(frame)
        .mark_bar(height=14, yOffset=15)
        .encode(
            y=y,
            x=alt.X(
                "share:Q",
                title="Share of the estimated time",
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%", tickCount=5),
            ),
            color=alt.Color(
                "part:N",
                title="Part",
                scale=alt.Scale(domain=list(PARTS)),
                legend=bottom_legend(columns=2),
            ),
            order=alt.Order("part_order:Q"),
            tooltip=[
                alt.Tooltip("option:N", title="Option"),
                alt.Tooltip("part:N", title="Part"),
                alt.Tooltip("seconds:Q", title="Time, s", format=".3s"),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
    )
    rows = frame[["option"]].drop_duplicates()
    names = option_labels(alt.Chart(rows), y, above_px=6)
    return stack(bars, names, height=alt.Step(56))
