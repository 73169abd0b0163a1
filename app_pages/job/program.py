"""A job of the visitor's own, as ``trace`` or ``record`` wrote it: read, never stored."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app_pages.frame.text import escape
from collector.errors import BreakevenError
from collector.jobs import Job, parse_job
from estimator.catalogue.csv_files import shown
from estimator.decide import job_words
from estimator.decide.jobs import answered_first
from estimator.decide.more_cores import more_cores
from estimator.jobs.estimate import JobEstimate
from estimator.model.jobs import predict_job

#: The limit of .streamlit/config.toml for any upload.
MAX_JOB_MIB = 16
_HELP = (
    "What `python -m estimator trace -o job.json -- SCRIPT.py` (a torch program) or `record` (a "
    "NumPy one) wrote on your machine. It answers in place of the form, for this visit only; it is "
    "not stored."
)


def uploaded_program() -> Job | None:
    """The expander with the file; None without one, or with one that is refused."""
    with st.expander("A job of your own, in place of this form"):
        file = st.file_uploader(
            "Job file", type="json", key="job_file", max_upload_size=MAX_JOB_MIB, help=_HELP
        )
    if file is None:
        _read.clear()  # of this session; who removes a file means it
        return None
    try:
        return _read(file.getvalue(), file.name)
    except BreakevenError as error:
        st.error(f"The job is not used: {escape(error)}")
        return None


@st.cache_data(max_entries=4, show_spinner="Reading the job", scope="session")
def _read(data: bytes, name: str) -> Job:
    return read_program(data, name)


def read_program(data: bytes, name: str) -> Job:
    """The job in a file. Raises JobError, one line that begins with the file's name."""
    return parse_job(data, shown(name, 80))


@st.cache_data(max_entries=16, max_size="16MiB", show_spinner="Estimating the job")
def estimates(fingerprint: str, job: Job, device: str | None, _model: Any) -> list[JobEstimate]:
    """The job on every machine type (None: on the GPU of each that has one, of a recorded program
    on its CPU too), the fastest first."""
    return answered_first(_model.apply(predict_job, job, device=device))


@st.cache_data(max_entries=16, max_size="16MiB", show_spinner="Asking for other libraries")
def why_lines(fingerprint: str, job: Job, _model: Any, _found: list[JobEstimate]) -> list[str]:
    """Of a recorded program: why each GPU gains or not, and what the CPUs could."""
    if job.scope != "run":
        return []
    others = _model.apply(more_cores, job, _found)
    return [*job_words.why_lines(job, _found), *job_words.more_cores_lines(others)]


def show_asked(job: Job, best: JobEstimate) -> None:
    """What share of the estimate is covered, and what was asked."""
    st.markdown(plain(job_words.coverage_line(best)))
    st.caption(plain(job_words.asked_job(job)))
    for note in job.notes:
        st.caption(escape(note))


def plain(text: str) -> str:
    """Wrapped words of a terminal, for Markdown."""
    return escape(" ".join(text.split()))
