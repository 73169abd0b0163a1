"""Raw samples of one cell in the order in which they were taken."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, stack


def sample_sequence(frame: pd.DataFrame, unit: str) -> alt.LayerChart:
    """Dots in order, the median as a line, the 95 % interval of the median as a band.

    ``frame``: index (from 1), value, median, low, high (times in ``unit``).
    """
    base = alt.Chart(frame)
    scale = alt.Scale(zero=False)
    band = base.mark_rect(opacity=0.2).encode(
        y=alt.Y("low:Q", aggregate="min", scale=scale, title=f"Time of one call ({unit})"),
        y2=alt.Y2("high:Q", aggregate="max"),
    )
    median = base.mark_rule(strokeWidth=1.5, color=GREY).encode(
        y=alt.Y("median:Q", aggregate="mean")
    )
    dots = base.mark_circle(size=34, opacity=0.75).encode(
        x=alt.X("index:Q", title="Sample, in the order taken", axis=alt.Axis(format="d")),
        y=alt.Y("value:Q", scale=scale),
        tooltip=[
            alt.Tooltip("index:Q", title="Sample"),
            alt.Tooltip("value:Q", title=f"Time, {unit}", format=".5g"),
        ],
    )
    return stack(band, median, dots, height=280)
