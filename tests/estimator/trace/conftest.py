"""Programs are traced as a user would: written to a file, each run once in a process of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.jobs import Job
from estimator.trace.run import trace

Tracer = Callable[..., Job]


@pytest.fixture
def traced(tmp_path: Path) -> Tracer:
    """Traces a program given as text; ``function`` names one to call instead."""

    def run(text: str, *arguments: str, function: str = "", **options: Any) -> Job:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(text))
        target = f"{script}:{function}" if function else str(script)
        return trace(target, arguments, **{"limit_s": 120.0, **options}).job

    return run


def calls(job: Job, *kinds: str, stage: str = "") -> int:
    """How often the step makes calls of these kinds."""
    return sum(
        one.kind in kinds and stage in ("", one.stage) for one in job.operations_of(job.step)
    )
