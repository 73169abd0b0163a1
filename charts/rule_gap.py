"""Rule gap: the speed-up that a rule states against the one that was measured, case by case."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, height_of, log_domain, log_x, log_y, series_color, stack


def rule_gap_chart(frame: pd.DataFrame, sources: list[str]) -> alt.LayerChart:
    """Dots on two logarithmic axes. Diagonal: as measured; dashed lines: no faster, no slower.

    ``frame``: measured, stated (speed-ups), source (one of ``sources``), pair (text), chosen (the
    case of the page: drawn as a large diamond).
    """
    values = [*frame["measured"], *frame["stated"], 1.0]
    low, high = log_domain(values)
    diagonal = (
        alt.Chart(pd.DataFrame({"x": [low, high], "y": [low, high]}))
        .mark_line(color=GREY, strokeWidth=1.5, clip=True)
        .encode(x=alt.X("x:Q"), y=alt.Y("y:Q"))
    )
    one = pd.DataFrame({"one": [1.0]})
    rule = alt.Chart(one).mark_rule(color=GREY, strokeDash=[4, 4])
    base = alt.Chart(frame).encode(
        x=log_x("measured", "Measured speed-up of the GPU (log scale)", values),
        y=log_y("stated", "Stated speed-up (log scale)", values),
        color=series_color("source", "Who states it", sources),
        tooltip=[
            alt.Tooltip("pair:N", title="Case"),
            alt.Tooltip("source:N", title="Who states it"),
            alt.Tooltip("stated:Q", title="Stated speed-up", format=",.3~g"),
            alt.Tooltip("measured:Q", title="Measured speed-up", format=",.3~g"),
        ],
    )
    dots = base.transform_filter("!datum.chosen").mark_circle(size=48, opacity=0.7)
    chosen = base.transform_filter("datum.chosen").mark_point(
        shape="diamond", size=220, filled=False, strokeWidth=2.5
    )
    return stack(
        dots,
        diagonal,
        rule.encode(x=alt.X("one:Q")),
        rule.encode(y=alt.Y("one:Q")),
        chosen,
        height=height_of(360, legend_rows=len(sources)),
    )
