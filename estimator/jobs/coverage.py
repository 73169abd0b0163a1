"""Which questions have a measured cell near them: what an answer for a job may call covered."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from collector.workloads import Floats, Question, get_workload
from estimator.arrays import Array, Flags
from estimator.cells.questions import blocks

#: how far a measured cell may be in each of its parameters
NEAR = 2.0

_FORM = ["workload", "dtype", "math_mode", "backend", "device"]
_ROUNDING = 1e-9
_AT_ONCE = 2**22  # pairs of question and cell


def covered(asked: pd.DataFrame, measured: pd.DataFrame) -> Flags:
    """Of each question whether a cell of the same operation, element type, math mode, library and
    device was measured that is within a factor of 2 in every canonical parameter, (n,).

    ``asked`` has the columns of ``Question`` but for the mode, and ``params``; ``measured`` is
    ``Fitted.measured``, of one machine or of all.
    """
    flags = np.zeros(len(asked), dtype=bool)
    if asked.empty:
        return flags
    forms = asked[_FORM].drop_duplicates()
    near = measured.merge(forms, on=_FORM)
    near = near.drop_duplicates([*_FORM, "case", "params_key"])
    there = _by_operation(near.assign(params=near["params_key"].map(dict)))
    for key, parts in _by_operation(asked).items():
        cells = np.concatenate([sizes for _, sizes in there[key]]) if key in there else None
        for rows, sizes in parts:
            flags[rows] = _any_near(sizes, cells) if cells is not None else False
    return flags


_Key = tuple[str, ...]
_Rows = np.ndarray[tuple[int], np.dtype[np.intp]]


def _by_operation(cells: pd.DataFrame) -> dict[_Key, list[tuple[_Rows, Array]]]:
    """Rows and log2 of canonical parameters (n, parameters) of each operation and form."""
    found: dict[_Key, list[tuple[_Rows, Array]]] = {}
    for block in blocks(cells.assign(mode="hot")):
        found.setdefault(_key(block.asked), []).append((block.rows, _sizes(block.params)))
    return found


def _key(asked: Question) -> _Key:
    operation = get_workload(asked.workload).operation(asked.case, asked.backend)
    form = (asked.dtype, asked.math_mode, asked.backend, asked.device)
    return (asked.workload, operation, *form)


def _sizes(params: Mapping[str, Floats]) -> Array:
    columns = [np.log2(params[name]) for name in sorted(params)]
    return np.stack(columns, axis=1) if columns else np.zeros((1, 0))


def _any_near(sizes: Array, cells: Array) -> Flags:
    """Whether any row of ``cells`` (c, p) is near each of ``sizes`` (n, p)."""
    step = max(1, _AT_ONCE // max(cells.size, 1))
    most = np.log2(NEAR) + _ROUNDING
    near = [
        (np.abs(sizes[start : start + step, None] - cells).max(axis=2, initial=0.0) <= most)
        for start in range(0, len(sizes), step)
    ]
    result: Flags = np.concatenate([part.any(axis=1) for part in near])
    return result
