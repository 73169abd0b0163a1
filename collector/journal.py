"""The append-only journal of a run: one JSON object a line, on disk before the next cell begins.

The first line is the header (run and machine columns, plan, fingerprint); each other line is
one finished cell. A line that a crash cut short is the last one and is ignored.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from collector.errors import DatasetError, OutputError
from collector.schema import SCHEMA_VERSION

SUFFIX = ".journal"


@dataclass(frozen=True)
class JournalContents:
    """Header and finished cells of an unfinished run."""

    header: dict[str, Any]
    rows: list[dict[str, Any]]


class Journal:
    """An open journal. Each append is written through and synced."""

    def __init__(self, path: Path, header: dict[str, Any] | None) -> None:
        """Create with a header, or reopen (header None) and cut a torn last line off."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # the file must be there to go on with, and must not be there to begin
            mode = "xb" if header is not None else "r+b"
            self._stream = open(path, mode, buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror}; choose another place with --out"
            ) from error
        self._lock()
        if header is not None:
            self.append({"header": header})
        else:
            data = self._stream.read()
            self._stream.truncate(data.rfind(b"\n") + 1)
            self._stream.seek(0, os.SEEK_END)

    def _lock(self) -> None:
        """Two collectors must not go on with one run. The lock goes with the process."""
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._stream.close()
            raise OutputError(f"{self.path}: another collector is writing this run") from error
        except OSError:
            return  # a file system without locks: the user must take care

    def append(self, row: dict[str, Any]) -> None:
        """Add one finished cell. Raises OutputError when the disk is full."""
        try:
            self._append(row)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror}; the cells finished so far are "
                "kept there, free some space and go on with --resume"
            ) from error

    def _append(self, record: dict[str, Any]) -> None:
        line = memoryview(json.dumps(record, default=_encode).encode() + b"\n")
        while line:  # an unbuffered write may take a part
            line = line[self._stream.write(line) :]
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()


def read_journal(path: Path) -> JournalContents:
    """Header and rows. Raises DatasetError where the header cannot be read or is newer."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    records = []
    for line in lines[:-1]:  # what follows the last newline was cut short
        try:
            records.append(json.loads(line, object_hook=_decode))
        except ValueError:
            if not records:
                break
            continue  # one torn line (a full disk) does not cost the others
    header = records[0].get("header") if records and isinstance(records[0], dict) else None
    if not isinstance(header, dict):
        raise DatasetError(f"{path}: not a journal of the collector; move it away")
    if header.get("schema_version", 0) > SCHEMA_VERSION:
        raise DatasetError(
            f"{path}: written by a newer collector (schema {header['schema_version']}, this one "
            f"reads up to {SCHEMA_VERSION}); update Breakeven"
        )
    return JournalContents(header, records[1:])


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    raise TypeError(f"cannot store {type(value).__name__} in a journal")


def _decode(value: dict[str, Any]) -> Any:
    if set(value) == {"datetime"}:
        return datetime.fromisoformat(value["datetime"])
    return value
