"""Where a job can run (a machine's CPU or GPU through a library), and its estimate there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from app_pages.job_form import Job
from app_pages.shared import plural
from app_pages.text import with_params
from collector.errors import BreakevenError
from estimator.memory import memory_shortage

THREADS = {"most": "all cores", "one": "one thread", "both": "both"}
PLACE = ["machine_id", "device", "backend", "threads"]


def places(groups: pd.DataFrame, job: Job, names: dict[str, str], threads: str) -> pd.DataFrame:
    """Every measured place that knows the job's workload and element type, one row each.

    Columns: those of ``Model.predict``'s input, plus machine and option (name for people).
    ``threads`` is a key of ``THREADS``. A CPU has no tf32: it is asked for float32 instead.
    """
    known = groups[(groups["workload"] == job.workload) & (groups["dtype"] == job.dtype)]
    wanted = np.where(known["device"] == "cpu", "ieee", job.math_mode)
    known = known[known["math_mode"].fillna("ieee") == wanted]
    table = known[PLACE].drop_duplicates(ignore_index=True)
    if threads != "both":
        by = table.groupby(PLACE[:3])["threads"]
        kept = by.transform("max" if threads == "most" else "min")
        table = table[table["threads"] == kept].reset_index(drop=True)
    table["workload"], table["case"] = job.workload, job.case
    table = with_params(table, [dict(job.params)] * len(table))
    table["dtype"] = job.dtype
    table["math_mode"] = np.where(table["device"] == "cpu", "ieee", job.math_mode)
    table["mode"] = np.where(table["device"] == "cpu", "hot", job.gpu_mode)
    table["machine"] = table["machine_id"].map(names)
    table["option"] = [
        f"{row['backend']} {row['device']}"
        + (f", {plural(int(row['threads']), 'thread')}" if row["device"] == "cpu" else "")
        + f" · {row['machine']}"
        for row in table.to_dict("records")
    ]
    return table


def estimates(model: Any, table: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The places with the model's columns, fastest first, and (option, reason) of the refused."""
    if table.empty:
        return table, []
    questions = [
        {str(key): value for key, value in row.items()} for row in table.to_dict("records")
    ]
    shortages = [memory_shortage(model, question) for question in questions]
    refused = [
        (str(option), f"does not fit: {shortage}")
        for option, shortage in zip(table["option"], shortages, strict=True)
        if shortage is not None
    ]
    table = table[[shortage is None for shortage in shortages]].reset_index(drop=True)
    if table.empty:
        return table, refused
    try:
        answers = [model.predict(table)]
    except BreakevenError:  # one place cannot answer: ask each on its own
        answers = []
        for position in range(len(table)):
            row = table.iloc[[position]]
            try:
                answers.append(model.predict(row))
            except BreakevenError as error:
                refused.append((str(row["option"].iloc[0]), str(error)))
    if not answers:
        return table.iloc[:0], refused
    predicted = pd.concat(answers)
    joined = table.loc[predicted.index].join(predicted)
    return joined.sort_values("seconds_p50", ignore_index=True), refused
