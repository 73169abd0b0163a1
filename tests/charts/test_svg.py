"""Charts as data and as SVG files."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import altair as alt
import pandas as pd
import pytest

from charts import svg
from charts.look import Look, vega_config
from charts.parity import parity_chart
from charts.spec import arrow_stream, build_spec
from collector.errors import WorkerError

LOOK = Look("#ffffff", "#123456", "#d3dae0", ["#0072b2", "#d55e00"], ["#eeeeee"], ["#8f3b00"])
FRAME = pd.DataFrame(
    {
        "measured_s": [1e-3, 2e-3, float("nan")],
        "predicted_s": [1.1e-3, 1.9e-3, 3e-3],
        "error": [0.1, -0.05, float("inf")],
        "cell": ["a", "b <script>", "c"],
        "workload": ["matmul", "sort", "sort"],
    }
)


def test_data_are_what_altair_makes() -> None:
    """The specification says what Altair's own, checked one says, beside the data."""
    built = build_spec(parity_chart, FRAME, "workload", ["matmul", "sort"])
    own = parity_chart(FRAME, "workload", ["matmul", "sort"]).to_dict()
    assert set(built.spec) == set(own) - {"datasets", "config"}
    assert len(built.tables) == len(own["datasets"])
    assert [layer["mark"] for layer in built.spec["layer"]] == [
        layer["mark"] for layer in own["layer"]
    ]


def test_equal_tables_give_equal_streams() -> None:
    """What is compared is the content, not the object, nor its index."""
    assert arrow_stream(FRAME) == arrow_stream(FRAME.copy().set_axis([7, 8, 9]))
    assert arrow_stream(FRAME) != arrow_stream(FRAME.assign(error=0.0))


def test_svg_has_description_and_look() -> None:
    """The file is one SVG document with the chart's colours, and text stays text."""
    built = build_spec(parity_chart, FRAME, "workload", ["matmul", "sort"])
    document = svg.to_svg(built.spec, built.tables, vega_config(LOOK), 'Model < "measurement"')
    root = ElementTree.fromstring(document)
    assert root.tag.endswith("svg")
    assert root.get("aria-label") == root[0].text == 'Model < "measurement"'
    assert "#0072b2" in document
    assert "#123456" in document
    assert "<script" not in document


def bad_chart() -> alt.Chart:
    """Data from somewhere else: nothing may be fetched."""
    made: alt.Chart = alt.Chart("http://127.0.0.1:9/data.csv").mark_point().encode(x="a:Q")
    return made


def test_failure_is_one_line() -> None:
    """What the renderer refuses is named without its stack."""
    with pytest.raises(WorkerError, match="could not be drawn") as raised:
        svg.to_svg({"mark": "no such mark"}, {}, {}, "nothing")
    assert "\n" not in str(raised.value)


def test_too_slow_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renderer that hangs is ended."""
    monkeypatch.setattr(svg, "_TIME_LIMIT_S", 0.001)
    with pytest.raises(WorkerError, match="took over"):
        svg.to_svg({"mark": "point"}, {}, {}, "nothing")


def test_nothing_is_fetched() -> None:
    """A specification that refers to an address is drawn without it, or refused."""
    built: Any = build_spec(bad_chart)
    try:
        document = svg.to_svg(built.spec, built.tables, {}, "remote")
    except WorkerError:
        return
    assert "<circle" not in document
