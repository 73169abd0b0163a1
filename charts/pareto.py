"""Time against cost of all jobs, with the Pareto front, the deadline and the budget."""

from __future__ import annotations

import math
from collections.abc import Iterable

import altair as alt
import pandas as pd

from charts._axes import GREY, bottom_legend, duration_x, height_of, log_y, stack

# Names stand to the left of their dots: share of the span of times that is left free for them.
_ROOM_FOR_NAMES, _NAME_PX = 0.25, 120
# Names closer than these shares of the spans of costs and of times would lie on one another.
_APART, _NAME_SHARE = 0.07, 0.4


def pareto_chart(
    frame: pd.DataFrame,
    providers: list[str],
    deadline_s: float | None = None,
    budget_usd: float | None = None,
) -> alt.LayerChart:
    """Dots on two logarithmic axes; the stepped line joins the instances that no other beats.

    ``frame``: name, short (for the label of a dot on the front), provider, job_s, job_low_s,
    job_high_s, cost_usd, cost_low_usd, cost_high_usd, basis, front (bool).
    """
    times = [*frame["job_s"], *([deadline_s] if deadline_s else [])]
    room = min(times) / (max(times) / min(times)) ** _ROOM_FOR_NAMES
    x = duration_x("job_s", "Time until all jobs are done (log scale)", [*times, room])
    y = log_y(
        "cost_usd",
        "Cost of all jobs, USD (log scale)",
        [
            *frame["cost_low_usd"],
            *frame["cost_high_usd"],
            *([budget_usd] if budget_usd else []),
        ],
    )
    base = alt.Chart(frame).encode(
        x=x,
        tooltip=[
            alt.Tooltip("name:N", title="Instance"),
            alt.Tooltip("job_s:Q", title="Time, s", format=",.4r"),
            alt.Tooltip("job_low_s:Q", title="90 % interval from, s", format=",.4r"),
            alt.Tooltip("job_high_s:Q", title="90 % interval to, s", format=",.4r"),
            alt.Tooltip("cost_usd:Q", title="Cost, USD", format=",.4f"),
            alt.Tooltip("cost_low_usd:Q", title="90 % interval from, USD", format=",.4f"),
            alt.Tooltip("cost_high_usd:Q", title="90 % interval to, USD", format=",.4f"),
            alt.Tooltip("basis:N", title="Basis"),
        ],
    )
    legend = bottom_legend(columns=3)
    legend["values"] = [name for name in providers if name in set(frame["provider"])]
    colour = alt.Color(
        "provider:N", title="Provider", scale=alt.Scale(domain=providers), legend=legend
    )
    # Above the chart: below it, beside the other legend, it would not fit a narrow screen.
    basis_legend = alt.Legend(
        orient="top", columns=1, labelLimit=340, symbolFillColor=GREY, symbolStrokeColor=GREY
    )
    shape = alt.Shape("basis:N", title="Basis of the time", legend=basis_legend)
    front = (
        base.transform_filter("datum.front")
        .mark_line(color=GREY, interpolate="step-after", strokeWidth=1.5)
        .encode(y=y, order=alt.Order("job_s:Q"))
    )
    interval = base.mark_rule(opacity=0.25, strokeWidth=2).encode(
        y=alt.Y("cost_low_usd:Q"), y2=alt.Y2("cost_high_usd"), color=colour
    )
    dots = base.mark_point(filled=True, size=90, opacity=0.95).encode(
        y=y, color=colour, shape=shape
    )
    # No dot can lie below and to the left of one on the front, so its name has room there.
    names = (
        alt.Chart(_named(frame))
        .mark_text(
            align="right",
            baseline="top",
            dx=-6,
            dy=4,
            fontSize=11,
            color=GREY,
            limit=_NAME_PX,
            clip=True,
        )
        .encode(x=x, y=y, text=alt.Text("short:N"))
    )
    layers = [front, interval, dots, names]
    if deadline_s:
        layers.append(_rule("x", "job_s", deadline_s, "deadline"))
    if budget_usd:
        layers.append(_rule("y", "cost_usd", budget_usd, "budget"))
    rows = 5 + frame["basis"].nunique()
    return stack(*layers, height=height_of(340, legend_rows=rows))


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the front whose names fit: the cheapest, the fastest, and what is apart from them."""
    front = frame[frame["front"]].sort_values("job_s")
    across = _shares(front["job_s"], frame["job_s"].min(), frame["job_s"].max())
    up = _shares(front["cost_usd"], frame["cost_low_usd"].min(), frame["cost_high_usd"].max())
    kept: list[int] = []
    for i in [len(up) - 1, 0, *range(len(up) - 2, 0, -1)]:
        if all(
            abs(up[i] - up[one]) >= _APART or abs(across[i] - across[one]) >= _NAME_SHARE
            for one in kept
        ):
            kept.append(i)
    return front.iloc[sorted(kept)]


def _shares(values: Iterable[float], low: float, high: float) -> list[float]:
    """Places on a logarithmic axis from 0 to 1."""
    span = math.log(high / low) or 1.0
    return [math.log(value / low) / span for value in values]


def _rule(channel: str, field: str, value: float, name: str) -> alt.LayerChart:
    """A dashed line across the chart with its name at its end."""
    base = alt.Chart(pd.DataFrame({field: [value], "limit": [name]}))
    where = {channel: alt.X(f"{field}:Q") if channel == "x" else alt.Y(f"{field}:Q")}
    tip = [alt.Tooltip("limit:N", title="Line"), alt.Tooltip(f"{field}:Q", format=",.4~f")]
    rule = base.mark_rule(color=GREY, strokeWidth=1.5, strokeDash=[5, 4])
    layered: alt.LayerChart = alt.LayerChart(
        layer=[
            rule.encode(**where, tooltip=tip),
            base.mark_text(
                align="left", baseline="bottom", dx=4, dy=-3, fontSize=11, color=GREY
            ).encode(
                **where,
                **({"y": alt.value("height")} if channel == "x" else {"x": alt.value(0)}),
                text=alt.Text("limit:N"),
            ),
        ]
    )
    return layered
