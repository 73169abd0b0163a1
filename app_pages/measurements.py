"""Measurements: time against size with its spread, ratios, the table, raw samples, export."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import queries, shared, widgets
from app_pages.measured_table import is_first, show_table
from app_pages.text import (
    MODE_NAMES,
    NO_VALUE,
    dtype_name,
    escape,
    is_known,
    params_text,
    reasons_text,
    seconds,
    time_unit,
)
from charts.ratio import ratio_chart
from charts.samples import sample_sequence
from charts.size_sweep import size_sweep
from collector.workloads import FAMILIES

MAX_SERIES = 10
USUAL_SERIES = 8

METHOD = """
**Each dot is a measured median** of one call; nothing on this page is estimated. The band is the
95 % interval of that median from order statistics. Where a cell was measured in several runs, the
dot is the median over the runs and the band reaches from the lowest to the highest end.

**What is timed.** *Operation alone*: on a CPU the call itself, on a GPU the device time between
two events. *Cold caches*: the same with the caches emptied before each call. *Data on the
device*: wall time on the host, from the call until the device has finished. *With transfers*:
operands copied to the device, the result copied back. On a CPU the last two are the call itself.
*First call*: the call that also loads libraries, compiles and fills caches; there is one in a
process, so it is a single sample without an interval, and it enters no estimate.

**Ratio.** Time of the first series over time of the second at the same parameters; its band takes
the extremes of both intervals, so it is wider than 95 %.
"""

QUESTIONS = {
    "alone": ("operation alone", {"cpu": "hot", "cuda": "hot"}),
    "cold": ("cold caches", {"cpu": "cold", "cuda": "cold"}),
    "resident": ("data on the device", {"cpu": "hot", "cuda": "resident"}),
    "transfers": ("with transfers", {"cpu": "hot", "cuda": "end_to_end"}),
    "first": ("first call", {"cpu": "first_call", "cuda": "first_call"}),
}


def rows_for(frame: pd.DataFrame, question: str) -> pd.DataFrame:
    """Rows whose mode answers what the user wants timed, which differs between CPU and GPU."""
    return frame[frame["mode"] == frame["device"].map(QUESTIONS[question][1])]


def pick_rows(source: shared.Source) -> tuple[pd.DataFrame, str]:
    """Widgets for workload, case, element type and what is timed; the rows that remain."""
    cases = queries.cases(source.connection)
    left, middle = st.columns(2)
    with left:
        workload = widgets.select(
            "Workload", sorted(cases["workload"].unique()), "measurements_workload", "matmul"
        )
    with middle:
        named = list(cases.loc[cases["workload"] == workload, "case"])
        known = FAMILIES[workload].cases if workload in FAMILIES else ()
        named.sort(key=lambda name: (known.index(name) if name in known else len(known), name))
        case = widgets.select("Case", named, "measurements_case")
    frame = queries.cells(source.connection, workload, case, first_calls=True)
    frame["machine"] = frame["machine_id"].map(source.names)
    frame["precision"] = [
        dtype_name(*pair) for pair in zip(frame["dtype"], frame["math_mode"], strict=True)
    ]
    frame["params"] = frame["params"].map(params_text)
    precisions = sorted(frame.loc[~is_first(frame), "precision"].unique())
    left, middle = st.columns(2)
    with left:
        precision = widgets.choose("Element type", precisions, "measurements_dtype", "float32")
    frame = frame[frame["precision"] == precision]
    possible = [name for name in QUESTIONS if len(rows_for(frame, name))]
    with middle:
        question = widgets.choose(
            "What is timed",
            possible,
            "measurements_timed",
            names={name: text for name, (text, _) in QUESTIONS.items()},
        )
    return rows_for(frame, question).copy(), workload


def name_series(frame: pd.DataFrame) -> pd.DataFrame:
    """Add ``series``: library, device, threads, machine (last, as narrow screens cut the end)."""
    threads = frame["threads"].map(lambda count: shared.plural(int(count), "thread"))
    where = frame["device"].where(frame["device"] != "cpu", "cpu, " + threads)
    return frame.assign(series=frame["backend"] + " " + where + " · " + frame["machine"])


def usual_series(frame: pd.DataFrame) -> list[str]:
    """What is shown unasked: each library on one machine of each kind, with the most threads.

    Of several machines of a kind the one with most cells; libraries with most cells first.
    """
    most = frame.groupby(["machine_id", "backend", "device"])["threads"].transform("max")
    kept = frame[frame["threads"] == most]
    kinds = kept["machine"].str.replace(r" \([0-9a-f]+\)$", "", regex=True)
    counts = kept.assign(kind=kinds).groupby(["kind", "backend", "device", "series"]).size()
    best = counts.sort_values(ascending=False, kind="stable").reset_index()
    best = best.drop_duplicates(["kind", "backend", "device"])
    return sorted(best["series"].head(USUAL_SERIES))


def show_sweep(frame: pd.DataFrame, size_meaning: str) -> pd.DataFrame:
    """Chart of the chosen series; returns their rows."""
    everything = sorted(frame["series"].unique())
    usual = usual_series(frame)
    chosen = st.multiselect(
        "Series",
        everything,
        max_selections=MAX_SERIES,
        placeholder=f"The usual {len(usual)} of {len(everything)}; choose others here",
        key="measurements_series",
        bind="query-params",
        help=f"Library, device, threads, machine. Up to {MAX_SERIES} at a time. "
        "Empty: each library with the most threads it was measured with, on one machine of "
        "each kind.",
    )
    kept = set(chosen) & set(everything) or set(usual)
    shown = frame[frame["series"].isin(kept)].sort_values("size")
    columns = ["series", "size", "median_s", "ci95_low_s", "ci95_high_s", "n", "params"]
    domain = [name for name in everything if name in kept]
    st.altair_chart(
        size_sweep(shown[columns], domain, "Size (log scale)", interval=not is_first(shown).any()),
        alt=f"Measured median time against size for {len(domain)} series",
    )
    noisy = int(shown["noisy"].sum())
    what = "Measured medians with 95 % intervals"
    if is_first(shown).any():
        what = "First calls: one sample in each run, no interval"
    st.caption(
        f"{what} · {shared.plural(len(shown), 'cell')} · "
        f"{_span(shown['n'])} each · "
        f"{noisy} flagged noisy · size: {size_meaning}"
    )
    return shown


def _whole(value: Any) -> str:
    return f"{value:.0f}" if is_known(value) else NO_VALUE


def _span(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return shared.plural(low, "sample") if low == high else f"{low} to {high:,} samples"


def show_ratio(frame: pd.DataFrame) -> None:
    """Ratio of two series at the parameters that both have."""
    st.subheader("Ratio of two series", anchor=False)
    names = sorted(frame["series"].unique())
    if len(names) < 2:
        st.info("Choose a second series above to see a ratio.")
        return
    on_gpu = set(frame.loc[frame["device"] == "cuda", "series"])
    measured = {name: set(rows["params"]) for name, rows in frame.groupby("series")}
    # a CPU beside a GPU where there are both, and the pair with most parameters in common
    slow, fast = max(
        itertools.permutations(names, 2),
        key=lambda pair: (
            pair[0] not in on_gpu and pair[1] in on_gpu,
            len(measured[pair[0]] & measured[pair[1]]),
        ),
    )
    left, right = st.columns(2)
    with left:
        first = widgets.select("Time of", names, "measurements_ratio_of", slow)
    with right:
        second = widgets.select("divided by time of", names, "measurements_ratio_by", fast)
    joined = frame[frame["series"] == first].merge(
        frame[frame["series"] == second], on="params", suffixes=("", "_other")
    )
    if joined.empty or first == second:
        st.info("These two have no parameters in common. Choose two others.")
        return
    ratio = pd.DataFrame(
        {
            "size": joined["size"],
            "params": joined["params"],
            "ratio": joined["median_s"] / joined["median_s_other"],
            "ratio_low": joined["ci95_low_s"] / joined["ci95_high_s_other"],
            "ratio_high": joined["ci95_high_s"] / joined["ci95_low_s_other"],
        }
    ).sort_values("size")
    st.altair_chart(
        ratio_chart(ratio, "Size (log scale)", "Ratio of times"),
        alt="Ratio of the two series' measured times against size",
    )
    st.caption(
        f"Measured at {shared.plural(len(ratio), 'size')} · median ratio "
        f"{ratio['ratio'].median():.3g}, from {ratio['ratio'].min():.3g} "
        f"to {ratio['ratio'].max():.3g} · above 1 the second is faster"
    )


def show_samples(source: shared.Source, frame: pd.DataFrame) -> None:
    """Raw samples of one cell, launch by launch."""
    st.subheader("Raw samples of one cell", anchor=False)
    labels = {
        f"{row['series']} · {row['params'] or 'no parameters'} · "
        f"{MODE_NAMES.get(row['mode'], row['mode'])}": row
        for row in frame.to_dict("records")
    }
    cell = labels[widgets.select("Cell", list(labels), "measurements_cell")]
    launches = queries.samples(source.connection, str(cell["machine_id"]), str(cell["cell_id"]))
    if launches.empty:
        st.info("This cell's raw samples are not in the dataset.")
        return
    names = [
        f"{shared.moment(started)} UTC, run {run[:8]}, launch {int(index or 0)}"
        for started, run, index in zip(
            launches["started_at"],
            launches["run_id"],
            launches["launch_index"].fillna(0),
            strict=True,
        )
    ]
    position = 0
    if len(names) > 1:
        position = names.index(widgets.select("Launch", names, "measurements_launch"))
    launch = launches.iloc[position]
    values = pd.Series(launch["samples_s"], dtype=float)
    factor, unit = time_unit(values)
    points = pd.DataFrame(
        {
            "index": range(1, len(values) + 1),
            "value": values * factor,
            "median": launch["median_s"] * factor,
            "low": _or(launch["ci95_low_s"], launch["median_s"]) * factor,
            "high": _or(launch["ci95_high_s"], launch["median_s"]) * factor,
        }
    )
    st.altair_chart(
        sample_sequence(points, unit),
        alt=f"{len(points)} raw samples of one cell in the order taken",
    )
    warmup = launch["warmup_s"]
    first = f" · first call {seconds(float(warmup[0]))}" if _count(warmup) else ""
    interval = "no interval"
    if is_known(launch["ci95_low_s"]):
        interval = f"{seconds(launch['ci95_low_s'])} to {seconds(launch['ci95_high_s'])}"
    reasons = reasons_text(launch["noise_reasons"])
    noise = f" · noisy: {escape(reasons)}" if reasons else ""
    st.caption(
        f"n = {len(points)} · median {seconds(launch['median_s'])} ({interval}) · "
        f"{_whole(launch['calls_per_sample'])} calls a sample · stopped because: "
        f"{escape(launch['stop_reason'])}{first}{noise}"
    )


def _or(value: Any, other: Any) -> float:
    return float(value if is_known(value) else other)


def _count(values: Any) -> int:
    return 0 if values is None else len(values)


source = shared.open_dataset()
shared.header("Measurements", "How long does one call take, and how sure is that?", METHOD)
shared.provenance(source, "all times on this page are measured")
rows, family = pick_rows(source)
size_meaning = FAMILIES[family].size_meaning if family in FAMILIES else "size"
shown = show_sweep(name_series(rows), size_meaning)
show_ratio(shown)
show_table(shown, family)
show_samples(source, shown)
