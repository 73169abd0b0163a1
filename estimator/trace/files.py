"""What a traced program writes goes to a folder of its own, and what it deletes stays.

Checkpoints are kept in memory: weights have no values. What compiled libraries and processes
of the program's own write is out of reach.
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

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_leaves, tree_map_only


class Files:
    """The program's files: ``folder`` takes what it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._moved: dict[str, str] = {}  # where the program thinks a file is -> where it is
        self._weights: dict[str, Any] = {}  # by where they would be
        self._made: list[str] = []  # folders
        self._emptied: set[str] = set()  # folders that it believes deleted
        self._started = time.time()

    def install(self) -> None:
        """Put this before Python's and torch's own ways to files."""
        self._opening()
        self._deleting()
        self._checkpoints()

    def remove_folders(self) -> None:
        """Remove the empty folders that the program made."""
        for path in reversed(self._made):
            with contextlib.suppress(OSError):
                self._rmdir(path)

    def _kept(self, file: Any) -> str:
        """Where a file is written to."""
        path = _absolute(file)
        if path not in self._moved:
            name = f"{len(self._moved)}-{Path(path).name[-100:]}"
            self._moved[path] = str(self._folder / name)
        return self._moved[path]

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
                path = _absolute(file)
                if any(letter in mode for letter in "wax+"):
                    new = path not in self._moved
                    kept = self._kept(path)
                    if not Path(path).parent.is_dir():
                        raise FileNotFoundError(2, "No such file or directory", path)
                    if new and "w" not in mode and Path(path).is_file():
                        if "x" in mode:
                            raise FileExistsError(17, "File exists", path)
                        shutil.copyfile(path, kept)
                    return plain(kept, mode, *args, **kwargs)
                file = self._moved.get(path, file)
            return plain(file, mode, *args, **kwargs)

        def stat(path: Any, *args: Any, **kwargs: Any) -> Any:
            if self._moved and isinstance(path, str | os.PathLike) and not kwargs.get("dir_fd"):
                kept = self._moved.get(_absolute(path))
                if kept is not None and os.path.lexists(kept):
                    path = kept
            return status(path, *args, **kwargs)

        def mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
            if kwargs.get("dir_fd") is None and _absolute(path) in self._emptied:
                return
            make(path, *args, **kwargs)
            if kwargs.get("dir_fd") is None:
                self._made.append(_absolute(path))

        def unless_moved(copy: Callable[..., None]) -> Callable[..., None]:
            def copied(source: Any, target: Any, **kwargs: Any) -> None:
                if _absolute(target) not in self._moved:
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
            kept = self._moved.pop(_absolute(path), None)
            if kept is not None and os.path.lexists(kept):
                unlink(kept)
            elif self._is_mine(path):
                unlink(path)

        def renamed(source: Any, target: Any, **kwargs: Any) -> None:
            before, after = _absolute(source), _absolute(target)
            if before in self._moved:
                self._moved[after] = self._moved.pop(before)
            elif Path(before).is_file() and not self._is_mine(before):
                shutil.copyfile(before, self._kept(after))
            elif not os.path.lexists(after) or self._is_mine(after):
                rename(source, target, **kwargs)

        def rmdir(path: Any, *, dir_fd: Any = None) -> None:
            if dir_fd is not None or _absolute(path) in self._made:
                self._rmdir(path, dir_fd=dir_fd)
            else:
                self._emptied.add(_absolute(path))

        def rmtree(path: Any, *args: Any, **kwargs: Any) -> None:
            if kwargs.get("dir_fd") is not None or _absolute(path) in self._made:
                tree(path, *args, **kwargs)
            else:
                self._emptied.add(_absolute(path))

        system: Any = os
        system.remove = system.unlink = remove
        system.rename = system.replace = renamed
        system.rmdir = rmdir
        shell: Any = shutil
        shell.rmtree = rmtree

    def _checkpoints(self) -> None:
        save, load = torch.save, torch.load

        def saved(content: Any, file: Any, *args: Any, **kwargs: Any) -> None:
            """Data is kept as a file; what holds weights, which have no values, as it is."""
            path = _absolute(file) if isinstance(file, str | os.PathLike) else None
            if not _has_weights(content):
                save(content, file if path is None else self._kept(path), *args, **kwargs)
            elif path is not None:
                Path(self._kept(path)).touch()
                self._weights[self._kept(path)] = content

        def loaded(file: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
            """Read on the CPU, then moved where the program wants it."""
            if isinstance(file, str | os.PathLike):
                file = self._moved.get(_absolute(file), file)
            found = self._weights.get(file) if isinstance(file, str) else None
            if found is None:
                found = load(file, "cpu", *args, **kwargs)
            if isinstance(map_location, str | torch.device) and "cuda" in str(map_location):
                return tree_map_only(torch.Tensor, lambda one: one.to(map_location), found)
            return found

        torch.save, torch.load = saved, loaded


def _has_weights(content: Any) -> bool:
    return any(isinstance(one, FakeTensor | torch.nn.Module) for one in tree_leaves(content))


def _special(file: Any) -> bool:
    return os.fsdecode(file).startswith(("/dev/", "/proc/"))


def _absolute(file: Any) -> str:
    """Without a look at the disk: links stay."""
    return os.path.normpath(Path(os.fsdecode(file)).absolute())
