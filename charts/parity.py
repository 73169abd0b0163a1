"""Parity: the fitted model's time against the measured median of the same cell."""

from __future__ import annotations

from math import ceil

import altair as alt
import pandas as pd

from charts._axes import (
    GREY,
    height_of,
    legend_columns,
    log_domain,
    log_x,
    log_y,
    series_color,
    stack,
)
from charts._marks import series_shape


def parity_chart(frame: pd.DataFrame, color_field: str, domain: list[str]) -> alt.LayerChart:
    """Dots on two logarithmic axes; the diagonal is a perfect fit, the thin lines are +-20 %.

    ``frame``: measured_s, predicted_s, error (relative), cell (text) and ``color_field``.
    """
    columns = legend_columns(domain)
    values = pd.concat([frame["measured_s"], frame["predicted_s"]])
    low, high = log_domain(values)
    guides = pd.DataFrame(
        [
            {"x": bound, "y": bound * factor, "guide": f"{factor:g}"}
            for factor in (1 / 1.2, 1.0, 1.2)
            for bound in (low, high)
        ]
    )
    lines = (
        alt.Chart(guides)
        .mark_line(color=GREY, strokeWidth=1, clip=True)
        .encode(
            x=alt.X("x:Q"),
            y=alt.Y("y:Q"),
            detail="guide:N",
            strokeDash=alt.condition("datum.guide == '1'", alt.value([1, 0]), alt.value([3, 4])),
        )
    )
    dots = (
        alt.Chart(frame)
        .mark_point(size=36, opacity=0.7, filled=True)
        .encode(
            x=log_x("measured_s", "Measured median", values, "s"),
            y=log_y("predicted_s", "Model", values, "s"),
            color=series_color(
                color_field, color_field.replace("_", " ").capitalize(), domain, columns
            ),
            shape=series_shape(
                color_field, color_field.replace("_", " ").capitalize(), domain, columns
            ),
            tooltip=[
                alt.Tooltip("cell:N", title="Cell"),
                alt.Tooltip("measured_s:Q", title="Measured, s", format=".4s"),
                alt.Tooltip("predicted_s:Q", title="Model, s", format=".4s"),
                alt.Tooltip("error:Q", title="Error", format="+.1%"),
            ],
        )
    )
    return stack(dots, lines, height=height_of(330, legend_rows=ceil(len(domain) / columns)))
