"""Every chart is valid Vega-Lite with a title or label for each axis, and knows no Streamlit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import altair as alt
import pandas as pd
import pytest

from charts.ceilings import ceiling_bars
from charts.coverage import coverage_heatmap
from charts.crossing import crossing_chart
from charts.drift import drift_chart
from charts.estimate_intervals import estimate_intervals
from charts.fit_curve import fit_curve
from charts.pareto import pareto_chart
from charts.parity import parity_chart
from charts.parts import PARTS, part_shares
from charts.ratio import ratio_chart
from charts.residuals import residual_chart
from charts.roofline import roofline_chart
from charts.rule_gap import rule_gap_chart
from charts.samples import sample_sequence
from charts.sensitivity import sensitivity_chart
from charts.size_sweep import size_sweep
from charts.total_cost import total_cost_chart

ROOT = Path(__file__).resolve().parents[2]
SIZES = [1, 10, 100]
TIMES = [1e-6, 1e-5, 2e-4]
BAND = {"seconds_p5": TIMES, "seconds_p50": TIMES, "seconds_p95": TIMES}


def sweep(interval: bool = True) -> alt.LayerChart:
    frame = pd.DataFrame(
        {
            "series": "a",
            "size": SIZES,
            "median_s": TIMES,
            "ci95_low_s": TIMES,
            "ci95_high_s": TIMES,
            "n": 5,
            "params": "n=1",
        }
    )
    return size_sweep(frame, ["a"], "Size", interval)


def ratio() -> alt.LayerChart:
    frame = pd.DataFrame(
        {
            "size": SIZES,
            "ratio": [0.5, 1, 2],
            "ratio_low": [0.4, 0.9, 1.9],
            "ratio_high": [0.6, 1.1, 2.1],
            "params": "n=1",
        }
    )
    return ratio_chart(frame, "Size", "Ratio")


def samples() -> alt.LayerChart:
    frame = pd.DataFrame(
        {"index": [1, 2], "value": [1.0, 2.0], "median": 1.5, "low": 1.0, "high": 2.0}
    )
    return sample_sequence(frame, "ms")


def parity() -> alt.LayerChart:
    return parity_chart(_errors(), "workload", ["matmul"])


def residuals() -> alt.LayerChart:
    return residual_chart(_errors(), "workload", ["matmul"])


def _errors() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "measured_s": TIMES,
            "predicted_s": TIMES,
            "error": [0.0, 3.0, -0.5],
            "cell": "c",
            "workload": "matmul",
        }
    )


def curve() -> alt.LayerChart:
    points = pd.DataFrame({"size": SIZES, "median_s": TIMES, "n": 3, "params": "n=1"})
    return fit_curve(pd.DataFrame({"size": SIZES, **BAND}), points, "Size")


def intervals() -> alt.LayerChart:
    frame = pd.DataFrame(
        {
            "option": ["a", "b", "c"],
            "machine": "m",
            **BAND,
            "measured_median_s": [1e-6, None, None],
            "basis": "measured",
        }
    )
    return estimate_intervals(frame, ["a", "b", "c"], ["m"])


def parts() -> alt.LayerChart:
    frame = pd.DataFrame(
        {"option": "a", "part": PARTS, "seconds": 1.0, "share": 0.25, "part_order": range(4)}
    )
    return part_shares(frame, ["a"])


def crossing() -> alt.LayerChart:
    frame = pd.DataFrame({"option": "a", "size": SIZES, **BAND})
    return crossing_chart(frame, ["a"], "Size", 50.0, None)


def pareto() -> alt.LayerChart:
    frame = pd.DataFrame(
        {
            "name": ["a", "b"],
            "short": ["a", "b"],
            "provider": ["p", "p"],
            "job_s": [10.0, 60.0],
            "job_low_s": [8.0, 50.0],
            "job_high_s": [12.0, 80.0],
            "cost_usd": [0.02, 0.01],
            "cost_low_usd": [0.01, 0.005],
            "cost_high_usd": [0.03, 0.02],
            "basis": ["measured", "from data sheets"],
            "front": [True, True],
        }
    )
    return pareto_chart(frame, ["p"], 3600.0, 1.0)


def sensitivity() -> alt.LayerChart:
    frame = pd.DataFrame(
        {
            "input": ["Price per hour", "Price per hour"],
            "end": ["input lower", "input higher"],
            "usd": [0.8, 1.2],
            "base_usd": [1.0, 1.0],
            "winner": ["a", "b"],
            "changes": [False, True],
        }
    )
    return sensitivity_chart(frame, 1.0)


def total_cost() -> alt.LayerChart:
    frame = pd.DataFrame(
        {"option": ["a", "a", "b", "b"], "jobs": [1, 100, 1, 100], "total_usd": [1, 100, 50, 60.0]}
    )
    return total_cost_chart(frame, ["a", "b"], 56)


def ceilings() -> alt.LayerChart:
    frame = pd.DataFrame(
        {
            "machine": ["m", "n"],
            "quantity": "cuda float32",
            "measured": [1e12, 2e12],
            "specified": [None, 3e12],
            "detail": "d",
        }
    )
    return ceiling_bars(frame, "FLOP/s", ["m", "n"])


def coverage() -> alt.LayerChart:
    frame = pd.DataFrame({"machine": ["m"], "workload": ["matmul"], "ok": [3], "failed": [0]})
    return coverage_heatmap(frame, ["m"], ["matmul"])


def drift() -> alt.LayerChart:
    frame = pd.DataFrame(
        {"series": "a", "repetition": [1, 2], "percent": [0.0, 1.5], "median_s": [1e-3, 1.015e-3]}
    )
    return drift_chart(frame, ["a"])


def rule_gap() -> alt.LayerChart:
    frame = pd.DataFrame(
        {
            "measured": [0.5, 2.0, 10.0],
            "stated": [3.0, 20.0, 9.0],
            "source": ["rule", "rule", "model"],
            "pair": "p",
            "chosen": [True, False, False],
        }
    )
    return rule_gap_chart(frame, ["rule", "model"])


def roofline() -> alt.LayerChart:
    frame = pd.DataFrame(
        {"intensity": [0.1, 10.0], "flop_per_s": [1e9, 1e12], "workload": "matmul", "cell": "c"}
    )
    return roofline_chart(frame, ["matmul"], [("measured", 1e12, 1e11), ("sheet", 2e12, 2e11)])


CHARTS = (
    sweep,
    drift,
    ratio,
    samples,
    parity,
    residuals,
    curve,
    intervals,
    parts,
    crossing,
    pareto,
    sensitivity,
    total_cost,
    ceilings,
    coverage,
    rule_gap,
    roofline,
)


@pytest.mark.parametrize("make", CHARTS)
def test_chart_is_valid(make: Callable[[], alt.LayerChart]) -> None:
    """Altair validates the chart against the Vega-Lite schema."""
    spec = make().to_dict()
    assert len(spec["layer"]) >= 2


@pytest.mark.parametrize("make", CHARTS)
def test_chart_fetches_nothing(make: Callable[[], alt.LayerChart]) -> None:
    """No channel that turns a string of the data into a link or a picture is used."""
    text = json.dumps(make().to_dict()["layer"])
    for channel in ('"href"', '"url"', '"image"'):
        assert channel not in text


def test_a_roof_rises_with_the_bandwidth_and_ends_at_the_peak() -> None:
    """Left of the knee the rate is intensity times bandwidth, right of it the peak."""
    spec = roofline().to_dict()
    data = next(rows for rows in spec["datasets"].values() if rows and "roof" in rows[0])
    rows = [row for row in data if row["roof"] == "measured"]
    for row in rows:
        assert row["flop_per_s"] == pytest.approx(min(1e12, row["intensity"] * 1e11))
    assert any(row["intensity"] == pytest.approx(10.0) for row in rows)  # the knee itself


def test_a_roofline_without_ceilings_still_draws_its_cells() -> None:
    """A machine that measured no product has dots and no roof."""
    frame = pd.DataFrame({"intensity": [0.1], "flop_per_s": [1e9], "workload": "sort", "cell": "c"})
    assert roofline_chart(frame, ["sort"], []).to_dict()["layer"]


def test_single_samples_have_no_band_and_no_interval() -> None:
    """Without an interval neither the band nor the tooltip speaks of one."""
    spec = sweep(interval=False).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["line", "point"]
    assert "ci95" not in json.dumps(spec["layer"])


@pytest.mark.parametrize(("count", "figures"), [(1, True), (10, True), (11, False)])
def test_many_machines_have_squares_without_figures(count: int, figures: bool) -> None:
    """Where figures would run into each other the tooltip has them."""
    machines = [f"m{index}" for index in range(count)]
    frame = pd.DataFrame({"machine": machines, "workload": "matmul", "ok": 3, "failed": 0})
    spec = coverage_heatmap(frame, machines, ["matmul"]).to_dict()
    assert any(layer["mark"]["type"] == "text" for layer in spec["layer"]) == figures


def test_charts_know_no_streamlit() -> None:
    """Importing every chart leaves Streamlit unloaded."""
    names = [f"charts.{path.stem}" for path in (ROOT / "charts").glob("*.py")]
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\n"
    code += "sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
