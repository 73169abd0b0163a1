"""Queries of an open dataset, each asked once: what a connection reads does not change.

A rerun of a page asks the same queries again; only a new one goes to DuckDB.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import duckdb
import pandas as pd

_MOST_KEPT = 128
_MOST_BYTES = 24 * 2**20  # of all of them together; a larger one is not kept at all

Key = tuple[str, str]


class Results:
    """The latest results, DataFrames or others that nobody changes; the least used go first."""

    def __init__(self, most_kept: int = _MOST_KEPT, most_bytes: int = _MOST_BYTES) -> None:
        self._most_kept, self._most_bytes = most_kept, most_bytes
        self._kept: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Any:
        """What was kept, None if nothing; of a DataFrame a copy, which costs little until changed.

        pandas copies a shared column only when somebody writes to it.
        """
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return _copy(self._kept[key][0])

    def put(self, key: Key, result: Any) -> None:
        """Keep it, or a copy of a DataFrame."""
        size = _bytes_of(result)
        if size > self._most_bytes:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = (_copy(result), size)
            self._bytes += size
            while len(self._kept) > self._most_kept or self._bytes > self._most_bytes:
                _, (_, gone) = self._kept.popitem(last=False)
                self._bytes -= gone


def _copy(result: Any) -> Any:
    return result.copy(deep=False) if isinstance(result, pd.DataFrame) else result


def _bytes_of(result: Any) -> int:
    """Memory that DataFrames take, alone or in a tuple or a dict of them; others count little."""
    if isinstance(result, pd.DataFrame):
        return int(result.memory_usage(deep=True).sum())
    parts = result.values() if isinstance(result, dict) else result
    if isinstance(result, dict | tuple | list):
        return sum(_bytes_of(part) for part in parts) + 1000
    return 1000


_RESULTS: weakref.WeakKeyDictionary[duckdb.DuckDBPyConnection, Results] = (
    weakref.WeakKeyDictionary()
)


def run(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> pd.DataFrame:
    """Result of one statement that reads, on its own cursor, so that sessions do not disturb.

    Moments come back in UTC, whatever the time zone of the server.
    """
    results = _RESULTS.setdefault(connection, Results())
    key = (sql, repr(list(parameters)))
    kept: pd.DataFrame | None = results.get(key)
    if kept is not None:
        return kept
    with connection.cursor() as cursor:
        frame: pd.DataFrame = cursor.sql(sql, params=list(parameters)).to_arrow_table().to_pandas()
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            frame[name] = frame[name].dt.tz_convert("UTC")
    results.put(key, frame)
    return frame
