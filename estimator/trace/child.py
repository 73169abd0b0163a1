"""The process in which a user's program is traced: ``python -m estimator.trace.child REQUEST``.

Reads what to run from a JSON file, and writes the job, or in one line why there is none, beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from collector.errors import JobError
from estimator.running.lines import explained, line, place_of, where


def main(request_path: str) -> NoReturn:
    """Trace the program of a request and leave, without what it would do at its end."""
    request = json.loads(Path(request_path).read_text())
    started = time.perf_counter()
    result = Path(request["result"])
    replace = os.replace  # the program's is another

    def answer(**entries: Any) -> NoReturn:
        entries["seconds"] = time.perf_counter() - started
        if tracing is not None:
            tracing.files.remove_folders()
        temporary = result.with_suffix(".part")
        with contextlib.suppress(OSError):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(descriptor, json.dumps(entries).encode())
            os.close(descriptor)
            replace(temporary, result)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)

    tracing: Any = None

    def give_up() -> None:
        place = where() or "before its first line"
        advice = "mark the step with 'with breakeven.step():'"
        if request["function"] is not None and not getattr(tracing, "called", False):
            advice = f"it is still being imported: trace -- {request['name']}"
        answer(error=f"after {request['limit_s']:g} s it was still running, at {place}: raise "
                     f"--limit, or {advice}")  # fmt: skip

    try:
        from estimator.trace import session

        tracing = session.Session(request, answer, where)
        timer = threading.Timer(request["limit_s"], give_up)
        timer.daemon = True
        timer.start()
    except JobError as error:
        answer(error=str(error))
    except ModuleNotFoundError as error:
        answer(error=f"{error.name} is not installed: pip install 'breakeven[libraries]'")
    try:
        _run(request, tracing)
        tracing.ended()
    except SystemExit as error:
        if error.code in (None, 0):
            _try(tracing.ended, answer)
        said = error.code if isinstance(error.code, str) else f"exit code {error.code}"
        answer(error=f"{where() or request['name']}: it ended before its third step with "
                     f"{line(said)} (--show-output shows what it prints)")  # fmt: skip
    except KeyboardInterrupt:
        answer(error="interrupted")
    except BaseException as error:  # noqa: BLE001 - whatever a user's program raises is told
        answer(error=_explained(error, request["name"]), trace=traceback.format_exc()[-4000:])
    answer(error=f"{request['name']}: nothing to trace")


def _try(ended: Any, answer: Any) -> None:
    try:
        ended()
    except JobError as error:
        answer(error=str(error))


def _run(request: dict[str, Any], tracing: Any) -> None:
    """Run the script as ``__main__`` in its own directory, or call the function."""
    path = request["path"]
    sys.path[0] = str(Path(path).parent)
    sys.argv = [path, *request["arguments"]]
    with tracing.recorder:
        if request["function"] is None:
            runpy.run_path(path, run_name="__main__")
            return
        names = runpy.run_path(path, run_name=Path(path).stem)
        tracing.call(names, request["function"])


def _explained(error: BaseException, name: str) -> str:
    """One line: where in the user's program, what, and what to do."""
    known = explained(error, name)
    if known is not None:
        return known
    place, text = place_of(error, name), line(error)
    kind = type(error).__name__
    hint = ""
    if kind == "UnsupportedOperatorException":
        hint = "torch knows no shapes of this operator without a GPU"
    elif kind in ("DataDependentOutputException", "DynamicOutputShapeException"):
        hint = "its result depends on values, which a trace has not"
    elif isinstance(error, ImportError) and "relative import" in text:
        hint = "it is part of a package: trace a script beside the package that imports it"
    elif isinstance(error, EOFError):
        hint = "nobody types into a traced program, and weights that it wrote are not in files"
    elif isinstance(error, (ConnectionError, OSError)) or "connection" in text.lower():
        hint = "what it reads or downloads is not here"
    elif isinstance(error, KeyError) and str(error.args[0]) in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        hint = "start the trace with RANK=0 LOCAL_RANK=0 WORLD_SIZE=1"
    return f"{place}: {kind}: {text}" + (f" ({hint})" if hint else "")


if __name__ == "__main__":
    main(sys.argv[1])
