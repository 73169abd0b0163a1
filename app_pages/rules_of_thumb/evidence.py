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
from estimator.rules.report import (
    CLAIMS,
    EXAMPLES,
    GAPS,
    NAMES,
    Columns,
    with_names,
    worked_examples,
)
from estimator.text import plural

ALL = "all"
MOST_PAIRS = 400
# by unit: how a table of the page shows it, and times what
_FORMATS = {"x": "%.3gx", "%": "%.0f %%", "s": "%.4g", "ratio": "%.3g"}
_SCALES = {"%": 100, "s": 1000}
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
    ordered = pd.concat([gaps[every], gaps[~every]])
    rule_table(
        ordered if family == ALL else gaps[gaps["workload"] == family],
        GAPS,
        "How far each rule and the model are from the measured speed-up, by family",
    )


def rule_table(table: pd.DataFrame, columns: Columns, alt: str) -> None:
    """A table of ``rule_report``: those of its columns that have a label."""
    table = with_names(table)
    shown, looks = {}, {}
    for name, column in columns.items():
        if not column.label:
            continue
        scale = _SCALES.get(column.unit)
        shown[column.label] = table[name] if scale is None else scale * table[name]
        if column.unit in _FORMATS:
            looks[column.label] = st.column_config.NumberColumn(
                format=_FORMATS[column.unit], help=column.help or None
            )
    widgets.table(pd.DataFrame(shown), alt, looks)


def show_claims(table: pd.DataFrame) -> None:
    """The claimed ranges (``claim_table``) beside what was measured."""
    st.subheader("Claimed ranges and what was measured", anchor=False)
    alt = "Speed-ups that the second calculator claims beside the measured ones"
    rule_table(table, CLAIMS, alt)
    st.caption(
        "Claims of the second calculator for the kinds of work that it lists; measured: the cases "
        "of these families here, fastest library on each side. Of products only those of at least "
        "2,000 x 2,000 matrices count as large. A dash: no case measured on both."
    )


def show_examples() -> None:
    """The first calculator's worked examples, and what its formula gives."""
    st.subheader("Its worked examples, recomputed", anchor=False)
    table = worked_examples()
    alt = "Worked examples of the first calculator: printed speed-up and what its formula gives"
    rule_table(table, EXAMPLES, alt)
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
