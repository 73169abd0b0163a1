"""The dashboard's look for a chart that leaves it: a Vega-Lite configuration.

The sizes are those that Streamlit's own theme gives to charts on the page, in pixels at a base
font of 16 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_BASE_PX = 16.0


@dataclass(frozen=True)
class Look:
    """Colours as CSS writes them, and the base font in pixels."""

    background: str
    text: str
    grid: str
    categories: Sequence[str]
    ramp: Sequence[str]
    diverging: Sequence[str]
    font: str = "sans-serif"
    base_px: float = _BASE_PX


def vega_config(look: Look) -> dict[str, Any]:
    """Configuration with that look."""
    small, tiny, large = (round(share * look.base_px, 1) for share in (0.875, 0.75, 1.0))
    text = {"labelColor": look.text, "titleColor": look.text}
    plain = {"labelFontWeight": "normal", "titleFontWeight": "normal"}
    return {
        "font": look.font,
        "background": look.background,
        "padding": large,
        "axis": {
            **text,
            **plain,
            "labelFontSize": tiny,
            "titleFontSize": small,
            "ticks": False,
            "domain": False,
            "gridColor": look.grid,
            "labelPadding": large,
            "titlePadding": large,
            "labelLimit": 100,
            "labelOverlap": True,
            "labelFlush": True,
        },
        "legend": {
            **text,
            **plain,
            "labelFontSize": small,
            "titleFontSize": small,
            "labelOffset": small / 2,
            "padding": small / 2,
        },
        "header": {**text, **plain, "labelFontSize": tiny, "titleFontSize": large},
        "title": {"align": "left", "anchor": "start", "color": look.text, "fontSize": large},
        "range": {
            "category": list(look.categories),
            "ramp": list(look.ramp),
            "heatmap": list(look.ramp),
            "diverging": list(look.diverging),
        },
        "mark": {"color": look.categories[0]},
        "bar": {"discreteBandSize": {"band": 0.85}},
        "view": {"stroke": "transparent", "continuousHeight": 350},
        **{name: {"grid": False} for name in ("axisDiscrete", "axisXPoint", "axisXBand")},
        "axisTemporal": {"grid": False},
    }
