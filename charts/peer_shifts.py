"""A machine beside its peers: how much longer each family takes on it."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import GREY, bottom_legend, row_labels, stack


def peer_shifts(
    frame: pd.DataFrame, kinds: list[str], against: str = "the peers' median"
) -> alt.LayerChart:
    """One row per kind of work and family; a dot for the machine, a bar for what its peers span.

    ``frame``: row (label), kind, percent (median over cells: so much longer than the peers'
    median), low, high (quartiles over cells), peers_low, peers_high (the peers' own medians, NaN
    where there is one peer only), cells, peers. ``against``: what the times are compared with.
    """
    rows = list(dict.fromkeys(frame["row"]))
    y = alt.Y(
        "row:N",
        title=None,
        sort=rows,
        scale=alt.Scale(domain=rows, paddingInner=0.1),
        axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False),
    )
    base = alt.Chart(frame).encode(y=y)
    span = (
        base.transform_filter("isValid(datum.peers_low)")
        .mark_bar(height=5, color=GREY, opacity=0.45, yOffset=8)
        .encode(x=alt.X("peers_low:Q"), x2=alt.X2("peers_high"))
    )
    quartiles = base.mark_rule(strokeWidth=1.5, yOffset=8).encode(
        x=alt.X("low:Q"),
        x2=alt.X2("high"),
        color=alt.Color("kind:N", scale=alt.Scale(domain=kinds), legend=None),
    )
    dots = base.mark_point(filled=True, size=75, opacity=1, yOffset=8).encode(
        x=alt.X(
            "percent:Q",
            title=f"Time against {against} (%)",
            axis=alt.Axis(format="+~g", grid=True),
        ),
        color=alt.Color(
            "kind:N", title="Kind of work", scale=alt.Scale(domain=kinds), legend=bottom_legend()
        ),
        tooltip=[
            alt.Tooltip("row:N", title="Family"),
            alt.Tooltip("percent:Q", title="Median difference, %", format="+.2f"),
            alt.Tooltip("low:Q", title="A quarter of the cells below, %", format="+.2f"),
            alt.Tooltip("high:Q", title="A quarter above, %", format="+.2f"),
            alt.Tooltip("peers_low:Q", title="Peers from, %", format="+.2f"),
            alt.Tooltip("peers_high:Q", title="Peers to, %", format="+.2f"),
            alt.Tooltip("cells:Q", title="Cells"),
            alt.Tooltip("peers:Q", title="Peers"),
        ],
    )
    none = (
        alt.Chart(pd.DataFrame({"none": [0.0]}))
        .mark_rule(strokeDash=[5, 4], color=GREY)
        .encode(x=alt.X("none:Q"))
    )
    names = row_labels(alt.Chart(pd.DataFrame({"row": rows})).encode(y=y), "row", above_px=3)
    return stack(none, span, quartiles, dots, names, height=alt.Step(30))
