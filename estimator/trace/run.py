"""Starts the process in which a program is traced, and reads the job that it leaves."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.errors import JobError
from collector.jobs import Job, parse_job
from estimator.running.process import divided, plain, run_child

_GRACE_S = 60.0  # to import torch, and to stop by itself at the limit
_VARIABLES = {
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "disabled",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Traced:
    """A job, and the seconds that its trace took."""

    job: Job
    seconds: float


def trace(
    target: str,
    arguments: Sequence[str] = (),
    *,
    steps: int = 3,
    skip: int = 0,
    limit_s: float = 600.0,
    show_output: bool = False,
) -> Traced:
    """Trace a script (``train.py``) or a function of one (``model.py:step``).

    Raises JobError, in one line, where there is no job to be had: what is wrong, in which line of
    the program, and what to do.
    """
    path, function = divided(target)
    with tempfile.TemporaryDirectory(prefix="breakeven-") as folder:
        result = Path(folder) / "result.json"
        request = Path(folder) / "request.json"
        request.write_text(
            json.dumps(
                {
                    "path": str(path.resolve()),
                    "name": path.name,
                    "function": function,
                    "arguments": list(arguments),
                    "steps": steps,
                    "skip": skip,
                    "limit_s": limit_s,
                    "result": str(result),
                }
            )
        )
        run_child(
            "estimator.trace.child", request, path, limit_s + _GRACE_S, show_output, _VARIABLES
        )
        try:
            answer = json.loads(result.read_text())
        except (OSError, ValueError):
            raise JobError(f"{path.name}: it ended the process before its third step") from None
    if "error" in answer:
        if show_output and answer.get("trace"):
            print(answer["trace"], file=sys.stderr)
        raise JobError(plain(answer["error"]))
    return Traced(parse_job(answer["job"].encode(), path.name), answer["seconds"])
