"""Raw samples of one cell: in the order taken, and how they are distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.frame import queries, shared, widgets
from app_pages.frame.text import (
    MODE_NAMES,
    NO_VALUE,
    escape,
    is_known,
    reasons_text,
    seconds,
    time_unit,
)
from charts.sample_distribution import sample_distribution
from charts.samples import sample_sequence

#: More samples than this are thinned evenly for the chart of their order.
MOST_DRAWN = 2000
_MOST_BINS = 40


def show_samples(source: shared.Source, frame: pd.DataFrame) -> None:
    """One cell of what is shown, launch by launch."""
    st.subheader("Raw samples of one cell", anchor=False)
    labels = {
        f"{row['series']} · {row['params'] or 'no parameters'} · "
        f"{MODE_NAMES.get(row['mode'], row['mode'])}": row
        for row in frame.to_dict("records")
    }
    cell = labels[
        widgets.select(
            "Cell",
            list(labels),
            "measurements_cell",
            help="One of the cells of the chart and the table above. Type to search.",
        )
    ]
    launches = queries.samples(source.connection, str(cell["machine_id"]), str(cell["cell_id"]))
    if launches.empty:
        st.info("This cell's raw samples are not in the dataset. Choose another cell.")
        return
    position = _pick_launch(launches)
    launch = launches.iloc[position]
    taken = launch["samples_s"]
    values = pd.Series([] if taken is None else list(taken), dtype=float)
    if values.empty:
        st.info("This launch kept no samples. Choose another launch or cell.")
        return
    factor, unit = time_unit(values)
    middle = float(launch["median_s"]) * factor
    low = _or(launch["ci95_low_s"], launch["median_s"]) * factor
    high = _or(launch["ci95_high_s"], launch["median_s"]) * factor
    left, right = st.columns(2)
    step = -(-len(values) // MOST_DRAWN)
    with left:
        points = pd.DataFrame(
            {
                "index": range(1, len(values) + 1),
                "value": values * factor,
                "median": middle,
                "low": low,
                "high": high,
            }
        )[::step]
        widgets.chart(
            sample_sequence,
            points,
            unit,
            alt=f"{len(points)} raw samples of one cell in the order taken",
            name="samples",
        )
    with right:
        widgets.chart(
            sample_distribution,
            bins_of(values * factor),
            *(middle, low, high, unit),
            alt=f"How {len(values)} raw samples of one cell are distributed",
            name="distribution",
        )
    _say(launch, len(values), step)


def _pick_launch(launches: pd.DataFrame) -> int:
    names = [
        f"{shared.moment(started)} UTC, run {str(run)[:8]}, launch {int(index or 0)}"
        for started, run, index in zip(
            launches["started_at"],
            launches["run_id"],
            launches["launch_index"].fillna(0),
            strict=True,
        )
    ]
    if len(names) == 1:
        return 0
    return names.index(
        widgets.select(
            "Launch",
            names,
            "measurements_launch",
            help="Each run measured the cell in a worker process of its own; the latest first.",
        )
    )


def bins_of(values: pd.Series) -> pd.DataFrame:
    """Histogram (left, right, count) with bins after Freedman and Diaconis, at most 40."""
    known = values[np.isfinite(values)].to_numpy(dtype=float)
    edges = np.histogram_bin_edges(known, bins="fd") if len(known) else np.array([0.0, 1.0])
    if len(edges) - 1 > _MOST_BINS:
        edges = np.linspace(edges[0], edges[-1], _MOST_BINS + 1)
    counts, edges = np.histogram(known, bins=edges)
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": counts})


def _say(launch: Any, count: int, step: int) -> None:
    warmup = launch["warmup_s"]
    first = ""
    if warmup is not None and len(warmup):
        first = f" · first call {seconds(float(warmup[0]))}"
    interval = "no interval"
    if is_known(launch["ci95_low_s"]):
        interval = f"{seconds(launch['ci95_low_s'])} to {seconds(launch['ci95_high_s'])}"
    reasons = reasons_text(launch["noise_reasons"])
    noise = f" · noisy: {escape(reasons)}" if reasons else ""
    thinned = f" · every {step}th is drawn" if step > 1 else ""
    st.caption(
        f"Measured · n = {count:,} · median {seconds(launch['median_s'])} ({interval}) · "
        f"{_whole(launch['calls_per_sample'])} calls a sample · stopped because: "
        f"{escape(launch['stop_reason'])}{first}{noise}{thinned}"
    )


def _whole(value: Any) -> str:
    return f"{value:.0f}" if is_known(value) else NO_VALUE


def _or(value: Any, other: Any) -> float:
    return float(value if is_known(value) else other)
