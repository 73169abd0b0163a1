"""Errors on cells that a fit did not see: run on demand, and the report that ships."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import escape
from collector.errors import BreakevenError
from collector.shipped import ROOT

REPORT = ROOT / "docs" / "validation.md"
_PERCENT = {
    "mape": "Mean error",
    "median_ape": "Median error",
    "p90_ape": "90 % within",
    "bias": "Bias",
    "coverage90": "Coverage of 90 %",
    "regret": "Regret",
    "floor_mean": "Floor",
}
_SPLITS = ("between", "larger")


@st.cache_data(max_entries=2, show_spinner=f"Validating on held-out sizes. {shared.OTHERS_WAIT}")
def validation(fingerprint: str, _model: Any) -> pd.DataFrame:
    """Errors on sizes that the fit did not see."""
    found = _model.apply_to_measurements("estimator.validation.validate:validate", _SPLITS)
    return pd.DataFrame(found)


def report_note(fingerprint: str, path: Path = REPORT) -> str:
    """What the report that ships says of this very dataset; "" if it is about another."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return ""
    if f"`{fingerprint[:16]}`" not in text:
        return ""
    goals = re.search(r"^(\d+ of \d+) met", text, re.MULTILINE)
    met = f"; {goals[1]} goals are met" if goals else ""
    return f"The report docs/validation.md is of this very dataset, with all splits{met}."


def show_validation(source: shared.Source, model: Any) -> None:
    """Table of errors on held-out cells, computed when asked for."""
    st.subheader("Validation: errors on sizes that the fit did not see", anchor=False)
    note = report_note(source.fingerprint)
    if note:
        st.caption(note)
    wanted = widgets.toggle(
        "Run the validation",
        "model_validate",
        False,
        "Fits the model six times without some sizes; takes a while the first time.",
    )
    if not wanted:
        st.caption("`python -m estimator validate` prints this and more.")
        return
    try:
        table = validation(source.fingerprint, model)
    except BreakevenError as error:
        st.info(f"The validation cannot be done: {escape(error)}")
        return
    if table.empty:
        st.info("Too few sizes to leave any out. Measure with `--suite standard`.")
        return
    from estimator.validation.report import clock_name

    shown = pd.DataFrame(
        {
            "Family": table["family"],
            "Clock": [clock_name(row) for row in table.to_dict("records")],
            "Split": table["split"],
            "Predictor": table["predictor"],
            "Asked": table["asked"],
            "n": table["n"],
        }
    )
    percent = st.column_config.NumberColumn(format="%.1f %%")
    for name, label in _PERCENT.items():
        if name in table:
            shown[label] = table[name] * (100 if name == "coverage90" else 1)
    shown["Rank correlation"] = table["rank_correlation"]
    widgets.table(
        shown,
        columns={
            **dict.fromkeys(_PERCENT.values(), percent),
            "Rank correlation": st.column_config.NumberColumn(format="%.2f"),
        },
        alt="Validation: error per family, clock, split and predictor",
    )
    st.caption(
        "Errors are absolute and relative to the measured median; bias is signed. Clock: a CPU, a "
        "GPU, or the host of a GPU where that takes over half of the time."
    )
