"""Datasets behind URLs (s3://, gs://, sftp:// ...): a store to put runs in and to read them from.

Everything goes through fsspec, which is imported only where there is a URL. A store holds whole
files: object stores cannot append, so a run grows on a local disk first (see destination.py).
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from collector.errors import BreakevenError, DatasetError, OutputError

#: a path takes the two slashes of a URL for one
_URL = re.compile(r"((?:[\w+.-]+(?:://[^:]*)?::)*[a-zA-Z][\w+.-]+):(/+)(.*)", re.DOTALL)
_LOCAL = ("file", "local")
#: they have no directories; making one of their paths would make a bucket of a misspelt name
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci"}
#: the name is always the same, so that a store that forbids removal keeps one of them
_PROBE = ".write-test"
_SUFFIXES = (".parquet", ".journal")


def as_url(place: str | Path) -> str | None:
    """The URL that a text or a path is, None for a place on this machine's file systems."""
    match = _URL.fullmatch(str(place))
    if match is None or match[1].lower() in _LOCAL:
        return None
    scheme, slashes, rest = match.groups()
    scheme = scheme if "::" in scheme else scheme.lower()
    if len(slashes) == 1:
        slashes = "///" if scheme.endswith(_LOCAL) else "//"
    return f"{scheme}:{slashes}{rest.rstrip('/')}"


def as_path(place: str | Path) -> Path:
    """The path of a place for which ``as_url`` is None: a path, or file:///path (RFC 8089).

    Raises OutputError for a file: URL of another host.
    """
    match = _URL.fullmatch(str(place))
    if match is None or isinstance(place, Path):
        return Path(place if match is None else "/" + unquote(match[3]))
    host, _, rest = match[3].partition("/") if len(match[2]) == 2 else ("", "", match[3])
    if host not in ("", "localhost"):
        raise OutputError(f"{place}: is on another host; write file:///path for one of this host")
    return Path("/" + unquote(rest))


def shown(url: str) -> str:
    """The URL as messages and names of directories may tell it: without a password."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1@", url)


@dataclass(frozen=True)
class StoredFile:
    """A file of a store: its name below the store's root, and what changes with its content."""

    name: str
    path: str
    state: str


@dataclass(frozen=True)
class Store:
    """A directory behind a URL."""

    url: str
    root: str
    filesystem: Any = field(repr=False)

    def check_writable(self) -> None:
        """Write an empty file and remove it again. Raises OutputError."""
        with _told(f"cannot write to {shown(self.url)}", OutputError):
            self._make_directory(self.root)
            self.filesystem.pipe_file(self._path(_PROBE), b"")
        with contextlib.suppress(Exception):  # another collector removed it, or nobody may
            self.filesystem.rm_file(self._path(_PROBE))

    def put(self, file: Path, name: str) -> str:
        """Send a file so that it is there whole or not at all; its URL.

        A file system that can rename gets it under a temporary name first; an object store
        shows an object only when all of it has come. Raises OutputError.
        """
        target = self._path(name)
        with _told(f"cannot send {file.name} to {shown(self.url)}", OutputError):
            self._make_directory(target.rpartition("/")[0])
            if self._can_rename():
                folder, _, last = target.rpartition("/")
                temporary = f"{folder}/.{last}.{secrets.token_hex(4)}.tmp"
                try:
                    self._put_whole(file, temporary)
                    self.filesystem.mv(temporary, target)
                except BaseException:
                    with contextlib.suppress(Exception):
                        self.filesystem.rm_file(temporary)
                    raise
            else:
                self._put_whole(file, target)
        return f"{shown(self.url)}/{name}"

    def find(self, folder_end: str = "") -> list[StoredFile]:
        """Runs' files below the root, or only in its folders whose name ends as given.

        A store that is one file gives that file. Raises DatasetError.
        """
        with _told(f"cannot read {shown(self.url)}", DatasetError):
            self.filesystem.invalidate_cache()
            if not folder_end:
                found = self.filesystem.find(self.root, detail=True)
            else:
                found = {}
                with contextlib.suppress(FileNotFoundError):
                    for entry in self.filesystem.ls(self.root, detail=True):
                        path = entry["name"].rstrip("/")
                        if entry["type"] == "directory" and path.endswith(folder_end):
                            found.update(self.filesystem.find(path, detail=True))
        files = []
        for path, facts in found.items():
            name = path[len(self.root) :].strip("/") or PurePosixPath(path).name
            if path.endswith(_SUFFIXES) and ".." not in PurePosixPath(name).parts:
                files.append(StoredFile(name, path, repr(sorted(facts.items(), key=str))))
        return files

    def is_directory(self) -> bool:
        with _told(f"cannot read {shown(self.url)}", DatasetError):
            return bool(self.filesystem.isdir(self.root))

    def get(self, files: list[StoredFile], directory: Path) -> None:
        """Fetch files to the same names below a directory. Raises DatasetError."""
        targets = [directory / file.name for file in files]
        parts = [target.with_name(f"{target.name}.part") for target in targets]
        for folder in {target.parent for target in targets}:
            folder.mkdir(parents=True, exist_ok=True)
        with _told(f"cannot read {shown(self.url)}", DatasetError):
            if files:
                self.filesystem.get([file.path for file in files], [str(part) for part in parts])
        for part, target in zip(parts, targets, strict=True):
            part.replace(target)

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}" if self.root else name

    def _make_directory(self, path: str) -> None:
        protocol = self.filesystem.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        if path and not names & _OBJECT_STORES:
            self.filesystem.makedirs(path, exist_ok=True)

    def _can_rename(self) -> bool:
        from fsspec.spec import AbstractFileSystem

        # the base class copies and removes, which is no rename
        return type(self.filesystem).mv is not AbstractFileSystem.mv

    def _put_whole(self, file: Path, target: str) -> None:
        self.filesystem.put_file(str(file), target)
        self.filesystem.invalidate_cache()
        expected, there = file.stat().st_size, self.filesystem.info(target).get("size")
        if there is not None and there != expected:
            raise OSError(f"{there} of {expected} bytes arrived")


def open_store(url: str) -> Store:
    """The store behind a URL. Raises OutputError where a package is missing."""
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError as error:
        raise OutputError(f"{shown(url)}: needs the package fsspec; pip install fsspec") from error
    try:
        filesystem, root = fsspec.url_to_fs(url)
    except ImportError as error:
        # fsspec names the package that is missing
        raise OutputError(f"{shown(url)}: {_first_line(error)} (pip install)") from error
    except Exception as error:  # each file system has its own errors
        raise OutputError(f"{shown(url)}: {_first_line(error)}") from error
    return Store(url, str(root).rstrip("/"), filesystem)


@dataclass
class _Copy:
    """What this process has fetched of one URL."""

    directory: Path
    states: dict[str, str] = field(default_factory=dict)


_copies: dict[str, _Copy] = {}
_lock = threading.Lock()


def local_copy(url: str) -> Path:
    """A local copy of the dataset (or the one run's file) behind a URL, brought up to date.

    Only what changed since the last call in this process is fetched again. Raises
    DatasetError if there is nothing at the URL, OutputError where a package is missing.
    """
    store = open_store(url)
    with _lock:
        files = store.find()
        if not files and not store.is_directory():
            raise DatasetError(
                f"{shown(url)}: there is no run; give the URL of a dataset or of a run's file"
            )
        if url not in _copies:
            _copies[url] = _Copy(Path(tempfile.mkdtemp(prefix="breakeven-")))
        copy = _copies[url]
        directory = copy.directory
        now = {file.name: file.state for file in files}
        for name in set(copy.states) - set(now):
            (directory / name).unlink(missing_ok=True)
            del copy.states[name]
        store.get([file for file in files if copy.states.get(file.name) != file.state], directory)
        copy.states = now
    is_one_file = len(files) == 1 and files[0].path.rstrip("/") == store.root
    return directory / files[0].name if is_one_file else directory


@atexit.register
def forget_copies() -> None:
    """Remove what ``local_copy`` fetched; it goes with the process anyway."""
    with _lock:
        while _copies:
            shutil.rmtree(_copies.popitem()[1].directory, ignore_errors=True)


def state_directory(url: str) -> Path:
    """Where runs for a URL grow on this machine (XDG base directories). Raises OutputError."""
    text = shown(url)
    setting = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(setting) if Path(setting).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise OutputError("no home directory; set XDG_STATE_HOME to one for runs") from error
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-")
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    return base / "breakeven" / "journals" / f"{words}-{key}"


@contextlib.contextmanager
def _told(what: str, kind: type[BreakevenError]) -> Iterator[None]:
    """Any error of a file system becomes one of ours, on one line."""
    try:
        yield
    except BreakevenError:
        raise
    except Exception as error:  # clients of stores raise classes of their own
        raise kind(f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    line = next(iter(str(text).strip().splitlines()), "")[:200]
    if isinstance(error, FileNotFoundError):
        return f"there is no such place ({line})" if line else "there is no such place"
    return line or type(error).__name__
