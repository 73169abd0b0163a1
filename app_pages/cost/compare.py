"""Break-even of two ways to do the jobs, what would change the answer, the same rented twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.cost.tables import Looked, Row, row_key, row_of
from app_pages.cost.words import dollars, instance_name
from app_pages.frame import widgets
from app_pages.frame.text import escape, seconds
from charts.sensitivity import ENDS, sensitivity_chart
from charts.total_cost import total_cost_chart
from collector.errors import BreakevenError
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec
from estimator.catalogue.instances import Instance
from estimator.catalogue.rental_terms import all_rental_terms
from estimator.cost.inputs import CostOptions, Job
from estimator.cost.ownership import OwnMachine
from estimator.cost.sensitivity import sensitivity_table
from estimator.cost.table import Comparison, JobLine, compare_lines, line_of, rented_to_compare
from estimator.decide.pairs import rented_twice
from estimator.others.facts import cpu_name


def instance_of_key(instance: Instance) -> str:
    """The name under which the model knows the instance's processor."""
    if instance.gpu_count:
        return instance.hardware
    spec = next((one for one in shipped_hardware() if one.name == instance.hardware), None)
    if not isinstance(spec, CpuSpec):
        return instance.hardware
    return cpu_name(spec, max(1, instance.vcpu // (spec.vcpus_per_core or 1)))


_INPUTS = {
    "price": "Price per hour",
    "seconds_per_step": "Time of a step",
    "start_up_s": "Start-up",
    "interruptions_per_h": "Interruptions per hour",
    "jobs": "Number of jobs",
}


def sensitivity_frame(table: pd.DataFrame, cheapest: str) -> pd.DataFrame:
    """Two rows an input (lower, higher) for the chart, the widest first.

    ``cheapest`` is the row key of the base case's winner, the cheapest in time. Inputs that
    change neither the cost nor the winner are left out.
    """
    width = (table[["low_usd", "high_usd"]].sub(table["base_usd"], axis=0)).abs().max(axis=1)
    moved = table[(width > 1e-6 * table["base_usd"]) | table["changes"].astype(bool)]
    width = width[moved.index]
    rows = []
    for row in moved.loc[width.sort_values(ascending=False).index].to_dict("records"):
        for side, end in zip(("low", "high"), ENDS, strict=True):
            rows.append(
                {
                    "input": _INPUTS.get(row["input"], row["input"]),
                    "end": end,
                    "direction": "lower" if side == "low" else "higher",
                    "usd": row[f"{side}_usd"],
                    "base_usd": row["base_usd"],
                    "winner": _winner(row, side),
                    "changes": f"{row[f'{side}_key']} {row[f'{side}_market']}" != cheapest,
                }
            )
    return pd.DataFrame(rows)


def _winner(row: Row, side: str) -> str:
    provider, _, rest = str(row[f"{side}_key"]).partition("/")
    instance, _, region = rest.rpartition("/")
    named = {"provider": provider, "instance": instance, "region": region}
    return instance_name(named | {"market": row[f"{side}_market"]})


CHANGES = {"10": "10 %", "20": "20 %", "50": "50 %"}
_POINTS = 41
_STEPS = 12  # steps of the staircase that are drawn with both ends


@dataclass(frozen=True)
class Priced:
    """What the table of costs was made from; ``key`` tells it from every other."""

    key: int
    timings: pd.DataFrame
    instances: tuple[Instance, ...]
    job: Job
    options: CostOptions
    markets: tuple[str, ...]


def show_break_even(looked: Looked, own: OwnMachine | None, first: Row, fast: Row) -> None:
    """Number of jobs from which one choice is the cheaper of two, with both totals over it."""
    st.subheader("Break-even", anchor=False)
    names = looked.names
    mine = next((key for key in names if key.startswith("own/")), None)
    # a machine of one's own is set against what the command line sets it against
    rented = rented_to_compare(looked.priced) if mine else None
    cheap = row_key(first if rented is None else rented.to_dict())
    others = [key for key in (mine, row_key(fast), *names) if key in names and key != cheap]
    if cheap not in names or not others:
        st.info("A break-even needs two instances. Relax the filters.")
        return
    left, right = st.columns(2)
    with left:
        one = widgets.select(
            "This one",
            list(names),
            "cost_this",
            others[0],
            names=names,
            help="One of the two whose total cost is compared over the number of jobs.",
        )
    with right:
        two = widgets.select(
            "Against", list(names), "cost_against", cheap, names=names, help="The other one."
        )
    if one == two:
        st.info("These are the same. Choose two different ones.")
        return
    lines = [
        line_of(row_of(looked.priced, key), own if key == mine else None) for key in (one, two)
    ]
    options = [names[one], names[two]]
    found = compare_lines(*lines)
    st.markdown(_verdict(lines, options, found))
    count = found.from_jobs or (None if found.up_to_jobs is None else found.up_to_jobs + 1)
    most = 10 ** np.ceil(np.log10(max(100.0, 10.0 * (count or 10))))
    counts = _counts(int(most), [line.slots for line in lines])
    frame = pd.DataFrame(
        [
            {
                "option": option,
                "jobs": many,
                "total_usd": line.total_usd(many),
            }
            for option, line in zip(options, lines, strict=True)
            for many in counts
        ]
    )
    widgets.chart(
        total_cost_chart,
        frame,
        options,
        count if count is not None and count > 1 else None,
        alt="Total cost of both choices over the number of jobs, with the break-even",
        name="break-even",
    )
    bought = (
        " A machine of your own counts with its purchase and then with its electricity only."
        if mine in (one, two)
        else ""
    )
    st.caption(
        "Paid once (start-up, set-up, purchase) and then for each round of as many jobs as the "
        "machine has GPUs, filled or not: the cost rises in steps. One machine of each; rounding "
        f"to billing increments and minimum charges are left out here.{bought}"
    )


def _counts(most: int, slots: Sequence[int]) -> list[int]:
    """Numbers of jobs to draw: both ends of each step where steps are wide, then fewer."""
    spread = {round(value) for value in np.geomspace(1, most, _POINTS)}
    ends = {
        count
        for size in slots
        for full in range(size, _STEPS * size + 1, size)
        for count in (full, full + 1)
    }
    return sorted(count for count in spread | ends if count <= most)


def _verdict(lines: Sequence[JobLine], options: Sequence[str], found: Comparison) -> str:
    """Where the first of the two is the cheaper; Markdown. The words are the command line's."""
    words = f"**{escape(_capital(options[0]))}** against {escape(options[1])}: {found.verdict}"
    if found.from_jobs is None or found.from_jobs == 1:
        return f"{words}."
    total = lines[0].total_usd(found.from_jobs)
    return f"{words}; {escape(dollars(total))} in all for that many."


def _capital(text: str) -> str:
    """For the start of a sentence; names of instances stay as they are."""
    return text.replace("your own", "Your own", 1) if text.startswith("your own") else text


@st.cache_resource(max_entries=32, show_spinner=False)
def _sensitivity(key: int, change: float, _made: Priced) -> tuple[pd.DataFrame, float]:
    """What the chart reads, and by what share the price of the cheapest may rise."""
    table = sensitivity_table(
        _made.timings,
        _made.instances,
        _made.job,
        _made.options,
        all_rental_terms(),
        _made.markets,
        change=change,
    )
    best = f"{table.attrs['key']} {table.attrs['market']}"
    return sensitivity_frame(table, best), float(table.attrs["margin"])


def show_sensitivity(made: Priced) -> str:
    """How far each input moves the cost, and whether another wins then; returns the percentage."""
    st.subheader("What would change the answer", anchor=False)
    picked = widgets.choose(
        "Each input lower and higher by",
        list(CHANGES),
        "cost_change",
        "20",
        names=CHANGES,
        help="One input at a time; the others stay as they are.",
    )
    try:
        frame, margin = _sensitivity(made.key, int(picked) / 100, made)
    except BreakevenError as error:
        st.info(f"The sensitivity cannot be computed: {escape(error)}")
        return picked
    if frame.empty:
        st.info("No input moves the cost of this job.")
        return picked
    st.markdown(_stability(frame, margin, CHANGES[picked]))
    widgets.chart(
        sensitivity_chart,
        frame,
        float(frame["base_usd"].iloc[0]),
        alt="Cost of one job with one input at a time lower and higher, the widest bar on top",
        name="sensitivity",
    )
    st.caption(
        "Price and time of a step are those of the answer's instance alone, the cheapest in time "
        "where a limit is set; start-up, interruptions and jobs change everywhere. Cross: another "
        "instance is the answer then."
    )
    return picked


def _stability(frame: pd.DataFrame, margin: float, change: str) -> str:
    known = np.isfinite(margin)
    up_to = (
        f" Its price may rise by {100 * margin:.0f} % before another one is cheaper."
        if known
        else ""
    )
    changed = frame[frame["changes"]]
    if changed.empty:
        return f"The same instance stays the cheapest whichever of these moves by {change}.{up_to}"
    texts = [
        f"{escape(row['winner'])} if the {escape(str(row['input']).lower())} is {row['direction']}"
        for row in changed.drop_duplicates(["winner", "input"]).to_dict("records")[:3]
    ]
    return f"With {change}, another one is the cheapest: {'; '.join(texts)}.{up_to}"


@st.cache_data(max_entries=32, show_spinner=False)
def _twice(fingerprint: str, cell: tuple[tuple[str, Any], ...], _model: Any) -> Any:
    asked = dict(cell)
    try:
        return _model.apply(rented_twice, asked | {"params": dict(asked["params"])})
    except BreakevenError:
        return None


def show_rented_twice(
    fingerprint: str, model: Any, row: Row, instance: Instance, question: Mapping[str, Any]
) -> None:
    """What two machines of the answer's type differ by, in a sentence."""
    if row["provider"] == "own":
        return
    cell = {
        **question,
        "machine_id": instance_of_key(instance),
        "device": row["device"],
        "backend": row["backend"],
        "threads": None,
        "mode": question["mode"] if row["device"] == "cuda" else None,
    }
    found = _twice(fingerprint, tuple(cell.items()), model)
    if found is None:
        return
    step = row["seconds_p50"]
    known = (
        f"as measured on {len(found.machines)} machines of this type"
        if found.measured and len(found.machines) > 1
        else "as measured on other pairs of machines"
        if found.measured
        else "assumed: no two machines of one type were measured"
    )
    st.caption(
        f"Rented twice, the same instance is not equally fast: two of them differ by a factor of "
        f"{found.factor_p50:.2f} in half of the cases and by up to {found.factor_p90:.2f} in nine "
        f"of ten ({known}). A step of {seconds(step)} may take {seconds(step * found.factor_p90)} "
        "on the next one; the intervals above have this in them."
    )
