"""Residuals: where the model is off, and by how much."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, height_of, log_x, stack
from charts._marks import series_shape

_CLIP = 1.0


def residual_chart(frame: pd.DataFrame, color_field: str, domain: list[str]) -> alt.LayerChart:
    """Relative error of the model over the measured time; errors beyond +-100 % sit at the edge.

    Colours and shapes are those of ``parity_chart`` beside it, which has the legend.

    ``frame``: measured_s, error, cell (text) and ``color_field``.
    """
    shown = frame.assign(shown=frame["error"].clip(-_CLIP, _CLIP))
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY).encode(y=alt.Y("zero:Q"))
    dots = (
        alt.Chart(shown)
        .mark_point(size=36, opacity=0.7, filled=True)
        .encode(
            x=log_x("measured_s", "Measured median", frame["measured_s"], "s"),
            y=alt.Y(
                "shown:Q",
                title="Model's error (above 0: too slow)",
                axis=alt.Axis(format="+.0%"),
            ),
            color=alt.Color(f"{color_field}:N", scale=alt.Scale(domain=domain), legend=None),
            shape=series_shape(color_field, domain=domain),
            tooltip=[
                alt.Tooltip("cell:N", title="Cell"),
                alt.Tooltip("measured_s:Q", title="Measured, s", format=".4s"),
                alt.Tooltip("error:Q", title="Error", format="+.1%"),
            ],
        )
    )
    return stack(zero, dots, height=height_of(330))
