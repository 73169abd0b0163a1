"""The files of a dataset and what tells that one of them has not changed since it was read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from collector.dataset.journal import SUFFIX

#: of a dataset's files only these are looked at
_SUFFIXES = (".parquet", SUFFIX)


class FileKey(NamedTuple):
    """One state of one file. A file that is written anew gets another one."""

    path: str  # absolute
    size: int  # bytes
    mtime_ns: int
    inode: int


def find_files(root: Path) -> dict[Path, FileKey]:
    """Runs' files below a directory, in the order of their paths, or the one file ``root``.

    Costs one look at each directory and one at each run's file: some ten milliseconds for
    thousands of runs. Directories behind symbolic links and unreadable ones are passed over.
    """
    absolute, start = str(root.absolute()), len(str(root))
    if root.is_file():
        return {root: _key(absolute, root.stat())}
    found = {Path(path): _key(absolute + path[start:], facts) for path, facts in _walk(str(root))}
    return dict(sorted(found.items()))


def files_stamp(root: Path) -> str:
    """A text that changes when a run's file below ``root`` is added, removed or written anew.

    Quicker than ``find_files``: for those who ask again and again.
    """
    if root.is_file():
        return repr(_key(str(root), root.stat()))
    found = [
        (path, facts.st_size, facts.st_mtime_ns, facts.st_ino) for path, facts in _walk(str(root))
    ]
    return repr(sorted(found))


def _walk(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            elif entry.name.endswith(_SUFFIXES):
                facts = entry.stat()
                if stat.S_ISREG(facts.st_mode):
                    yield entry.path, facts
        except OSError:
            continue  # gone since, or a broken link


def _key(path: str, facts: os.stat_result) -> FileKey:
    return FileKey(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)
