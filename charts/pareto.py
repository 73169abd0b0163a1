"""Time against cost of one completed job, with the Pareto front."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, bottom_legend, duration_x, height_of, log_y, stack


def pareto_chart(frame: pd.DataFrame, providers: list[str]) -> alt.LayerChart:
    """Dots on two logarithmic axes; the stepped line joins the instances that no other beats.

    ``frame``: name, provider, job_s, cost_usd, cost_low_usd, cost_high_usd, basis, front (bool).
    """
    x = duration_x("job_s", "Time to the completed job (log scale)", frame["job_s"])
    y = log_y(
        "cost_usd",
        "Cost of the completed job, USD (log scale)",
        [*frame["cost_low_usd"], *frame["cost_high_usd"]],
    )
    base = alt.Chart(frame).encode(
        x=x,
        tooltip=[
            alt.Tooltip("name:N", title="Instance"),
            alt.Tooltip("provider:N", title="Provider"),
            alt.Tooltip("job_s:Q", title="Time, s", format=",.4r"),
            alt.Tooltip("cost_usd:Q", title="Cost, USD", format=",.4f"),
            alt.Tooltip("cost_low_usd:Q", title="90 % interval from, USD", format=",.4f"),
            alt.Tooltip("cost_high_usd:Q", title="90 % interval to, USD", format=",.4f"),
            alt.Tooltip("basis:N", title="Basis"),
        ],
    )
    colour = alt.Color(
        "provider:N",
        title="Provider",
        scale=alt.Scale(domain=providers),
        legend=bottom_legend(columns=3),
    )
    # Above the chart: below it, beside the other legend, it would not fit a narrow screen.
    basis_legend = alt.Legend(
        orient="top", columns=1, labelLimit=340, symbolFillColor=GREY, symbolStrokeColor=GREY
    )
    shape = alt.Shape("basis:N", title="Basis of the time", legend=basis_legend)
    front = (
        base.transform_filter("datum.front")
        .mark_line(color=GREY, interpolate="step-after", strokeWidth=1.5)
        .encode(y=y, order=alt.Order("job_s:Q"))
    )
    interval = base.mark_rule(opacity=0.25, strokeWidth=2).encode(
        y=alt.Y("cost_low_usd:Q"), y2=alt.Y2("cost_high_usd"), color=colour
    )
    dots = base.mark_point(filled=True, size=90, opacity=0.95).encode(
        y=y, color=colour, shape=shape
    )
    return stack(front, interval, dots, height=height_of(340, legend_rows=7))
