"""From the options of ``predict``, ``pays`` and ``rules`` to one question on places."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from collector.errors import SelectionError

if TYPE_CHECKING:
    from estimator.decide.places import PlaceQuestion
    from estimator.model.model import Model


def place_question(
    arguments: argparse.Namespace,
    asked: Mapping[str, Any],
    names: Sequence[str | None],
    **options: Any,
) -> PlaceQuestion:
    """The question of ``read_question`` on all places; ``options`` are ``PlaceQuestion``'s.

    ``names`` are machines as ``find_one`` and ``MachineTypes.find`` give them.
    """
    from collector.workloads import get_workload
    from estimator.cells.defaults import gpu_mode
    from estimator.decide.places import PlaceQuestion

    threads = options.get("threads")
    if isinstance(threads, int) and threads < 1:
        raise SelectionError(f"--threads {threads}: write a whole number of at least 1")
    workload, case = asked["workload"], asked["case"]
    texts = (text.partition("=") for text in arguments.param)
    values = asked["params"] | {name: int(float(value)) for name, _, value in texts}
    known = get_workload(workload).signatures[case]
    given = {name: values[name] for name in known if name in values}
    return PlaceQuestion(
        workload,
        case,
        tuple(given.items()),
        asked["dtype"],
        asked["math_mode"],
        gpu_mode(workload, case, asked.get("mode")),
        named=tuple(dict.fromkeys(name for name in names if name is not None)),
        **options,
    )


def find_one(model: Model, name: str | None) -> str | None:
    """The machine type, box or catalogue name that a name stands for. Raises SelectionError."""
    if name is None:
        return None
    found = model.types.find(name)
    if len(found) > 1:
        raise SelectionError(
            f"machine {name!r} fits several machines; choose one of {', '.join(found)}"
        )
    return found[0]


def asked_on(
    question: PlaceQuestion,
    libraries: Mapping[str, str | None] | None = None,
    threads: int | None = None,
) -> str:
    """The first line of an answer: what was asked, with every default (``asked_line``).

    ``libraries`` and ``threads`` are those that somebody named; a library by device.
    """
    from estimator.decide.words import asked_line

    operation = {
        **{name: getattr(question, name) for name in ("workload", "case", "dtype", "math_mode")},
        "params": dict(question.given),
    }
    named = [f"{name} on the {side}" for side, name in (libraries or {}).items() if name]
    boxes = "each box for itself" if question.each_box else "boxes of a type as one"
    return asked_line(
        operation,
        question.gpu_mode,
        library=" and ".join(named) or None,
        threads=threads,
        boxes=boxes,
    )
