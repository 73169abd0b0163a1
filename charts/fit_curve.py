"""One fitted group: the model's curve and 90 % interval over the measured points."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import height_of, log_x, log_y, stack


def fit_curve(curve: pd.DataFrame, points: pd.DataFrame, size_title: str) -> alt.LayerChart:
    """Curve and points on two logarithmic axes.

    ``curve``: size, seconds_p5, seconds_p50, seconds_p95; ``points``: size, median_s, n, params.
    """
    sizes = pd.concat([curve["size"], points["size"]]).astype(float)
    values = pd.concat([curve["seconds_p5"], curve["seconds_p95"], points["median_s"]])
    base = alt.Chart(curve).encode(x=log_x("size", size_title, sizes))
    band = base.mark_area(opacity=0.22).encode(
        y=log_y("seconds_p5", "Time of one call (log scale)", values, "s"),
        y2=alt.Y2("seconds_p95"),
    )
    line = base.mark_line(strokeWidth=2).encode(y=alt.Y("seconds_p50:Q"))
    dots = (
        alt.Chart(points)
        .mark_point(size=60, filled=False, strokeWidth=1.8)
        .encode(
            x=alt.X("size:Q"),
            y=alt.Y("median_s:Q"),
            tooltip=[
                alt.Tooltip("params:N", title="Parameters"),
                alt.Tooltip("median_s:Q", title="Measured median, s", format=".4s"),
                alt.Tooltip("n:Q", title="Samples", format=","),
            ],
        )
    )
    return stack(band, line, dots, height=height_of(300))
