"""Model: how far the fitted model is from what was measured, and its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

import estimator
from app_pages import queries, shared, widgets
from app_pages.text import MODE_NAMES, dtype_name, escape, params_text, si, with_params
from charts.fit_curve import fit_curve
from charts.parity import parity_chart
from charts.residuals import residual_chart
from collector.errors import BreakevenError
from collector.workloads import FAMILIES, get_workload
from estimator.features import case_of, operation
from estimator.validation_report import clock_name
from estimator.validation_splits import BETWEEN, LARGER

ALL = "all"
MOST_DOTS = 4000
CURVE_POINTS = 80

METHOD = """
**The model** gives the time of one call as launch cost, arithmetic and memory time of the
operation, plus copies over the bus; its parameters are fitted per machine, library, device,
case, element type and mode. Only measured cells with status ok enter.

**Measured against model** shows cells that took part in the fit, so it tells how well the formula
can describe them, not how well it predicts. **The validation** leaves shapes out, fits to the
rest and predicts the ones left out; *between* leaves out shapes inside the measured range,
*larger* the larger half, and asks for 4 to 16 times the work. A shape is out in all libraries,
element types, modes and machines at once. *Roofline* is the plain rule: the larger of work over
peak rate and bytes over bandwidth; *nearest* the nearest measured cell; *cores* and *throughput*
are two rules of thumb. *Coverage* is how often the 90 % interval held the measurement, *regret*
how much slower the library or machine is that would be chosen, *floor* the difference between
two runs of one machine.

`python -m estimator validate` runs more splits: new operations, new machines, another run.
"""

PREDICT_COLUMNS = [
    *("machine_id", "workload", "case", "params", "dtype", "math_mode"),
    *("backend", "device", "threads", "mode"),
]
GROUP_KEY = [
    "machine_id",
    "workload",
    "case",
    "dtype",
    "math_mode",
    "backend",
    "device",
    "threads",
    "mode",
]
VALIDATION_PERCENT = {
    "mape": "Mean error",
    "median_ape": "Median error",
    "p90_ape": "90 % within",
    "bias": "Bias",
    "coverage90": "Coverage of 90 %",
    "regret": "Regret",
    "floor_mean": "Floor",
}
# End of a parameter's name -> its unit, and the word for people.
UNITS = {
    "_flop_per_s": ("FLOP/s", " rate"),
    "_bytes_per_s": ("B/s", " rate"),
    "_bytes": ("B", " size"),
    "_s": ("s", " time"),
}


@st.cache_data(max_entries=2, show_spinner="Comparing the model with the measurements")
def compare(fingerprint: str, _source: shared.Source, _model: Any) -> pd.DataFrame:
    """Every measured cell with the model's time and its relative error."""
    cells = queries.cells(_source.connection)
    known = zip(cells["workload"].astype(str), cells["case"].astype(str), strict=True)
    # a newer collector may know families and cases that this version does not
    cells = cells[[one in FAMILIES and case in FAMILIES[one].cases for one, case in known]]
    cells = with_params(cells, [dict(params) for params in cells["params"]])
    predicted = _model.predict(cells[PREDICT_COLUMNS])
    cells["predicted_s"] = predicted["seconds_p50"].to_numpy()
    cells["measured_s"] = cells["median_s"]
    cells["error"] = cells["predicted_s"] / cells["measured_s"] - 1
    cells["machine"] = cells["machine_id"].map(_source.names)
    cells["params"] = cells["params"].map(params_text)
    cells["cell"] = [
        f"{row['workload']} {row['case']} {row['params']} · "
        f"{dtype_name(row['dtype'], row['math_mode'])} · "
        f"{row['backend']} {row['device']} {row['threads']}t · {row['mode']} · {row['machine']}"
        for row in cells.to_dict("records")
    ]
    return cells.replace([np.inf, -np.inf], np.nan).dropna(subset=["predicted_s", "error"])


@st.cache_data(max_entries=2, show_spinner="Validating on held-out sizes")
def validation(fingerprint: str, _measurements: Any) -> pd.DataFrame:
    """Errors on sizes that the fit did not see."""
    return pd.DataFrame(estimator.validate(_measurements, (BETWEEN, LARGER)))


def pick_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Filters of device and workload."""
    left, right = st.columns(2)
    with left:
        devices = [ALL, *sorted(cells["device"].unique())]
        device = widgets.choose("Device", devices, "model_device", ALL)
    with right:
        workloads = [ALL, *sorted(cells["workload"].unique())]
        workload = widgets.select("Workload", workloads, "model_workload", ALL)
    if device != ALL:
        cells = cells[cells["device"] == device]
    if workload != ALL:
        cells = cells[cells["workload"] == workload]
    return cells


def show_fit(cells: pd.DataFrame, colors: list[str]) -> None:
    """Figures, parity and residuals of the chosen cells."""
    if cells.empty:
        st.info("No measured cell has both filters. Choose `all` in one of them.")
        return
    size = cells["error"].abs()
    with st.container(horizontal=True):
        st.metric("Cells", f"{len(cells):,}", border=True)
        st.metric("Median error", f"{size.median():.1%}", border=True)
        st.metric("90 % of cells within", f"{size.quantile(0.9):.1%}", border=True)
        st.metric(
            "Bias",
            f"{cells['error'].median():+.1%}",
            help="Median of the signed error; above 0 the model is too slow",
            border=True,
        )
    if len(cells) > MOST_DOTS:
        cells = cells.sample(MOST_DOTS, random_state=0)
    fields = ["measured_s", "predicted_s", "error", "cell", "workload"]
    used = [name for name in colors if name in set(cells["workload"])]
    left, right = st.columns(2)
    with left:
        st.markdown("**Measured against model**")
        st.altair_chart(
            parity_chart(cells[fields], "workload", used),
            alt="The model's time against the measured median of each cell",
        )
    with right:
        st.markdown("**Error over time**")
        st.altair_chart(
            residual_chart(cells[fields], "workload", used),
            alt="Relative error of the model against the measured median",
        )
    st.caption(
        f"{len(cells):,} measured cells that took part in the fit; solid diagonal = equal, dotted "
        "= 20 % off; errors beyond 100 % sit at the edge. How far it is on others comes next."
    )


def show_validation(source: shared.Source) -> None:
    """Table of errors on held-out cells, computed when asked for."""
    st.subheader("Errors on sizes that the fit did not see", anchor=False)
    wanted = st.toggle(
        "Run the validation",
        key="model_validate",
        bind="query-params",
        help="Fits the model six times without some sizes; takes a while the first time.",
    )
    if not wanted:
        st.caption("`python -m estimator validate` prints this and more.")
        return
    try:
        table = validation(source.fingerprint, source.measurements)
    except BreakevenError as error:
        st.info(f"The validation cannot be done: {escape(error)}")
        return
    if table.empty:
        st.info("Too few sizes to leave any out. Measure with `--suite standard`.")
        return
    shown = pd.DataFrame(
        {
            "family": table["family"],
            "clock": [clock_name(row) for row in table.to_dict("records")],
            **{name: table[name] for name in ("split", "predictor", "asked", "n")},
            **{name: table[name] for name in VALIDATION_PERCENT if name in table},
            "rank_correlation": table["rank_correlation"],
        }
    )
    shown["coverage90"] *= 100  # the other columns are percentages
    config: dict[str, Any] = {
        name: st.column_config.NumberColumn(label, format="%.1f %%")
        for name, label in VALIDATION_PERCENT.items()
    }
    config["rank_correlation"] = st.column_config.NumberColumn("Rank correlation", format="%.2f")
    labels = {name: name.capitalize() for name in ("family", "clock", "split", "predictor")}
    widgets.table(
        shown.rename(columns={**labels, "asked": "Asked"}),
        columns=config,
        alt="Validation: error per family, clock, split and predictor",
    )
    st.caption(
        "Errors are absolute and relative to the measured median; bias is signed. Clock: a CPU, a "
        "GPU, or the host of a GPU where that takes over half of the time."
    )


def heading(name: str) -> tuple[str, str]:
    """Column name for people, and the unit that the values carry ("" where none)."""
    for suffix, (unit, word) in UNITS.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ').capitalize()}{word}", unit
    return name.replace("_", " ").capitalize(), ""


def show_parameters(groups: pd.DataFrame) -> None:
    """Fitted parameters, one row per group."""
    st.subheader("Parameters", anchor=False)
    shown = groups.drop(columns=["machine_id", "label", "group"], errors="ignore")
    shown = shown.dropna(axis="columns", how="all").copy()
    shown["mode"] = shown["mode"].map(lambda mode: MODE_NAMES.get(mode, mode))
    config: dict[str, Any] = {}
    for name in shown.columns:
        if name.endswith("pct_error"):
            label = {"median_abs_pct_error": "Median error", "p90_abs_pct_error": "90 % within"}
            config[name] = st.column_config.NumberColumn(label.get(name, name), format="%.1f %%")
        elif pd.api.types.is_float_dtype(shown[name]):
            config[name], unit = heading(name)
            shown[name] = [si(value, unit).strip() for value in shown[name]]
        else:
            config[name] = heading(name)[0]
    front = ["machine", "workload", "case"]
    widgets.table(
        shown[[*front, *[name for name in shown.columns if name not in front]]],
        columns={**config, "machine": st.column_config.TextColumn("Machine", pinned=True)},
        alt="Fitted parameters of each group with units",
    )
    st.caption("A parameter that the measurements do not bound is shown as a dash.")


def show_curve(source: shared.Source, model: Any, groups: pd.DataFrame) -> None:
    """The model's curve of one group over the points that it was fitted to."""
    st.subheader("One group", anchor=False)
    names = list(groups["group"])
    default = next((name for name in names if name.startswith("matmul square")), names[0])
    group = groups[groups["group"] == widgets.select("Group", names, "model_group", default)].iloc[
        0
    ]
    case = case_of(group["case"])
    cells = queries.cells(source.connection, group["workload"], case)
    same = [
        operation(group["workload"], case, group["backend"], dict(params)) == group["case"]
        for params in cells["params"]
    ]
    cells = cells[same]
    for column in ("machine_id", "dtype", "math_mode", "backend", "device", "threads", "mode"):
        cells = cells[cells[column] == group[column]]
    if cells.empty or group["workload"] not in FAMILIES:
        st.info("This group's measured points are not in the dataset.")
        return
    workload = get_workload(group["workload"])
    measured = [dict(params) for params in cells["params"]]
    signature = workload.signatures[case]
    grid = measured
    if len(signature) == 1:
        name = next(iter(signature))
        known = [params[name] for params in measured]
        steps = np.geomspace(max(1, min(known) / 2), max(known) * 4, CURVE_POINTS)
        grid = [
            workload.complete(case, {name: int(step)})
            for step in sorted({round(step) for step in steps})
        ]
    asked = {column: group[column] for column in GROUP_KEY} | {"case": case}
    question = pd.DataFrame([asked] * len(grid))
    question = with_params(question, grid)
    curve = model.predict(question[PREDICT_COLUMNS]).reset_index(drop=True)
    curve["size"] = [workload.size(case, params) for params in grid]
    curve = curve.dropna(subset=["seconds_p50"]).sort_values("size")
    points = cells.assign(params=[params_text(params) for params in measured])
    st.altair_chart(
        fit_curve(
            curve[["size", "seconds_p5", "seconds_p50", "seconds_p95"]],
            points[["size", "median_s", "n", "params"]],
            "Size (log scale)",
        ),
        alt="Fitted curve with 90 % interval over the measured medians",
    )
    st.caption(
        f"Line and band: the model with its 90 % interval. Circles: {len(points)} measured "
        f"medians. Beyond the circles the model extrapolates. Size: {workload.size_meaning}."
    )


source = shared.open_dataset()
shared.header("Model", "How far is the model from what was measured?", METHOD)
shared.provenance(source)
model = shared.open_model(source)
compared = compare(source.fingerprint, source, model)
show_fit(pick_cells(compared), sorted(compared["workload"].unique()))
show_validation(source)
fitted = model.groups.copy()
fitted["machine"] = fitted["machine_id"].map(source.names)
fitted["math_mode"] = fitted["math_mode"].fillna("ieee")
fitted["group"] = [
    f"{row.workload} {row.case} · {dtype_name(row.dtype, row.math_mode)} · {row.machine} · "
    f"{row.backend} {row.device} {row.threads}t · {MODE_NAMES.get(row.mode, row.mode)}"
    for row in fitted.itertuples()
]
show_curve(source, model, fitted)
show_parameters(fitted)
