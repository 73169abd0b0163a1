"""The measured case of the page Rules of thumb: chosen among those of a CPU and a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import dtype_name, params_text
from collector.errors import SelectionError
from collector.workloads import FAMILIES
from estimator.cells.defaults import DTYPE


def pick_pair(
    pairs: pd.DataFrame,
    names: dict[str, str],
    default_machine: Callable[[Mapping[str, Any]], str | None],
) -> dict[str, Any]:
    """Widgets for one measured case; the default is the product of 3,000 in float32.

    ``names``: machine type (or box) -> name. ``default_machine`` says which GPU speaks for a row.
    """
    kept = pairs.assign(
        title=[_title(row) for row in pairs.to_dict("records")],
        type=[dtype_name(*row) for row in zip(pairs["dtype"], pairs["math_mode"], strict=True)],
        name=pairs["gpu_machine"].map(names),
    )
    counts = kept["name"].value_counts()
    left, middle, right = st.columns(3)
    with left:
        families = sorted(kept["workload"].unique())
        about = "Families with a case that a CPU and a GPU measured."
        family = widgets.select("Workload", families, "rules_workload", "matmul", help=about)
        kept = kept[kept["workload"] == family]
    with middle:
        titles = list(dict.fromkeys(kept["title"]))
        about = "Cases and sizes that were measured on both sides."
        title = widgets.select("Measured case", titles, "rules_case", "square n=3000", help=about)
        kept = kept[kept["title"] == title]
    with right:
        about = "tf32: the GPU multiplies float32 with fewer digits; the CPU's time is float32's."
        types = sorted(kept["type"].unique())
        kept = kept[
            kept["type"] == widgets.choose("Element type", types, "rules_dtype", DTYPE, help=about)
        ]
    options = sorted(kept["name"].unique(), key=lambda name: (-counts[name], name))
    rows = [{str(key): row[key] for key in pairs.columns} for row in kept.to_dict("records")]
    default = names.get(default_machine(rows[0]) or "", options[0])
    about = "Machine types that measured this case."
    name = widgets.select("Machine of the GPU", options, "rules_machine", default, help=about)
    return next(row for row in rows if names[row["gpu_machine"]] == name)


def _title(row: Mapping[Any, Any]) -> str:
    given = given_params(row["workload"], row["case"], row["params_key"])
    return f"{row['case']} {params_text(given)}".rstrip()


def given_params(workload: str, case: str, key: Any) -> dict[str, int]:
    """The parameters that a person would give: of a square product n alone."""
    params = dict(key)
    family = FAMILIES.get(workload)
    names = set() if family is None else set(family.signatures.get(case, ()))
    given = {name: value for name, value in params.items() if name in names}
    try:
        whole = family is not None and family.complete(case, given) == params
    except SelectionError:
        whole = False
    return given if whole else params
