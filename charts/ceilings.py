"""Ceilings: the best rate that was measured beside the one on the data sheet."""

from __future__ import annotations

import altair as alt
import pandas as pd

from charts._axes import bottom_legend, log_x, row_labels, stack


def ceiling_bars(frame: pd.DataFrame, unit: str, machines: list[str]) -> alt.LayerChart:
    """One dot per machine and quantity, with a tick where the data sheet puts the ceiling.

    ``frame``: machine, quantity (row label), measured and specified (rates in ``unit``;
    specified may be NaN), detail (which cell gave the best rate).
    """
    quantities = list(dict.fromkeys(frame["quantity"]))
    values = pd.concat([frame["measured"], frame["specified"]]).dropna()
    y = alt.Y(
        "quantity:N",
        title=None,
        sort=quantities,
        scale=alt.Scale(paddingInner=0.1),
        axis=alt.Axis(labels=False, ticks=False, domain=False, grid=False),
    )
    several = len(machines) > 1
    base = alt.Chart(frame).encode(
        y=y,
        color=alt.Color(
            "machine:N",
            title="Machine",
            scale=alt.Scale(domain=machines),
            legend=bottom_legend() if several else None,
        ),
        tooltip=[
            alt.Tooltip("machine:N", title="Machine"),
            alt.Tooltip("quantity:N", title="Quantity"),
            alt.Tooltip("measured:Q", title=f"Measured best, {unit}", format=".3s"),
            alt.Tooltip("specified:Q", title=f"Data sheet, {unit}", format=".3s"),
            alt.Tooltip("detail:N", title="Best cell"),
        ],
    )
    measured = base.mark_point(filled=True, size=90, opacity=0.9, yOffset=8).encode(
        x=log_x("measured", f"Best rate ({unit}, log scale)", values, unit)
    )
    specified = (
        base.transform_filter("isValid(datum.specified)")
        .mark_tick(thickness=3, size=18, yOffset=8)
        .encode(x=alt.X("specified:Q"))
    )
    rows = frame[["quantity"]].drop_duplicates()
    names = row_labels(alt.Chart(rows).encode(y=y), "quantity", above_px=4)
    return stack(measured, specified, names, height=alt.Step(38))
