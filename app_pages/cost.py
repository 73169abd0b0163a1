"""Cost: the price of one completed job on each cloud instance."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from app_pages import shared, widgets
from app_pages.job_form import Job, job_form
from app_pages.rental_form import rental_form
from app_pages.text import escape, seconds
from charts.pareto import pareto_chart
from collector.errors import BreakevenError
from estimator.cost import CostOptions
from estimator.cost import Job as PricedJob
from estimator.instances import INSTANCES_PATH, UNDATED, Instance, read_instances
from estimator.job_timings import instance_costs, instance_timings

ALL = "all"
# What the estimator's basis means for an instance that was not itself measured.
BASIS_NAMES = {
    "measured": "same GPU, cell measured",
    "interpolated": "same GPU, between sizes",
    "extrapolated": "same GPU, beyond sizes",
    "new_workload": "same GPU, case not measured",
    "probed": "same GPU, through other machines",
    "from_specs": "from data sheets",
}

METHOD = """
**Cost of one completed job** = price per hour x billed time / jobs done in that time, plus egress.
The billed time is start-up, set-up and the steps, rounded up to the billing increment; one job
runs on each GPU, so an instance that is not filled is paid for all the same.

**The time of a step** is the model's. On an instance whose GPU was measured it comes from that
machine, and its interval is widened by what two machines of one name differ by. On any other it is
scaled by data sheets from the nearest measured machine (*from data sheets*, wide interval). The
interval in dollars is that of the time; prices are taken as they are.

**Prices** are those of `data/instances.csv`, each with its date and source. They change: look at
the date, and check the provider before you rent.
"""


@st.cache_resource(max_entries=1, show_spinner=False)
def catalogue(stamp: float) -> tuple[Instance, ...]:
    """The priced instances; read again when the file changes."""
    return read_instances()


def priced_instances() -> tuple[Instance, ...]:
    """The catalogue, or a message, and the page ends there."""
    try:
        return catalogue(INSTANCES_PATH.stat().st_mtime)
    except (BreakevenError, OSError) as error:
        st.error(f"The instance catalogue cannot be read: {escape(error)}")
        st.stop()


@st.cache_data(max_entries=32, show_spinner="Timing the job on each instance")
def timings(
    fingerprint: str,
    stamp: int,
    question: tuple[tuple[str, Any], ...],
    _model: Any,
    _instances: tuple[Instance, ...],
) -> pd.DataFrame:
    """Seconds of one step on each instance; ``stamp`` and ``question`` are the cache's key."""
    asked = dict(question)
    return instance_timings(_model, _instances, asked | {"params": dict(asked["params"])})


def meets(low: float, high: float, deadline: float) -> str:
    """Whether a deadline is met: by the slow end of the interval, by the middle, or not."""
    return "yes" if high <= deadline else "likely" if low <= deadline else "no"


def with_front(table: pd.DataFrame) -> pd.DataFrame:
    """Mark the instances that no other beats in both time and cost."""
    ordered = table.sort_values(["wall_s_p50", "cost_usd_p50"])
    best = ordered["cost_usd_p50"].cummin().shift(fill_value=math.inf)
    return ordered.assign(front=ordered["cost_usd_p50"] < best)


def pick_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Filters of provider and region."""
    left, right = st.columns(2)
    with left:
        providers = [ALL, *sorted(table["provider"].unique())]
        provider = widgets.select("Provider", providers, "cost_provider", ALL)
    with right:
        st.space("small")
        one_region = st.toggle(
            "Cheapest region of each instance only",
            value=True,
            key="cost_one_region",
            bind="query-params",
        )
    if provider != ALL:
        table = table[table["provider"] == provider]
    if one_region:
        ordered = table.sort_values("cost_usd_p50", na_position="last")
        table = ordered.drop_duplicates(["provider", "instance"])
    return table


def dollars(amount: float) -> str:
    """US dollars with four digits, for reading."""
    return f"${amount:,.2f}" if amount >= 10 else f"${amount:.4g}"


def price_dates(as_of: pd.Series) -> str:
    """First and last date of the prices, and how many have none."""
    dated = sorted(set(as_of) - {UNDATED})
    undated = int((as_of == UNDATED).sum())
    parts = []
    if dated:
        span = dated[0] if len(dated) == 1 else f"{dated[0]} to {dated[-1]}"
        parts.append(f"prices of {escape(span)}")
    if undated:
        parts.append(f"{undated} prices without a date")
    return ", ".join(parts)


def lowest(table: pd.DataFrame, column: str) -> pd.Series[Any]:
    """The row with the smallest value."""
    return table.iloc[int(table[column].to_numpy().argmin())]


def show_best(priced: pd.DataFrame, deadline: float) -> None:
    """Cheapest, fastest and cheapest in time."""
    cheapest = lowest(priced, "cost_usd_p50")
    fastest = lowest(priced, "wall_s_p50")
    entries = [("Cheapest", cheapest), ("Fastest", fastest)]
    if deadline > 0:
        in_time = priced[priced["wall_s_p50"] <= deadline]
        if len(in_time):
            entries.append(("Cheapest in time", lowest(in_time, "cost_usd_p50")))
        else:
            st.warning(f"No instance is done within {seconds(deadline)}. Relax the deadline.")
    for column, (label, row) in zip(st.columns(len(entries)), entries, strict=True):
        with column, st.container(border=True):
            st.metric(label, f"{dollars(row['cost_usd_p50'])} in {seconds(row['wall_s_p50'])}")
            st.caption(
                f"{escape(row['provider'])} {escape(row['instance'])} · "
                f"{dollars(row['cost_usd_p5'])} to {dollars(row['cost_usd_p95'])} "
                f"· {escape(BASIS_NAMES.get(row['basis'], row['basis']))}"
            )


def show_front(priced: pd.DataFrame, providers: list[str]) -> None:
    """Scatter of time against cost."""
    st.subheader("Time against cost", anchor=False)
    frame = pd.DataFrame(
        {
            "name": priced["provider"] + " " + priced["instance"] + " " + priced["region"],
            "provider": priced["provider"],
            "job_s": priced["wall_s_p50"],
            "cost_usd": priced["cost_usd_p50"],
            "cost_low_usd": priced["cost_usd_p5"],
            "cost_high_usd": priced["cost_usd_p95"],
            "basis": priced["basis"].map(lambda basis: BASIS_NAMES.get(basis, basis)),
            "front": priced["front"],
        }
    )
    st.altair_chart(
        pareto_chart(frame, providers),
        alt=f"Time against cost of the job for {len(frame)} instances with the Pareto front",
    )
    st.caption(
        "Upright lines: 90 % interval of the cost. Grey steps: the Pareto front; any other "
        "instance is both slower and dearer than one on it."
    )


def show_table(priced: pd.DataFrame, instances: tuple[Instance, ...], deadline: float) -> None:
    """One row per instance, cheapest first."""
    st.subheader("Instances", anchor=False)
    sources = {instance.key: instance.source for instance in instances}
    ordered = priced.sort_values("cost_usd_p50")
    gpus = [
        f"{int(count)}x {gpu}" if count else "none"
        for count, gpu in zip(ordered["gpu_count"], ordered["gpu"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "Instance": ordered["provider"] + " " + ordered["instance"],
            "Region": ordered["region"],
            "GPU": gpus,
            "Cost per job": ordered["cost_usd_p50"],
            "90 % from": ordered["cost_usd_p5"],
            "90 % to": ordered["cost_usd_p95"],
            "Time, all jobs": [seconds(value) for value in ordered["wall_s_p50"]],
            "Time (s)": ordered["wall_s_p50"],
            "In time": [
                meets(middle, high, deadline) if deadline > 0 else None
                for middle, high in zip(ordered["wall_s_p50"], ordered["wall_s_p95"], strict=True)
            ],
            "On the front": ordered["front"],
            "Basis": ordered["basis"].map(lambda basis: BASIS_NAMES.get(basis, basis)),
            "Measured on": ordered["machine"],
            "Library": ordered["backend"],
            "Price per hour": ordered["price_usd_per_h"],
            "Used": 100 * ordered["share_used"],
            "Price of": ordered["as_of"],
            "Price source": ordered["key"].map(sources),
            "Note": ordered["note"],
        }
    ).dropna(axis="columns", how="all")
    money = st.column_config.NumberColumn(format="$%.4g")
    widgets.table(
        table,
        "Cost of one completed job on each instance, cheapest first",
        {
            "Instance": st.column_config.TextColumn(pinned=True),
            **dict.fromkeys(("Cost per job", "90 % from", "90 % to", "Price per hour"), money),
            "Time (s)": st.column_config.NumberColumn(format="%.4g"),
            "Used": st.column_config.NumberColumn(
                format="%.0f %%", help="Share of the instance's GPUs that the jobs fill"
            ),
        },
    )


def show_excluded(excluded: pd.DataFrame) -> None:
    """Instances without a cost, and why."""
    if excluded.empty:
        return
    with st.expander(f"{shared.plural(len(excluded), 'instance')} excluded, and why"):
        widgets.table(
            pd.DataFrame(
                {
                    "Instance": excluded["provider"] + " " + excluded["instance"],
                    "Region": excluded["region"],
                    "GPU": excluded["gpu"].replace("", "none"),
                    "Reason": excluded["excluded"],
                }
            ),
            "Excluded instances with the reason",
        )


def show_command(
    source: shared.Source, job: Job, priced_job: PricedJob, options: CostOptions
) -> None:
    """The command line that gives the same table."""
    with st.expander("The same on the command line"):
        line = f"python -m estimator cost {job.command_arguments()} --mode {job.gpu_mode}"
        if job.math_mode != "ieee":
            line += f" --math-mode {job.math_mode}"
        line += f" --steps {int(priced_job.steps)} --jobs {priced_job.jobs}"
        line += f" --set-up {priced_job.set_up_s:g}" if priced_job.set_up_s else ""
        line += " --spot" if options.spot else ""
        line += shared.data_argument(source)
        st.code(line, language="bash", wrap_lines=True)
        st.caption("Start-up, billing increment and deadline are set on this page only.")


source = shared.open_dataset()
shared.header("Cost", "What does one completed job cost on each instance?", METHOD)
shared.provenance(source, "times are estimated, prices are dated in the table")
instances = priced_instances()
model = shared.open_model(source)
job = job_form(model.groups)
priced_job, options, deadline, market = rental_form()
question = (
    ("workload", job.workload),
    ("case", job.case),
    ("params", job.params),
    ("dtype", job.dtype),
    ("math_mode", job.math_mode),
    ("mode", job.gpu_mode),
)
try:
    step_times = timings(source.fingerprint, hash(instances), question, model, instances)
    costs = instance_costs(step_times, instances, priced_job, options)
except BreakevenError as error:
    st.error(f"This job cannot be priced: {escape(error)}")
    st.stop()
rows = pick_rows(costs)
priced = rows[rows["excluded"] == ""]
if priced.empty:
    st.info("No instance can be priced for this job. The table below says why for each.")
    show_excluded(rows)
    st.stop()
priced = with_front(priced)
show_best(priced, deadline)
st.caption(
    f"{shared.plural(len(priced), 'instance')} priced ({market}), {len(rows) - len(priced)} "
    f"excluded · {price_dates(priced['as_of'])} · start-up, set-up and interruptions count only "
    "as far as they are set above"
)
show_front(priced, sorted(costs["provider"].unique()))
show_table(priced, instances, deadline)
show_excluded(rows[rows["excluded"] != ""])
show_command(source, job, priced_job, options)
