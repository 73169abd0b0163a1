"""Programs are recorded as a user would: written to a file, each run once in its own process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.jobs import Job, Operation
from estimator.record.run import record
from estimator.record.summary import counts_of

Recorder = Callable[..., Job]


@pytest.fixture
def recorded(tmp_path: Path) -> Recorder:
    """Records a program given as text; ``function`` names one to call instead."""

    def run(text: str, *arguments: str, function: str = "", **options: Any) -> Job:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(text))
        return record(f"{script}:{function}" if function else str(script), arguments, **options)

    return run


@pytest.fixture
def printed_plainly(tmp_path: Path) -> Callable[[str], str]:
    """What a program prints that is run without a recording."""

    def run(text: str) -> str:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(text))
        command = [sys.executable, str(script)]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    return run


def chosen(job: Job, kind: str, line: int = 0) -> list[Operation]:
    """The operations of a kind, of a line of the program."""
    place = f"program.py:{line}" if line else ""
    return [one for one in job.operations if one.kind == kind and place in ("", one.line)]


def calls(job: Job, *kinds: str) -> int:
    """How often the program makes calls of these kinds."""
    return sum(count for one, count in counts_of(job).items() if one.kind in kinds)
