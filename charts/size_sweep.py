"""Size sweep: median time against size, with the 95 % interval of the median as a band."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from charts._axes import height_of, log_x, log_y, series_color, stack


def size_sweep(
    frame: pd.DataFrame, series: list[str], size_title: str, interval: bool = True
) -> alt.LayerChart:
    """Lines on two logarithmic axes.

    ``frame``: series, size, median_s, ci95_low_s, ci95_high_s, n, params (text). Without
    ``interval`` the columns of the interval are not shown: single samples have none.
    """
    values = pd.concat([frame["ci95_low_s"], frame["ci95_high_s"]])
    x = log_x("size", size_title, frame["size"].astype(float))
    colour = series_color("series", "Series", series)
    base = alt.Chart(frame).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.25, line=False).encode(
        y=log_y("ci95_low_s", "Time of one call (log scale)", values, "s"),
        y2=alt.Y2("ci95_high_s"),
    )
    ends = [
        alt.Tooltip("ci95_low_s:Q", title="95 % interval from, s", format=".4s"),
        alt.Tooltip("ci95_high_s:Q", title="95 % interval to, s", format=".4s"),
    ]
    tooltip = [
        alt.Tooltip("series:N", title="Series"),
        alt.Tooltip("params:N", title="Parameters"),
        alt.Tooltip("median_s:Q", title="Median, s", format=".4s"),
        *(ends if interval else []),
        alt.Tooltip("n:Q", title="Samples", format=","),
    ]
    line = base.mark_line(strokeWidth=1.8).encode(
        y=log_y("median_s", "Time of one call (log scale)", values, "s")
    )
    shape = alt.Shape("series:N", title="Series", scale=alt.Scale(domain=series))
    points = base.mark_point(filled=True, size=55, opacity=1).encode(
        y=alt.Y("median_s:Q"), shape=shape, tooltip=tooltip
    )
    layers = [band, line, points] if interval else [line, points]
    # legends that join colour and shape stand less dense than others
    return stack(*layers, height=height_of(330, legend_rows=math.ceil(1.4 * len(series))))
