"""Where a job can run (a machine's CPU or GPU through a library), and its estimate there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.job.form import Job
from estimator.decide.places import PlaceAnswers, PlaceQuestion
from estimator.decide.words import boxes_text
from estimator.text import plural

THREADS = {"most": "all cores", "one": "one thread", "both": "both"}


def question_of(job: Job, **options: Any) -> PlaceQuestion:
    """The job as the estimator is asked; ``options`` are fields of ``PlaceQuestion``."""
    return PlaceQuestion(
        job.workload,
        job.case,
        job.given,
        job.dtype,
        job.math_mode,
        job.gpu_mode,
        **options,
    )


def named_boxes(names: Mapping[str, str], texts: Sequence[str]) -> tuple[str, ...]:
    """Boxes that options of selects name, alone or after the library and device on them.

    ``names``: box id -> name for people, with the id in it where another has the same label; only
    those can be told from the name of a type.
    """
    return tuple(
        box
        for box, name in names.items()
        if name.endswith(f"({box[:8]})")
        and any(text == name or text.endswith(f" · {name}") for text in texts)
    )


def linked_texts(*keys: str) -> list[str]:
    """What was picked before in these selects, or else what the link says of them."""
    return [str(st.session_state.get(key) or st.query_params.get(key) or "") for key in keys]


@st.cache_data(max_entries=64, show_spinner="Estimating the time on each machine")
def answers(fingerprint: str, question: PlaceQuestion, _model: Any) -> PlaceAnswers:
    """The places with the model's columns, fastest first, and those without an estimate."""
    found: PlaceAnswers = _model.apply("estimator.decide.places:answer_places", question)
    return found


def with_names(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Add machine (name for people), option (library, device, threads and machine) and shown.

    shown is the option with the count of boxes that speak, which changes with the dataset: links
    carry the option. ``names`` are those of boxes, by id; a type has its label.
    """
    if table.empty:
        return table.assign(machine="", option="", shown="")
    machine = [
        names.get(str(key), str(label))
        for key, label in zip(table["machine_id"], table["label"], strict=True)
    ]
    option = [
        f"{row['backend']} {row['device']}"
        + (f", {plural(int(row['threads']), 'thread')}" if row["device"] == "cpu" else "")
        + f" · {name}"
        for row, name in zip(table.to_dict("records"), machine, strict=True)
    ]
    boxes = [boxes_text(int(count)) for count in table["boxes"]]
    shown = [text + count for text, count in zip(option, boxes, strict=True)]
    return table.assign(machine=machine, option=option, shown=shown)
