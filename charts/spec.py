"""A chart as plain data: its Vega-Lite specification, and its tables as Arrow."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import pyarrow as pa
from altair.utils import schemapi

#: Altair keeps its settings for all threads together; sessions draw in threads of their own.
_ALTAIR_SETTINGS = threading.Lock()
_TRANSFORMER = "breakeven_arrow"


@dataclass(frozen=True)
class ChartSpec:
    """``spec`` refers to its tables by name; ``tables`` holds them as Arrow streams."""

    spec: dict[str, Any]
    tables: dict[str, bytes]


def build_spec(builder: Callable[..., Any], *args: Any, **kwargs: Any) -> ChartSpec:
    """What ``builder(*args, **kwargs)``, a function that makes an Altair chart, stands for.

    Altair's check against the schema takes longer than everything else together; the tests of
    the charts do it, here it is left out.
    """
    tables: dict[str, bytes] = {}
    with _ALTAIR_SETTINGS, schemapi.debug_mode(False), alt.theme.enable("none"):
        alt.data_transformers.register(_TRANSFORMER, _to_arrow)
        with alt.data_transformers.enable(_TRANSFORMER, tables=tables):
            spec: dict[str, Any] = builder(*args, **kwargs).to_dict(validate=False)
    return ChartSpec(spec, tables)


def arrow_stream(frame: pd.DataFrame) -> bytes:
    """A table without its index as an Arrow IPC stream; equal tables give equal bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _to_arrow(data: Any, tables: dict[str, bytes]) -> dict[str, str]:
    stream = arrow_stream(data)
    name = hashlib.sha256(stream).hexdigest()[:16]
    tables[name] = stream
    return {"name": name}
