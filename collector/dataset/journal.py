"""The append-only journal of a run: one JSON object a line, on disk before the next cell begins.

The first line is the header (run and machine columns, plan, fingerprint); each other line is
one finished cell. A line that a crash cut short is the last one and is ignored.
"""

from __future__ import annotations

import contextlib
import errno
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
        """Create with a header, or reopen (header None) and cut a torn last line off.

        Raises OutputError where it cannot be written; then nothing is left of a new one.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # the file must be there to go on with, and must not be there to begin
            mode = "xb" if header is not None else "r+b"
            self._stream = open(path, mode, buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise _cannot_begin(path, error) from error
        try:
            self._lock()
            if header is None:
                data = self._stream.read()
                self._size = data.rfind(b"\n") + 1
                self._cut()
            else:
                self._size = 0
                try:
                    self._append({"header": header})
                    sync_directory(path.parent)
                    sync_directory(path.parent.parent)
                except OSError as error:
                    path.unlink(missing_ok=True)
                    raise _cannot_begin(path, error) from error
        except BaseException:
            self._stream.close()
            raise

    def _lock(self) -> None:
        """Two collectors must not go on with one run. The lock goes with the process."""
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{self.path}: another collector is writing this run") from error
        except OSError:
            return  # a file system without locks: the user must take care
        if os.fstat(self._stream.fileno()).st_nlink == 0:
            raise OutputError(f"{self.path}: another collector has just ended this run")

    def append(self, row: dict[str, Any]) -> None:
        """Add one finished cell. Raises OutputError when the disk is full."""
        try:
            self._append(row)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {error.strerror or error}; the cells finished so far "
                "are kept there, free some space and go on with --resume"
            ) from error

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, default=_encode).encode() + b"\n"
        rest = memoryview(line)
        try:
            while rest:  # an unbuffered write may take a part
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._cut()  # half a line is of no use to anyone
            raise
        self._size += len(line)

    def _cut(self) -> None:
        """Leave whole lines only."""
        self._stream.truncate(self._size)
        self._stream.seek(self._size)

    def close(self) -> None:
        self._stream.close()

    def remove(self) -> None:
        """Remove and close, in this order: until then nobody else can go on with the run."""
        self.path.unlink(missing_ok=True)
        self.close()


def sync_directory(directory: Path) -> None:
    """Make new names in a directory durable, where the system can."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return  # it may be written but not read
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def _cannot_begin(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write {path}: {error.strerror or error}; choose another place with --out"
    )


def has_begun(path: Path) -> bool:
    """Whether the header was written whole. Raises DatasetError."""
    try:
        with open(path, "rb") as stream:
            return b"\n" in stream.readline()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error


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
        except (ValueError, TypeError, RecursionError):
            if not records:
                break
            continue  # one torn line (a full disk) does not cost the others
    header = records[0].get("header") if records and isinstance(records[0], dict) else None
    version = header.get("schema_version") if isinstance(header, dict) else None
    if not isinstance(header, dict) or not isinstance(version, int):
        raise DatasetError(f"{path}: not a journal of the collector; move it away")
    if version > SCHEMA_VERSION:
        raise DatasetError(
            f"{path}: written by a newer collector (schema {version}, this one "
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
