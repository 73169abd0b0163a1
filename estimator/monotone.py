"""Larger work of one shape never takes less time: answers held against smaller versions of theirs.

A correction by measured neighbours may fall where the formula hardly rises, as for operations so
short that their launch is most of the time, and a step between two forms of a kernel may go down.
A machine's own estimate is therefore the largest of its own and those for a half, a quarter and so
on of the parameter by which the work grows: of n, of a batch, of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from collector.workloads import get_workload
from estimator.dataset import CELL_COLUMNS
from estimator.effects import PARTS
from estimator.kernel_model import Array, Indices

_PARTS_OF_WHOLE = (2, 4, 8, 16, 64)
#: Share of the launch from which an answer is held against smaller ones: what is mostly work
#: grows faster than corrections fall. A choice: fewer than one answer in a thousand beyond it
#: falls by more than 1 % (``tests/estimator/test_physics.py``).
_LAUNCH_SHARE = 0.15


def smaller_versions(
    table: pd.DataFrame, answer: pd.DataFrame, as_fitted: bool = False
) -> tuple[pd.DataFrame, Indices]:
    """Questions for smaller versions of those that may need it, and the row of each in ``table``.

    ``table``: described questions, ``answer`` has the columns of ``Model.predict``. A cell that
    was measured stands for itself unless ``as_fitted``.
    """
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    launch = answer["launch_s"].to_numpy(dtype=float)
    unmeasured = as_fitted | ~np.isfinite(answer["measured_median_s"].to_numpy(dtype=float))
    chosen = np.flatnonzero(unmeasured & (launch > _LAUNCH_SHARE * seconds))
    rows, params = [], []
    questions = table[["workload", "case", "params"]].iloc[chosen]
    for row, question in zip(chosen, questions.itertuples(index=False, name=None), strict=True):
        smaller = _smaller(*question)
        rows += [row] * len(smaller)
        params += smaller
    at = np.array(rows, dtype=np.intp)
    keys = [*CELL_COLUMNS, "params"]
    return table[keys].iloc[at].assign(params=pd.Series(params, dtype=object).to_numpy()), at


def lifted(answer: pd.DataFrame, smaller: pd.DataFrame, rows: Indices) -> pd.DataFrame:
    """Answers none of which is faster than those of its smaller versions.

    All ends of an interval move alike; the parts are those of the version that takes longest, as
    another machine is to take the longest on that one too.
    """
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    theirs = smaller["seconds_p50"].to_numpy(dtype=float)
    order = np.argsort(np.nan_to_num(theirs, nan=-np.inf), kind="stable")
    longest = np.full(len(answer), -1)
    longest[rows[order]] = order  # the last one written
    at = np.flatnonzero((longest >= 0) & (np.where(longest >= 0, theirs[longest], 0.0) > seconds))
    if not len(at):
        return answer
    by = longest[at]
    columns = {}
    for part in PARTS:
        seconds_of = answer[f"{part}_s"].to_numpy(dtype=float).copy()
        seconds_of[at] = smaller[f"{part}_s"].to_numpy(dtype=float)[by]
        columns[f"{part}_s"] = seconds_of
    factor: Array = np.ones(len(answer))
    factor[at] = theirs[by] / seconds[at]
    for end in ("p5", "p50", "p95"):
        columns[f"seconds_{end}"] = answer[f"seconds_{end}"].to_numpy(dtype=float) * factor
    return answer.assign(**columns)


def size_parameter(signature: Mapping[str, int | None]) -> str | None:
    """The parameter by which work of one shape grows: a count of rows taken, else the first."""
    names = [name for name, default in signature.items() if default is None]
    return "count" if "count" in names else next(iter(names), None)


def _smaller(workload: str, case: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    signature = get_workload(workload).signatures[case]
    given = {name: params[name] for name in signature if name in params}
    name = size_parameter(signature)
    if name is None or len(given) < len(params):  # canonical parameters hang together
        return []
    value = int(given[name])
    smaller = [{**given, name: value // part} for part in _PARTS_OF_WHOLE if value >= part]
    while smaller and not _is_allowed(workload, case, smaller[-1]):
        smaller.pop()
    return smaller


def _is_allowed(workload: str, case: str, params: Mapping[str, int]) -> bool:
    """Whether there is such an operation: a sparse row has no more nonzeros than columns."""
    try:
        get_workload(workload).complete(case, params)
    except SelectionError:
        return False
    return True
