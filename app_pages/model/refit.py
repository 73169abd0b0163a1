"""Refit on a selection of machines, runs, families or sizes, beside the full fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from app_pages.frame import queries, shared, widgets
from app_pages.frame.text import escape
from app_pages.model.fit import fitted_workloads
from collector.errors import BreakevenError
from estimator.model.refit import RefitComparison

if TYPE_CHECKING:
    from estimator.model.selection import Selection

_MOST_RUNS = 300
_LARGEST = 1e18


@st.cache_data(max_entries=8, show_spinner=f"Fitting the selection. {shared.OTHERS_WAIT}")
def comparison(fingerprint: str, selection: Selection, _model: Any) -> RefitComparison:
    """Both fits on the cells outside the selection."""
    found: RefitComparison = _model.apply_to_measurements(
        "estimator.model.refit:compare_refit", selection
    )
    return found


@st.cache_data(max_entries=2, show_spinner=False)
def runs_of(fingerprint: str, _source: shared.Source) -> pd.DataFrame:
    """The newest runs: run_id, machine_id, suite, started_at."""
    return queries.run(
        _source.connection,
        "SELECT run_id, machine_id, suite, started_at FROM runs "
        "WHERE ok > 0 ORDER BY started_at DESC, run_id LIMIT ?",
        [_MOST_RUNS],
    )


def show_refit(source: shared.Source, model: Any, groups: pd.DataFrame) -> None:
    """Widgets for the selection, and the errors of both fits where that is asked for."""
    st.subheader("Refit on a selection", anchor=False)
    wanted = widgets.toggle(
        "Choose what to fit to",
        "model_refit",
        False,
        "Fits the model to a part of the measurements and shows how far it is on the rest.",
    )
    if not wanted:
        st.caption(
            "What would the model be without a machine, from one run, or from small sizes alone? "
            "The fit of a selection is compared with the full one on the cells outside it."
        )
        return
    selection = _selection_form(source, groups)
    if selection is None:
        st.info("Everything is selected. Choose machines, runs, families or a largest size.")
        return
    try:
        found = comparison(source.fingerprint, selection, model)
    except BreakevenError as error:
        st.info(f"This selection cannot be fitted: {escape(error)}. Choose more.")
        return
    _show(found)


def _selection_form(source: shared.Source, groups: pd.DataFrame) -> Selection | None:
    """What was chosen; None where that is everything."""
    from estimator.model.selection import Selection

    left, right = st.columns(2)
    with left:
        machines = _several(
            "Machines",
            source.machine_names,
            "model_refit_machines",
            "Machines to fit to; none means all. The others are then predicted through these.",
        )
        families = _several(
            "Families",
            fitted_workloads(groups),
            "model_refit_families",
            "Families to fit to; none means all.",
        )
    runs = runs_of(source.fingerprint, source)
    titles = {
        f"{shared.moment(row['started_at'])} {row['suite']} {str(row['run_id'])[:8]} · "
        f"{source.names.get(row['machine_id'], row['machine_id'])}": str(row["run_id"])
        for row in runs.to_dict("records")
    }
    with right:
        picked = _several(
            "Runs",
            list(titles),
            "model_refit_runs",
            "Runs to fit to; none means all. Newest first.",
        )
        largest = widgets.number(
            "Largest size (0: all)",
            "model_refit_largest",
            0.0,
            0.0,
            _LARGEST,
            "Fit to operations of at most this size, such as 1000 for matrices of n = 1,000, and "
            "see how far the fit is on larger ones. The unit is the family's own.",
            format="%.6g",
        )
    if not (machines or families or picked or largest):
        return None
    return Selection(
        machines=tuple(source.machine_id(name) for name in machines) or None,
        runs=tuple(titles[title] for title in picked) or None,
        workloads=tuple(families) or None,
        largest=largest or None,
    )


def _several(label: str, options: list[str], key: str, help: str) -> list[str]:
    picked = st.multiselect(
        label, options, key=key, bind="query-params", placeholder="All", help=help
    )
    return [one for one in picked if one in options]


def _show(found: RefitComparison) -> None:
    table = found.table
    percent = st.column_config.NumberColumn(format="%.1f %%")
    names = {
        "median": "Median error, selection",
        "full_median": "Median error, full fit",
        "p90": "90 % within, selection",
        "full_p90": "90 % within, full fit",
        "bias": "Bias, selection",
        "full_bias": "Bias, full fit",
    }
    shown = pd.DataFrame(
        {
            "Family": table["workload"],
            "Device": table["device"],
            "Cells asked": table["asked"],
            "Answered": table["answered"],
            **{label: 100 * table[name] for name, label in names.items()},
        }
    )
    widgets.table(
        shown,
        "Errors of the selection's fit and of the full fit on the same cells",
        dict.fromkeys(names.values(), percent),
    )
    if found.held_out:
        text = (
            f"Fitted to {found.selected:,} cells; {found.outside:,} are outside the selection, "
            f"of which {found.asked:,} were asked of both. The selection's fit has not seen them; "
            "the full fit has, so its error is what the formula leaves over."
        )
    else:
        text = (
            f"Fitted to {found.selected:,} cells. The selection has every cell of the dataset (in "
            "fewer runs), so both fits are compared on cells that they have seen."
        )
    st.caption(
        f"{text} Errors against the measured median. Cells that the selection cannot answer (a "
        "library or an operation that it lacks) count as asked only."
    )
