"""The measured cells of one case, named as series, and which of them a page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import fleet_queries, shared, widgets
from app_pages.frame.prepared import prepared
from app_pages.frame.text import dtype_name, escape, params_text
from collector.workloads import FAMILIES
from estimator.text import plural

MAX_SERIES = 10
USUAL_SERIES = 8
#: With more series than this a search box narrows the list.
MOST_LISTED = 40

#: What is timed: words, mode on a CPU and on a GPU; ``collector show --timed`` has the same.
QUESTIONS = {
    "alone": ("operation alone", {"cpu": "hot", "cuda": "hot"}),
    "cold": ("cold caches", {"cpu": "cold", "cuda": "cold"}),
    "resident": ("data on the device", {"cpu": "hot", "cuda": "resident"}),
    "transfers": ("with transfers", {"cpu": "hot", "cuda": "end_to_end"}),
    "first": ("first call", {"cpu": "first_call", "cuda": "first_call"}),
}
QUESTION_NAMES = {name: words for name, (words, _) in QUESTIONS.items()}


@st.cache_data(max_entries=4, show_spinner=False)
def _cases(fingerprint: str, _source: shared.Source) -> pd.DataFrame:
    return fleet_queries.cases(_source.connection)


#: What tells series apart, in the tables of the dataset.
KEYS = ["machine_id", "backend", "device", "threads", "dtype", "math_mode", "mode"]


@dataclass(frozen=True)
class Case:
    """One case of a family: what was measured of it, without the times.

    ``series``: one row per machine, library, device, threads, element type and mode, with the
    count of ``cells``, and in words ``machine``, ``precision``, ``place`` and ``series``.
    """

    source: shared.Source
    workload: str
    case: str
    series: pd.DataFrame

    def cells(self, chosen: pd.DataFrame) -> pd.DataFrame:
        """The measured cells of some rows of ``series``, with their words, by size."""
        machines = sorted(set(chosen["machine_id"]))
        frame = fleet_queries.cells_of_case(
            self.source.connection, self.workload, self.case, machines
        )
        named = chosen[[*KEYS, "machine", "precision", "place", "series"]]
        kept = frame.merge(named, on=KEYS).sort_values("size", kind="stable", ignore_index=True)
        return kept.assign(params=kept["params"].map(params_text))


@st.cache_data(max_entries=6, show_spinner=False)
def _series(fingerprint: str, _source: shared.Source, workload: str, case: str) -> pd.DataFrame:
    frame = fleet_queries.series_of_case(_source.connection, workload, case)
    machine = frame["machine_id"].map(_source.names)
    threads = frame["threads"].map(lambda count: plural(int(count), "thread"))
    where = frame["device"].where(frame["device"] != "cpu", "cpu, " + threads)
    place = frame["backend"] + " " + where
    return frame.assign(
        machine=machine,
        precision=[
            dtype_name(*pair) for pair in zip(frame["dtype"], frame["math_mode"], strict=True)
        ],
        place=place,
        # the machine comes last, as narrow screens cut the end
        series=place + " · " + machine,
    )


def is_first(frame: pd.DataFrame) -> pd.Series:
    """Which rows are first calls: one sample a run, no interval."""
    return frame["mode"] == "first_call"


def rows_for(frame: pd.DataFrame, question: str) -> pd.DataFrame:
    """Rows whose mode answers what the user wants timed, which differs between CPU and GPU."""
    return frame[frame["mode"] == frame["device"].map(QUESTIONS[question][1])]


def questions_of(frame: pd.DataFrame) -> list[str]:
    """What can be asked of these rows."""
    pairs = set(zip(frame["device"], frame["mode"], strict=True))
    return [
        name
        for name, (_, modes) in QUESTIONS.items()
        if any(pair in pairs for pair in modes.items())
    ]


def pick_case(source: shared.Source) -> Case:
    """Boxes for workload and case; what was measured of that case on all machines."""
    cases = _cases(source.fingerprint, source)
    left, right = st.columns(2)
    with left:
        workload = widgets.select(
            "Workload",
            sorted(cases["workload"].unique()),
            "measurements_workload",
            "matmul",
            help="Family of operations.",
        )
    with right:
        named = list(cases.loc[cases["workload"] == workload, "case"])
        known = FAMILIES[workload].cases if workload in FAMILIES else ()
        named.sort(key=lambda name: (known.index(name) if name in known else len(known), name))
        case = widgets.select(
            "Case", named, "measurements_case", help="Which operation of the family."
        )
    return Case(source, workload, case, _series(source.fingerprint, source, workload, case))


def pick_rows(measured: Case) -> tuple[pd.DataFrame, str, str]:
    """Boxes for element type and what is timed; the series that remain, and the two answers."""
    frame = measured.series
    left, right = st.columns(2)
    precisions = sorted(frame.loc[~is_first(frame), "precision"].unique())
    with left:
        precision = widgets.choose(
            "Element type",
            precisions,
            "measurements_dtype",
            "float32",
            help="tf32: float32 operands multiplied on tensor cores.",
        )
    kept = frame[frame["precision"] == precision]
    with right:
        question = widgets.choose(
            "What is timed",
            questions_of(kept),
            "measurements_timed",
            names=QUESTION_NAMES,
            help="The method says what each of them includes.",
        )
    return rows_for(kept, question), precision, question


@prepared
def usual_series(frame: pd.DataFrame) -> list[str]:
    """What is shown unasked: each library on one machine of each kind, with the most threads.

    Of several machines of a kind the one with most cells; libraries with most cells first.
    """
    most = frame.groupby(["machine_id", "backend", "device"])["threads"].transform("max")
    kept = frame[frame["threads"] == most]
    kinds = kept["machine"].str.replace(r" \([0-9a-f]+\)$", "", regex=True)
    counts = kept.assign(kind=kinds).groupby(["kind", "backend", "device", "series"])["cells"].sum()
    best = counts.sort_values(ascending=False, kind="stable").reset_index()
    best = best.drop_duplicates(["kind", "backend", "device"])
    return sorted(best["series"].head(USUAL_SERIES))


def pick_series(frame: pd.DataFrame) -> pd.DataFrame:
    """A box to choose series, with a search where they are many; those that are shown."""
    everything = sorted(frame["series"].unique())
    usual = usual_series(frame)
    listed = everything
    if len(everything) > MOST_LISTED:
        listed = _search(everything, usual)
    chosen = st.multiselect(
        "Series",
        listed,
        max_selections=MAX_SERIES,
        placeholder=f"The usual {len(usual)} of {len(everything)}; choose others here",
        key="measurements_series",
        bind="query-params",
        help=f"Library, device, threads, machine. Up to {MAX_SERIES} at a time. "
        "Empty: each library with the most threads it was measured with, on one machine of "
        "each kind.",
    )
    kept = set(chosen) & set(everything) or set(usual)
    return frame[frame["series"].isin(kept)]


def _search(everything: list[str], usual: list[str]) -> list[str]:
    """The series to list: those that match, and those that the link or the reader chose."""
    words = st.text_input(
        f"Find among {len(everything)} series",
        key="measurements_find",
        bind="query-params",
        placeholder="library, device, threads, machine",
        help=f"Up to {MOST_LISTED} series that have all of these words are listed below.",
        max_chars=200,
    )
    wanted = (words or "").lower().split()
    found = [name for name in everything if all(word in name.lower() for word in wanted)]
    if not found:
        st.info(f"No series has all of “{escape(words)}”. Use fewer or shorter words.")
    before: Any = st.session_state.get("measurements_series", [])
    linked = st.query_params.get_all("measurements_series")
    held = [name for name in everything if name in {*before, *linked}]
    first = found if wanted else [*usual, *found]
    return list(dict.fromkeys([*held, *first[:MOST_LISTED]]))
