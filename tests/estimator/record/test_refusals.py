"""What cannot be recorded is told in one line; what was recorded before an error is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.errors import JobError, SelectionError
from estimator.commands.record import parameter
from estimator.record.run import record
from tests.estimator.record.conftest import Recorder, calls

_TOLD = {
    "print('hello')": "no array calls",
    "import nothing_like_it": "program.py:1: nothing_like_it is not installed",
    "open('data.csv')": "data.csv is not here",
    "raise ValueError('no')": "program.py:1: ValueError: no",
    "import os; os._exit(3)": "it ended the process",
}


@pytest.mark.parametrize("text", _TOLD, ids=range(len(_TOLD)))
def test_nothing_recorded_is_an_error(text: str, recorded: Recorder) -> None:
    with pytest.raises(JobError, match=_TOLD[text]) as error:
        recorded(text)
    assert str(error.value).isprintable()


def test_what_came_before_an_error_is_kept(recorded: Recorder) -> None:
    job = recorded("import numpy as np\na = np.zeros(3) + 1\n1 / 0\n")
    assert calls(job, "add") == 1
    assert job.recording is not None
    assert not job.recording.complete
    assert any("program.py:3: ZeroDivisionError" in note for note in job.notes)


def test_an_exit_is_an_end(recorded: Recorder) -> None:
    job = recorded("import sys, numpy as np\nnp.zeros(3)\nsys.exit(4)\n")
    assert job.recording is not None
    assert job.recording.complete
    assert job.notes == ("it ended with exit code 4",)


def test_arguments_that_a_function_lacks_are_named(recorded: Recorder) -> None:
    with pytest.raises(JobError, match=r"program\.py:f needs n: give numbers as -p n=1000"):
        recorded("def f(n): pass", function="f")
    with pytest.raises(JobError, match="it has no function g"):
        recorded("def f(n): pass", function="g")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no such file"):
        record(str(tmp_path / "none.py"))


def test_parameters_have_their_types() -> None:
    assert [parameter(one)[1] for one in ("a=1", "a=1e3", "a=true", "a=full", "a=-2.5")] == [
        *(1, 1000.0, True, "full", -2.5)
    ]
    with pytest.raises(SelectionError, match="NAME=VALUE"):
        parameter("N")
