"""What a run's Parquet file must be before its rows are decoded, and after.

The footer is read first and costs nothing; what it says is compared with the file's size, so that
a few kB that stand for GBs are refused. A footer can lie: who must not trust a file at all reads
it through ``collector.dataset.untrusted_run``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collector.errors import DatasetError
from collector.schema import (
    MACHINE_METADATA_KEY,
    RUN_METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_METADATA_KEY,
)

#: A run has 78 columns, and a newer one may have more.
MAX_COLUMNS = 500

# A run unpacks to about twice its size, and has less than one value of a column per byte; these
# are what any file may have, and then how many times its size.
_FREE_BYTES, _BYTES_A_BYTE = 64 * 2**20, 200
_FREE_VALUES, _VALUES_A_BYTE = 1_000_000, 100

#: The longest lists of a run are a cell's samples, up to some thousands.
MAX_LIST = 100_000

#: The longest texts of a run are the errors of a worker that crashed.
MAX_TEXT_BYTES = 20_000

_MAX_NAME = 200

_HUGE = 1e18

# What the metadata's fields are that others read; each may also be missing or null.
_TEXT, _NUMBER, _OBJECT = (str,), (int, float), (dict,)
_MACHINE_FIELDS = {
    **dict.fromkeys(("machine_id", "machine_type_id", "label", "instance_type"), _TEXT),
    **dict.fromkeys(("system", "python"), _TEXT),
    "memory_bytes": _NUMBER,
    **dict.fromkeys(("cpu", "gpu", "library_versions"), _OBJECT),
}
_CPU_FIELDS = {
    **dict.fromkeys(("model", "governor"), _TEXT),
    **dict.fromkeys(("family", "model_number", "physical_cores", "logical_cores"), _NUMBER),
    **dict.fromkeys(("machine_cores", "quota_cores", "last_level_cache_bytes"), _NUMBER),
}
_GPU_FIELDS = {
    **dict.fromkeys(("model", "driver", "cuda", "uuid_hash"), _TEXT),
    **dict.fromkeys(("count", "memory_bytes", "power_limit_w"), _NUMBER),
    **dict.fromkeys(("pcie_generation", "pcie_width"), _NUMBER),
}
_RUN_FIELDS = {
    **dict.fromkeys(("run_id", "started_at", "collector_version", "suite", "ended"), _TEXT),
    **dict.fromkeys(("seed", "cells_planned", "wall_s"), _NUMBER),
    **dict.fromkeys(("selection", "cells_by_status"), _OBJECT),
}

_NEEDED = ("cell_id", "machine_id", "median_s", "run_id", "status")


def open_parquet(path: Path) -> pq.ParquetFile:
    """A Parquet file whose footer is one that a run can have.

    Raises OSError or pyarrow's errors for a file that is damaged, DatasetError with the reason
    (without the file's name) for one that is out of proportion.
    """
    file = pq.ParquetFile(path)
    check_footer(file.metadata, path.stat().st_size)
    return file


def check_footer(metadata: pq.FileMetaData, size_bytes: int) -> None:
    """Raises DatasetError for too many columns, or for contents out of proportion to the size."""
    if metadata.num_columns > MAX_COLUMNS:
        raise DatasetError(
            f"{metadata.num_columns:,} columns; a run has {len(SCHEMA)}, and at most "
            f"{MAX_COLUMNS} are read"
        )
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > max(_FREE_BYTES, _BYTES_A_BYTE * size_bytes):
        raise DatasetError(
            f"{size_bytes:,} bytes that unpack to {unpacked:,}; no run of the collector does"
        )
    for column in range(metadata.num_columns):
        values = sum(group.column(column).num_values for group in groups)
        if values > max(_FREE_VALUES, _VALUES_A_BYTE * size_bytes):
            raise DatasetError(
                f"{size_bytes:,} bytes that hold {values:,} values in one column; no run of the "
                "collector does"
            )


def check_pages(path: Path, file: pq.ParquetFile) -> None:
    """Decode every page of a file once: is one damaged, is a text or a list far too long.

    Texts are decoded as dictionaries: faster, and one that is repeated in every row is held once.
    Raises pyarrow's errors for damage, DatasetError for one that is too long.
    """
    fields = list(file.schema_arrow)
    texts = [field.name for field in fields if pa.types.is_string(field.type)]
    for batch in pq.ParquetFile(path, read_dictionary=texts).iter_batches():
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            check_lengths(name, column)


def check_lengths(name: str, column: pa.Array | pa.ChunkedArray) -> None:
    """Raises DatasetError if one of a column's texts or lists is too long."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary
    if pa.types.is_string(column.type):
        longest, most, what = pc.max(pc.binary_length(column)), MAX_TEXT_BYTES, "text of {:,} bytes"
    elif pa.types.is_list(column.type):
        longest, most, what = pc.max(pc.list_value_length(column)), MAX_LIST, "list of {:,} values"
    else:
        return
    if longest.is_valid and longest.as_py() > most:
        raise DatasetError(
            f"column {name[:100]} has a {what.format(longest.as_py())}; {most:,} at most"
        )


def run_of(file: pq.ParquetFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's machine and summary, from the file's metadata.

    Raises ValueError (or RecursionError) for metadata that are damaged, DatasetError with the
    reason for a file that the collector did not write, a newer one, and wrong or missing columns.
    """
    metadata = file.schema_arrow.metadata or {}
    version = int(metadata.get(VERSION_METADATA_KEY, b"0"))
    machine = json.loads(metadata.get(MACHINE_METADATA_KEY, b"{}"))
    run = json.loads(metadata.get(RUN_METADATA_KEY, b"{}"))
    check_facts(machine, run)
    if version > SCHEMA_VERSION:
        raise DatasetError(
            f"written by a newer collector (schema {version}, this one reads up to "
            f"{SCHEMA_VERSION}); update Breakeven"
        )
    if version < 1:
        raise DatasetError("not written by the collector (no schema version in it)")
    names = file.schema_arrow.names
    longest = max(names, key=len, default="")
    if len(longest) > _MAX_NAME:
        raise DatasetError(f"a column's name has {len(longest):,} characters; {_MAX_NAME} at most")
    present = dict(zip(names, file.schema_arrow.types, strict=True))
    for field in SCHEMA:
        if field.name in present and not present[field.name].equals(field.type):
            found = str(present[field.name])
            raise DatasetError(f"column {field.name} is {found[:100]}, expected {field.type}")
        if names.count(field.name) > 1:
            raise DatasetError(f"column {field.name} is there twice")
    for name in _NEEDED:
        if name not in present:
            raise DatasetError(f"column {name} is missing")
    return machine, run


def check_facts(machine: object, run: object) -> None:
    """Raises ValueError unless a run's machine and summary are objects with the usual fields."""
    if not isinstance(machine, dict) or not isinstance(run, dict):
        raise ValueError("its metadata are not JSON objects")
    _check_fields("", machine, _MACHINE_FIELDS)
    _check_fields("cpu ", machine.get("cpu") or {}, _CPU_FIELDS)
    _check_fields("gpu ", machine.get("gpu") or {}, _GPU_FIELDS)
    _check_fields("", run, _RUN_FIELDS)


def _check_fields(
    part: str, facts: Mapping[str, object], fields: Mapping[str, tuple[type, ...]]
) -> None:
    for name, kinds in fields.items():
        value = facts.get(name)
        if value is not None and not isinstance(value, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            found = type(value).__name__
            raise ValueError(f"{part}{name} in its metadata is of type {found}, not {wanted}")
        if isinstance(value, int | float) and not -_HUGE < value < _HUGE:
            raise ValueError(f"{part}{name} in its metadata is beyond {_HUGE:g}")


def first_line(error: BaseException) -> str:
    """An error of a library as one short line."""
    line = next(iter(str(error).splitlines()), "").strip()
    return line[:200] or type(error).__name__


#: what a library raises for a file that is damaged
DAMAGE = (OSError, ValueError, RecursionError, OverflowError, pa.ArrowException)
