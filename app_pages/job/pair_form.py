"""What the page Estimate asks besides the job: threads, boxes or types, reuse, data sheets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from app_pages.frame import widgets
from app_pages.job.form import Job
from app_pages.job.places import THREADS, linked_texts, named_boxes, question_of
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec
from estimator.decide.places import PlaceQuestion

#: Whether boxes answer as their type, with its interval, or each by itself.
ABOUT = {"type": "any machine of its type", "machine": "this very machine"}
#: Links to single boxes, by the widgets that carry them.
PICKERS = ("estimate_cpu", "estimate_gpu")
_MOST_CALLS = 1_000_000_000
_MOST_SHEETS = 12


@dataclass(frozen=True)
class Settings:
    """What was set, in the words of ``PlaceQuestion``; ``boxes`` are picked for the pair."""

    threads: str
    about: str
    boxes: tuple[str, ...]
    reuse: int
    sheets: tuple[str, ...]
    sheet_cores: int | None

    def question(self, job: Job, others: tuple[str, ...] = ()) -> PlaceQuestion:
        """The job as the estimator is asked."""
        return question_of(
            job,
            threads=self.threads,
            each_box=self.about == "machine",
            named=() if self.about == "machine" else self.boxes,
            about=self.about,
            reuse=float(self.reuse),
            sheets=self.sheets,
            sheet_cores=self.sheet_cores,
            others=others,
        )


def settings_form(job: Job, names: Mapping[str, str]) -> Settings:
    """The widgets; those that change nothing for this job are left out.

    ``names`` are those of boxes: one that is picked for the pair answers for itself.
    """
    boxes = named_boxes(names, linked_texts(*PICKERS))
    left, middle, right = st.columns(3)
    with left:
        threads = widgets.choose(
            "CPU threads",
            list(THREADS),
            "estimate_threads",
            names=THREADS,
            help="All cores is what a job on its own gets; one thread is what a worker gets "
            "where as many jobs run as there are cores.",
        )
    with middle:
        about = widgets.choose(
            "Machines",
            list(ABOUT),
            "estimate_about",
            "machine" if boxes else "type",
            names=ABOUT,
            help="Boxes of one machine type answer together, with the interval of any machine of "
            "the type; or each very machine answers for itself.",
        )
    reuse = 1
    if job.gpu_mode == "end_to_end":
        with right:
            reuse = widgets.number(
                "Calls per transfer",
                "estimate_reuse",
                1,
                1,
                _MOST_CALLS,
                "How often the data is used on the GPU before the result is copied back: a "
                "transfer both ways is shared by so many calls.",
            )
    with st.expander("Machines that were not measured here, by their data sheets"):
        sheets, cores = _sheets()
    return Settings(threads, about, boxes, int(reuse), sheets, cores)


def _sheets() -> tuple[tuple[str, ...], int | None]:
    specs = {spec.name: spec for spec in shipped_hardware()}
    picked = st.multiselect(
        "GPUs and CPUs by data sheet",
        list(specs),
        key="estimate_sheets",
        bind="query-params",
        max_selections=_MOST_SHEETS,
        placeholder="None",
        help="Their times are scaled from machines that were measured, with the data sheets of "
        "both: a wide interval. Figures and their sources are in data/hardware.csv.",
    )
    names = tuple(name for name in picked if name in specs)
    if not any(isinstance(specs[name], CpuSpec) for name in names):
        return names, None
    cores = widgets.number(
        "Cores of CPUs by data sheet",
        "estimate_cores",
        8,
        1,
        1024,
        "Physical cores that the job gets; at most those of one socket.",
    )
    return names, int(cores)
