"""Measurements: time against size with its spread, ratios, the table, raw samples, export."""

from __future__ import annotations

import shlex

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.fleet import path_arguments
from app_pages.measurements.cells import is_first, pick_case, pick_rows, pick_series
from app_pages.measurements.ratio import show_ratio
from app_pages.measurements.samples import show_samples
from app_pages.measurements.table import show_table
from app_pages.measurements.upload_panel import show_upload
from charts.size_sweep import size_sweep
from collector.workloads import FAMILIES
from estimator.text import plural

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

**Ratio.** Time of the first side over time of the second at the same parameters; its band takes
the extremes of both intervals, so it is wider than 95 %. The sides may differ in anything:
machine, library, device, threads, element type, what is timed.
"""


def show_sweep(shown: pd.DataFrame, size_meaning: str) -> None:
    """Chart of the chosen series."""
    columns = ["series", "size", "median_s", "ci95_low_s", "ci95_high_s", "n", "params"]
    domain = sorted(shown["series"].unique())
    first_calls = bool(is_first(shown).any())
    widgets.chart(
        size_sweep,
        shown[columns],
        domain,
        "Size (log scale)",
        interval=not first_calls,
        alt=f"Measured median time against size for {len(domain)} series",
        name="size-sweep",
    )
    noisy = int(shown["noisy"].sum())
    what = "Measured medians with 95 % intervals"
    if first_calls:
        what = "First calls, measured: one sample in each run, no interval"
    st.caption(
        f"{what} · {plural(len(shown), 'cell')} · "
        f"{_span(shown['n'])} each · "
        f"{noisy} flagged noisy · size: {size_meaning}"
    )


def _span(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return plural(low, "sample") if low == high else f"{low} to {high:,} samples"


def page() -> None:
    """One case of a workload: its sweep, ratio, table and samples; an upload beside them."""
    source = shared.open_dataset()
    shared.header("Measurements", "How long does one call take, and how sure is that?", METHOD)
    shared.provenance(source, "all times on this page are measured")
    measured = pick_case(source)
    series, precision, question = pick_rows(measured)
    shown = measured.cells(pick_series(series))
    workload, case = measured.workload, measured.case
    show_sweep(shown, FAMILIES[workload].size_meaning if workload in FAMILIES else "size")
    widgets.command(
        f"python -m collector show {path_arguments(source)} --workload {shlex.quote(workload)} "
        f"--case {shlex.quote(case)} --dtype {shlex.quote(precision)} --timed {question}",
        "Add `--machine`, `--backend` and `--device` to narrow it, `--csv` or `--json` for files.",
    )
    show_ratio(measured, shown, precision, question)
    show_table(shown, workload)
    show_samples(source, shown)
    show_upload(source)
