"""Starts the process in which a program is recorded, and reads the job that it leaves."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from collector.errors import JobError
from collector.jobs import Job, parse_job
from estimator.running.process import divided, plain, run_child

_GRACE_S = 600.0  # a call that takes long ends before the window does


def record(
    target: str,
    arguments: Sequence[str] = (),
    *,
    init: str | None = None,
    parameters: Mapping[str, float | int | bool | str] | None = None,
    seconds: float | None = None,
    frames: int = 20,
    keep_files: bool = False,
    show_output: bool = False,
) -> Job:
    """Record a script (``heat.py``) or a function of one (``kernels.py:solve``).

    ``init``: FILE.py:FUNCTION whose result is the function's arguments; ``parameters`` go to both
    by name. ``seconds``: the job is of so much of the program's own time. What the program writes
    goes to a folder that is removed, unless ``keep_files``: a partial run must not take the place
    of what a whole one wrote.

    Raises JobError, in one line, where there is no job to be had.
    """
    path, function = divided(target)
    init_path = None if init is None else divided(init)
    if init_path is not None and init_path[1] is None:
        raise JobError(f"--init {init}: name a function: --init FILE.py:FUNCTION")
    with tempfile.TemporaryDirectory(prefix="breakeven-") as folder:
        result = Path(folder) / "result.json"
        request = Path(folder) / "request.json"
        request.write_text(
            json.dumps(
                {
                    "path": str(path.resolve()),
                    "name": path.name,
                    "function": function,
                    "init": None
                    if init_path is None
                    else (str(init_path[0].resolve()), init_path[1]),
                    "parameters": dict(parameters or {}),
                    "arguments": list(arguments),
                    "seconds": seconds,
                    "frames": frames,
                    "keep_files": keep_files,
                    "result": str(result),
                }
            )
        )
        limit_s = None if seconds is None else 10.0 * seconds + _GRACE_S
        run_child(
            "estimator.record.child",
            request,
            path,
            limit_s,
            show_output,
            {"CUDA_VISIBLE_DEVICES": ""},
            interruptible=True,
        )
        try:
            answer = json.loads(result.read_text())
        except (OSError, ValueError):
            raise JobError(f"{path.name}: it ended the process: nothing was recorded") from None
    if "error" in answer:
        if show_output and answer.get("trace"):
            print(answer["trace"], file=sys.stderr)
        raise JobError(plain(answer["error"]))
    return parse_job(answer["job"].encode(), path.name)
