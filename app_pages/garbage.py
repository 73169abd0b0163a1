"""Garbage collection that does not slow the pages.

Streamlit collects all garbage after each run of a script, while nothing else runs: with the
modules and the dataset of the dashboard loaded, that takes longer than the script itself. What
lives as long as the server is therefore taken out of the collector's sight (``gc.freeze``).
"""

from __future__ import annotations

import gc
import threading

_settled: set[str] = set()
_lock = threading.Lock()


def settle(what: str) -> None:
    """Take what is alive now out of later collections, once for each ``what``.

    All garbage is collected first, that among earlier frozen objects too, so nothing is lost.
    """
    with _lock:
        if what in _settled:
            return
        _settled.add(what)
    gc.unfreeze()
    gc.collect()
    gc.freeze()
