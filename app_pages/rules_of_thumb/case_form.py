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
    left, middle, right = st.columns(3)
    with left:
        families = sorted(pairs["workload"].unique())
        family = widgets.select(
            "Workload",
            families,
            "rules_workload",
            "matmul",
            help="Families with a case that a CPU and a GPU measured.",
        )
    kept = pairs[pairs["workload"] == family]
    titles = pd.Series(
        [
            f"{case} {params_text(given_params(family, case, key))}".rstrip()
            for case, key in zip(kept["case"], kept["params_key"], strict=True)
        ],
        index=kept.index,
    )
    with middle:
        options = list(dict.fromkeys(titles))
        title = widgets.select(
            "Measured case",
            options,
            "rules_case",
            "square n=3000",
            help="Cases and sizes that were measured on both sides.",
        )
    kept = kept[titles == title]
    types = pd.Series(
        [dtype_name(*pair) for pair in zip(kept["dtype"], kept["math_mode"], strict=True)],
        index=kept.index,
    )
    with right:
        dtype = widgets.choose(
            "Element type",
            sorted(types.unique()),
            "rules_dtype",
            DTYPE,
            help="tf32: the GPU multiplies float32 with fewer digits; the CPU's time is float32's.",
        )
    kept = kept[types == dtype].copy()
    kept["name"] = kept["gpu_machine"].map(names)
    counts = pairs["gpu_machine"].map(names).value_counts()
    options = sorted(kept["name"].unique(), key=lambda name: (-counts[name], name))
    own = default_machine({str(key): value for key, value in kept.iloc[0].items()})
    name = widgets.select(
        "Machine of the GPU",
        options,
        "rules_machine",
        names.get(own or "", options[0]),
        help="Machine types that measured this case.",
    )
    row = kept[kept["name"] == name].iloc[0]
    return {str(key): value for key, value in row.drop("name").items()}


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
