"""Chart, table, excluded instances and downloads of the page Cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import pandas as pd
import streamlit as st

from app_pages.cost.tables import CPUS, GPUS, Filters, Looked, price_dates, processors, table_frame
from app_pages.cost.words import ALL, PROVIDERS
from app_pages.frame import widgets
from app_pages.frame.text import escape
from charts.pareto import pareto_chart
from collector.errors import BreakevenError
from estimator.catalogue.instances import Instance
from estimator.cost.export import Format, export_bytes
from estimator.cost.inputs import CostOptions
from estimator.cost.table import compare_with, mark_front
from estimator.text import plural

TOP = 15
_FAR = 4.0
_DOWNLOADS: dict[Literal["csv", "json", "parquet"], str] = {
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
_NONE = "none"


def filter_form(instances: Sequence[Instance], provider: str) -> Filters:
    """Filters of region and processor, and whether each instance has one row."""
    columns = st.columns(3, vertical_alignment="bottom")
    rented = [one for one in instances if one.provider != "own"]
    offered = [one for one in rented if provider in (ALL, one.provider)]
    regions = [ALL, *sorted({one.region for one in offered})]
    with columns[0]:
        region = widgets.select(
            "Region",
            regions,
            "cost_region",
            ALL,
            names={ALL: "all regions"},
            help="Prices differ by region, and so does what is offered.",
        )
    with columns[1]:
        processor = widgets.select(
            "Processor",
            processors(offered),
            "cost_processor",
            ALL,
            names={ALL: "CPUs and GPUs", GPUS: "any GPU", CPUS: "CPU only"},
            help="Only instances with this GPU, with any, or without one.",
        )
    with columns[2]:
        one_each = widgets.toggle(
            "One row for each instance",
            "cost_one_each",
            True,
            help="Its cheapest region and price, and those that the answer names; off: a row for "
            "each region and price.",
        )
    return Filters(provider, region, processor, one_each)


def show_front(looked: Looked, options: CostOptions, providers: list[str]) -> None:
    """Scatter of time against cost."""
    st.subheader("Time against cost", anchor=False)
    frame = looked.dots
    names = [PROVIDERS.get(name, name) for name in providers]
    widgets.chart(
        pareto_chart,
        frame,
        names,
        _near(options.deadline_s, frame["job_s"]),
        _near(options.budget_usd, frame["cost_usd"]),
        alt=f"Time against cost of the jobs for {len(frame)} instances with the Pareto front",
        name="time-and-cost",
    )
    hidden = len(looked.priced) - len(frame)
    more = f" {hidden} more are in the table." if hidden else ""
    st.caption(
        "Upright lines: 90 % interval of the cost. Grey steps: the Pareto front; any other "
        "instance is both slower and dearer than one on it. Dashed: deadline and budget, where "
        f"they are near.{more}"
    )


def _near(limit: float | None, values: pd.Series[float]) -> float | None:
    """A limit that is worth a line: one far from all dots would only press them together."""
    if limit is None or not values.min() / _FAR <= limit <= values.max() * _FAR:
        return None
    return limit


@st.cache_resource(max_entries=32, show_spinner=False)
def _shown(
    key: int, baseline: str, everything: bool, _priced: pd.DataFrame
) -> tuple[pd.DataFrame, str]:
    """The table for people, and why there is no comparison with the baseline, if there is none."""
    refused = ""
    if baseline != _NONE:
        name, _, market = baseline.rpartition(" ")
        try:
            _priced = compare_with(_priced, name, market)
        except BreakevenError as error:
            baseline, refused = _NONE, str(error)
    kept = _priced.index < (len(_priced) if everything else TOP)
    keys = _priced["key"] + " " + _priced["market"]
    rows = _priced[kept | (keys == baseline).to_numpy()]  # the baseline is always there
    return table_frame(rows, "" if baseline == _NONE else baseline), refused


def show_table(looked: Looked) -> str:
    """Cheapest first, with a baseline to compare with; returns its row key, "" without one."""
    st.subheader("Instances", anchor=False)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    priced, names = looked.priced, looked.names
    with left:
        baseline = widgets.select(
            "Baseline to compare with",
            [_NONE, *names],
            "cost_baseline",
            _NONE,
            names=names,
            help="Each row then says how many times the cost and the time of this one it takes.",
        )
    with right:
        everything = widgets.toggle(
            "Show all", "cost_all", help=f"Off: the {TOP} cheapest of {len(priced)}."
        )
    frame, refused = _shown(looked.key, baseline, everything, priced)
    if refused:
        st.info(f"No comparison with this baseline: {escape(refused)}")
    widgets.table(
        frame,
        "Cost of one completed job on each instance, cheapest first",
        _columns(float(frame["Cost per job"].max()), float(frame["Time (s)"].max())),
    )
    st.caption(
        f"{len(frame)} of {plural(len(priced), 'row')}, {len(looked.excluded)} excluded · "
        f"{escape(price_dates(priced['as_of']))} · bars: cost and time beside the largest shown"
    )
    return "" if baseline == _NONE or refused else baseline


def _columns(most_usd: float, slowest_s: float) -> dict[str, object]:
    config = st.column_config
    money = config.NumberColumn(format="$%.4g")
    times = config.NumberColumn(format="%.2fx")
    return {
        "Instance": config.TextColumn(pinned=True),
        "Cost per job": config.ProgressColumn(
            format="$%.4g",
            min_value=0.0,
            max_value=most_usd or 1.0,
            help="Median; the bar compares it with the dearest row shown",
        ),
        **dict.fromkeys(("90 % from", "90 % to", "Price per hour"), money),
        **dict.fromkeys(("Cost, x baseline", "Time, x baseline"), times),
        "Time": config.TextColumn(
            help="Mean until all jobs are done, start-up included; of several machines, until the "
            "last one is"
        ),
        "Time (s)": config.ProgressColumn(
            format="%.4g", min_value=0.0, max_value=slowest_s or 1.0, help="Until all jobs are done"
        ),
        "Basis": config.TextColumn(help="How the time is known; the page's method says more"),
        "On the front": config.CheckboxColumn(help="No other row is both faster and cheaper"),
        "In time": config.TextColumn(
            help="yes: by the slow end of its interval too; likely: by the middle, and with more "
            "than 50 % probability where something may be interrupted or fail"
        ),
        "In budget": config.TextColumn(
            help="yes: at the dear end of its interval too; likely: in the middle"
        ),
        "GPUs used": config.NumberColumn(
            format="%.0f %%", help="Share of the GPUs paid for that the jobs fill"
        ),
        "Interruptions": config.NumberColumn(
            format="%.3g", help="Expected until all jobs are done"
        ),
        "Energy (kWh)": config.NumberColumn(
            format="%.4g", help="Of all jobs, where it was measured on such a GPU"
        ),
        "Assumed": config.TextColumn(help="Figures that are the provider's terms, or unknown"),
    }


def show_excluded(excluded: pd.DataFrame) -> None:
    """Instances without a cost, and why."""
    if excluded.empty:
        return
    box = st.expander(
        f"{plural(len(excluded), 'instance')} excluded, and why",
        key="cost_excluded",
        on_change="rerun",
    )
    if not box.open:
        return
    with box:
        widgets.table(
            pd.DataFrame(
                {
                    "Instance": [
                        f"{PROVIDERS.get(row['provider'], row['provider'])} {row['instance']}"
                        for row in excluded.to_dict("records")
                    ],
                    "Region": excluded["region"].to_numpy(),
                    "GPU": excluded["gpu"].replace("", "none").to_numpy(),
                    "Reason": excluded["excluded"].to_numpy(),
                }
            ),
            "Excluded instances with the reason",
        )


def show_downloads(rows: pd.DataFrame, fingerprint: str) -> None:
    """Every row of the filters, as the command line's --out writes them."""
    with st.container(horizontal=True):
        for kind, mime in _DOWNLOADS.items():
            st.download_button(
                f"Table as {'Parquet' if kind == 'parquet' else kind.upper()}",
                data=partial(_exported, rows, fingerprint, kind),
                file_name=f"breakeven-cost.{kind}",
                mime=mime,
                key=f"cost_download_{kind}",
                help="All rows of the filters, a row for each region and price, the excluded too, "
                "with the price's date and source and the dataset's fingerprint",
                on_click="ignore",
            )


def _exported(rows: pd.DataFrame, fingerprint: str, kind: Format) -> bytes:
    return export_bytes(mark_front(rows), fingerprint, kind)


def no_rows(rows: pd.DataFrame, filters: Filters, market: str) -> None:
    """What to relax where nothing is left."""
    if rows.empty:
        words = []
        if filters.region != ALL:
            words.append(f"the region {filters.region}")
        if filters.processor != ALL:
            words.append(f"the processor {filters.processor}")
        if filters.provider != ALL:
            words.append(f"the provider {PROVIDERS.get(filters.provider, filters.provider)}")
        st.info(f"No instance passes the filters. Relax {escape(', or '.join(words))}.")
        return
    reason = str(rows["excluded"].mode().iloc[0])
    relax = "Allow prices on demand, or choose" if market == "spot" else "Choose"
    st.info(
        f"None of {plural(len(rows), 'instance')} can be priced for this job; most of them: "
        f"{escape(reason)}. {relax} another processor, element type or provider. The table below "
        "says why for each."
    )
