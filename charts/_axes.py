"""Logarithmic axes with few, round ticks and SI labels, shared by the charts."""

from __future__ import annotations

import math
from collections.abc import Iterable

import altair as alt

#: Legible on the light and on the dark background: guide lines, row names.
GREY = "#808a94"

_TICK_STEPS = ((1,), (1, 2, 5))
_MOST_TICKS, _FEWEST_TICKS = 9, 3
_MANY_NAMES = 6

# Streamlit fits axes, titles and legends into a chart's height; these are what they take.
_X_AXIS_PX, _LEGEND_TITLE_PX, _LEGEND_ROW_PX = 50, 30, 19

# "10m" with a unit would read as metres or minutes: "10 m" + "s".
_SPACED = "replace(format(datum.value, '~s'), regexp('([^0-9.]*)$'), ' $1')"


def log_domain(values: Iterable[float], padding: float = 0.06) -> tuple[float, float]:
    """Smallest and largest positive value, widened by a share of the span in decades."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    if not positive:
        return (0.1, 1.0)
    low, high = math.log10(min(positive)), math.log10(max(positive))
    margin = max((high - low) * padding, 0.08)
    return (10 ** (low - margin), 10 ** (high + margin))


def log_ticks(low: float, high: float) -> list[float]:
    """Round tick values between two positive bounds: 1, 2, 5 times powers of ten, or fewer.

    A span that holds less than three of those gets evenly spaced round values.
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inset = (high / low) ** 0.02  # a label at the very edge would be cut off
    for steps in _TICK_STEPS:
        ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
        ticks = [tick for tick in ticks if low * inset <= tick <= high / inset]
        if len(ticks) >= _FEWEST_TICKS:
            return ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]
    return _linear_ticks(low, high)


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _log_scale_and_axis(values: Iterable[float], unit: str) -> tuple[alt.Scale, alt.Axis]:
    low, high = log_domain(values)
    plain = "format(datum.value, datum.value < 1 ? '~g' : '~s')"
    label = f"{_SPACED} + '{unit}'" if unit else plain
    axis = alt.Axis(values=log_ticks(low, high), labelExpr=label, labelOverlap=True, grid=True)
    return alt.Scale(type="log", domain=[low, high], nice=False), axis


def log_x(field: str, title: str, values: Iterable[float], unit: str = "") -> alt.X:
    """A logarithmic x channel with SI labels such as ``10 ms``."""
    scale, axis = _log_scale_and_axis(values, unit)
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=axis)


def log_y(field: str, title: str, values: Iterable[float], unit: str = "") -> alt.Y:
    """A logarithmic y channel with SI labels such as ``10 ms``."""
    scale, axis = _log_scale_and_axis(values, unit)
    return alt.Y(f"{field}:Q", title=title, scale=scale, axis=axis)


_DURATION_UNITS = ((60, "min"), (3600, "h"), (86400, "d"))
_DURATIONS_S = [
    *(factor * 10.0**power for power in range(-9, 1) for factor in (1, 2, 5)),
    *(10.0, 20.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0, 7200.0, 14400.0, 28800.0),
    *(86400.0 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)),
]


def duration_x(field: str, title: str, values: Iterable[float]) -> alt.X:
    """A logarithmic x channel of seconds whose labels read 10 min, 2 h, 5 d."""
    low, high = log_domain(values)
    ticks = [tick for tick in _DURATIONS_S if low <= tick <= high]
    ticks = ticks[:: math.ceil(len(ticks) / _MOST_TICKS)] if ticks else log_ticks(low, high)
    label = f"{_SPACED} + 's'"
    for seconds, unit in _DURATION_UNITS:
        scaled = f"format(datum.value / {seconds}, '~g') + ' {unit}'"
        label = f"datum.value >= {seconds} ? {scaled} : ({label})"
    return alt.X(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=ticks, labelExpr=label, labelOverlap=True, grid=True),
    )


def series_color(field: str, title: str, domain: list[str], columns: int = 1) -> alt.Color:
    """Colour by category: the place in ``domain`` fixes the place in the theme's palette."""
    return alt.Color(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=domain),
        legend=bottom_legend(columns),
    )


def legend_columns(domain: list[str]) -> int:
    """Columns of a legend of short names: two where they are many."""
    return 1 if len(domain) <= _MANY_NAMES else 2


def bottom_legend(columns: int = 1) -> alt.Legend:
    """A legend below the chart, one entry a line, so that long names fit a narrow screen."""
    return alt.Legend(
        orient="bottom",
        columns=columns,
        labelLimit=520,
        titleLimit=520,
        symbolOpacity=1,
        symbolSize=80,
        rowPadding=2,
    )


def height_of(plot_px: int, legend_rows: int = 0) -> int:
    """Height to ask for, so that about ``plot_px`` remain for the data."""
    legend = _LEGEND_TITLE_PX + _LEGEND_ROW_PX * legend_rows if legend_rows else 0
    return plot_px + _X_AXIS_PX + legend


def stack(*charts: alt.Chart, height: int | alt.Step) -> alt.LayerChart:
    """Layers on shared axes, the first at the bottom."""
    layered: alt.LayerChart = alt.LayerChart(layer=list(charts), height=height)
    return layered


def row_labels(base: alt.Chart, field: str, above_px: int) -> alt.Chart:
    """Names of rows as text above each row: beside them there is no room on a narrow screen."""
    labelled: alt.Chart = base.mark_text(
        align="left", baseline="bottom", dy=-above_px, fontSize=12, color=GREY, limit=600
    ).encode(x=alt.value(0), text=alt.Text(f"{field}:N"), color=alt.value(GREY))
    return labelled
