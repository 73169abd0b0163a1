"""The process in which a user's program is recorded: ``python -m estimator.record.child REQUEST``.

Reads what to run from a JSON file, and writes the job, or in one line why there is none, beside it.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import json
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns as clock
from typing import Any, NoReturn

from collector.errors import JobError
from collector.jobs import job_text
from estimator.record import calibrate, functions, objects, plots
from estimator.record.job import job_of
from estimator.record.log import LOG
from estimator.record.modules import Modules
from estimator.running.files import Files
from estimator.running.lines import explained, line, place_of
from estimator.running.point import point_seconds


class Session:
    """One recorded run: installs everything, and writes the job when it ends."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._result = Path(request["result"])
        self._replace, self._open = os.replace, os.open  # the program's are others
        self._process = os.getpid()
        self._ending = threading.Lock()
        self._started = 0
        self._notes: list[str] = []
        self.files = Files(self._result.parent)

    def run(self) -> NoReturn:
        """Run the program; whatever way it ends, what was recorded is written."""
        functions.install()
        self._biases = calibrate.biases()
        self._point_s = point_seconds()
        if not self._request["keep_files"]:
            self.files.install()
        os.register_at_fork(after_in_child=_off)
        drawn = plots.Plots(self._request["frames"], self._notes.append)
        plots.stand_in(drawn)
        modules = Modules()
        modules.install(objects.Objects(modules.real).imported)
        complete, error = True, None
        try:
            self._program()
            threading._shutdown()  # type: ignore[attr-defined]  # threads that it waits for
        except SystemExit as left:
            if left.code not in (None, 0):
                said = left.code if isinstance(left.code, str) else f"exit code {left.code}"
                self._notes.append(f"it ended with {line(said)}"[:200])
        except KeyboardInterrupt:
            complete = False
            self._notes.append("interrupted")
        except BaseException as raised:  # noqa: BLE001 - whatever a user's program raises is told
            complete, error = False, raised
        self.finish(complete, error)

    def _program(self) -> None:
        request = self._request
        path = request["path"]
        sys.path[0] = str(Path(path).parent)
        sys.argv = [path, *request["arguments"]]
        self._begin()
        if request["function"] is None:
            runpy.run_path(path, run_name="__main__")
            return
        called, kwargs = _kernel(request)
        LOG.reset()
        self._begin()
        called(**kwargs)

    def _begin(self) -> None:
        LOG.on = True
        if self._request["seconds"] is not None and not self._started:
            self._wait(self._request["seconds"])
        self._started = LOG.last_ns = clock()

    def _wait(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._limit)
        timer.daemon = True
        timer.start()

    def _limit(self) -> None:
        """The window ends, if so much was the program's own time."""
        running_ns = max(0, clock() - LOG.last_ns)
        left_s = self._request["seconds"] - (sum(LOG.totals()) + running_ns) * 1e-9
        if left_s > 0.02:
            self._wait(left_s)
            return
        self._notes.append(f"the first {self._request['seconds']:g} s of the program")
        self.finish(False, None)

    def finish(self, complete: bool, error: BaseException | None) -> NoReturn:
        """Write the job, or why there is none, and leave."""
        if os.getpid() != self._process:
            os._exit(0)
        self._ending.acquire()
        now = clock()
        LOG.on = False
        if complete:
            with contextlib.suppress(BaseException):
                atexit._run_exitfuncs()
        name = self._request["name"]
        said = "" if error is None else _explained(error, name)
        if not LOG.calls:
            self._answer(error=said or f"{name}: no array calls: it uses no NumPy of its own")
        if said:
            self._notes.append(f"it ended with an error: {said}"[:290])
        LOG.end(now)
        point_s = (self._point_s + point_seconds()) / 2.0
        notes = tuple("".join(c if c.isprintable() else "?" for c in note) for note in self._notes)
        try:
            job = job_of(
                *(LOG, name, self._biases, point_s, now - self._started),
                complete=complete,
                notes=notes,
            )
            self._answer(job=job_text(job))
        except Exception as failed:  # noqa: BLE001 - a defect here must not hang the program
            traceback.print_exc()
            self._answer(error=f"{name}: the recording could not be written: {line(failed)}")

    def _answer(self, **entries: Any) -> NoReturn:
        self.files.remove_folders()
        temporary = self._result.with_suffix(".part")
        with contextlib.suppress(OSError):
            descriptor = self._open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            left = memoryview(json.dumps(entries).encode())
            while left:
                left = left[os.write(descriptor, left) :]
            os.close(descriptor)
            self._replace(temporary, self._result)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)


def _off() -> None:
    LOG.on = False


def _kernel(request: dict[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function that was asked for, and its arguments.

    Of a tuple that --init gave the values are, in order, those that no -p names.
    """
    path, given = request["path"], request["parameters"]
    names = runpy.run_path(path, run_name=Path(path).stem)
    called = _function(names, request["function"], request["name"])
    where = f"{request['name']}:{request['function']}"
    if request["init"] is None:
        return called, _taken(called, given, where)
    file, function = request["init"]
    sys.path.insert(0, str(Path(file).parent))
    others = names if file == path else runpy.run_path(file, run_name=Path(file).stem)
    init = _function(others, function, Path(file).name)
    made = init(**_taken(init, given, f"{Path(file).name}:{function}"))
    wanted = list(inspect.signature(called).parameters)
    if not isinstance(made, dict):
        listed = made if isinstance(made, tuple) else (made,)
        made = dict(zip([name for name in wanted if name not in given], listed, strict=False))
    made = {name: value for name, value in made.items() if name in wanted}
    return called, {**_taken(called, given, where, beyond=set(made)), **made}


def _function(names: dict[str, Any], function: str, name: str) -> Callable[..., Any]:
    called = names.get(function)
    if not callable(called):
        raise JobError(f"{name}: it has no function {function}")
    return called  # type: ignore[no-any-return]


def _taken(
    called: Callable[..., Any], given: dict[str, Any], where: str, beyond: set[str] | None = None
) -> dict[str, Any]:
    """The parameters that a function names; those that it needs and has not are told."""
    parameters = inspect.signature(called).parameters.values()
    found = {one.name: given[one.name] for one in parameters if one.name in given}
    missing = [
        one.name
        for one in parameters
        if one.default is one.empty
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        and one.name not in found
        and one.name not in (beyond or ())
    ]
    if missing:
        raise JobError(
            f"{where} needs {', '.join(missing)}: give numbers as -p {missing[0]}=1000, arrays by "
            "--init FILE.py:FUNCTION"
        )
    return found


def _explained(error: BaseException, name: str) -> str:
    known = explained(error, name)
    return known or f"{place_of(error, name)}: {type(error).__name__}: {line(error)}"


def main(request_path: str) -> NoReturn:
    """Record the program of a request and leave."""
    Session(json.loads(Path(request_path).read_text())).run()


if __name__ == "__main__":
    main(sys.argv[1])
