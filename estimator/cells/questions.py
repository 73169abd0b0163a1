"""What may be asked: names of operations, forms that libraries have, questions as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, fields
from itertools import chain, repeat
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from collector.workloads import FAMILIES, Floats, Question, get_workload, whole
from estimator.arrays import Indices
from estimator.dataset.measurements import UNFITTED_WORKLOADS

ParamsKey = tuple[tuple[str, int], ...]
Objects = np.ndarray[Any, np.dtype[np.object_]]


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


#: Modes of a GPU whose clock is the host's: each call is dispatched and waited for.
HOST_MODES = ("resident", "end_to_end")

#: Modes of a question -> the mode of the rows that answer it. On a CPU nothing crosses a bus
#: and the call returns when the work is done: resident and end to end are the hot rows.
CPU_MODES: Mapping[str, str] = {"resident": "hot", "end_to_end": "hot"}


def operation(
    workload: str, case: str, backend: str = "", params: Mapping[str, int] | None = None
) -> str:
    """The case whose measurements describe the same operation (``Workload.same_operation``).

    With ``params`` the class of shapes, where a library has another algorithm for some, follows
    the case's name after a space.
    """
    family = FAMILIES.get(workload)
    if family is None:
        return case
    if params is None:
        return family.operation(case, backend)
    return family.operation_classes(case, backend)[int(family.operation_class(params))]


def library(workload: str, backend: str, device: str) -> str:
    """The routines that do the work: on a GPU several backends call NVIDIA's."""
    family = FAMILIES.get(workload)
    return (family.nvidia_library if family and device == "cuda" else "") or backend


def case_of(operation_name: str) -> str:
    """The case in the name of an operation."""
    return operation_name.partition(" ")[0]


def family_of(asked: Question) -> str:
    """The workload, but for cases that have nothing in common with its others.

    A copy over the bus and one on the device, a convolution of all channels and one of each
    (``Workload.kin``).
    """
    family = FAMILIES.get(asked.workload)
    return asked.workload if family is None else family.kin.get(asked.case, asked.workload)


Forms = frozenset[tuple[Any, ...]]

_ASKED = ["workload", "case", "dtype", "backend", "device"]


def known_forms(measured: pd.DataFrame) -> Forms:
    """(workload, case, dtype, backend, device) of each of a table's cells."""
    return frozenset(measured[_ASKED].drop_duplicates().itertuples(index=False, name=None))


def check_forms(cells: pd.DataFrame, known: Forms) -> None:
    """Refuse a case that its library has no form of, unless somebody measured it all the same.

    ``cells`` have the columns workload, case, dtype, backend and device; ``known`` are the
    ``known_forms`` of what was measured. Raises EstimateError, which names the libraries that
    have one.
    """
    for asked in cells[_ASKED].drop_duplicates().itertuples(index=False, name=None):
        if tuple(asked) not in known:
            _check_form(*asked)


def _check_form(workload: str, case: Any, dtype: str, backend: str, device: str) -> None:
    if workload in UNFITTED_WORKLOADS:
        raise EstimateError(f"{workload} shows a machine's drift along a run; it has no estimate")
    family = FAMILIES.get(workload)
    if family is None or case not in family.signatures:
        return  # whoever describes the cell names what is wrong with it
    if backend not in family.case_backends.get(case, (backend,)):
        able = [name for name, where in family.support if where == device]
        having = [name for name in able if family.supports(name, device, case)]
        others = f"choose {' or '.join(having)}" if having else f"no library has one on {device}"
        raise EstimateError(f"{backend} has no form of {workload} {case} on {device}; {others}")
    if not family.takes(case, dtype):
        types = " or ".join(sorted(family.case_dtypes[case]))
        raise EstimateError(f"{workload} {case} takes no {dtype}; choose {types}, or another case")
