"""Groups of a fit: parameters with their intervals, and one group's curve."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import MODE_NAMES, NO_VALUE, dtype_name, params_text, si
from charts.fit_curve import fit_curve
from collector.workloads import FAMILIES, get_workload
from estimator.model.refit import GroupCurve

ALL = "all"
TOP_GROUPS = 50
KEY = ("machine_id", "device", "backend", "threads", "workload", "case", "dtype", "math_mode")
_ERRORS = {"median_abs_pct_error": "Median error", "p90_abs_pct_error": "90 % within"}
# End of a parameter's name -> its unit, and the word for people.
_UNITS = {
    "_flop_per_s": ("FLOP/s", " rate"),
    "_bytes_per_s": ("B/s", " rate"),
    "_bytes": ("B", " size"),
    "_s": ("s", " time"),
}


@st.cache_data(max_entries=32, show_spinner="Drawing the group's curve")
def curve_of(fingerprint: str, group: dict[str, Any], _model: Any) -> GroupCurve:
    """The model's curve of one group over the points that it was fitted to."""
    found: GroupCurve = _model.apply("estimator.model.refit:group_curve", group)
    return found


def show_groups(source: shared.Source, model: Any) -> None:
    """Choice of machine and family, one group's curve, and the parameters of all its groups."""
    st.subheader("Groups and their parameters", anchor=False)
    groups = model.groups
    names = groups["machine_id"].map(source.names).fillna(groups["machine_id"])
    counts = names.value_counts()
    left, right = st.columns(2)
    with left:
        machine = widgets.select(
            "Groups of",
            list(counts.index),
            "model_machine",
            help="The machine whose fitted groups are shown; the one with most first.",
        )
    groups = groups[names == machine]
    families = sorted(groups["workload"].unique())
    with right:
        family = widgets.select(
            "Family",
            families,
            "model_family",
            "matmul",
            help="A group is one operation of a family with a library, element type and mode.",
        )
    groups = groups[groups["workload"] == family].reset_index(drop=True)
    groups = groups.assign(
        math_mode=groups["math_mode"].fillna("ieee"),
        mode_name=groups["mode"].map(lambda mode: MODE_NAMES.get(mode, mode)),
    )
    show_curve(source, model, groups)
    show_parameters(source.fingerprint, family, groups)


def show_curve(source: shared.Source, model: Any, groups: pd.DataFrame) -> None:
    """One group's curve over its measured points."""
    titles = [
        f"{row['case']} · {dtype_name(row['dtype'], row['math_mode'])} · {row['backend']} "
        f"{row['device']} {row['threads']}t · {row['mode_name']}"
        for row in groups.to_dict("records")
    ]
    most = int(groups["n"].fillna(0).to_numpy().argmax())
    title = widgets.select(
        "Group", titles, "model_group", titles[most], help="Preset: the group of most cells."
    )
    row = groups.iloc[titles.index(title)]
    group = {name: _plain(row[name]) for name in (*KEY, "mode")}
    found = curve_of(source.fingerprint, group, model)
    if found.curve.empty or found.points.empty:
        st.info("This group's measured points are not in the dataset.")
        return
    points = found.points.assign(params=found.points["params_key"].map(params_text))
    meaning = ""
    if row["workload"] in FAMILIES:
        meaning = f" Size: {get_workload(row['workload']).size_meaning}."
    widgets.chart(
        fit_curve,
        found.curve,
        points[["size", "median_s", "n", "params"]],
        "Size (log scale)",
        alt="Fitted curve with 90 % interval over the measured medians",
        name="one-group",
    )
    st.caption(
        f"Line and band: the model with its 90 % interval. Circles: {len(points)} measured "
        f"medians. Beyond the circles the model extrapolates.{meaning}"
    )


def show_parameters(fingerprint: str, family: str, groups: pd.DataFrame) -> None:
    """Fitted parameters, one row per group, with the 90 % interval where there is one."""
    every = True
    if len(groups) > TOP_GROUPS:
        every = widgets.toggle(
            f"Show all {len(groups)} groups",
            "model_all_groups",
            False,
            f"The table shows the {TOP_GROUPS} groups of most cells.",
        )
    shown = parameter_table(fingerprint, str(groups["machine_id"].iloc[0]), family, every, groups)
    percent = st.column_config.NumberColumn(format="%.1f %%")
    widgets.table(
        shown,
        "Fitted parameters of each group with units and 90 % intervals",
        {
            **dict.fromkeys(_ERRORS.values(), percent),
            "Case": st.column_config.TextColumn(pinned=True),
        },
    )
    st.caption(
        "Fitted, in brackets the 90 % interval of the parameters that decide most; the others "
        "have none. A parameter that the measurements do not bound is shown as a dash. Errors "
        "are on the group's own cells."
    )


@st.cache_data(max_entries=32, show_spinner=False)
def parameter_table(
    fingerprint: str, machine_id: str, family: str, every: bool, _groups: pd.DataFrame
) -> pd.DataFrame:
    """The groups of a machine and family as the page shows them."""
    groups = _groups
    kept = groups if every else groups.nlargest(TOP_GROUPS, "n")
    kept = kept.dropna(axis="columns", how="all")
    shown = pd.DataFrame(
        {
            "Case": kept["case"],
            "Element type": [
                dtype_name(*pair) for pair in zip(kept["dtype"], kept["math_mode"], strict=True)
            ],
            "Library": kept["backend"],
            "Device": kept["device"],
            "Threads": kept["threads"],
            "Mode": kept["mode_name"],
            "Cells": kept.get("n"),
        }
    )
    for name, label in _ERRORS.items():
        if name in kept:
            shown[label] = kept[name]
    for name in kept.columns:
        if name in (*KEY, *_ERRORS, "label", "mode", "mode_name", "n", "family"):
            continue
        if "_p5_" in name or "_p95_" in name or not pd.api.types.is_float_dtype(kept[name]):
            continue
        label, unit = heading(name)
        shown[label] = with_interval(kept, name, unit)
    return shown


def heading(name: str) -> tuple[str, str]:
    """Column name for people, and the unit that the values carry ("" where none)."""
    for suffix, (unit, word) in _UNITS.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ').capitalize()}{word}", unit
    return name.replace("_", " ").capitalize(), ""


def with_interval(groups: pd.DataFrame, name: str, unit: str) -> list[str]:
    """Values with their unit and, where the fit has one, the interval in brackets."""
    first, _, rest = name.partition("_")
    low, high = f"{first}_p5_{rest}", f"{first}_p95_{rest}"
    texts = []
    for row in groups.to_dict("records"):
        text = si(row[name], unit).strip()
        ends = [si(row.get(end), unit).strip() for end in (low, high)]
        if text != NO_VALUE and NO_VALUE not in ends:
            text += f" ({ends[0]} to {ends[1]})"
        texts.append(text)
    return texts


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
