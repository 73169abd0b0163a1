"""From cells to blocks of questions that differ in their parameters only, as arrays. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, fields
from itertools import chain, repeat
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from collector.workloads import FAMILIES, get_workload
from collector.workloads.parameters import whole
from collector.workloads.work import Floats

ParamsKey = tuple[tuple[str, int], ...]
Indices = np.ndarray[Any, np.dtype[np.intp]]
Objects = np.ndarray[Any, np.dtype[np.object_]]


@dataclass(frozen=True)
class Question:
    """What is asked, without its machine, its threads and its size."""

    workload: str
    case: str
    dtype: str
    math_mode: str
    backend: str
    device: str
    mode: str


QUESTION_COLUMNS = tuple(field.name for field in fields(Question))


@dataclass(frozen=True)
class Block:
    """Questions of one kind: the rows (n,) of the table that ask them, and for each canonical
    parameter its values (n,)."""

    asked: Question
    rows: Indices
    params: Mapping[str, Floats]


def blocks(cells: pd.DataFrame) -> Iterator[Block]:
    """The rows of ``cells`` (columns of ``Question`` and ``params``), kind by kind.

    Raises SelectionError on an unknown family, case or parameter, or one that is no size.
    """
    maps = [
        params if type(params) is dict else as_map(params) for params in cells["params"].tolist()
    ]
    known: dict[tuple[str, ...], int] = {}
    kind = np.array([known.setdefault(tuple(given), len(known)) for given in maps], dtype=np.int64)
    columns = []
    for name in QUESTION_COLUMNS:
        codes, found = pd.factorize(cells[name])
        names = [*map(str, found), ""]  # -1, the last: missing
        columns.append((codes, names))
        kind, _ = pd.factorize(kind * len(names) + codes + 1)
    order = np.argsort(kind, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1):
        if len(rows):
            asked = Question(*(names[codes[rows[0]]] for codes, names in columns))
            given = _arrays(asked, [maps[row] for row in rows.tolist()])
            complete = get_workload(asked.workload).complete_arrays(asked.case, given)
            # of defaults alone there is one value for all
            alike = {name: np.broadcast_to(value, len(rows)) for name, value in complete.items()}
            yield Block(asked, rows, alike)


def as_map(params: Any) -> Mapping[str, Any]:
    """Parameters as a map: a map, or pairs as Arrow and DuckDB give them."""
    return params if isinstance(params, Mapping) else dict(params)


def params_key(params: Any) -> ParamsKey:
    """A hashable form of a parameter map: a dict, or pairs as Arrow and DuckDB give them.

    Raises SelectionError on a value that is no whole number.
    """
    values = as_map(params).items()
    return tuple(sorted((str(name), whole("params", name, value)) for name, value in values))


def params_keys(params: Mapping[str, Floats], count: int) -> Objects:
    """``params_key`` of many operations, (count,)."""
    columns = [
        zip(repeat(name, count), params[name].astype(np.int64).tolist(), strict=True)
        for name in sorted(params)
    ]
    keys: Iterable[ParamsKey] = zip(*columns, strict=True) if columns else [()] * count
    return np.fromiter(keys, dtype=object, count=count)


def _arrays(asked: Question, maps: list[Mapping[str, Any]]) -> dict[str, Floats]:
    names = list(maps[0])
    try:
        flat = np.fromiter(chain.from_iterable(given.values() for given in maps), dtype=float)
    except (TypeError, ValueError) as error:
        raise SelectionError(
            f"{asked.workload} {asked.case}: a parameter is not a number ({error})"
        ) from None
    columns = flat.reshape(len(maps), len(names)).T
    return dict(zip(names, columns, strict=True))


def used_threads(asked: pd.DataFrame, measured: Set[tuple[str, str, int]]) -> pd.Series[int]:
    """Threads that an operation uses of those it is given (column ``threads``).

    A library that runs an operation on one thread leaves the other cores idle, whatever it is
    given: numpy's ufuncs and sorts, say. An unknown family keeps what was asked, and so does what
    was ``measured`` with so many (workload, backend, threads).
    """
    several = ((asked["device"] == "cpu") & (asked["threads"] > 1)).to_numpy(copy=True)
    rows = np.flatnonzero(several)
    names = ("workload", "backend", "threads")
    several[rows] = [
        workload in FAMILIES
        and backend not in FAMILIES[workload].threaded_backends
        and (workload, backend, int(threads)) not in measured
        for workload, backend, threads in zip(
            *(asked[name].iloc[rows] for name in names), strict=True
        )
    ]
    return asked["threads"].mask(several, 1)
