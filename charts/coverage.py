"""Coverage: how many cells of each workload were measured on each machine."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, stack

#: So many machines have room for their names side by side on a narrow screen, so many for figures.
_NAMES_BESIDE, _MOST_FIGURES = 3, 10
_NAMES_PX = 276


def coverage_heatmap(
    frame: pd.DataFrame, machines: list[str], workloads: list[str]
) -> alt.LayerChart:
    """Heat map of workload (rows) against machine (columns).

    ``frame`` has one row per pair: machine, workload, ok (cells with a time), failed (cells
    without one). A pair with no row stays blank: nothing was tried there.
    """
    few = len(machines) <= _NAMES_BESIDE
    # names break at their first comma; many of them stand upright
    comma = "indexof(datum.label, ', ')"
    broken = f"[slice(datum.label, 0, {comma}), slice(datum.label, {comma} + 2)]"
    broken = f"{comma} < 0 ? datum.label : {broken}"
    lines = alt.Axis(
        orient="top",
        labelExpr=broken,
        labelAngle=0 if few else -90,
        labelLimit=_NAMES_PX // max(1, len(machines)) if few else 220,
        labelOverlap=False,
        grid=False,
        ticks=False,
        domain=False,
    )
    base = alt.Chart(frame).encode(
        x=alt.X(
            "machine:N",
            title=None,
            sort=machines,
            scale=alt.Scale(domain=machines, paddingInner=0.08, paddingOuter=0.04),
            axis=lines,
        ),
        y=alt.Y(
            "workload:N",
            title=None,
            sort=workloads,
            scale=alt.Scale(domain=workloads, paddingInner=0.12, paddingOuter=0.1),
            axis=alt.Axis(
                labelColor=GREY,
                labelLimit=110,
                labelOverlap=False,
                grid=False,
                ticks=False,
                domain=False,
            ),
        ),
        tooltip=[
            alt.Tooltip("machine:N", title="Machine"),
            alt.Tooltip("workload:N", title="Workload"),
            alt.Tooltip("ok:Q", title="Cells with a time", format=","),
            alt.Tooltip("failed:Q", title="Cells without a time", format=","),
        ],
    )
    # Both ends of this ramp carry white figures legibly on a light and on a dark page.
    colour = alt.Color(
        "ok:Q",
        title="Cells with a time",
        scale=alt.Scale(range=["#5f87a6", "#0b4a75"], zero=False),
        legend=None,
    )
    squares = base.mark_rect(cornerRadius=3).encode(color=colour)
    layers = [squares]
    if len(machines) <= _MOST_FIGURES:
        size = 12 if few else 10
        figures = base.mark_text(color="#ffffff", fontSize=size)
        layers.append(figures.encode(text=alt.Text("ok:Q", format=",")))
    return stack(*layers, height=alt.Step(24))
