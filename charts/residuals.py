"""Residuals: where the model is off, and by how much."""

from __future__ import annotations

from math import ceil

import altair as alt
import pandas as pd

from charts._axes import GREY, height_of, legend_columns, log_x, series_color, stack

_CLIP = 1.0


def residual_chart(frame: pd.DataFrame, color_field: str, domain: list[str]) -> alt.LayerChart:
    """Relative error of the model over the measured time; errors beyond +-100 % sit at the edge.

    ``frame``: measured_s, error, cell (text) and ``color_field``.
    """
    columns = legend_columns(domain)
    shown = frame.assign(shown=frame["error"].clip(-_CLIP, _CLIP))
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY).encode(y=alt.Y("zero:Q"))
    dots = (
        alt.Chart(shown)
        .mark_circle(size=42, opacity=0.7)
        .encode(
            x=log_x("measured_s", "Measured median", frame["measured_s"], "s"),
            y=alt.Y(
                "shown:Q",
                title="Model's error (above 0: too slow)",
                axis=alt.Axis(format="+.0%"),
            ),
            color=series_color(
                color_field, color_field.replace("_", " ").capitalize(), domain, columns
            ),
            tooltip=[
                alt.Tooltip("cell:N", title="Cell"),
                alt.Tooltip("measured_s:Q", title="Measured, s", format=".4s"),
                alt.Tooltip("error:Q", title="Error", format="+.1%"),
            ],
        )
    )
    return stack(zero, dots, height=height_of(330, legend_rows=ceil(len(domain) / columns)))
