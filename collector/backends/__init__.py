"""Array libraries, one module each, imported when a worker process asks for one."""

from __future__ import annotations

import importlib.util

from collector.backends.base import Backend
from collector.errors import SelectionError

__all__ = ["BACKEND_DEVICES", "Backend", "missing_reason", "open_backend"]

#: every (backend, device) pair that the collector knows, in the order of the suites
BACKEND_DEVICES: tuple[tuple[str, str], ...] = (
    ("python", "cpu"),
    ("numpy", "cpu"),
    ("numba", "cpu"),
    ("torch", "cpu"),
    ("jax", "cpu"),
    ("torch", "cuda"),
    ("cupy", "cuda"),
    ("numba", "cuda"),
    ("jax", "cuda"),
)


def missing_reason(backend: str) -> str | None:
    """Why a backend cannot run here (its package is not installed), or None. Imports nothing."""
    if backend == "python" or importlib.util.find_spec(backend) is not None:
        return None
    return f"{backend} is not installed"


def open_backend(backend: str, device: str) -> Backend:
    """Import the library and bring its device up. Raises what the library raises."""
    if (backend, device) not in BACKEND_DEVICES:
        raise SelectionError(f"backend {backend!r} has no device {device!r}")
    if backend == "torch":
        from collector.backends.torch_backend import TorchBackend

        return TorchBackend(device)
    if backend == "cupy":
        from collector.backends.cupy_backend import CupyBackend

        return CupyBackend(device)
    if backend == "numba" and device == "cuda":
        from collector.backends.numba_cuda_backend import NumbaCudaBackend

        return NumbaCudaBackend(device)
    if backend == "jax":
        from collector.backends.jax_backend import JaxBackend

        return JaxBackend(device)
    from collector.backends.host_backends import NumbaCpuBackend, NumpyBackend, PythonBackend

    hosts: dict[str, type[Backend]] = {
        "python": PythonBackend,
        "numpy": NumpyBackend,
        "numba": NumbaCpuBackend,
    }
    return hosts[backend](device)
