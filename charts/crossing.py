"""Crossing: the time on a CPU and on a GPU over the size, and where they meet."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, bottom_legend, height_of, log_x, log_y, stack


def crossing_chart(
    frame: pd.DataFrame, options: list[str], size_title: str, chosen: float, crossing: float | None
) -> alt.LayerChart:
    """Two curves with 90 % bands; solid rule = the chosen size, dashed rule = break-even size.

    ``frame``: option, size, seconds_p5, seconds_p50, seconds_p95.
    """
    values = pd.concat([frame["seconds_p5"], frame["seconds_p95"]])
    sizes = [*frame["size"].astype(float), chosen, *([crossing] if crossing else [])]
    x = log_x("size", size_title, sizes)
    legend = bottom_legend()
    legend["labelExpr"] = "split(datum.label, ' · ')"  # a phone has no room for one line
    color = alt.Color("option:N", title="Option", scale=alt.Scale(domain=options), legend=legend)
    base = alt.Chart(frame).encode(x=x, color=color)
    band = base.mark_area(opacity=0.2).encode(
        y=log_y("seconds_p5", "Time of one call (log scale)", values, "s"),
        y2=alt.Y2("seconds_p95"),
    )
    line = base.mark_line(strokeWidth=2).encode(
        y=alt.Y("seconds_p50:Q"),
        tooltip=[
            alt.Tooltip("option:N", title="Option"),
            alt.Tooltip("size:Q", title="Size", format=".4s"),
            alt.Tooltip("seconds_p50:Q", title="Estimate, s", format=".3s"),
        ],
    )
    marks = pd.DataFrame({"size": [chosen], "mark": ["chosen size"]})
    if crossing is not None:
        marks = pd.concat([marks, pd.DataFrame({"size": [crossing], "mark": ["break-even"]})])
    rules = (
        alt.Chart(marks)
        .mark_rule(color=GREY, strokeWidth=1.5)
        .encode(
            x=alt.X("size:Q"),
            strokeDash=alt.StrokeDash(
                "mark:N",
                scale=alt.Scale(domain=["chosen size", "break-even"], range=[[1, 0], [5, 4]]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("mark:N", title="Line"),
                alt.Tooltip("size:Q", title="Size", format=".4s"),
            ],
        )
    )
    return stack(band, line, rules, height=height_of(280, legend_rows=2 * len(options)))
