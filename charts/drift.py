"""Drift: how one operation, repeated along a run, deviates from its first repetition."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, height_of, series_color, stack


def drift_chart(frame: pd.DataFrame, series: list[str]) -> alt.LayerChart:
    """One line per series over the repetitions, with a line at 0 (no drift).

    ``frame``: series, repetition (from 1), percent (deviation from the first), median_s.
    """
    base = alt.Chart(frame).encode(
        x=alt.X(
            "repetition:Q",
            title="Repetition along the run",
            axis=alt.Axis(format="d", tickMinStep=1),
            scale=alt.Scale(zero=False, nice=False, padding=12),
        ),
        color=series_color("series", "Series", series),
    )
    y = alt.Y("percent:Q", title="Against the first (%)", axis=alt.Axis(format="+.2~f", grid=True))
    line = base.mark_line(strokeWidth=1.8).encode(y=y)
    dots = base.mark_point(filled=True, size=55, opacity=1).encode(
        y=y,
        tooltip=[
            alt.Tooltip("series:N", title="Series"),
            alt.Tooltip("repetition:Q", title="Repetition"),
            alt.Tooltip("percent:Q", title="Against the first, %", format="+.2f"),
            alt.Tooltip("median_s:Q", title="Median, s", format=".4s"),
        ],
    )
    none = (
        alt.Chart(pd.DataFrame({"none": [0.0]}))
        .mark_rule(strokeDash=[5, 4], color=GREY)
        .encode(y=alt.Y("none:Q"))
    )
    return stack(none, line, dots, height=height_of(210, legend_rows=len(series)))
