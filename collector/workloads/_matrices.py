"""Matrices that decompositions are measured on, and residuals that tell a wrong result. Pure.

Every check multiplies by one vector (``probe``), in which each element of a result enters, so
that it costs O(n^2) where the operation costs O(n^3).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan, sqrt
from typing import Any

import numpy as np

from collector.workloads._base import uniform
from collector.workloads._projection import probe

Array = np.ndarray[Any, Any]

_NEARNESS = 0.5  # of a random part to the identity: singular values stay within 0.4 and 1.6


def near_identity(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """A matrix (or a stack of them) of full rank that is dense and well conditioned.

    Ones on the diagonal and a random part whose norm is about ``_NEARNESS``; of square ones the
    rows are turned by half of them, so that a factorization has rows to exchange.
    """
    rows, cols = shape[-2:]
    matrix = uniform(shape, dtype, seed)
    matrix *= _NEARNESS / sqrt(max(rows, cols))
    diagonal = np.arange(min(rows, cols))
    matrix[..., diagonal, diagonal] += 1
    return np.roll(matrix, rows // 2, axis=-2) if rows == cols else matrix


def rank_one_more(n: int, dtype: str, seed: int) -> Array:
    """I + u u' / u'u with its rows turned by half of them: its determinant is 2 or -2."""
    u = uniform(n, "float64", seed)
    matrix = np.outer(u, u / float(u @ u))
    matrix[np.arange(n), np.arange(n)] += 1
    return np.asarray(np.roll(matrix, n // 2, axis=0).astype(dtype))


def determinant_of_rank_one_more(n: int) -> float:
    """Turning n rows by n // 2 exchanges rows (n - 1) (n // 2) times."""
    return -2.0 if (n - 1) * (n // 2) % 2 else 2.0


def spectrum(n: int) -> Array:
    """Eigenvalues of ``symmetric``: n distinct numbers within (-1, 1), ascending, (n,)."""
    jitter = np.random.default_rng(n).random(n)
    return np.asarray((2.0 * np.arange(n) + 0.2 + 1.6 * jitter) / n - 1.0)


def symmetric(n: int, dtype: str, seed: int, shift: float = 0.0) -> Array:
    """A dense symmetric matrix with the eigenvalues ``spectrum(n) + shift``.

    Two Householder reflections of a diagonal matrix, each a change of rank two:
    H A H = A - h w' - w h' with w = 2 (A h - (h'A h) h).
    """
    values = spectrum(n) + shift
    left: list[Array] = []
    right: list[Array] = []
    for offset in range(2):
        h = uniform(n, "float64", seed + offset)
        h /= np.linalg.norm(h)
        turned = values * h - sum(
            (p * float(q @ h) for p, q in zip(left, right, strict=True)), np.zeros(n)
        )
        w = 2.0 * (turned - float(h @ turned) * h)
        left += [h, w]
        right += [w, h]
    matrix = -(np.column_stack(left) @ np.vstack(right))
    matrix[np.arange(n), np.arange(n)] += values
    return np.asarray(matrix.astype(dtype))


def symmetric_stack(batch: int, n: int, dtype: str, seed: int) -> Array:
    """Random symmetric matrices, (batch, n, n)."""
    matrices = uniform((batch, n, n), dtype, seed)
    return np.asarray((matrices + matrices.swapaxes(-1, -2)) / 2)


def worst(errors: Sequence[float | Array]) -> float:
    """The largest of all; NaN where anything is NaN."""
    largest = [float(np.max(error)) for error in errors]
    return nan if np.isnan(largest).any() else max(largest)


def solution_error(a: Array, x: Array, b: Array) -> float:
    """||A x - b|| / ||b|| for matrices x and b, (..., n, r), projected; the worst of a stack."""
    v = probe(b.shape[-1])
    expected = _wide(b) @ v
    return _relative(_wide(a) @ (_wide(x) @ v) - expected, expected)


def inverse_error(a: Array, inverse: Array) -> float:
    """||A X v - v|| / ||v||."""
    v = probe(a.shape[-1])
    return _relative(_wide(a) @ (_wide(inverse) @ v) - v, v)


def least_squares_error(a: Array, x: Array, b: Array) -> float:
    """||A'(A x - b)|| / ||A' b||, which is 0 for the least residual; x and b are vectors."""
    a, expected = _wide(a), _wide(a).T @ _wide(b)
    gradient = a.T @ (a @ _wide(x)) - expected
    return _relative(gradient[:, None], expected[:, None])


def cholesky_error(a: Array, lower: Array) -> float:
    """||L L'v - A v|| / size; infinite where L is not lower triangular."""
    if np.triu(lower, 1).any():
        return inf
    return _product_error(a, _wide(lower), _wide(lower).T)


def qr_error(a: Array, q: Array, r: Array) -> float:
    """||Q R v - A v|| / size and ||Q'Q v - v|| / ||v||; R is upper triangular."""
    if np.tril(r, -1).any():
        return inf
    q = _wide(q)
    return worst([_product_error(a, q, _wide(r)), _orthogonality(q)])


def svd_error(a: Array, u: Array, values: Array, vt: Array) -> float:
    """||U S V'v - A v|| / size and orthogonality; singular values descend."""
    if (np.diff(values) > 0).any() or (values < 0).any():
        return inf
    u, vt = _wide(u), _wide(vt)
    product = _product_error(a, u * _wide(values), vt)
    return worst([product, _orthogonality(u), _orthogonality(vt.T)])


def eigenvector_error(a: Array, values: Array, vectors: Array) -> float:
    """||A V v - V L v|| / size and ||V'V v - v|| / ||v|| of symmetric ones, eigenvalues ascend.

    The worst of a stack, (..., n, n).
    """
    if (np.diff(values) < 0).any():
        return inf
    a, vectors = _wide(a), _wide(vectors)
    v = probe(a.shape[-1])
    difference = a @ (vectors @ v) - vectors @ (_wide(values)[..., None] * v)
    return worst([_relative(difference, _size(a) * v), _orthogonality(vectors)])


def general_eigenvector_error(a: Array, values: Array, vectors: Array) -> float:
    """||A V v - V L v|| / size, columns of length 1, the sum of eigenvalues."""
    a, n = _wide(a), len(a)
    v = probe(n)
    combined = vectors.astype(np.complex128) @ v
    difference = a @ combined - vectors @ (values[:, None] * v)
    lengths = np.linalg.norm(vectors, axis=0)
    trace = abs(complex(values.sum()) - float(np.trace(a))) / (n * float(_size(a)[0, 0]))
    return worst([_relative(difference, _size(a) * combined), np.abs(lengths - 1.0), trace])


def eigenvalue_error(n: int, values: Array) -> float:
    """Largest difference from ``spectrum(n)``, whose largest magnitude is about 1."""
    return float(np.max(np.abs(values - spectrum(n))))


def _product_error(a: Array, left: Array, right: Array) -> float:
    a, v = _wide(a), probe(a.shape[-1])
    return _relative(left @ (right @ v) - a @ v, _size(a) * v)


def _size(a: Array) -> Array:
    """Root mean square of what matrices do to a vector of length 1, (..., 1, 1)."""
    return np.asarray(np.linalg.norm(a, axis=(-2, -1), keepdims=True) / sqrt(a.shape[-1]))


def _orthogonality(columns: Array) -> float:
    v = probe(columns.shape[-1])
    return _relative(columns.swapaxes(-1, -2) @ (columns @ v) - v, v)


def _wide(matrix: Array) -> Array:
    return matrix.astype(np.float64, copy=False)


def _relative(difference: Array, expected: Array) -> float:
    """Norms of vectors (..., n, 1) over those of others, the largest of a stack; NaN of zeros."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient = np.linalg.norm(difference, axis=-2) / np.linalg.norm(expected, axis=-2)
    return float(np.max(quotient))
