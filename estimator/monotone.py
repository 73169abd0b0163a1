"""Larger work of one shape never takes less time: estimates held against other sizes of theirs.

A correction by measured neighbours may fall where the formula hardly rises, as for operations so
short that their launch is most of the time, and a step between two forms of a kernel may go down.
A machine's own estimate is therefore the geometric mean of the longest at its size and below and of
the shortest at its size and above, each of which never falls. Sizes are a half, a quarter and so
on, twice and so on of the parameter by which the work grows: of n, of a batch, of rows.
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

_STEPS = (2, 4, 8, 32)
#: Share of the launch from which an estimate is held against other sizes: what is mostly work
#: grows faster than corrections fall. A choice.
_LAUNCH_SHARE = 0.15
#: Cases whose sizes are no versions of one shape: a transform of twice a prime is far quicker
#: than one of the prime.
_NO_SHAPE = {("fft", "fft2")}


def other_sizes(
    table: pd.DataFrame, answer: pd.DataFrame, as_fitted: bool = False
) -> tuple[pd.DataFrame, Indices, Array]:
    """Questions for other sizes of those that may need it, their rows in ``table``, their sizes.

    ``table``: described questions, ``answer`` has the columns of ``Model.predict``. Sizes are
    relative: a half is 0.5. A cell that was measured stands for itself unless ``as_fitted``.
    """
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    launch = answer["launch_s"].to_numpy(dtype=float)
    unmeasured = as_fitted | ~np.isfinite(answer["measured_median_s"].to_numpy(dtype=float))
    chosen = np.flatnonzero(unmeasured & (launch > _LAUNCH_SHARE * seconds))
    rows, params, sizes = [], [], []
    questions = table[["workload", "case", "params"]].iloc[chosen]
    for row, question in zip(chosen, questions.itertuples(index=False, name=None), strict=True):
        for size, others in _sizes(*question).items():
            rows.append(row)
            params.append(others)
            sizes.append(size)
    at = np.array(rows, dtype=np.intp)
    keys = [*CELL_COLUMNS, "params"]
    asked = table[keys].iloc[at].assign(params=pd.Series(params, dtype=object).to_numpy())
    return asked, at, np.array(sizes, dtype=float)


def rising(answer: pd.DataFrame, others: pd.DataFrame, rows: Indices, sizes: Array) -> pd.DataFrame:
    """Answers between the longest of smaller sizes and the shortest of larger ones.

    All ends of an interval move alike. The parts are those of the size that holds the answer
    there: what limits it limits it on another machine too.
    """
    seconds = answer["seconds_p50"].to_numpy(dtype=float)
    theirs = others["seconds_p50"].to_numpy(dtype=float)
    known = np.isfinite(theirs)
    longest, shortest = seconds.copy(), seconds.copy()
    np.maximum.at(longest, rows[known & (sizes < 1.0)], theirs[known & (sizes < 1.0)])
    np.minimum.at(shortest, rows[known & (sizes > 1.0)], theirs[known & (sizes > 1.0)])
    with np.errstate(invalid="ignore"):
        held = np.sqrt(longest * shortest)
        moved = np.flatnonzero(np.abs(held / seconds - 1.0) > 1e-9)
    if not len(moved):
        return answer
    shares = answer[[f"{part}_s" for part in PARTS]].to_numpy(dtype=float) / seconds[:, None]
    of_others = others[[f"{part}_s" for part in PARTS]].to_numpy(dtype=float) / theirs[:, None]
    lifting = known & (sizes < 1.0) & (theirs == longest[rows]) & (held[rows] > seconds[rows])
    shares[rows[lifting]] = of_others[lifting]
    factor: Array = np.ones(len(answer))
    factor[moved] = (held / seconds)[moved]
    columns = {
        f"seconds_{end}": answer[f"seconds_{end}"].to_numpy(dtype=float) * factor
        for end in ("p5", "p50", "p95")
    }
    parts = {f"{part}_s": shares[:, i] * seconds * factor for i, part in enumerate(PARTS)}
    return answer.assign(**columns, **parts)


def size_parameter(workload: str, case: str) -> str | None:
    """The parameter by which work of one shape grows: a count of rows taken, else the first."""
    signature = get_workload(workload).signatures[case]
    names = [name for name, default in signature.items() if default is None]
    if (workload, case) in _NO_SHAPE:
        return None
    return "count" if "count" in names else next(iter(names), None)


def _sizes(workload: str, case: str, params: Mapping[str, Any]) -> dict[float, dict[str, Any]]:
    """Relative size -> parameters of other sizes of the same shape that there are."""
    signature = get_workload(workload).signatures[case]
    given = {name: params[name] for name in signature if name in params}
    name = size_parameter(workload, case)
    if name is None or len(given) < len(params):  # canonical parameters hang together
        return {}
    value = int(given[name])
    smaller = {1.0 / step: {**given, name: value // step} for step in _STEPS if value >= step}
    larger = {float(step): {**given, name: value * step} for step in _STEPS}
    return {
        size: asked
        for size, asked in {**smaller, **larger}.items()
        if _is_allowed(workload, case, asked)
    }


def _is_allowed(workload: str, case: str, params: Mapping[str, int]) -> bool:
    """Whether there is such an operation: a sparse row has no more nonzeros than columns."""
    try:
        get_workload(workload).complete(case, params)
    except SelectionError:
        return False
    return True
