"""Products of a large result with few vectors, in float64: what checks compare instead of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collector.backends.base import Backend

Array = np.ndarray[Any, Any]

_HOST_BLOCK = 2**18  # elements that are widened at a time: they stay in a core's cache
_DEVICE_BLOCK = 2**24
#: results of at least so many elements are projected on their GPU instead of copied
_LARGE = 2**20


@lru_cache(maxsize=4)
def probe(length: int) -> Array:
    """A fixed vector of distinct whole numbers with random signs, shape (length, 1).

    Their magnitudes are from ``length`` to twice that. An element that is wrong changes the
    product with it, and so do any two that are exchanged; products of integers stay exact.
    The same array comes again: do not write to it.
    """
    generator = np.random.default_rng(7)
    magnitude = length + generator.permutation(length)
    signed: Array = (magnitude * generator.choice([-1.0, 1.0], length))[:, None]
    return signed


def times(matrix: Array, vectors: Array) -> Array:
    """matrix @ vectors in float64 or complex128 for numpy arrays, a few rows at a time.

    ``matrix`` has shape (..., m, n) and ``vectors`` (..., n, v), with the same leading
    dimensions or none.
    """
    if matrix.ndim == 3:
        pairs = zip(
            matrix, np.broadcast_to(vectors, (len(matrix), *vectors.shape[-2:])), strict=True
        )
        return np.stack([times(part, own) for part, own in pairs])
    wide = np.complex128 if matrix.dtype.kind == "c" else np.float64
    rows = max(1, _HOST_BLOCK // max(1, matrix.shape[1]))
    if matrix.dtype == wide:
        rows = max(1, len(matrix))
    product = np.empty((len(matrix), vectors.shape[1]), np.result_type(wide, vectors))
    for start in range(0, len(matrix), rows):
        product[start : start + rows] = matrix[start : start + rows].astype(wide) @ vectors
    return product


def projected(backend: Backend, matrix: Any) -> Array:
    """``matrix`` times ``probe`` along its last axis, for an array of the library.

    A large matrix on a GPU is widened and multiplied there, by the library's product of a
    float64 (complex128) matrix and a vector: another kernel than those that are measured, and
    each element still enters. Others are copied to main memory and multiplied by numpy; those
    of JAX always, as it would compile each step.
    """
    vector = probe(matrix.shape[-1])
    count = int(np.prod(matrix.shape))
    if backend.device == "cpu" or count < _LARGE or backend.name not in ("torch", "cupy"):
        return times(backend.to_numpy(matrix), vector)
    wide = "complex128" if "complex" in str(matrix.dtype) else "float64"
    on_device = backend.upload(backend.host(vector, wide))
    flat = matrix.reshape(-1, matrix.shape[-1])
    rows = max(1, _DEVICE_BLOCK // flat.shape[1])
    blocks = [
        backend.to_numpy(_widened(backend, flat[start : start + rows], wide) @ on_device)
        for start in range(0, flat.shape[0], rows)
    ]
    return np.concatenate(blocks).reshape(*matrix.shape[:-1], 1)


def _widened(backend: Backend, block: Any, wide: str) -> Any:
    if backend.name == "torch":
        return block.to(getattr(backend.module, wide))
    return block.astype(wide)
