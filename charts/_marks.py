"""Shapes of series, as the palette has fewer colours, and row names in two lines."""

from __future__ import annotations

import altair as alt

from charts._axes import GREY, bottom_legend

_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


_LINE_PX = 14


def series_shape(
    field: str, title: str = "", domain: list[str] | None = None, columns: int = 0
) -> alt.Shape:
    """Shape by category in turn, beside ``series_color`` in one legend; none for no columns."""
    names = domain or []
    return alt.Shape(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=names, range=[_SHAPES[i % len(_SHAPES)] for i in range(len(names))]),
        legend=bottom_legend(columns) if columns else None,
    )


def option_labels(base: alt.Chart, y: alt.Y, above_px: int) -> alt.Chart:
    """Names of rows (``option``: "library · machine") as two lines of text above each row."""
    labelled: alt.Chart = (
        base.transform_calculate(lines="split(datum.option, ' · ')")
        .mark_text(
            align="left", dy=-above_px - _LINE_PX, fontSize=12, lineHeight=_LINE_PX, limit=600
        )
        .encode(x=alt.value(0), y=y, text=alt.Text("lines:N"), color=alt.value(GREY))
    )
    return labelled
