"""All places of a job: chart, table, where the time goes, and who cannot answer."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import escape, time_unit
from charts.estimate_intervals import estimate_intervals
from charts.parts import PARTS, part_shares
from estimator.text import BASIS, plural

TOP_PLACES = 12
_MOST_REFUSED = 200
_CHART_FIELDS = (
    *("option", "machine", "seconds_p5", "seconds_p50", "seconds_p95"),
    *("measured_median_s", "basis"),
)


def top_places(found: pd.DataFrame) -> pd.DataFrame:
    """The fastest few, or all places where that is asked for."""
    if len(found) <= TOP_PLACES:
        return found
    every = widgets.toggle(
        f"Show all {len(found)} places",
        "estimate_all",
        False,
        f"The charts and tables show the {TOP_PLACES} fastest places.",
    )
    return found if every else found.iloc[:TOP_PLACES]


def show_places(shown: pd.DataFrame, total: int, machine_names: list[str], reuse: int) -> None:
    """Chart and table of the places; ``reuse`` calls share a transfer."""
    names = {name: words.short for name, words in BASIS.items()}
    if reuse > 1:
        names["measured"] = "measured with a transfer of its own"
    shown = shown.assign(
        basis=shown["basis"].map(lambda basis: names.get(basis, basis)), option=shown["shown"]
    )
    present = list(dict.fromkeys(shown["machine"]))
    used = [name for name in machine_names if name in present]
    others = [name for name in present if name not in used]
    options = list(shown["option"])
    widgets.chart(
        estimate_intervals,
        shown[list(_CHART_FIELDS)],
        options,
        [*used, *others],
        alt=f"Estimated time with 90 % interval for {len(options)} places",
        name="time-on-each-machine",
    )
    factor, unit = time_unit(shown["seconds_p50"])
    table = pd.DataFrame(
        {
            "Option": shown["option"],
            f"Estimate ({unit})": shown["seconds_p50"] * factor,
            f"90 % from ({unit})": shown["seconds_p5"] * factor,
            f"90 % to ({unit})": shown["seconds_p95"] * factor,
            f"Measured ({unit})": shown["measured_median_s"] * factor,
            "Samples": shown["measured_n"].where(shown["measured_median_s"].notna()),
            "Limited by": shown["bound"],
            "Basis": shown["basis"],
            "Fitted to": shown["n_fit"],
        }
    )
    number = st.column_config.NumberColumn(format="%.4g")
    widgets.table(
        table,
        columns={
            **{name: number for name in table.columns if name.endswith(f"({unit})")},
            "Samples": st.column_config.NumberColumn(help="Samples behind the measured median"),
            "Fitted to": st.column_config.NumberColumn(help="Measured cells behind the estimate"),
        },
        alt="Estimate, interval and measurement for each place",
    )
    for row in shown[shown["memory_warning"] != ""].to_dict("records"):
        st.caption(f"{escape(row['option'])} {row['memory_warning']}.")
    measured = int(shown["measured_median_s"].notna().sum())
    which = f"the {len(shown)} fastest of {total} places" if len(shown) < total else "all places"
    st.caption(
        "Dot: the model's estimate; bar: its 90 % interval; diamond: measured median. Shown: "
        f"{which}; {measured} of them measured this very cell."
    )


def show_parts(shown: pd.DataFrame) -> None:
    """Where the time goes, as stacked bars."""
    st.subheader("Where the time goes", anchor=False)
    columns = [f"{part}_s" for part in PARTS]
    shown = shown.assign(option=shown["shown"])
    long = shown.melt(
        id_vars=["option", "seconds_p50"], value_vars=columns, var_name="part", value_name="seconds"
    )
    long["part"] = long["part"].str.removesuffix("_s")
    long["part_order"] = long["part"].map({part: index for index, part in enumerate(PARTS)})
    long["share"] = long["seconds"] / long["seconds_p50"]
    widgets.chart(
        part_shares,
        long.drop(columns="seconds_p50"),
        list(shown["option"]),
        alt="Share of launch, compute, memory and transfer in each estimate",
        name="where-the-time-goes",
    )
    st.caption(
        "Shares of the estimate: launch = fixed cost of a call, compute and memory = the "
        "operation, transfer = copies between host and GPU."
    )


def show_refused(refused: pd.DataFrame, names: Mapping[str, str]) -> None:
    """Places without an estimate, with the reason; too little memory first."""
    if refused.empty:
        return
    with st.expander(f"{plural(len(refused), 'place')} without an estimate, and why"):
        short = refused["reason"].str.startswith("does not fit")
        ordered = pd.concat([refused[short], refused[~short]])[:_MOST_REFUSED]
        table = pd.DataFrame(
            {
                "Machine": [names.get(key, key) for key in ordered["machine_id"].astype(str)],
                "Device": ordered["device"],
                "Library": ordered["backend"],
                "Reason": ordered["reason"],
            }
        )
        widgets.table(table, alt="Places without an estimate and the reason")
