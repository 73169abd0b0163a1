"""The process in which the dashboard's model lives: ``python -m estimator.model.worker IDLE_S``.

It reads pickled questions from standard input and writes pickled answers to what was standard
output when it started; both ends of these pipes belong to the process that started it and to
nobody else. It ends when that process does, even in the middle of a fit, and after ``IDLE_S``
seconds without a question, which gives its memory back.

A question is a ``Question``. Answers are pairs of its number and one of: ``("phase", text)``, of
which any count comes first; ``("result", value)``; ``("refused", (class name, message))`` for an
error of collector.errors; ``("failed", text)`` for any other, whose traceback is logged.
"""

from __future__ import annotations

import inspect
import io
import logging
import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NoReturn

from collector.errors import BreakevenError, DatasetError, SelectionError

if TYPE_CHECKING:
    import pandas as pd

    from estimator.dataset.measurements import Measurements
    from estimator.model.model import Model

#: What a function gets first.
Subject = Literal["model", "measurements"]

_NICENESS = 5  # pages go first where both want a core

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """``function`` ("module:name", of this package) of the model of the dataset at ``paths``.

    ``stamp`` is the fingerprint of the dataset as the asker knows it: another state is not
    answered for, and opens and fits anew.
    """

    number: int
    paths: tuple[str, ...]
    stamp: str
    subject: Subject
    function: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """What pages need of a model before they ask it anything."""

    fingerprint: str
    machines: pd.DataFrame
    labels: dict[str, str]
    note: str


def name_of(function: Callable[..., Any] | str) -> str:
    """``module:name`` of a module-level function of this package. Raises SelectionError."""
    if isinstance(function, str):
        return function
    name = f"{function.__module__}:{function.__qualname__}"
    if not function.__module__.startswith("estimator.") or not function.__qualname__.isidentifier():
        raise SelectionError(f"{name}: only module-level functions of `estimator` can be asked")
    return name


def resolve(name: str) -> Callable[..., Any]:
    """The function that ``name_of`` named. Raises SelectionError for anything else."""
    module, _, function = name.partition(":")
    if module.startswith("estimator.") and function.isidentifier():
        found = getattr(import_module(module), function, None)
        if inspect.isfunction(found) and found.__module__ == module:
            return found
    raise SelectionError(f"{name}: only module-level functions of `estimator` can be asked")


def describe(model: Model) -> Description:
    """Facts about the model that pages show beside its answers."""
    from estimator.model.selection import coverage

    return Description(model.fingerprint, model.machines, dict(model.labels), coverage(model))


def groups(model: Model) -> pd.DataFrame:
    """``Model.groups``."""
    return model.groups


def predict(model: Model, cells: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """``Model.predict``."""
    return model.predict(cells, **options)


class Worker:
    """Answers questions; keeps the dataset and the model of the last one."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        """``send`` takes one pickled answer: number of the question, kind, value."""
        self._send = send
        self._opened: tuple[object, Measurements] | None = None
        self._fitted: tuple[object, Model] | None = None

    def answer(self, question: Question) -> None:
        """Send all answers to one question; raises nothing but what ``send`` raises."""
        try:
            function = resolve(question.function)
            subject: Any
            if question.subject == "model":
                subject = self._model(question)
            else:
                subject = self._measurements(question)
            value = function(subject, *question.args, **question.kwargs)
            answer = _pickled(question.number, "result", value)
        except BreakevenError as error:
            answer = _pickled(question.number, "refused", (type(error).__name__, str(error)))
        except Exception as error:  # data from elsewhere may hold what no test foresaw
            logger.exception("%s failed", question.function)
            what = f"{question.function.partition(':')[2]}: {type(error).__name__}"
            answer = _pickled(question.number, "failed", what)
        self._send(answer)

    def _measurements(self, question: Question) -> Measurements:
        from estimator.dataset.measurements import load

        key = (question.paths, question.stamp)
        if self._opened is None or self._opened[0] != key:
            self._send(_pickled(question.number, "phase", "Reading the dataset"))
            self._opened = self._fitted = None
            measurements = load(*question.paths)
            # under its own name: the asker may learn of this state before it changes again
            self._opened = ((question.paths, measurements.fingerprint), measurements)
        if self._opened[0] != key:
            raise DatasetError("the dataset has changed meanwhile; reload the page")
        return self._opened[1]

    def _model(self, question: Question) -> Model:
        from estimator.dataset.cache_directory import user_cache_directory
        from estimator.model.fit import fit_cached

        measurements = self._measurements(question)
        key = (question.paths, question.stamp)
        if self._fitted is None or self._fitted[0] != key:
            self._send(_pickled(question.number, "phase", "Fitting the model to the measurements"))
            self._fitted = (key, fit_cached(measurements, user_cache_directory()))
        return self._fitted[1]


def _pickled(number: int, kind: str, value: Any) -> bytes:
    return pickle.dumps((number, kind, value), protocol=pickle.HIGHEST_PROTOCOL)


def serve(questions: BinaryIO, answers: BinaryIO, idle_s: float) -> NoReturn:
    """Answer until the other end closes or ``idle_s`` pass without a question; then exit."""
    waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()

    def read() -> None:
        try:
            while True:
                waiting.put(pickle.load(questions))
        except (EOFError, OSError):
            os._exit(0)
        except BaseException:  # a question of other code than this, or cut: what follows is lost
            logger.exception("a question could not be read")
            os._exit(1)

    def send(answer: bytes) -> None:
        try:
            answers.write(answer)
            answers.flush()
        except BrokenPipeError:
            os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    worker = Worker(send)
    while True:
        try:
            question = waiting.get(timeout=idle_s)
        except queue.Empty:
            os._exit(0)  # the ordinary way waits for the thread that reads
        worker.answer(question)


def main() -> NoReturn:
    """Entry of the process."""
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    answers = io.BufferedWriter(io.FileIO(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints disturbs nothing
    serve(sys.stdin.buffer, answers, float(sys.argv[1]))


if __name__ == "__main__":
    # under its own name, so that what it pickles is what the other side knows
    import_module("estimator.model.worker").main()
