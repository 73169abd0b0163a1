"""The fitted model in a process of its own, as the pages ask it.

A fit holds the interpreter for seconds and its libraries take some hundred MB: apart from the
server, pages answer meanwhile, and the memory comes back when nobody asks any more. The process
starts at the first question, again if it ended or was killed, and ends with the server.

``BREAKEVEN_MODEL_PROCESS=0`` fits in the server instead: one process less, for tests and where
processes cannot be started.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector import errors
from collector.shipped import ROOT
from estimator.model import worker as model_worker
from estimator.model.worker import Description, Question, Subject, name_of, resolve

if TYPE_CHECKING:
    import pandas as pd

    from estimator.dataset.measurements import Measurements
    from estimator.model.model import Model

PROCESS_VARIABLE = "BREAKEVEN_MODEL_PROCESS"
Phase = Callable[[str], object]

#: How a process shows that is gone, or that runs other code than this one.
_BROKEN = (EOFError, OSError, pickle.UnpicklingError, AttributeError, ImportError)
_IDLE_S = 900.0
_TIME_LIMIT_S = 600.0


def wanted() -> bool:
    """Whether the model is to live in a process of its own."""
    return os.environ.get(PROCESS_VARIABLE) != "0"


class ModelProcess:
    """The process, and one question at a time to it, whichever thread asks."""

    def __init__(self, idle_s: float = _IDLE_S, limit_s: float = _TIME_LIMIT_S) -> None:
        self._idle_s, self._limit_s = idle_s, limit_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._at_end: Callable[[], object] = str  # also called when this is let go of
        self._asked = 0

    @property
    def pid(self) -> int | None:
        """Its number while it lives."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and alive else None

    def ask(
        self,
        paths: tuple[Path, ...],
        stamp: str,
        subject: Subject,
        function: Callable[..., Any] | str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        on_phase: Phase | None = None,
    ) -> Any:
        """The answer to a ``Question``. Raises what the function raised of collector.errors.

        Raises WorkerError where it raised anything else (the server's log has it), took too
        long, or where its process ended twice in a row.
        """
        name = name_of(function)
        places = tuple(str(path.resolve()) for path in paths)
        with self._lock:
            self._asked += 1
            question = Question(self._asked, places, stamp, subject, name, args, kwargs or {})
            message = pickle.dumps(question, protocol=pickle.HIGHEST_PROTOCOL)
            for last in (False, True):
                try:
                    return self._exchange(self._asked, message, on_phase or str)
                except _BROKEN as error:
                    ended = self._end()
                    if last:
                        raise errors.WorkerError(
                            "crashed",
                            f"the model's process ended ({ended}); is there enough memory?",
                        ) from error
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """End the process; the next question starts it again."""
        with self._lock:
            self._end()

    def _exchange(self, asked: int, message: bytes, on_phase: Phase) -> Any:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._limit_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(message)
            process.stdin.flush()
            while True:
                number, kind, value = pickle.load(process.stdout)
                if number != asked:
                    continue  # who asked that was interrupted meanwhile
                if kind != "phase":
                    break
                on_phase(value)
        except _BROKEN as error:
            if late.is_set():
                self._end()
                raise errors.WorkerError(
                    "timeout", f"the model took over {self._limit_s:.0f} s; the question was ended"
                ) from error
            raise
        finally:
            timer.cancel()
        if kind == "result":
            return value
        if kind == "refused":
            raise _error(*value)
        raise errors.WorkerError("error", f"the model failed ({value}); the server's log says why")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "estimator.model.worker", str(self._idle_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C reaches the server only
            )
            self._at_end = weakref.finalize(self, _close, self._process)
        return self._process

    def _end(self) -> str:
        """Make sure that it is gone; how it ended."""
        if self._process is None:
            return "not started"
        process, self._process = self._process, None
        self._at_end()
        code = process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _close(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # the last question could not be written
                pipe.close()
    process.wait()


def _error(name: str, message: str) -> errors.BreakevenError:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.UserError):
        return kind(message)
    return errors.WorkerError("error", message)


class RemoteModel:
    """``estimator.model.model.Model`` in another process, with what pages use of it.

    Every method takes and gives what the model's own does, and raises its errors.
    """

    def __init__(self, process: ModelProcess, paths: tuple[Path, ...], stamp: str) -> None:
        """``stamp``: fingerprint of the dataset at ``paths`` as the asker knows it.

        Where it is another one by now, every question raises DatasetError.
        """
        self._process, self._paths, self._stamp = process, paths, stamp
        self._description: Description | None = None

    def prepare(self, on_phase: Phase | None = None) -> Description:
        """Have the model fitted, if it is not; ``on_phase`` hears what is done meanwhile."""
        if self._description is None:
            self._description = self._process.ask(
                self._paths, self._stamp, "model", model_worker.describe, on_phase=on_phase
            )
        assert self._description is not None
        return self._description

    @property
    def ready(self) -> bool:
        """Whether ``prepare`` was answered once."""
        return self._description is not None

    @property
    def fingerprint(self) -> str:
        return self.prepare().fingerprint

    @property
    def machines(self) -> pd.DataFrame:
        return self.prepare().machines

    @property
    def labels(self) -> dict[str, str]:
        return self.prepare().labels

    @property
    def note(self) -> str:
        """How much of the dataset the model was fitted to; empty where that is all."""
        return self.prepare().note

    @cached_property
    def groups(self) -> pd.DataFrame:
        """``Model.groups``; do not change it."""
        table: pd.DataFrame = self.apply(model_worker.groups)
        return table

    def predict(self, cells: pd.DataFrame, **options: Any) -> pd.DataFrame:
        """``Model.predict``."""
        table: pd.DataFrame = self.apply(model_worker.predict, cells, **options)
        return table

    def apply(self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any:
        """``function(model, *args, **kwargs)`` in the model's process.

        ``function`` is a module-level function of ``estimator`` or its name, "module:function",
        which spares the server the import. Arguments and result must be picklable.
        """
        return self._process.ask(self._paths, self._stamp, "model", function, args, kwargs)

    def apply_to_measurements(
        self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any
    ) -> Any:
        """As ``apply``, of the dataset (``Measurements``) and without a fit."""
        return self._process.ask(self._paths, self._stamp, "measurements", function, args, kwargs)


class LocalModel:
    """A model in this process, asked in the same way."""

    def __init__(self, model: Model, measurements: Measurements) -> None:
        self._model, self._measurements = model, measurements

    @cached_property
    def note(self) -> str:
        """``RemoteModel.note``."""
        return model_worker.describe(self._model).note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def apply(self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any:
        """``RemoteModel.apply``."""
        return resolve(name_of(function))(self._model, *args, **kwargs)

    def apply_to_measurements(
        self, function: Callable[..., Any] | str, *args: Any, **kwargs: Any
    ) -> Any:
        """``RemoteModel.apply_to_measurements``."""
        return resolve(name_of(function))(self._measurements, *args, **kwargs)
