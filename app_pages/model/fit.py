"""The fit against the cells that it was fitted to: figures, parity, residuals, families."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import MODE_NAMES, dtype_name, params_text
from charts.parity import parity_chart
from charts.residuals import residual_chart
from collector.workloads import FAMILIES
from estimator.dataset.measurements import UNFITTED_WORKLOADS
from estimator.model.refit import FitErrors

ALL = "all"


@dataclass(frozen=True)
class Shown:
    """What the page draws of ``FitErrors``: counts, figures, families, and dots with their text."""

    total: int
    compared: int
    overall: dict[str, float]
    families: pd.DataFrame
    dots: pd.DataFrame


@st.cache_data(max_entries=16, show_spinner="Comparing the model with the measurements")
def compare(
    fingerprint: str, device: str | None, workload: str | None, _names: dict[str, str], _model: Any
) -> Shown:
    """The model's errors on measured cells; what is drawn is a sample."""
    errors: FitErrors = _model.apply("estimator.model.refit:fit_errors", device, workload)
    cells = errors.cells
    dots = cells[["measured_s", "predicted_s", "error", "workload"]].assign(
        cell=[cell_text(row, _names) for row in cells.to_dict("records")]
    )
    overall = {str(name): float(value) for name, value in errors.overall.items()}
    return Shown(errors.total, errors.compared, overall, errors.families, dots)


def cell_text(row: Any, names: dict[str, str]) -> str:
    """A measured cell for people; plain text, not Markdown."""
    return (
        f"{row['workload']} {row['case']} {params_text(row['params_key'])} · "
        f"{dtype_name(row['dtype'], row['math_mode'])} · "
        f"{row['backend']} {row['device']} {row['threads']}t · "
        f"{MODE_NAMES.get(row['mode'], row['mode'])} · "
        f"{names.get(row['machine_id'], row['machine_id'])}"
    )


def fitted_workloads(groups: pd.DataFrame) -> list[str]:
    """Families that enter a fit, in order of name."""
    measured = set(groups["workload"]) - set(UNFITTED_WORKLOADS)
    return sorted(name for name in measured if name in FAMILIES)


def show_fit(source: shared.Source, model: Any, groups: pd.DataFrame) -> None:
    """Filters, figures, parity and residuals."""
    workloads = fitted_workloads(groups)
    left, right = st.columns(2)
    with left:
        devices = [ALL, *sorted(groups["device"].unique())]
        device = widgets.choose(
            "Device", devices, "model_device", ALL, help="Cells of CPUs, of GPUs (cuda), or all."
        )
    with right:
        workload = widgets.select(
            "Workload",
            [ALL, *workloads],
            "model_workload",
            ALL,
            help="Cells of one family, or all.",
        )
    errors = compare(
        source.fingerprint,
        None if device == ALL else device,
        None if workload == ALL else workload,
        source.names,
        model,
    )
    if errors.dots.empty:
        st.info("No measured cell has both filters. Choose `all` in one of them.")
        return
    overall = errors.overall
    with st.container(horizontal=True):
        st.metric("Cells", f"{errors.total:,}", border=True)
        st.metric("Median error", f"{overall['median']:.1%}", border=True)
        st.metric("90 % of cells within", f"{overall['p90']:.1%}", border=True)
        st.metric(
            "Bias",
            f"{overall['bias']:+.1%}",
            help="Median of the signed error; above 0 the model is too slow",
            border=True,
        )
    dots = errors.dots
    present = set(dots["workload"].unique())
    used = [name for name in workloads if name in present]
    left, right = st.columns(2)
    with left:
        st.markdown("**Measured against model**")
        widgets.chart(
            parity_chart,
            dots,
            "workload",
            used,
            alt="The model's time against the measured median of each cell",
            name="measured-against-model",
        )
    with right:
        st.markdown("**Error over time**")
        widgets.chart(
            residual_chart,
            dots,
            "workload",
            used,
            alt="Relative error of the model against the measured median",
            name="error-over-time",
        )
    st.caption(_note(errors))
    if workload == ALL:
        with st.expander("Errors by family"):
            show_families(errors.families)


def _note(errors: Shown) -> str:
    drawn = len(errors.dots)
    sample = "" if drawn == errors.total else f", of which {drawn:,} drawn at random are shown"
    counted = ""
    if errors.compared < errors.total:
        counted = f" Figures are of {errors.compared:,} of them, drawn at random."
    return (
        f"{errors.total:,} measured cells that took part in the fit{sample}.{counted} Solid "
        "diagonal = equal, dotted = 20 % off; errors beyond 100 % sit at the edge. How far the "
        "model is on cells that it did not see is under Validation below."
    )


def show_families(families: pd.DataFrame) -> None:
    """Errors of the fit per family."""
    percent = st.column_config.NumberColumn(format="%.1f %%")
    shown = pd.DataFrame(
        {
            "Family": families["workload"],
            "Cells": families["cells"],
            "Median error": 100 * families["median"],
            "90 % within": 100 * families["p90"],
            "Bias": 100 * families["bias"],
        }
    )
    widgets.table(
        shown,
        "Errors of the model on the cells that it was fitted to, by family",
        dict.fromkeys(("Median error", "90 % within", "Bias"), percent),
    )
