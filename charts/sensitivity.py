"""Sensitivity: the cost of the cheapest instance with one input at a time lower and higher."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, bottom_legend, height_of, row_labels, stack

ENDS = ("input lower", "input higher")
_ROW_PX = 46


def sensitivity_chart(frame: pd.DataFrame, base_usd: float) -> alt.LayerChart:
    """Bars to both sides of the base cost, the widest on top; a cross where another one wins.

    ``frame``: input (row name, in order), end (one of ``ENDS``), usd, base_usd, winner, changes
    (bool: at that end another instance is the cheapest).
    """
    rows = list(dict.fromkeys(frame["input"]))
    base = alt.Chart(frame).encode(
        y=alt.Y(
            "input:N",
            title=None,
            sort=rows,
            axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False),
        ),
        tooltip=[
            alt.Tooltip("input:N", title="Input"),
            alt.Tooltip("end:N", title="Changed"),
            alt.Tooltip("usd:Q", title="Cost of one job, USD", format=",.4~f"),
            alt.Tooltip("winner:N", title="Cheapest then"),
        ],
    )
    x = alt.X(
        "usd:Q",
        title="Cost of one job on today's cheapest, USD",
        scale=alt.Scale(zero=False, padding=12),
        axis=alt.Axis(tickCount=5, labelOverlap=True),
    )
    bars = base.mark_bar(height=14).encode(
        x=x,
        x2=alt.X2("base_usd"),
        color=alt.Color(
            "end:N", title=None, scale=alt.Scale(domain=list(ENDS)), legend=bottom_legend(2)
        ),
    )
    changes = (
        base.transform_filter("datum.changes")
        .mark_point(shape="cross", angle=45, size=110, filled=True, color=GREY, opacity=1)
        .encode(x=alt.X("usd:Q"))
    )
    middle = (
        alt.Chart(pd.DataFrame({"usd": [base_usd]}))
        .mark_rule(color=GREY, strokeWidth=1.5)
        .encode(x=alt.X("usd:Q"))
    )
    names = row_labels(
        alt.Chart(frame).transform_filter(f"datum.end == '{ENDS[0]}'").encode(y=base.encoding.y),
        "input",
        above_px=9,
    )
    return stack(bars, middle, changes, names, height=height_of(_ROW_PX * len(rows), legend_rows=1))
