"""What a watched program writes goes to a folder of its own, and what it deletes stays.

What compiled libraries and processes of the program's own write is out of reach.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Files:
    """The program's files: ``folder`` takes what it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.moved: dict[str, str] = {}  # where the program thinks a file is -> where it is
        self._made: list[str] = []  # folders
        self._emptied: set[str] = set()  # folders that it believes deleted
        self._started = time.time()

    def install(self) -> None:
        """Put this before Python's own ways to files."""
        self._opening()
        self._deleting()

    def remove_folders(self) -> None:
        """Remove the empty folders that the program made."""
        for path in reversed(self._made):
            with contextlib.suppress(OSError):
                self._rmdir(path)

    def kept(self, file: Any) -> str:
        """Where a file is written to."""
        path = absolute(file)
        if path not in self.moved:
            name = f"{len(self.moved)}-{Path(path).name[-100:]}"
            self.moved[path] = str(self._folder / name)
        return self.moved[path]

    def _is_mine(self, path: Any) -> bool:
        """Whether a file came only after the start."""
        with contextlib.suppress(OSError):
            return os.lstat(path).st_ctime >= self._started
        return True

    def _opening(self) -> None:
        plain, status, mode_of, make = builtins.open, os.stat, shutil.copymode, os.mkdir
        stat_of = shutil.copystat

        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if isinstance(file, str | bytes | os.PathLike) and not _special(file):
                path = absolute(file)
                if any(letter in mode for letter in "wax+"):
                    new = path not in self.moved
                    kept = self.kept(path)
                    if not Path(path).parent.is_dir():
                        raise FileNotFoundError(2, "No such file or directory", path)
                    if new and "w" not in mode and Path(path).is_file():
                        if "x" in mode:
                            raise FileExistsError(17, "File exists", path)
                        shutil.copyfile(path, kept)
                    return plain(kept, mode, *args, **kwargs)
                file = self.moved.get(path, file)
            return plain(file, mode, *args, **kwargs)

        def stat(path: Any, *args: Any, **kwargs: Any) -> Any:
            if self.moved and isinstance(path, str | os.PathLike) and not kwargs.get("dir_fd"):
                kept = self.moved.get(absolute(path))
                if kept is not None and os.path.lexists(kept):
                    path = kept
            return status(path, *args, **kwargs)

        def mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
            if kwargs.get("dir_fd") is None and absolute(path) in self._emptied:
                return
            make(path, *args, **kwargs)
            if kwargs.get("dir_fd") is None:
                self._made.append(absolute(path))

        def unless_moved(copy: Callable[..., None]) -> Callable[..., None]:
            def copied(source: Any, target: Any, **kwargs: Any) -> None:
                if absolute(target) not in self.moved:
                    copy(source, target, **kwargs)

            return copied

        builtins.open = io.open = opened
        os.stat, os.mkdir = stat, mkdir
        shutil.copymode, shutil.copystat = unless_moved(mode_of), unless_moved(stat_of)
        source: Any = sys.modules.get("numpy.lib._datasource")
        with contextlib.suppress(AttributeError):  # of np.savetxt
            source._file_openers._file_openers[None] = opened

    def _deleting(self) -> None:
        """Only what the program itself made is deleted or renamed."""
        unlink, rename, self._rmdir, tree = os.unlink, os.replace, os.rmdir, shutil.rmtree

        def remove(path: Any, *, dir_fd: Any = None) -> None:
            if dir_fd is not None:
                unlink(path, dir_fd=dir_fd)
                return
            kept = self.moved.pop(absolute(path), None)
            if kept is not None and os.path.lexists(kept):
                unlink(kept)
            elif self._is_mine(path):
                unlink(path)

        def renamed(source: Any, target: Any, **kwargs: Any) -> None:
            before, after = absolute(source), absolute(target)
            if before in self.moved:
                self.moved[after] = self.moved.pop(before)
            elif Path(before).is_file() and not self._is_mine(before):
                shutil.copyfile(before, self.kept(after))
            elif not os.path.lexists(after) or self._is_mine(after):
                rename(source, target, **kwargs)

        def rmdir(path: Any, *, dir_fd: Any = None) -> None:
            if dir_fd is not None or absolute(path) in self._made:
                self._rmdir(path, dir_fd=dir_fd)
            else:
                self._emptied.add(absolute(path))

        def rmtree(path: Any, *args: Any, **kwargs: Any) -> None:
            if kwargs.get("dir_fd") is not None or absolute(path) in self._made:
                tree(path, *args, **kwargs)
            else:
                self._emptied.add(absolute(path))

        system: Any = os
        system.remove = system.unlink = remove
        system.rename = system.replace = renamed
        system.rmdir = rmdir
        shell: Any = shutil
        shell.rmtree = rmtree


def _special(file: Any) -> bool:
    return os.fsdecode(file).startswith(("/dev/", "/proc/"))


def absolute(file: Any) -> str:
    """Without a look at the disk: links stay."""
    return os.path.normpath(Path(os.fsdecode(file)).absolute())
