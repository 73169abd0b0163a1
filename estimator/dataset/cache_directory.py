"""Where files are kept that are derived from a dataset and may be deleted at any time."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path


def user_cache_directory() -> Path:
    """``$XDG_CACHE_HOME/breakeven``, or below ~/.cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "breakeven"
    try:
        return Path.home() / ".cache" / "breakeven"
    except RuntimeError:  # a user without a home, as in containers
        return private_temporary_directory() / "cache"


def private_temporary_directory() -> Path:
    """A directory for temporary files that no other user of this machine can read or prepare.

    ``breakeven-UID`` where temporary files go, if it is this user's alone; else one that ends
    with the process. Where neither can be made, a place below which nothing can be written.
    """
    # elsewhere than on Unix, where temporary files go is each user's own
    unix = hasattr(os, "getuid")
    name = f"breakeven-{os.getuid()}" if unix else "breakeven"
    folder = Path(tempfile.gettempdir()) / name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return _passing_directory()
    alone = stat.S_ISDIR(facts.st_mode) and not stat.S_IMODE(facts.st_mode) & 0o077
    if unix and not (alone and facts.st_uid == os.getuid()):
        return _passing_directory()
    return folder


@cache
def _passing_directory() -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix="breakeven-"))
    except OSError:
        return Path(os.devnull) / "breakeven"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def stamp_of(*paths: Path) -> str:
    """Twelve digits that change with any of these files, or any module below these folders."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            with contextlib.suppress(OSError):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
