"""How the raw samples of one cell are distributed."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, stack


def sample_distribution(
    frame: pd.DataFrame, median: float, low: float, high: float, unit: str
) -> alt.LayerChart:
    """Bars of a histogram, the median as a line and its 95 % interval as a band.

    ``frame``: left, right (ends of the bins, in ``unit``), count. Bins are made in the page.
    """
    x = alt.X("left:Q", title=f"Time of one call ({unit})", scale=alt.Scale(zero=False))
    bars = (
        alt.Chart(frame)
        .mark_bar(opacity=0.8)
        .encode(
            x=x,
            x2=alt.X2("right"),
            y=alt.Y("count:Q", title="Samples", axis=alt.Axis(tickMinStep=1, format="d")),
            tooltip=[
                alt.Tooltip("left:Q", title=f"From, {unit}", format=".5g"),
                alt.Tooltip("right:Q", title=f"To, {unit}", format=".5g"),
                alt.Tooltip("count:Q", title="Samples"),
            ],
        )
    )
    middle = pd.DataFrame({"median": [median], "low": [low], "high": [high]})
    base = alt.Chart(middle)
    band = base.mark_rect(opacity=0.2).encode(x=alt.X("low:Q"), x2=alt.X2("high"))
    line = base.mark_rule(strokeWidth=1.5, color=GREY).encode(x=alt.X("median:Q"))
    return stack(band, bars, line, height=280)
