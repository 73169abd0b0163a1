"""Cells as donors read them: questions described, and what was measured, worked out when asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from estimator.answer import NORMAL_95, PARTS
from estimator.arrays import Array, Indices
from estimator.dataset.tables import CELL_COLUMNS
from estimator.fitting.fitted import PARAMS, Fitted
from estimator.fitting.levels import Places
from estimator.others.pairs import Answers
from estimator.others.spread import Spread, kinds_of_cells

_MANY = 500  # rows, of more than which all are described once and for all


class Cells:
    """Questions to a model with their features, and its measured cells in the same form.

    The measured ones are described, and their times split into parts, when first asked for: a
    dataset has thousands, a question meets a few.
    """

    def __init__(self, fitted: Fitted, spread: Callable[[], Spread]) -> None:
        """``spread`` is asked when first needed: estimating it takes about a second."""
        self._fitted = fitted
        self._spread = spread
        known = fitted.measured.reset_index(drop=True)
        numbers = [fitted.params_numbers[key] for key in known["params_key"]]
        #: the measured cells: their keys, ``PARAMS`` and ``log_seconds``
        self.measured = known[list(CELL_COLUMNS)].assign(
            **{PARAMS: numbers}, log_seconds=np.log(known["median_s"].to_numpy(dtype=float))
        )
        self._keys = known["params_key"]
        count = len(known)
        self._done = np.zeros(count, dtype=bool)
        self._deviation, self._parts = np.full(count, np.nan), np.full((count, 4), np.nan)
        self._rows = np.zeros(count, dtype=np.int64)

    @cached_property
    def places(self) -> Places:
        """Where a described question stands in ``measured``."""
        return Places(self.measured, [*CELL_COLUMNS, PARAMS])

    @cached_property
    def threads(self) -> dict[tuple[str, ...], Array]:
        """Numbers of threads, in order, of each machine, device, library and family."""
        columns = ["machine_id", "device", "backend", "workload", "threads"]
        able: dict[tuple[str, ...], set[float]] = {}
        rows = self._fitted.fit.group.index[columns].itertuples(index=False, name=None)
        for *key, count in rows:
            able.setdefault(tuple(map(str, key)), set()).add(float(count))
        return {key: np.array(sorted(counts)) for key, counts in able.items()}

    def put_to(self, machines: Any, asked: pd.DataFrame, threads: Array) -> pd.DataFrame:
        """Described questions put to donors (n,) with ``threads`` (n,): described anew.

        Only threads and a GPU's multiprocessors change what is described.
        """
        table = asked.reset_index(drop=True)
        units = pd.Series(machines).map(self._fitted.multiprocessors).to_numpy(dtype=float)
        same = (table["threads"].to_numpy() == threads) & (
            (table["device"] == "cpu").to_numpy() | (table["multiprocessors"] == units).to_numpy()
        )
        table = table.assign(machine_id=machines, threads=threads.astype(int))
        if same.all():
            return table
        fresh = self._fitted.described(table.loc[~same, [*CELL_COLUMNS, "params"]])
        fresh.index = pd.Index(np.flatnonzero(~same))
        both: pd.DataFrame = pd.concat([table[same], fresh]).sort_index()
        return both

    def described(self, rows: Indices) -> pd.DataFrame:
        """Rows of ``measured`` as described questions, with ``log_seconds``."""
        if len(rows) > _MANY or "_every" in self.__dict__:
            return self._every.iloc[rows].reset_index(drop=True)
        return self._described(rows)

    @cached_property
    def _every(self) -> pd.DataFrame:
        return self._described(np.arange(len(self.measured)))

    def _described(self, rows: Indices) -> pd.DataFrame:
        chosen = self.measured.iloc[rows].reset_index(drop=True)
        params = pd.Series([dict(key) for key in self._keys.iloc[rows]], dtype=object)
        return self._fitted.described(chosen.assign(params=params)).assign(
            log_seconds=chosen["log_seconds"]
        )

    def answers(self, rows: Indices) -> Answers:
        """Rows of ``measured`` (n,), -1 for none: times, and parts as the fit splits them."""
        new = np.unique(rows[rows >= 0])
        new = new[~self._done[new]]
        if len(new):
            self._work_out(new)
        here, nothing = rows >= 0, np.zeros(len(rows), dtype=np.int64)
        # -1 would be the last row: an empty table has none
        at = np.where(here, rows, 0) if len(self._done) else np.zeros(0, dtype=np.intp)
        times = self.measured["log_seconds"].to_numpy(dtype=float)
        return Answers(
            np.where(here, times[at], np.nan),
            np.where(here, self._deviation[at], np.nan),
            np.where(here[:, None], self._parts[at], np.nan),
            np.where(here, self._rows[at], 0),
            nothing,
        )

    def _work_out(self, rows: Indices) -> None:
        table = self.described(rows)
        estimate = self._fitted.own_estimates(table, alone=True)
        seconds = estimate["seconds_p50"].to_numpy(dtype=float)
        parts = estimate[[f"{part}_s" for part in PARTS]].to_numpy(dtype=float)
        times = table["log_seconds"].to_numpy(dtype=float)
        runs = self._spread().of("runs", kinds_of_cells(table), table["workload"])
        with np.errstate(invalid="ignore"):
            self._parts[rows] = parts * (np.exp(times) / seconds)[:, None]
        self._deviation[rows] = np.fmin(deviation_of(estimate), runs)
        self._rows[rows] = estimate["n_fit"].to_numpy(dtype=np.int64)
        self._done[rows] = True


def deviation_of(estimate: pd.DataFrame) -> Array:
    """The deviation (n,) in log units behind the intervals of ``Model.predict``'s columns."""
    ends = [estimate[f"seconds_{end}"].to_numpy(dtype=float) for end in ("p95", "p50")]
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = np.log(ends[0] / ends[1]) / NORMAL_95
    return result
