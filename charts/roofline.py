"""Roofline: arithmetic intensity against rate, under the ceilings of one device."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd

from charts._axes import GREY, bottom_legend, height_of, log_domain, log_x, log_y, stack

_ROOF_POINTS = 40


def roofline_chart(
    frame: pd.DataFrame, families: list[str], roofs: list[tuple[str, float, float]]
) -> alt.LayerChart:
    """Dots of measured cells; each roof is min(peak, intensity x bandwidth).

    ``frame``: intensity (FLOP per byte), flop_per_s, workload, cell (text). ``families`` fix the
    colours. ``roofs``: name, FLOP/s and B/s (both finite), the first drawn solid, others dashed.
    """
    knees = [peak / rate for _, peak, rate in roofs]
    x_values = [*frame["intensity"], *(knee * factor for knee in knees for factor in (0.2, 5.0))]
    low, high = log_domain(x_values)
    lines = [
        {"intensity": x, "flop_per_s": min(peak, x * rate), "roof": name, "order": order}
        for order, (name, peak, rate) in enumerate(roofs)
        for x in _steps(low, high, peak / rate)
    ]
    roof = pd.DataFrame(lines, columns=["intensity", "flop_per_s", "roof", "order"])
    y_values = [*frame["flop_per_s"], *roof["flop_per_s"]]
    names = [name for name, _, _ in roofs]
    dashes = [[1, 0], [6, 4], [2, 3]][: len(names)]
    dots = (
        alt.Chart(frame)
        .mark_circle(size=46, opacity=0.75)
        .encode(
            x=log_x("intensity", "Arithmetic intensity (FLOP per byte, log scale)", x_values),
            y=log_y("flop_per_s", "Rate (FLOP/s, log scale)", y_values, "FLOP/s"),
            color=alt.Color(
                "workload:N",
                title="Workload",
                scale=alt.Scale(domain=families),
                legend=bottom_legend(columns=3),
            ),
            tooltip=[
                alt.Tooltip("cell:N", title="Cell"),
                alt.Tooltip("intensity:Q", title="FLOP per byte", format=".3~s"),
                alt.Tooltip("flop_per_s:Q", title="FLOP/s", format=".3~s"),
            ],
        )
    )
    roof_lines = (
        alt.Chart(roof)
        .mark_line(color=GREY, strokeWidth=2, clip=True)
        .encode(
            x=alt.X("intensity:Q"),
            y=alt.Y("flop_per_s:Q"),
            detail="roof:N",
            strokeDash=alt.StrokeDash(
                "roof:N", title="Ceilings", scale=alt.Scale(domain=names, range=dashes),
                legend=bottom_legend(),
            ),
        )
    )  # fmt: skip
    rows = math.ceil(len(families) / 3) + len(names) + 2
    return stack(dots, roof_lines, height=height_of(340, legend_rows=rows))


def _steps(low: float, high: float, knee: float) -> list[float]:
    """Log-spaced points with the knee among them, in order."""
    step = (high / low) ** (1 / (_ROOF_POINTS - 1))
    points = [low * step**i for i in range(_ROOF_POINTS)]
    return sorted([*points, *([knee] if low < knee < high else [])])
