"""Estimate: the time of one operation on each measured machine, and whether a GPU pays."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.estimate import verdict
from app_pages.estimate.places import show_parts, show_places, show_refused, top_places
from app_pages.estimate.program import show_program
from app_pages.frame import shared, widgets
from app_pages.frame.text import escape
from app_pages.job.form import Job, job_form
from app_pages.job.pair_form import Settings, settings_form
from app_pages.job.places import answers, with_names
from app_pages.job.program import uploaded_program
from collector.errors import BreakevenError
from collector.workloads import get_workload
from estimator.cells.defaults import MATH_MODE, other_place
from estimator.decide.pairs import PairAnswer, reasons_in_short
from estimator.decide.places import PlaceAnswers, PlaceQuestion

METHOD = """
**Estimates** come from the model that is fitted to the measurements: launch cost plus arithmetic
and memory time, plus copies over the bus. The interval holds the truth in about 90 of 100 cases;
the page *Model* shows how that was checked.

**Basis.** *This cell was measured*: the dot is still the model's value, and the diamond beside it
is the measured median. *Between measured sizes*, *beyond measured sizes*, *case not measured
here*, *from data sheets*: further and further from a measurement, with a wider interval.

**Speed-up** is CPU time over GPU time; its interval takes the two errors as independent, and so
does the probability that the GPU is the faster one. The verdict names a side only if the whole
interval lies on it. **Break-even size** is where the two times are equal; below it the CPU is
faster.

**Calls per transfer.** Data that is used for N calls before the result is copied back shares one
transfer: time = t - (1 - 1/N) x transfer.

**Machines.** Two machines of one type differ. Boxes of a type answer as one: their estimates are
averaged by precision, and the interval is that of any machine of the type, with the spread that was
measured between machines of one type in it. *This very machine* lists each box by itself.

**Where the data is.** On the device, as in the steps of a job, unless you say otherwise; the answer
for the other place stands beside it.
"""


@dataclass(frozen=True)
class Asked:
    """What the page was asked, and whom it asks."""

    source: shared.Source
    model: Any
    job: Job
    settings: Settings


def choose_machines(source: shared.Source, settings: Settings, model: Any) -> tuple[str, ...]:
    """Machines beyond those that the model was fitted to, where that is a part of a fleet."""
    if not model.note or settings.about != "machine":  # they would answer through their types
        return ()
    fitted = set(model.groups["machine_id"].astype(str))
    others = [key for key in source.machines["machine_id"].astype(str) if key not in fitted]
    if not others:
        return ()
    every = widgets.toggle(
        f"Also the {len(others)} machines that the model was not fitted to",
        "estimate_fleet",
        False,
        "Machines of the same types answer for them, corrected by their own cells; takes a while.",
    )
    return tuple(others) if every else ()


def show_comparison(
    asked: Asked, found: pd.DataFrame, top: Any, waiting: Any
) -> tuple[Any, PairAnswer | None]:
    """The pair, its verdict in ``top`` and its curves; returns the pair and the answer.

    ``waiting``: where it is said that the model works.
    """
    job = asked.job
    st.subheader("Does the GPU pay?", anchor=False)
    picked = verdict.pick_options(found) if verdict.pair_of(found, {}) is not None else {}
    pair = verdict.pair_of(found, picked)
    if pair is None:
        devices = {device for _, device in get_workload(job.workload).support}
        with top:
            if "cpu" not in devices:
                st.info("This operation exists on a GPU only: there is no CPU to compare with.")
            else:
                st.info(
                    "A comparison needs this workload measured on a CPU and on a GPU with this "
                    "element type. Choose another element type, add a machine by its data sheet "
                    "below, or add a machine with a GPU to the data."
                )
        return None, None
    question = asked.settings.question(job)
    vary = verdict.vary_form(job)
    key, places = asked.source.fingerprint, verdict.places_of(*pair)
    try:
        with waiting:
            answer = verdict.compare(key, question, *places, vary, asked.model)
    except BreakevenError as error:
        top.info(f"These two cannot be compared: {escape(error)}")
        return pair, None
    with top:
        st.markdown(verdict.sentence(job, question, pair, answer))
        beside = verdict.beside_text(pair_beside(asked, question, picked))
        if beside:
            st.markdown(beside)
        faster = verdict.faster_text(found, pair)
        if faster:
            st.markdown(faster)
        verdict.show_figures(job, answer)
    verdict.show_curves(job, pair, answer)
    return pair, answer


def pair_beside(asked: Asked, question: PlaceQuestion, picked: dict[str, str]) -> Any:
    """The pair of the same question with the data in the other place, None where there is none."""
    other = other_place(question.gpu_mode)
    devices = {device for _, device in get_workload(question.workload).support}
    if other is None or "cpu" not in devices:
        return None
    elsewhere = replace(question, gpu_mode=other, reuse=1.0)
    found = answers(asked.source.fingerprint, elsewhere, asked.model)
    return verdict.pair_of(with_names(found.table, asked.source.names), picked)


def show_commands(asked: Asked, pair: Any, found: pd.DataFrame, varied: str) -> None:
    """The command lines that give the same numbers; ``varied`` grows in the break-even search."""
    source, job, settings = asked.source, asked.job, asked.settings
    data = shared.data_argument(source)
    math_mode = "" if job.math_mode == MATH_MODE else f" --math-mode {job.math_mode}"
    lines = []
    if pair is not None:
        cpu, gpu = pair
        line = (
            f"python -m estimator pays {job.command_arguments()}{math_mode} --mode {job.gpu_mode} "
            f"--machine {shlex.quote(gpu['machine_id'])} --backend {shlex.quote(gpu['backend'])} "
            f"--cpu-machine {shlex.quote(cpu['machine_id'])} "
            f"--cpu-backend {shlex.quote(cpu['backend'])} --threads {int(cpu['threads'])}"
        )
        line += f" --reuse {settings.reuse}" if settings.reuse > 1 else ""
        boxes = {cpu["machine_id"], gpu["machine_id"]} & set(source.names)
        line += " --about type" if settings.about == "type" and boxes else ""
        line += f" --vary {varied}" if varied and varied != job.given[0][0] else ""
        lines.append(line + data)
    for row in found.groupby("device", sort=False).head(1).to_dict("records"):
        line = (
            f"python -m estimator predict {job.command_arguments()} "
            f"--backend {shlex.quote(row['backend'])} --device {shlex.quote(row['device'])} "
            f"--machine {shlex.quote(row['machine_id'])} --mode {row['mode']}"
        )
        line += math_mode if row["math_mode"] != MATH_MODE else ""
        line += f" --threads {int(row['threads'])}" if row["device"] == "cpu" else ""
        lines.append(line + data)
    widgets.command(lines, "`pays` compares the two places; `predict` gives the time of one.")


def page() -> None:
    """The form of a job, then what each machine answers."""
    source = shared.open_dataset()
    shared.header("Estimate", "How long does it take on each machine, and does a GPU pay?", METHOD)
    shared.provenance(source, "estimates come from a model fitted to these measurements")
    waiting = st.container()  # in sight from the start: below the forms nobody sees that it works
    program = uploaded_program()
    if program is not None:
        with waiting:
            model = shared.open_model(source)
        show_program(source, program, model)
        return
    job = job_form(shared.measured_groups(source))
    top = st.container()
    settings = settings_form(job, source.names)
    with waiting:
        model = shared.open_model(source)
    question = settings.question(job, choose_machines(source, settings, model))
    try:
        with waiting:
            places = answers(source.fingerprint, question, model)
    except BreakevenError as error:
        top.error(f"This job cannot be estimated: {escape(error)}")
        return
    show_answers(Asked(source, model, job, settings), places, top, waiting)


def show_answers(asked: Asked, places: PlaceAnswers, top: Any, waiting: Any) -> None:
    """The verdict in ``top``, and the time on each machine."""
    names = asked.source.names
    found = with_names(places.table, names)
    if found.empty:
        refused = places.refused
        why = f" Reasons: {escape(reasons_in_short(refused))}." if len(refused) else ""
        top.info(
            f"No machine can answer this.{why} Choose another element type, workload or smaller "
            "parameters, or add a machine by its data sheet."
        )
        show_refused(refused, names)
        return
    pair, answer = show_comparison(asked, found, top, waiting)
    st.subheader("Time on each machine", anchor=False)
    shown = top_places(found)
    show_places(shown, len(found), asked.source.machine_names, asked.settings.reuse)
    show_parts(shown)
    if answer is not None:
        verdict.show_twice(pair, answer)
    show_refused(places.refused, names)
    crossing = None if answer is None else answer.crossing
    show_commands(asked, pair, found, "" if crossing is None else crossing.parameter)
