"""Parquet files that a stranger might upload, made in memory."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from collector.dataset.read import rows_to_table
from collector.schema import (
    MACHINE_METADATA_KEY,
    RUN_METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_METADATA_KEY,
)

ROW: dict[str, Any] = {
    "schema_version": SCHEMA_VERSION,
    "run_id": "r1",
    "machine_id": "m1",
    "label": "a machine",
    "cell_id": "c1",
    "workload": "matmul",
    "case": "square",
    "params": {"n": 100},
    "status": "ok",
    "samples_s": [1e-3, 2e-3],
    "median_s": 1.5e-3,
}


def metadata(
    machine: object = None, run: object = None, version: str = str(SCHEMA_VERSION)
) -> dict[bytes, bytes]:
    """A run's metadata; text stands for itself, any other value for its JSON."""
    machine = {"machine_id": "m1"} if machine is None else machine
    run = {"run_id": "r1"} if run is None else run
    as_text = [value if isinstance(value, str) else json.dumps(value) for value in (machine, run)]
    return {
        VERSION_METADATA_KEY: version.encode(),
        MACHINE_METADATA_KEY: as_text[0].encode(),
        RUN_METADATA_KEY: as_text[1].encode(),
    }


def parquet(table: pa.Table, extra: dict[bytes, bytes] | None = None, **options: Any) -> bytes:
    """A table as the bytes of a Parquet file with a run's metadata."""
    sink = io.BytesIO()
    table = table.replace_schema_metadata(metadata() if extra is None else extra)
    pq.write_table(table, sink, compression="zstd", **options)
    return sink.getvalue()


def run(rows: int = 3, **changes: Any) -> bytes:
    """A small run in good order, but for what is changed in its rows."""
    return parquet(rows_to_table([ROW | changes for _ in range(rows)]))


def with_column(name: str, values: pa.Array) -> bytes:
    """A run with one column in place of, or beside, its own."""
    table = rows_to_table([ROW for _ in range(len(values))])
    if name in table.column_names:
        table = table.drop_columns([name])
    return parquet(table.append_column(name, values))


def wide(columns: int) -> bytes:
    """A run with so many columns more."""
    table = rows_to_table([ROW])
    one = pa.array([1], pa.int8())
    arrays = [*table.columns, *(one for _ in range(columns))]
    return parquet(pa.table(arrays, [*table.column_names, *(f"x{i}" for i in range(columns))]))


def dictionary_bomb(rows: int, characters: int) -> bytes:
    """One long text, stored once and repeated in every row: kBs that stand for GBs."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["a" * characters])
    table = rows_to_table([ROW for _ in range(rows)])
    index = table.schema.get_field_index("error")
    table = table.set_column(index, "error", text)
    sink = io.BytesIO()
    # without Arrow's own schema the column is plain text to a reader
    with pq.ParquetWriter(sink, table.schema, store_schema=False, compression="zstd") as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(metadata())
    return sink.getvalue()


def zeros_bomb(rows: int, characters: int) -> bytes:
    """Long texts that compress to nothing, without a dictionary."""
    return parquet(
        rows_to_table([ROW | {"error": "0" * characters} for _ in range(rows)]),
        use_dictionary=False,
    )


def list_bomb(elements: int) -> bytes:
    """One row whose list of samples has very many equal elements."""
    table = rows_to_table([ROW])
    index = table.schema.get_field_index("samples_s")
    values = pa.array([0.5], pa.float64()).take(pa.array([0] * elements, pa.int32()))
    samples = pa.ListArray.from_arrays(pa.array([0, elements], pa.int32()), values)
    return parquet(table.set_column(index, SCHEMA.field("samples_s"), samples))


def with_lying_footer(data: bytes, truth: int, lie: int) -> bytes:
    """The file with a number of its footer replaced (a zigzag varint of the same length)."""
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    footer = data[start:-8]
    old = _varint(truth)
    assert old in footer
    return data[:start] + footer.replace(old, _varint(lie, len(old))) + data[-8:]


def _varint(value: int, length: int = 0) -> bytes:
    value *= 2  # zigzag
    out = bytearray()
    while value > 0x7F or len(out) + 1 < length:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
