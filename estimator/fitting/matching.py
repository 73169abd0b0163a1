"""Which row of a table has the same keys as a question. Pure, by whole columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from estimator.arrays import Indices

_Codes = np.ndarray[Any, np.dtype[np.int64]]

_LARGEST = 2**62  # that a number for a combination of keys may reach


class Places:
    """Positions in a table of unique rows by its key columns; built once, asked often.

    Each column's values are numbered, and the numbers of a row joined to one.
    """

    def __init__(self, index: pd.DataFrame, keys: Sequence[str]) -> None:
        self._numbers: list[tuple[str, dict[Any, int]]] = []
        self._merged: dict[str, _Codes] = {}  # numbers so far, where the next would be too large
        joint, span = np.zeros(len(index), dtype=np.int64), 1
        for name in keys:
            codes, values = pd.factorize(index[name])
            size = len(values) + 1
            if span * size > _LARGEST:
                self._merged[name], joint = np.unique(joint, return_inverse=True)
                span = len(self._merged[name])
            self._numbers.append((name, {value: i for i, value in enumerate(values, start=1)}))
            joint, span = joint * size + codes + 1, span * size
        # of rows with the same keys the last one counts
        order = np.argsort(joint, kind="stable")
        last = np.append(np.diff(joint[order]) != 0, True)[: len(order)]
        self._joint, self._place = joint[order[last]], order[last]

    def find(self, cells: pd.DataFrame) -> Indices:
        """Position of each row's keys, (n,), -1 where the table has no such row."""
        joint, known = np.zeros(len(cells), dtype=np.int64), np.ones(len(cells), dtype=bool)
        for name, numbers in self._numbers:
            if name in self._merged:
                joint, known = _among(self._merged[name], joint, known)
            codes, values = pd.factorize(cells[name])
            number = np.array([*(numbers.get(value, 0) for value in values), 0], dtype=np.int64)
            found = number[codes]
            known &= found > 0
            joint = joint * (len(numbers) + 1) + found
        place, known = _among(self._joint, joint, known)
        found_at = np.full(len(cells), -1, dtype=np.intp)
        found_at[known] = self._place[place[known]]
        return found_at


def match(cells: pd.DataFrame, index: pd.DataFrame, keys: Sequence[str]) -> Indices:
    """Position in ``index`` (unique rows) of each row of ``cells`` by the key columns, or -1."""
    return Places(index, keys).find(cells)


def _among(
    values: _Codes, joint: _Codes, known: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[_Codes, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Places in ordered ``values``, and which of the numbers are there."""
    if not len(values):
        return np.zeros_like(joint), np.zeros_like(known)
    place = np.minimum(np.searchsorted(values, joint), len(values) - 1)
    return place, known & (values[place] == joint)
