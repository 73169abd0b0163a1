"""Ratio of any two: machines, libraries, devices, threads, element types, ways of timing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.prepared import prepared
from app_pages.measurements.cells import QUESTION_NAMES, Case, questions_of, rows_for
from charts.ratio import ratio_chart
from estimator.text import plural

#: Rows of the table under the chart.
MOST_ROWS = 200


@dataclass(frozen=True)
class Side:
    """What one side of a ratio begins with."""

    machine: str
    place: str
    precision: str
    question: str


def show_ratio(measured: Case, shown: pd.DataFrame, precision: str, question: str) -> None:
    """Two sides, each chosen freely among all series of the case; the ratio of their times."""
    st.subheader("Ratio of any two", anchor=False)
    first, second = usual_sides(shown, precision, question)
    left, right = st.columns(2)
    with left, st.container(border=True):
        st.markdown("**Time of**")
        own = _pick_side(measured, "measurements_a", first)
    with right, st.container(border=True):
        st.markdown("**divided by the time of**")
        other = _pick_side(measured, "measurements_b", second)
    ratio = ratio_of(own, other)
    if ratio.empty:
        st.info(
            "These two have no parameters in common. Choose another machine, library, element "
            "type or number of threads on one side."
        )
        return
    if own["cell_id"].equals(other["cell_id"]) and own["machine_id"].equals(other["machine_id"]):
        st.info("Both sides are the same. Change one of them to see a ratio.")
        return
    widgets.chart(
        ratio_chart,
        ratio,
        "Size (log scale)",
        "Ratio of times",
        alt="Ratio of the two sides' measured times against size",
        name="ratio",
    )
    st.caption(
        f"Measured at {plural(len(ratio), 'size')} · median ratio "
        f"{ratio['ratio'].median():.3g}, from {ratio['ratio'].min():.3g} "
        f"to {ratio['ratio'].max():.3g} · above 1 the second is faster"
    )
    with st.expander("Table of the ratios"):
        number = st.column_config.NumberColumn(format="%.4g")
        widgets.table(
            ratio.head(MOST_ROWS)[["params", "ratio", "ratio_low", "ratio_high"]].rename(
                columns={
                    "params": "Parameters",
                    "ratio": "Ratio",
                    "ratio_low": "At least",
                    "ratio_high": "At most",
                }
            ),
            alt="Ratio of times at each of the parameters that both sides have",
            columns=dict.fromkeys(("Ratio", "At least", "At most"), number),
        )


@prepared
def usual_sides(shown: pd.DataFrame, precision: str, question: str) -> tuple[Side, Side]:
    """A CPU beside a GPU where there are both, and the pair with most parameters in common."""
    firsts = shown.drop_duplicates("series").set_index("series")
    names = list(firsts.index)
    measured = {name: set(rows["params"]) for name, rows in shown.groupby("series")}
    on_gpu = set(firsts.index[firsts["device"] == "cuda"])
    pairs = list(itertools.permutations(names, 2)) or [(names[0], names[0])]
    best = max(
        pairs,
        key=lambda pair: (
            pair[0] not in on_gpu and pair[1] in on_gpu,
            len(measured[pair[0]] & measured[pair[1]]),
        ),
    )
    own, other = (
        Side(str(row["machine"]), str(row["place"]), precision, question)
        for row in (firsts.loc[best[0]], firsts.loc[best[1]])
    )
    return own, other


def _pick_side(measured: Case, key: str, usual: Side) -> pd.DataFrame:
    """Four boxes, each offering what the ones before leave; the cells of this side."""
    series = measured.series
    machine = widgets.select(
        "Machine",
        sorted(series["machine"].unique()),
        f"{key}_machine",
        usual.machine,
        help="Type to search.",
    )
    frame = series[series["machine"] == machine]
    place = widgets.select(
        "Library and device",
        sorted(frame["place"].unique()),
        f"{key}_place",
        usual.place,
        help="With the number of host threads on a CPU.",
    )
    frame = frame[frame["place"] == place]
    precision = widgets.select(
        "Element type",
        sorted(frame["precision"].unique()),
        f"{key}_dtype",
        usual.precision,
        help="The two sides may differ in it.",
    )
    frame = frame[frame["precision"] == precision]
    possible = questions_of(frame)
    question = widgets.select(
        "What is timed",
        possible,
        f"{key}_timed",
        usual.question,
        names=QUESTION_NAMES,
        help="The method says what each of them includes.",
    )
    return measured.cells(rows_for(frame, question))


@prepared
def ratio_of(own: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Ratios at the parameters that both have: size, params, ratio, ratio_low, ratio_high.

    The ends take the extremes of both intervals; a first call has none, so its median stands.
    """
    joined = own.merge(other, on="params", suffixes=("", "_other"))
    frame = pd.DataFrame(
        {
            "size": joined["size"],
            "params": joined["params"],
            "ratio": joined["median_s"] / joined["median_s_other"],
            "ratio_low": joined["ci95_low_s"] / joined["ci95_high_s_other"],
            "ratio_high": joined["ci95_high_s"] / joined["ci95_low_s_other"],
        }
    )
    return frame.sort_values("size", ignore_index=True)
