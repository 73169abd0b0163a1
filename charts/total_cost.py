"""Total cost of two ways to do the same jobs over the number of jobs, and where they meet."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, height_of, log_x, log_y, series_color, stack


def total_cost_chart(
    frame: pd.DataFrame, options: list[str], crossing: int | None
) -> alt.LayerChart:
    """Two lines on logarithmic axes; a dashed rule at the number of jobs where the cheaper changes.

    ``frame``: option, jobs, total_usd.
    """
    base = alt.Chart(frame).encode(
        x=log_x("jobs", "Number of jobs (log scale)", frame["jobs"]),
        color=series_color("option", "Option", options),
    )
    lines = base.mark_line(strokeWidth=2.5).encode(
        y=log_y("total_usd", "Cost of all jobs, USD (log scale)", frame["total_usd"]),
        tooltip=[
            alt.Tooltip("option:N", title="Option"),
            alt.Tooltip("jobs:Q", title="Jobs", format=",.4r"),
            alt.Tooltip("total_usd:Q", title="All jobs, USD", format=",.2f"),
        ],
    )
    layers = [lines]
    if crossing is not None:
        layers.append(
            alt.Chart(pd.DataFrame({"jobs": [crossing], "line": ["break-even"]}))
            .mark_rule(color=GREY, strokeWidth=1.5, strokeDash=[5, 4])
            .encode(
                x=alt.X("jobs:Q"),
                tooltip=[
                    alt.Tooltip("line:N", title="Line"),
                    alt.Tooltip("jobs:Q", title="Jobs", format=","),
                ],
            )
        )
    return stack(*layers, height=height_of(260, legend_rows=len(options)))
