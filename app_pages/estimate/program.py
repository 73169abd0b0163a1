"""What each machine answers for a job of the visitor's own: coverage first, then the times."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.frame import shared, widgets
from app_pages.frame.text import escape
from app_pages.job.program import estimates, plain, show_asked, why_lines
from collector.errors import BreakevenError
from collector.jobs import Job
from estimator.decide import job_words
from estimator.decide.jobs import answered_first, require_answer
from estimator.jobs.estimate import JobEstimate, TopOperation
from estimator.text import basis_words

_GIB = 2.0**30
_FITS = {True: "yes", False: "no", None: "not known"}


def show_program(source: shared.Source, job: Job, model: Any) -> None:
    """The coverage line, a table of machines, and what takes most on the fastest."""
    try:
        found = estimates(source.fingerprint, job, None, model)
        require_answer(found)
    except BreakevenError as error:
        st.error(f"This job cannot be estimated: {escape(error)}")
        return
    # a GPU's host may do it too: for the comparison
    on_cpu = estimates(source.fingerprint, job, "cpu", model)
    there = {(one.machine_id, one.device) for one in found}
    also = [one for one in on_cpu if one.answered and (one.machine_id, one.device) not in there]
    found = answered_first([*found, *also])
    best = found[0]
    show_asked(job, best)
    for line in why_lines(source.fingerprint, job, model, found):
        st.markdown(plain(line))
    st.subheader("Time on each machine", anchor=False)
    widgets.table(
        machine_table(found), f"Time of one {job.scope} on each machine, the fastest first"
    )
    for one in found:
        if one.answered:
            st.caption(plain(f"{job_words.place_name(one)}: {job_words.memory_line(one)}"))
    st.subheader("What takes most", anchor=False)
    widgets.table(top_table(best.top), f"Operations that take most on {best.label}")
    command = f"python -m estimator predict --job {shlex.quote(job.name or 'job')}.json"
    widgets.command(command + shared.data_argument(source), "`--job` takes the path of your file.")


def machine_table(found: Sequence[JobEstimate]) -> pd.DataFrame:
    """A row per machine, times in milliseconds; the last column says why one has none."""

    def ms(seconds: float) -> float | None:
        return 1e3 * seconds if math.isfinite(seconds) else None

    rows = [
        {
            "Machine": one.label,
            "Device": {"cuda": "GPU", "cpu": "CPU"}[one.device],
            f"{one.scope.title()} (ms)": ms(one.pipelined_seconds_p50),
            "90 % from": ms(one.pipelined_seconds_p5),
            "90 % to": ms(one.pipelined_seconds_p95),
            "Waited for (ms)": ms(one.seconds_p50) if one.scope == "step" else None,
            "Samples/s": one.samples_per_s,
            "Tokens/s": one.tokens_per_s,
            "Bound by": one.bound,
            "Kernels (ms)": ms(one.device_s),
            "Host (ms)": ms(one.host_s),
            "of it Python (ms)": ms(one.python_s) if one.scope == "run" else None,
            "Copies (ms)": ms(one.copy_s),
            "Needs (GiB)": one.needed_bytes / _GIB,
            "Fits": _FITS[one.fits],
            "Covered": f"{one.covered_share:.0%}" if one.answered else "",
            "Basis": basis_words(one.basis).short if one.answered else "",
            "No estimate": one.reason,
        }
        for one in found
    ]
    table = pd.DataFrame(rows)
    shown = [name for name in table if name != "No estimate" or table[name].any()]
    return _three_digits(table[shown].dropna(axis="columns", how="all"))


def top_table(top: Sequence[TopOperation]) -> pd.DataFrame:
    """A row per operation, times in milliseconds of all its calls in a step."""
    rows = [
        {
            "Operation": one.kind,
            "Operands": one.operands,
            "Stage": one.stage,
            "Calls": one.calls,
            "Device (ms)": 1e3 * one.device_s,
            "Host (ms)": 1e3 * one.host_s,
            "Bound by": one.bound,
        }
        for one in top
    ]
    return _three_digits(pd.DataFrame(rows))


def _three_digits(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers of a table to three digits: more would claim to be known."""
    return table.map(lambda value: float(f"{value:.3g}") if isinstance(value, float) else value)
