"""Controls on their own: what a link may say, and what a forged one may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app_pages.frame import widgets
from charts.spec import ChartSpec, build_spec

FORGED = ["", "nonsense", "-1", "0", "1e3", "1e999", "-1e999", "nan", "inf", "99999999999999999999"]
FORGED += ["<b>x</b>", "a,b", "null", "true", "\u202e", "%00", "3.7", "[1]", "' or 1=1 --"]


def one_of_each() -> None:
    """A page with every control."""
    import streamlit as st

    from app_pages.frame import widgets

    values = {
        "select": widgets.select("S", ["a", "b", "c"], "select", "b"),
        "few": widgets.choose("F", ["x", "y"], "few", "y"),
        "many": widgets.choose("M", [*"abcdefg"], "many"),
        "whole": widgets.number("W", "whole", 5, 1, 10, "help"),
        "real": widgets.number("R", "real", 0.5, 0.0, 2.0, "help", format="%.3f"),
        "toggle": widgets.toggle("T", "toggle", False, "help"),
    }
    st.json(values)


DEFAULTS: dict[str, Any] = {
    "select": "b",
    "few": "y",
    "many": "a",
    "whole": 5,
    "real": 0.5,
    "toggle": False,
}


def values_of(**query: str) -> dict[str, Any]:
    """What the controls say with this link, before and after a rerun."""
    app = AppTest.from_function(one_of_each, default_timeout=30)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    first = app.json[0].value
    app.run()
    assert not app.exception
    assert not app.error
    assert app.json[0].value == first
    found: dict[str, Any] = json.loads(first)
    return found


def test_no_link_gives_the_defaults() -> None:
    assert values_of() == DEFAULTS


def test_link_sets_every_control() -> None:
    """A value that the control could say is taken."""
    said = {"select": "c", "few": "x", "many": "g", "whole": "7", "real": "1.25", "toggle": "true"}
    expected = {"select": "c", "few": "x", "many": "g", "whole": 7, "real": 1.25, "toggle": True}
    assert values_of(**said) == expected


@pytest.mark.parametrize("value", FORGED)
def test_forged_link_falls_back(value: str) -> None:
    """Nothing breaks, and every value is one that the control could say."""
    found = values_of(**dict.fromkeys(DEFAULTS, value))
    assert found["select"] == "b"
    assert found["few"] == "y"
    assert found["many"] == "a"
    assert isinstance(found["whole"], int)
    assert 1 <= found["whole"] <= 10
    assert 0.0 <= found["real"] <= 2.0
    assert isinstance(found["toggle"], bool)


def chart_and_commands() -> None:
    import pandas as pd
    import streamlit as st

    from app_pages.frame import widgets
    from charts.fit_curve import fit_curve

    curve = pd.DataFrame(
        {"size": [1, 2], "seconds_p5": [1.0, 2.0], "seconds_p50": [2.0, 3.0], "seconds_p95": 4.0}
    )
    points = pd.DataFrame({"size": [1], "median_s": [2.0], "n": [3], "params": ["n=1"]})
    widgets.chart(fit_curve, curve, points, "Size", alt="A curve", name="curve")
    widgets.command(["python -m estimator predict", "python -m estimator cost"], "a note")
    st.button("again")


def test_chart_has_alternative_text_and_a_file() -> None:
    app = AppTest.from_function(chart_and_commands, default_timeout=30).run()
    assert not app.exception
    [drawn] = app.get("vega_lite_chart")
    assert drawn.proto.alt == "A curve"
    assert len(drawn.proto.datasets) == 2
    [button] = app.get("download_button")
    assert button.proto.label == "SVG"
    assert "predict\npython" in app.code[0].value
    assert app.caption[0].value == "a note"


def test_chart_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun with the same data does not ask Altair again."""
    built: list[str] = []

    def build(builder: Any, *args: Any, **kwargs: Any) -> ChartSpec:
        built.append(builder.__name__)
        return build_spec(builder, *args, **kwargs)

    monkeypatch.setattr("app_pages.frame.widgets.build_spec", build)
    widgets._spec.clear()
    app = AppTest.from_function(chart_and_commands, default_timeout=30).run()
    app.button[0].click().run()
    assert built == ["fit_curve"]


@pytest.mark.parametrize("name", ["", "Two Words", "../up", "a_b"])
def test_name_of_a_chart_is_a_file_name(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        widgets.chart(dict, alt="x", name=name)
