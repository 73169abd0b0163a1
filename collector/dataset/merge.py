"""Runs of several places brought into one dataset. Sources stay as they are.

A run is known by its run_id. Where it lies in several places, the form with the most cells is
taken; a file of another run is never overwritten.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from collector.dataset.journal import read_journal, sync_directory
from collector.dataset.read import RunInfo, read_dataset, write_run
from collector.errors import DatasetError, OutputError
from collector.machine.fingerprint import machine_slug


@dataclass(frozen=True)
class MergeReport:
    """How many runs came to what, and a line for each file that was set aside."""

    copied: int
    converted: int
    already_there: int
    duplicates: int
    still_written: int
    set_aside: tuple[str, ...]


def merge(paths: Iterable[str | Path], out: Path) -> MergeReport:
    """Bring all runs below ``paths`` to ``out``/<machine>/<name>.parquet.

    A journal whose collector is gone becomes a Parquet file of a run that ended "killed"; one
    that a collector is still writing is passed over. Each file is written whole or not at all.
    Raises DatasetError for a path with nothing at it, OutputError where ``out`` cannot be
    written.
    """
    counts: Counter[str] = Counter()
    set_aside: list[str] = []
    found: dict[str, list[RunInfo]] = defaultdict(list)
    for path in paths:
        dataset = read_dataset(path)
        set_aside += [f"{problem.path}: {problem.reason}" for problem in dataset.problems]
        for info in dataset.runs:
            if not info.finished and _is_being_written(info.path):
                counts["still_written"] += 1
                set_aside.append(f"{info.path}: a collector is still writing this run")
            else:
                found[info.run_id].append(info)
    there = {info.run_id: info for info in _runs_in(out)}
    for run_id, forms in found.items():
        forms.sort(key=lambda info: (info.rows, info.finished), reverse=True)
        best, *others = _unlike(forms)
        counts["duplicates"] += len(forms) - 1
        for other in others:
            with _told(set_aside):
                _check_part_of(other, best)
        with _told(set_aside):
            counts[_bring(best, out, there.get(run_id))] += 1
    return MergeReport(
        **{
            name: counts[name]
            for name in ("copied", "converted", "already_there", "duplicates", "still_written")
        },
        set_aside=tuple(set_aside),
    )


@contextlib.contextmanager
def _told(lines: list[str]) -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        lines.append(str(error))


def _runs_in(out: Path) -> Sequence[RunInfo]:
    if not out.exists():
        return ()
    if not out.is_dir():
        raise OutputError(f"cannot write {out}: not a directory; choose another place with --out")
    return [info for info in read_dataset(out).runs if info.finished]


def _unlike(forms: Sequence[RunInfo]) -> list[RunInfo]:
    """One run's forms without a file that several paths led to."""
    unlike: dict[Path, RunInfo] = {}
    for info in forms:
        unlike.setdefault(info.path.resolve(), info)
    return list(unlike.values())


def _bring(info: RunInfo, out: Path, there: RunInfo | None) -> str:
    """Write one run's file; what was done. Raises DatasetError where it must be set aside."""
    if there is not None and there.rows >= info.rows:
        _check_part_of(info, there)
        return "already_there"
    if there is not None:
        _check_part_of(there, info)
    machine = info.machine
    slug = machine_slug(str(machine.get("label", "")), str(machine.get("machine_id", "")))
    target = (
        there.path if there is not None else out / (slug or "machine") / f"{info.path.stem}.parquet"
    )
    if there is None and target.exists():
        target = target.with_name(f"{info.path.stem}-{info.run_id}.parquet")
        if target.exists():
            raise DatasetError(f"{info.path}: {target} is there already and holds another run")
    if info.finished:
        _copy(info.path, target)
        return "copied"
    _convert(info, target)
    return "converted"


def _check_part_of(part: RunInfo, whole: RunInfo) -> None:
    """A run that was continued in two places has two forms, neither of which holds the other."""
    missing = _cell_ids(part) - _cell_ids(whole)
    if missing:
        raise DatasetError(
            f"{part.path}: run {part.run_id} has {len(missing)} cells that its fuller form "
            f"{whole.path} lacks: it was continued in two places; the fuller form is taken"
        )


def _cell_ids(info: RunInfo) -> set[str]:
    if info.finished:
        return set(pq.read_table(info.path, columns=["cell_id"])["cell_id"].to_pylist())
    return {row["cell_id"] for row in read_journal(info.path).rows}


def _is_being_written(journal: Path) -> bool:
    """Whether a living collector holds the journal's lock."""
    try:
        with open(journal, "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return True  # it is being written, or became a finished file at this moment
    except OSError:
        return False  # a file system without locks
    return False


def _convert(info: RunInfo, target: Path) -> None:
    contents = read_journal(info.path)
    header: dict[str, Any] = contents.header
    rows = [{**header["columns"], **row} for row in contents.rows]
    if not rows:
        raise DatasetError(f"{info.path}: holds no finished cell")
    counts = Counter(row["status"] for row in rows)
    summary = {**header["run"], "cells_by_status": dict(counts), "ended": "killed"}
    write_run(target, rows, header["machine"], summary)


def _copy(source: Path, target: Path) -> None:
    """Copy so that the target is there whole or not at all."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as sink:
            sink.write(source.read_bytes())
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
