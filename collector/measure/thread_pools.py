"""Do the libraries of this process keep to the thread count that was asked for?"""

from __future__ import annotations

from typing import Any


class ThreadPools:
    """Asks threadpoolctl once for each family, after its libraries are loaded."""

    def __init__(self, backend: str, threads: int) -> None:
        self._backend, self._threads = backend, threads
        self._known: dict[str, bool | None] = {}

    def confirmed(self, workload: str) -> bool | None:
        """Whether no pool has more threads than asked for; None where that cannot be told."""
        if workload not in self._known:
            counts = thread_counts(self._backend)
            self._known[workload] = max(counts) <= self._threads if counts else None
        return self._known[workload]


def thread_counts(backend: str) -> list[int]:
    """Threads of each pool that is loaded: BLAS, OpenMP, torch's own, numba's own."""
    counts = []
    try:
        from threadpoolctl import threadpool_info

        counts = [int(pool["num_threads"]) for pool in threadpool_info()]
    except ImportError:
        pass
    if backend == "torch":
        import torch

        counts.append(torch.get_num_threads())
    elif backend == "numba":
        import numba

        counts.append(numba.get_num_threads())
    return counts


def blas_summary(backend: str) -> dict[str, Any]:
    """Name, version and thread count of the BLAS that is loaded in this process.

    Called in a worker after its library is imported; torch with MKL tells of itself.
    """
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return {"blas": None, "blas_threads": None}
    if backend == "torch":
        import torch

        mkl = torch.backends.mkl.is_available()
        return {"blas": "mkl" if mkl else "torch", "blas_threads": torch.get_num_threads()}
    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            name = f"{pool['internal_api']} {pool.get('version') or ''}".strip()
            return {"blas": name, "blas_threads": int(pool["num_threads"])}
    return {"blas": None, "blas_threads": None}
