"""Ratio of two series over the sizes that both have."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, height_of, log_x, log_y, stack


def ratio_chart(frame: pd.DataFrame, size_title: str, ratio_title: str) -> alt.LayerChart:
    """Time of one series divided by the time of another, with a line at 1 (no difference).

    ``frame``: size, ratio, ratio_low, ratio_high, params (text).
    """
    values = [*frame["ratio_low"], *frame["ratio_high"], 1.0]
    x = log_x("size", size_title, frame["size"].astype(float))
    base = alt.Chart(frame).encode(x=x)
    band = base.mark_area(opacity=0.25).encode(
        y=log_y("ratio_low", ratio_title, values), y2=alt.Y2("ratio_high")
    )
    line = base.mark_line(point=alt.OverlayMarkDef(size=50, filled=True)).encode(
        y=alt.Y("ratio:Q"),
        tooltip=[
            alt.Tooltip("params:N", title="Parameters"),
            alt.Tooltip("ratio:Q", title="Ratio", format=".3g"),
            alt.Tooltip("ratio_low:Q", title="At least", format=".3g"),
            alt.Tooltip("ratio_high:Q", title="At most", format=".3g"),
        ],
    )
    one = (
        alt.Chart(pd.DataFrame({"one": [1.0]}))
        .mark_rule(strokeDash=[5, 4], color=GREY)
        .encode(y=alt.Y("one:Q"))
    )
    return stack(band, one, line, height=height_of(230))
