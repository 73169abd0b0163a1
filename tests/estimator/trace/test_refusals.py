"""Programs that cannot be traced: one line, with the line of the program and what to do."""

from __future__ import annotations

import pytest

from collector.errors import JobError
from estimator.trace.run import trace
from tests.estimator.trace.conftest import Tracer

pytest.importorskip("torch")

_CASES = {
    "x = 1": (r"program\.py: nothing ran on a GPU: have it use torch\.device\('cuda'\)", ""),
    "import torch\nx = torch.zeros(2, device='cuda')\nraise ValueError('no\\nluck')": (
        r"program\.py:3: ValueError: no luck",
        "",
    ),
    "import no_such_package": (
        r"program\.py:1: no_such_package is not installed: pip install no_such_package",
        "",
    ),
    "open('corpus.txt')": (r"program\.py:1: corpus\.txt is not here: the program reads it", ""),
    "def f(": (r"program\.py: SyntaxError", ""),
    "import sys\nsys.exit(3)": (r"program\.py: it ended before its third step with exit", ""),
    "import os\nos._exit(0)": (r"program\.py: it ended the process before its third step", ""),
    "def step(model, batch=2): ...": (r"program\.py:step needs model: write a function", "step"),
    "def other(): ...": (r"program\.py: it has no function step", "step"),
}


@pytest.mark.parametrize("text", _CASES, ids=range(len(_CASES)))
def test_a_program_that_cannot_be_traced_is_told_why(text: str, traced: Tracer) -> None:
    said, function = _CASES[text]
    with pytest.raises(JobError, match=said) as error:
        traced(text, function=function)
    assert "\n" not in str(error.value)


def test_an_endless_program_is_stopped_and_its_line_named(traced: Tracer) -> None:
    with pytest.raises(JobError, match=r"still running, at program\.py:[34]: raise --limit"):
        traced("import time\nwhile True:\n    time.sleep(0.01)\n", limit_s=2.0)


def test_a_file_that_trains_when_it_is_imported_is_no_function(traced: Tracer) -> None:
    endless = """
        import torch
        optimizer = torch.optim.SGD([torch.zeros(4, device="cuda", requires_grad=True)], lr=0.1)
        def predict():
            return torch.zeros(2, device="cuda") + 1
        while True:
            optimizer.step()
    """
    with pytest.raises(JobError, match=r"still being imported: trace -- program\.py"):
        traced(endless, function="predict", limit_s=2.0)


def test_a_program_of_too_few_steps_says_how_many_it_has(traced: Tracer) -> None:
    with pytest.raises(JobError, match="ended after 1 of 3 steps: ask for fewer with --steps 1"):
        traced("""
            import torch
            optimizer = torch.optim.SGD([torch.zeros(4, device="cuda", requires_grad=True)], lr=0.1)
            optimizer.param_groups[0]["params"][0].sum().backward()
            optimizer.step()
        """)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(JobError, match=r"nowhere\.py: no such file"):
        trace("nowhere.py")
