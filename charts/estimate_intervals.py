"""Estimates: the model's time with its 90 % interval, and the measurement where there is one."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import log_x, stack
from charts._marks import option_labels


def estimate_intervals(
    frame: pd.DataFrame, options: list[str], machines: list[str]
) -> alt.LayerChart:
    """One row per option, fastest first; the axis is logarithmic, so there are no bars from zero.

    ``frame``: option (row label), machine, seconds_p5, seconds_p50, seconds_p95,
    measured_median_s (NaN where that cell was not measured), basis.
    """
    values = pd.concat(
        [frame["seconds_p5"], frame["seconds_p95"], frame["measured_median_s"].dropna()]
    )
    base = alt.Chart(frame).encode(
        y=alt.Y(
            "option:N",
            title=None,
            sort=options,
            axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False),
        ),
        color=alt.Color(
            "machine:N",
            title="Machine",
            scale=alt.Scale(domain=machines),
            legend=None,  # the rows name their machines
        ),
        tooltip=[
            alt.Tooltip("option:N", title="Option"),
            alt.Tooltip("machine:N", title="Machine"),
            alt.Tooltip("seconds_p50:Q", title="Estimate, s", format=".3s"),
            alt.Tooltip("seconds_p5:Q", title="90 % interval from, s", format=".3s"),
            alt.Tooltip("seconds_p95:Q", title="90 % interval to, s", format=".3s"),
            alt.Tooltip("measured_median_s:Q", title="Measured, s", format=".3s"),
            alt.Tooltip("basis:N", title="Basis"),
        ],
    )
    interval = base.mark_rule(strokeWidth=7, opacity=0.4, strokeCap="round").encode(
        x=log_x("seconds_p5", "Time of one call (log scale)", values, "s"), x2=alt.X2("seconds_p95")
    )
    dots = base.mark_point(filled=True, size=85, opacity=1).encode(x=alt.X("seconds_p50:Q"))
    measured = (
        base.transform_filter("isValid(datum.measured_median_s)")
        .mark_point(shape="diamond", size=130, filled=False, strokeWidth=2)
        .encode(x=alt.X("measured_median_s:Q"))
    )
    names = option_labels(alt.Chart(frame), base.encoding.y, above_px=13)
    layers = [interval, dots]
    if frame["measured_median_s"].notna().any():  # an empty layer would have no name to read out
        layers.append(measured)
    return stack(*layers, names, height=alt.Step(58))
