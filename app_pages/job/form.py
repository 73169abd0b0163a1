"""The job that the pages Estimate and Cost share: one case of a family with its parameters.

Both pages bind the same keys, so a job set on one page is there on the other and in the URL.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from app_pages.frame import widgets
from app_pages.frame.text import dtype_name, escape, split_dtype
from app_pages.job import words as job_words
from collector.errors import SelectionError
from collector.workloads import FAMILIES, LARGEST_PARAMETER, get_workload
from estimator.cells.defaults import DATA_PLACE, MATH_MODE, default_dtype, gpu_mode
from estimator.cells.questions import case_of, operation
from estimator.dataset.measurements import UNFITTED_WORKLOADS
from estimator.decide.words import DATA_PLACES, params_text, precision_text

_PLACES = {"resident": "already on the device", "end_to_end": "in host memory, both ways"}
_FIELDS_IN_A_ROW = 3


@dataclass(frozen=True)
class Job:
    """One operation to estimate, wherever it runs.

    ``given`` are the parameters as the user set them, ``params`` the canonical ones.
    """

    workload: str
    case: str
    given: tuple[tuple[str, int], ...]
    params: tuple[tuple[str, int], ...]
    dtype: str
    math_mode: str
    end_to_end: bool

    @property
    def size(self) -> int:
        return get_workload(self.workload).size(self.case, dict(self.params))

    @property
    def text(self) -> str:
        """One line for captions; plain, not Markdown."""
        params = params_text(self.given)
        return f"{self.workload} {self.case}" + (f" ({params})" if params else "")

    @property
    def asked(self) -> str:
        """The whole question in a line: operation, element type and math, where the data is."""
        precision = precision_text(self.dtype, self.math_mode)
        return f"{self.text}, {precision}, {DATA_PLACES[self.gpu_mode]}"

    @property
    def gpu_mode(self) -> str:
        """Mode of the GPU cells that answers the question."""
        return gpu_mode(self.workload, self.case, "end_to_end" if self.end_to_end else None)

    def with_value(self, name: str, value: int) -> Job:
        """The same job with one parameter changed. Raises SelectionError."""
        given = dict(self.given) | {name: value}
        complete = get_workload(self.workload).complete(self.case, given)
        return replace(self, given=tuple(given.items()), params=tuple(sorted(complete.items())))

    def command_arguments(self) -> str:
        """The part of a command line that names this job."""
        params = "".join(f" --param {name}={value}" for name, value in self.given)
        dtype = shlex.quote(self.dtype)  # it comes from the dataset
        return f"{self.workload} --case {self.case}{params} --dtype {dtype}"


@dataclass(frozen=True)
class Field:
    """One parameter as the form asks for it: its name, and that of its control in the URL."""

    name: str
    key: str
    start: int


def offered(groups: pd.DataFrame) -> list[str]:
    """Families that a model of these measurements was fitted to, in the order of the form."""
    measured = set(groups["workload"]) - set(UNFITTED_WORKLOADS)
    return job_words.in_order([name for name in FAMILIES if name in measured])


def start_case(family: str) -> str:
    """The case that a family opens with."""
    workload = get_workload(family)
    return workload.start_case or next(iter(workload.cases))


def start(family: str, case: str, linked: Mapping[str, str] | None = None) -> list[Field]:
    """The parameters of a case with the values that the form starts with.

    ``linked``: what the URL says, by key; it may name the size alone, as short forms do.
    """
    workload = get_workload(family)
    linked = linked or {}
    short = workload.short_forms.get(case, {})
    is_short = not any(_key(family, case, name) in linked for name in short)
    fields = []
    for name in workload.signatures[case]:
        value = workload.start_value(case, name)
        size = linked.get(_key(family, case, short.get(name, name)), "")
        if is_short and name in short and size.isdecimal():
            value = min(max(int(size), 1), LARGEST_PARAMETER)
        fields.append(Field(name, _key(family, case, name), value))
    return fields


def element_types(family: str, case: str, groups: pd.DataFrame) -> list[str]:
    """Element types that were measured somewhere for this case, else for its family."""
    rows = groups.loc[groups["workload"] == family, ["case", "dtype", "math_mode"]]
    rows = rows.drop_duplicates()
    of_case = rows["case"].map(lambda name: operation(family, case_of(name)))
    same = of_case == operation(family, case)
    rows = rows[same] if same.any() else rows
    rows = rows[[FAMILIES[family].takes(case, dtype) for dtype in rows["dtype"]]]
    if rows.empty:  # this case was measured nowhere, and the family with other types only
        return [default_dtype(FAMILIES[family], case)]
    pairs = zip(rows["dtype"], rows["math_mode"].fillna(MATH_MODE), strict=True)
    return sorted({dtype_name(dtype, mode) for dtype, mode in pairs})


def job_of(
    family: str, case: str, params: Mapping[str, int], element_type: str, end_to_end: bool = False
) -> Job:
    """The job that these choices make. Raises SelectionError for one that cannot be."""
    workload = get_workload(family)
    complete = workload.complete(case, dict(params))
    workload.size(case, complete)
    given, canonical = tuple(params.items()), tuple(sorted(complete.items()))
    return Job(family, case, given, canonical, *split_dtype(element_type), end_to_end)


def job_form(groups: pd.DataFrame) -> Job:
    """Widgets for the job; only families that the model was fitted to are offered."""
    families = offered(groups)
    if not families:
        st.info("The model was fitted to no workload that this version knows. Measure one first.")
        st.stop()
    left, right = st.columns(2)
    with left:
        names = {name: job_words.family_name(name) for name in families}
        help = job_words.family_help()
        family = _pick("Workload", families, "job_workload", "matmul", names, help)
    workload = get_workload(family)
    with right:
        cases = list(workload.cases)
        names = {case: job_words.case_name(family, case) for case in cases}
        help = job_words.case_help(family)
        case = _pick("Case", cases, "job_case", start_case(family), names, help)
    params = _parameters(family, case)
    left, right = st.columns(2)
    with left:
        element_type = widgets.choose(
            "Element type",
            element_types(family, case, groups),
            f"job_dtype_{family}",
            default_dtype(workload, case),
            help="Precision of the numbers. tf32: float32 whose products a GPU rounds to 10 bits; "
            "only what some machine measured for this workload is offered.",
        )
    with right:
        end_to_end = family != "transfer" and place_form("job_mode") == "end_to_end"
    try:
        return job_of(family, case, params, element_type, end_to_end)
    except SelectionError as error:
        st.error(f"This job cannot be: {escape(error)}")
        st.stop()


def _pick(
    label: str, options: list[str], key: str, default: str, names: dict[str, str], help: str
) -> str:
    """A select box whose link may carry the name of the command line instead of the shown one.

    Links of earlier versions carry "matmul: what it is"; the word before the colon is taken.
    """
    asked = str(st.query_params.get(key, "")).split(":")[0]
    if asked in options and key not in st.session_state:
        default = asked  # the state keeps it from here on
    return widgets.select(label, options, key, default, names, help)


def _parameters(family: str, case: str) -> dict[str, int]:
    fields = start(family, case, st.query_params.to_dict())
    in_a_row = max(2, min(_FIELDS_IN_A_ROW, len(fields)))
    rows = [st.columns(in_a_row) for _ in range(0, len(fields), in_a_row)]
    params: dict[str, int] = {}
    for column, field in zip((one for row in rows for one in row), fields, strict=False):
        label, text = job_words.parameter_words(family, case, field.name)
        with column:
            params[field.name] = widgets.number(
                label, field.key, field.start, 1, LARGEST_PARAMETER, text, step=1
            )
    return params


def _key(family: str, case: str, name: str) -> str:
    """Name in the URL: with the family's where another family has a case of that name."""
    namesakes = [one for one in FAMILIES.values() if case in one.signatures]
    return f"job_{case}_{name}" if len(namesakes) < 2 else f"job_{family}_{case}_{name}"


def place_form(key: str) -> str:
    """Where the data is, as a mode of the GPU; the same words and default on every page."""
    return widgets.choose(
        "Where the data is",
        list(_PLACES),
        key,
        DATA_PLACE,
        names=_PLACES,
        help="Whether a GPU's time includes copying operands to it and the result back. On the "
        "device is the default: what one of many steps of a job costs.",
    )
