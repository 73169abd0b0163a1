"""How far the rules are from measurement over all pairs: chart, tables, worked examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import dtype_name, params_text
from charts.rule_gap import rule_gap_chart
from estimator.rules.gaps import SOURCES
from estimator.rules.report import NAMES, worked_examples
from estimator.text import plural

ALL = "all"
MOST_PAIRS = 400
PAIR_KEY = ("workload", "case", "params_key", "dtype", "math_mode", "gpu_machine")


def pair_text(pair: Mapping[Any, Any], names: dict[str, str]) -> str:
    """A pair for people; plain text, not Markdown."""
    return (
        f"{pair['workload']} {pair['case']} {params_text(pair['params_key'])} · "
        f"{dtype_name(pair['dtype'], pair['math_mode'])} · {pair['gpu_backend']} against "
        f"{pair['cpu_backend']} · {names.get(pair['gpu_machine'], pair['gpu_machine'])}"
    )


def show_gaps(
    pairs: pd.DataFrame, gaps: pd.DataFrame, chosen: dict[str, Any], names: dict[str, str]
) -> None:
    """Chart and table: how far is each rule, and the model, from the measurement?"""
    st.subheader("How far are the rules from measurement?", anchor=False)
    families = [ALL, *sorted(pairs["workload"].unique())]
    family = widgets.select(
        "Families of the comparison",
        families,
        "rules_family",
        ALL,
        help="All cases measured on a CPU and a GPU, or those of one family.",
    )
    kept = pairs if family == ALL else pairs[pairs["workload"] == family]
    shown, note = kept, ""
    if len(kept) > MOST_PAIRS:
        shown = kept.sample(MOST_PAIRS, random_state=0)
        note = f" The chart has {MOST_PAIRS} of them, drawn at random."
    widgets.chart(
        rule_gap_chart,
        _long(shown, chosen, names),
        [NAMES[source] for source in SOURCES],
        alt="Speed-up stated by each rule and by the model against the measured speed-up",
        name="rules-against-measurement",
    )
    st.caption(
        f"{plural(len(kept), 'case')} measured on a CPU and a GPU, of each the fastest "
        f"library.{note} On the diagonal a statement is as measured; above it, it promises too "
        "much. Dashed: as fast as the CPU. Diamond: the case chosen above. The rules are fed from "
        "data sheets. The model was fitted to these very cells; how far it is on others is on the "
        "page Model."
    )
    every = gaps["workload"] == ALL
    _gap_table(
        pd.concat([gaps[every], gaps[~every]])
        if family == ALL
        else gaps[gaps["workload"] == family]
    )


def _gap_table(gaps: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "Family": gaps["workload"],
            "Who states it": gaps["source"].map(NAMES),
            "Cases": gaps["pairs"],
            "Off by (median)": gaps["factor_p50"],
            "Off by (9 of 10 within)": gaps["factor_p90"],
            "Stated over measured": gaps["bias"],
            "Names the faster side": 100 * gaps["side_right"],
            "Same advice": 100 * gaps["advice_right"],
        }
    )
    factor = st.column_config.NumberColumn(format="%.3gx")
    percent = st.column_config.NumberColumn(format="%.0f %%")
    widgets.table(
        shown,
        "How far each rule and the model are from the measured speed-up, by family",
        {
            "Off by (median)": factor,
            "Off by (9 of 10 within)": factor,
            "Stated over measured": st.column_config.NumberColumn(
                format="%.3gx", help="Median; above 1 it promises too much"
            ),
            "Names the faster side": percent,
            "Same advice": percent,
        },
    )


def show_claims(table: pd.DataFrame) -> None:
    """The claimed ranges (``claim_table``) beside what was measured."""
    st.subheader("Claimed ranges and what was measured", anchor=False)
    shown = pd.DataFrame(
        {
            "Claimed for": table["kind"],
            "Claimed from": table["low"],
            "Claimed to": table["high"],
            "Cases": table["pairs"],
            "Measured, median": table["p50"],
            "Measured, 5 % below": table["p5"],
            "Measured, 95 % below": table["p95"],
            "Below the claim": 100 * table["below"],
            "Inside": 100 * table["inside"],
            "Above": 100 * table["above"],
        }
    )
    factor = st.column_config.NumberColumn(format="%.3gx")
    percent = st.column_config.NumberColumn(format="%.0f %%")
    widgets.table(
        shown,
        "Speed-ups that the second calculator claims beside the measured ones",
        {
            **dict.fromkeys(("Claimed from", "Claimed to"), factor),
            **{name: factor for name in shown.columns if name.startswith("Measured")},
            **dict.fromkeys(("Below the claim", "Inside", "Above"), percent),
        },
    )
    st.caption(
        "Claims of the second calculator for the kinds of work that it lists; measured: the cases "
        "of these families here, fastest library on each side. Of products only those of at least "
        "2,000 x 2,000 matrices count as large. A dash: no case measured on both."
    )


def show_examples() -> None:
    """The first calculator's worked examples, and what its formula gives."""
    st.subheader("Its worked examples, recomputed", anchor=False)
    table = worked_examples()
    shown = pd.DataFrame(
        {
            "Operation": table["operation"],
            "Data size": table["data_size"].map("{:,.0f}".format),
            "GPU cores": table["gpu_cores"].map("{:,.0f}".format),
            "CPU in all (ms)": table["cpu_total_ms"],
            "GPU in all (ms)": table["gpu_total_ms"],
            "It prints": table["printed"],
            "Its formula gives": np.round(table["formula"], 1),
            "Without copies on the CPU": np.round(table["without_copies"], 1),
        }
    )
    factor = st.column_config.NumberColumn(format="%.1fx")
    widgets.table(
        shown,
        "Worked examples of the first calculator: printed speed-up and what its formula gives",
        dict.fromkeys(("It prints", "Its formula gives", "Without copies on the CPU"), factor),
    )
    lines = [
        f"{row['operation']}: {row['cpu_total_ms']:g} ms over {row['gpu_total_ms']:g} ms is "
        f"{row['formula']:.1f}x, not the {row['printed']:.1f}x that it prints"
        for row in table.to_dict("records")
    ]
    st.caption("; ".join(lines) + ". Nothing in this table was measured: the figures are its own.")


def _long(pairs: pd.DataFrame, chosen: dict[str, Any], names: dict[str, str]) -> pd.DataFrame:
    """One row per pair and source, as the chart reads it; the chosen case is in it."""
    same = pd.Series(True, index=pairs.index)
    for name in PAIR_KEY:
        same &= pairs[name] == chosen[name]
    pairs = pd.concat([pairs[~same], pd.DataFrame([chosen])], ignore_index=True)
    base = pd.DataFrame(
        {
            "measured": pairs["measured"],
            "pair": [pair_text(row, names) for row in pairs.to_dict("records")],
            "chosen": np.arange(len(pairs)) == len(pairs) - 1,
        }
    )
    parts = [base.assign(stated=pairs[name], source=NAMES[name]) for name in SOURCES]
    long: pd.DataFrame = pd.concat(parts, ignore_index=True)
    known = np.isfinite(long["stated"]) & (long["stated"] > 0.0)
    stated: pd.DataFrame = long.loc[known].reset_index(drop=True)
    return stated
