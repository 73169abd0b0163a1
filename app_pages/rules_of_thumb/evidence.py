"""How far the rules are from measurement over all pairs: chart, tables, worked examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import dtype_name, params_text
from charts.rule_gap import rule_gap_chart
from estimator.rules.gaps import SOURCES
from estimator.rules.report import CLAIMS, EXAMPLES, GAPS, NAMES, Columns, worked_examples
from estimator.text import plural

ALL = "all"
MOST_SHOWN = 400
# by unit: how a table of the page names and shows it, and times what
_UNITS = {
    "n": ("", "localized", 1),
    "s": (" (ms)", "%.4g", 1000),
    "ms": (" (ms)", "%.4g", 1),
    "x": ("", "%.3gx", 1),
    "ratio": ("", "%.3g", 1),
    "%": ("", "%.0f %%", 100),
}


def rule_table(table: pd.DataFrame, columns: Columns, alt: str) -> None:
    """A table of ``estimator.rules.report``: those of its columns that it has."""
    shown, looks = {}, {}
    for name, column in columns.items():
        if name in table and column.unit:
            suffix, form, scale = _UNITS[column.unit]
            label = column.label + suffix
            shown[label] = scale * table[name]
            looks[label] = st.column_config.NumberColumn(format=form, help=column.help or None)
        elif name in table:
            shown[column.label] = table[name].replace(NAMES)
    widgets.table(pd.DataFrame(shown), alt, looks)


def show_evidence(
    pairs: pd.DataFrame,
    gaps: pd.DataFrame,
    claims: pd.DataFrame,
    chosen: Any,
    names: dict[str, str],
) -> None:
    """How far rules, model and claims are from measurement; ``chosen`` is the page's pair."""
    if not pairs.empty:
        title = "How far are the rules from measurement?"
        st.subheader(title, anchor=False)
        families = [ALL, *sorted(pairs["workload"].unique())]
        about = "All cases measured on a CPU and a GPU, or those of one family."
        family = widgets.select("Families of the comparison", families, "rules_family", help=about)
        if family != ALL:
            gaps = gaps[gaps["workload"] == family]
        kept = pairs if family == ALL else pairs[pairs["workload"] == family]
        shown = kept.sample(min(len(kept), MOST_SHOWN), random_state=0).index
        widgets.chart(
            rule_gap_chart,
            _long(pairs.loc[shown.union([chosen])], chosen, names),
            [NAMES[source] for source in SOURCES],
            alt="Speed-up stated by each rule and by the model against the measured speed-up",
            name="rules-against-measurement",
        )
        st.caption(
            f"{plural(len(kept), 'case')} measured on CPU and GPU, each with the fastest library; "
            f"at most {MOST_SHOWN} are drawn. Above the diagonal a statement promises too much. "
            "Dashed: as fast as the CPU. Diamond: the case chosen above. The rules are fed from "
            "data sheets; the model was fitted to these very cells (on others: page Model)."
        )
        rule_table(gaps, GAPS, title)
        title = "Claimed ranges and what was measured"
        st.subheader(title, anchor=False)
        rule_table(claims, CLAIMS, title)
        st.caption(
            "Claims of the second calculator; measured: the cases of these families here, fastest "
            "library on each side, 5 % of them below p5. Only products of at least 2,000 x 2,000 "
            "matrices count as large. A dash: no case measured on both."
        )
    title = "Worked examples of the first calculator, recomputed"
    st.subheader(title, anchor=False)
    rule_table(worked_examples(), EXAMPLES, title)
    st.caption("Its own figures: nothing in this table was measured.")


def _long(pairs: pd.DataFrame, chosen: Any, names: dict[str, str]) -> pd.DataFrame:
    """One row per pair and source that states a speed-up, as the chart reads it."""
    table = pd.DataFrame(
        {
            "measured": pairs["measured"],
            "pair": [_pair_text(row, names) for row in pairs.to_dict("records")],
            "chosen": pairs.index == chosen,
            **{NAMES[source]: pairs[source] for source in SOURCES},
        }
    )
    long = table.melt(["measured", "pair", "chosen"], var_name="source", value_name="stated")
    return long[long["stated"] > 0.0].reset_index(drop=True)


def _pair_text(pair: Mapping[Any, Any], names: dict[str, str]) -> str:
    """A pair for people; plain text, not Markdown."""
    return (
        f"{pair['workload']} {pair['case']} {params_text(pair['params_key'])} · "
        f"{dtype_name(pair['dtype'], pair['math_mode'])} · {pair['gpu_backend']} against "
        f"{pair['cpu_backend']} · {names.get(pair['gpu_machine'], pair['gpu_machine'])}"
    )
