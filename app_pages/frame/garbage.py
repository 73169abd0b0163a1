"""Garbage collection that does not slow the pages, and memory that is given back.

Streamlit collects all garbage after each run of a script, while nothing else runs: with the
modules and the dataset of the dashboard loaded, that takes longer than the script itself. What
lives as long as the server is therefore taken out of the collector's sight (``gc.freeze``).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading

import pyarrow as pa

#: of the GNU C library's mallopt: give back what is free at the end of the heap beyond this
#: (B), and share few heaps between the threads of the server
_M_TRIM_THRESHOLD, _TRIM_BYTES = -1, 2**17
_M_ARENA_MAX, _ARENAS = -8, 2

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


def spare_memory() -> None:
    """Keep little free memory in the process: some 30 MB less for large datasets.

    Arrow's own allocator keeps what it once had, and the C library's keeps a heap per thread.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        library.mallopt(_M_ARENA_MAX, _ARENAS)
