"""A job's file on the pages Estimate and Cost: the same facts as the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app_pages.estimate.program import machine_table, top_table
from app_pages.job import program
from collector.errors import JobError
from collector.jobs import job_text
from estimator.jobs.estimate import JobEstimate, estimate_job
from estimator.jobs.place import Place
from tests.estimator.jobs.test_estimate import Answers
from tests.estimator.made_up_job import make_job, operation, tensor, with_operation
from tests.estimator.made_up_run import make_run
from tests.pages.conftest import OpenPage

JOB = with_operation(make_job(), operation("frobnicate", (tensor(4096, 4096),), ()))


def estimated() -> list[JobEstimate]:
    places = [
        Place("gpu", "a GPU", "cuda", room_bytes=2.0**34),
        Place("other", "another", "cuda", reason="it has no GPU that is known"),
    ]
    found: list[JobEstimate] = estimate_job(JOB, places, Answers().ask)
    return found


def test_the_table_has_a_row_for_each_machine_and_says_why_one_has_no_time() -> None:
    table = machine_table(estimated())
    assert list(table["Machine"]) == ["a GPU", "another"]
    assert table["Step (ms)"].notna().tolist() == [True, False]
    assert list(table["No estimate"]) == ["", "it has no GPU that is known"]
    assert list(table["Fits"]) == ["yes", "not known"]


def test_a_table_without_a_reason_has_no_column_for_it() -> None:
    assert "No estimate" not in machine_table(estimated()[:1])


def test_the_operations_that_take_most_have_a_row_each() -> None:
    found = estimated()[0]
    table = top_table(found.top)
    assert list(table["Operation"]) == [one.kind for one in found.top]


def test_a_damaged_file_is_refused_by_its_name() -> None:
    with pytest.raises(JobError, match=r"^mine\.json: no job file"):
        program.read_program(b"nothing", "mine.json")
    assert program.read_program(job_text(JOB).encode(), "mine.json") == JOB


def written(app: AppTest) -> str:
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return "\n".join(element.value for element in elements).replace("\\", "")


@pytest.fixture
def open_with_job(open_page: OpenPage, every_family: Path) -> Any:
    """A page on which a file was uploaded."""

    def open_one(page: str, content: bytes = job_text(JOB).encode()) -> AppTest:
        app = open_page(page, every_family)
        return app.get("file_uploader")[0].upload("job.json", content).run()

    return open_one


def test_estimate_shows_coverage_first_and_a_row_for_each_machine(open_with_job: Any) -> None:
    app = open_with_job("estimate")
    assert not app.exception
    text = written(app)
    assert "of the estimated time is in operations that are measured" in text
    assert "frobnicate" in text
    assert "one step of train.py" in text
    tables = [frame.value for frame in app.dataframe]
    assert any("Waited for (ms)" in table for table in tables)
    assert any("Operands" in table for table in tables)


def test_cost_prices_a_job_on_each_instance(open_with_job: Any) -> None:
    app = open_with_job("cost")
    assert not app.exception
    text = written(app)
    assert "of the estimated time is in operations that are measured" in text
    assert "a million tokens" in text
    assert any("Cost per job" in frame.value for frame in app.dataframe)


@pytest.mark.parametrize("page", ["estimate", "cost"])
def test_a_file_that_is_no_job_is_refused_and_the_form_stays(open_with_job: Any, page: str) -> None:
    app = open_with_job(page, b"{}")
    assert not app.exception
    assert "job.json: no job file" in written(app)
    assert len(app.selectbox)


def test_estimate_answers_for_a_recorded_run_on_both_devices_and_says_why(
    open_with_job: Any,
) -> None:
    app = open_with_job("estimate", job_text(make_run()).encode())
    assert not app.exception
    assert "one run of sim.py (it took 1 s on a CPU" in written(app)
    table = next(frame.value for frame in app.dataframe if "Run (ms)" in frame.value)
    assert "of it Python (ms)" in table
    assert "CPU" in set(table["Device"])


def test_cost_prices_a_recorded_run(open_with_job: Any) -> None:
    app = open_with_job("cost", job_text(make_run()).encode())
    assert not app.exception
    assert "a run of sim.py" in written(app)
