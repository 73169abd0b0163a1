"""Where files are kept that are derived from a dataset and may be deleted at any time."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def user_cache_directory() -> Path:
    """``$XDG_CACHE_HOME/breakeven``, or below ~/.cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "breakeven"
    try:
        return Path.home() / ".cache" / "breakeven"
    except RuntimeError:  # a user without a home, as in containers
        return Path(tempfile.gettempdir()) / "breakeven"
