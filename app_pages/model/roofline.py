"""Roofline of one device: measured cells under its measured ceilings and its data sheet's."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import NO_VALUE, dtype_name, escape, params_text, si
from charts.roofline import roofline_chart
from estimator.validation.roofline import Roofline

MEASURED, SHEET = "measured ceilings", "data sheet"


@st.cache_data(max_entries=4, show_spinner=False)
def places(fingerprint: str, _model: Any) -> pd.DataFrame:
    """What has a roofline: machine, device and element type."""
    found: pd.DataFrame = _model.apply("estimator.validation.roofline:roofline_places")
    return found


@st.cache_data(max_entries=32, show_spinner="Placing the cells under their ceilings")
def roofline(
    fingerprint: str, machine: str, device: str, dtype: str, math_mode: str, _model: Any
) -> Roofline:
    """Ceilings and a sample of the cells."""
    found: Roofline = _model.apply(
        "estimator.validation.roofline:roofline_points", machine, device, dtype, math_mode
    )
    return found


def show_roofline(source: shared.Source, model: Any) -> None:
    """Widgets and chart."""
    st.subheader("Roofline", anchor=False)
    known = places(source.fingerprint, model)
    if known.empty:
        st.info("No cell has a device time (mode hot). Measure with `--suite standard`.")
        return
    known = known.assign(
        name=known["machine_id"].map(source.names),
        type=[dtype_name(*pair) for pair in zip(known["dtype"], known["math_mode"], strict=True)],
    )
    most = known.groupby("name")["cells"].sum().sort_values(ascending=False)
    left, middle, right = st.columns([2, 1, 2])
    with left:
        machine = widgets.select(
            "Machine",
            list(most.index),
            "model_roofline_machine",
            help="Machines with device times; the one with most cells first.",
        )
    known = known[known["name"] == machine]
    with middle:
        device = widgets.choose(
            "Its device",
            sorted(known["device"].unique(), reverse=True),
            "model_roofline_device",
            help="The CPU with all measured threads, or the GPU (cuda).",
        )
    known = known[known["device"] == device].sort_values("cells", ascending=False)
    with right:
        dtype = widgets.select(
            "Element type",
            list(known["type"]),
            "model_roofline_dtype",
            "float32",
            help="Element type of the operations; the ceiling of arithmetic is that type's.",
        )
    row = known[known["type"] == dtype].iloc[0]
    found = roofline(
        source.fingerprint,
        str(row["machine_id"]),
        device,
        str(row["dtype"]),
        str(row["math_mode"]),
        model,
    )
    roofs = [
        (name, flop, rate)
        for name, flop, rate in (
            (MEASURED, found.flop_per_s, found.bytes_per_s),
            (SHEET, found.sheet_flop_per_s, found.sheet_bytes_per_s),
        )
        if math.isfinite(flop) and math.isfinite(rate)
    ]
    if found.points.empty:
        st.info("No cell of this element type counts arithmetic. Choose another element type.")
        return
    points = found.points
    frame = points[["intensity", "flop_per_s", "workload"]].assign(
        cell=[
            f"{one['workload']} {one['case']} {params_text(one['params_key'])} · "
            f"{one['backend']} {one['threads']}t"
            for one in points.to_dict("records")
        ]
    )
    widgets.chart(
        roofline_chart,
        frame,
        sorted(frame["workload"].unique()),
        roofs,
        alt="Rate of each measured cell over its arithmetic intensity, under the ceilings",
        name="roofline",
    )
    sample = "" if len(points) == found.total else f", {len(points):,} drawn at random are shown"
    st.caption(
        f"{found.total:,} measured cells (device times){sample}. Measured ceilings: "
        f"{_ceiling(found.flop_per_s, 'FLOP/s', found.flop_cell)}; "
        f"{_ceiling(found.bytes_per_s, 'B/s', found.bytes_cell)}. Data sheet: "
        f"{si(found.sheet_flop_per_s, 'FLOP/s')}, {si(found.sheet_bytes_per_s, 'B/s')}. "
        "A byte counts once however often it is read, so a cell that lives in a cache can lie "
        "above the slope; one far below both is bound by starts of calls or by its library."
    )


def _ceiling(rate: float, unit: str, cell: str) -> str:
    if not math.isfinite(rate):
        return NO_VALUE
    return f"{si(rate, unit)} ({escape(cell)})"
