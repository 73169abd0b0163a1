"""What a page makes of a dataset's tables before it draws, made once for the same choices.

A rerun that changes one control changes few of a page's tables; the others come from here for
some microseconds, where ``st.cache_data`` would pickle and unpickle each.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pandas as pd

from app_pages.frame.query_cache import Results

P = ParamSpec("P")
R = TypeVar("R")

_RESULTS = Results(most_kept=512, most_bytes=32 * 2**20)


def prepared(function: Callable[P, R]) -> Callable[P, R]:
    """The function with its results remembered by its arguments.

        @prepared
        def coverage(fingerprint: str, machines: tuple[str, ...], _source: Source) -> DataFrame
        @prepared
        def shown(rows: DataFrame, unit: str) -> DataFrame

    Arguments are plain values (text, numbers, dates, tuples, lists, dicts, dataclasses of these;
    the dataset by its fingerprint) and tables of some thousand rows, which are compared by their
    contents. Those whose name begins with an underscore are left out, as Streamlit's own caches
    do. The function draws nothing. A DataFrame is given as a copy that may be changed; anything
    else is shared and must not be.
    """
    signature = inspect.signature(function)
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs).arguments
        said = [_said(value) for key, value in bound.items() if not key.startswith("_")]
        key = (name, repr((list(bound), said)))
        kept = _RESULTS.get(key)
        if kept is None:
            result = function(*args, **kwargs)
            _RESULTS.put(key, result)
            return result
        found: R = kept
        return found

    return remembered


def digest(table: pd.DataFrame | pd.Series[Any]) -> bytes:
    """Hash of a table. Equal ones that were made in other ways may differ: they are made anew."""
    return hashlib.sha256(pickle.dumps(table, protocol=pickle.HIGHEST_PROTOCOL)).digest()


def _said(value: Any) -> Any:
    """Something whose ``repr`` says everything of an argument. Raises TypeError if nothing does."""
    if value is None or isinstance(value, str | int | float | bytes | date):
        return value
    if isinstance(value, pd.DataFrame | pd.Series):
        return digest(value)
    if isinstance(value, dict):
        return [(_said(key), _said(part)) for key, part in value.items()]
    if isinstance(value, tuple | list):
        return [_said(part) for part in value]
    if is_dataclass(value):
        return [_said(getattr(value, field.name)) for field in fields(value)]
    raise TypeError(f"a {type(value).__name__} is no plain value to remember a result by")
