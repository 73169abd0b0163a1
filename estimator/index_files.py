"""What the index keeps of each file of a dataset, so that it is read once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from collector.dataset import RunInfo, Verdict
from collector.file_keys import FileKey

_FILES_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("path",)),
        *((name, pa.int64()) for name in ("size", "mtime_ns")),
        ("inode", pa.uint64()),
        *((name, pa.string()) for name in ("sha256", "reason", "run_id", "machine", "run")),
        ("row_count", pa.int64()),
        ("whole", pa.bool_()),
        ("machine_ids", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class KnownFile:
    """What the index keeps of one state of one Parquet file.

    ``sha256`` (hex) of its contents and the ``machine_ids`` of its rows, "" for a row without
    one; both are empty for a file that is set aside.
    """

    verdict: Verdict
    sha256: str = ""
    machine_ids: tuple[str, ...] = ()


def files_table(files: Mapping[FileKey, KnownFile]) -> pa.Table:
    """The table in which the index keeps what it knows of files; ``read_files`` reads it."""
    rows = []
    for key, known in files.items():
        row: dict[str, object] = {**key._asdict(), "sha256": known.sha256}
        row["machine_ids"] = list(known.machine_ids)
        if isinstance(known.verdict, str):
            row["reason"] = known.verdict
        else:
            info = known.verdict
            row |= {"run_id": info.run_id, "row_count": info.rows, "whole": info.whole}
            row |= {"machine": json.dumps(info.machine), "run": json.dumps(info.run)}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_FILES_SCHEMA)


def read_files(rows: Iterable[tuple[Any, ...]]) -> dict[FileKey, KnownFile]:
    """What ``files_table`` wrote, from the table's rows.

    Raises ValueError, KeyError or TypeError for rows of another kind.
    """
    machines: dict[str, dict[str, object]] = {}  # the same object for runs of one machine
    found = {}
    for values in rows:
        row = dict(zip(_FILES_SCHEMA.names, values, strict=True))
        key = FileKey(row["path"], row["size"], row["mtime_ns"], row["inode"])
        verdict: Verdict
        if row["reason"] is not None:
            verdict = row["reason"]
        else:
            text = row["machine"]
            if text not in machines:
                machines[text] = json.loads(text)
            verdict = RunInfo(
                path=Path(row["path"]),
                run_id=row["run_id"],
                machine=machines[text],
                run=json.loads(row["run"]),
                rows=row["row_count"],
                finished=True,
                whole=row["whole"],
            )
        found[key] = KnownFile(verdict, row["sha256"], tuple(row["machine_ids"]))
    return found
