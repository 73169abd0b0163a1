"""Many series are told apart without a second legend, and long names fit a phone."""

from __future__ import annotations

import pandas as pd

from charts.crossing import crossing_chart
from charts.estimate_intervals import estimate_intervals
from charts.parity import parity_chart
from charts.residuals import residual_chart

WORKLOADS = [f"family {i}" for i in range(18)]
PALETTE = 10
OPTION = "numpy cpu, 16 threads · a machine with quite a long name (12345678)"


def errors() -> pd.DataFrame:
    return pd.DataFrame(
        {"measured_s": 1e-3, "predicted_s": 1e-3, "error": 0.1, "cell": "c", "workload": WORKLOADS}
    )


def times() -> pd.DataFrame:
    columns = {name: [1e-3, 2e-3] for name in ("seconds_p5", "seconds_p50", "seconds_p95")}
    more = {"measured_median_s": 1e-3, "basis": "measured", "machine": ["m", "n"]}
    return pd.DataFrame({"option": [OPTION, "b · n"], "size": [1.0, 2.0], **columns, **more})


def test_colour_and_shape_together_are_of_one_series() -> None:
    encoding = parity_chart(errors(), "workload", WORKLOADS).to_dict()["layer"][0]["encoding"]
    shapes = encoding["shape"]["scale"]["range"]
    pairs = {(i % PALETTE, shape) for i, shape in enumerate(shapes)}
    assert len(pairs) == len(WORKLOADS)
    names = ("title", "scale", "legend")
    assert encoding["shape"]["scale"]["domain"] == encoding["color"]["scale"]["domain"]
    assert all(encoding["shape"][name] for name in names)


def test_the_second_chart_has_no_legend_of_its_own() -> None:
    layers = residual_chart(errors(), "workload", WORKLOADS).to_dict()["layer"]
    encoding = next(layer["encoding"] for layer in layers if "shape" in layer["encoding"])
    assert encoding["color"]["legend"] is None
    assert encoding["shape"]["legend"] is None


def test_long_names_are_two_lines() -> None:
    curves = crossing_chart(times(), [OPTION, "b · n"], "Size", 1.0, None).to_dict()
    assert "split" in curves["layer"][0]["encoding"]["color"]["legend"]["labelExpr"]
    rows = estimate_intervals(times(), [OPTION, "b · n"], ["m", "n"]).to_dict()
    names = next(one for one in rows["layer"] if one["mark"]["type"] == "text")
    assert "split" in names["transform"][0]["calculate"]
    assert rows["layer"][0]["encoding"]["color"]["legend"] is None
