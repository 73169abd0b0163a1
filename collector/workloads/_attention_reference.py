"""Attention in numpy for a check: some query rows exactly, all of them roughly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from collector.workloads._products import Float64s, spread_positions

Array = np.ndarray[Any, Any]

_SCORES = 2**21  # computed in float64, about 0.05 s on one core
_LEAST_ROWS = 4
#: rows whose errors are averaged in the rough comparison
ROWS_OF_A_BLOCK = 32


@dataclass(frozen=True)
class Exact:
    """Rows of each head (heads, r) and their outputs (heads, r, head_dim); batches are heads."""

    rows: Any
    outputs: Float64s


@dataclass(frozen=True)
class Rough:
    """Outputs summed over head_dim with random weights: (heads, sequence), and their scale."""

    weights: Array
    sums: Array
    scale: Array
    causal: bool


def exact_rows(q: Array, k: Array, v: Array, causal: bool) -> Exact:
    """Outputs of some query rows of each head in float64; operands (heads, sequence, head_dim).

    Each head has its own rows, one of each equal stretch of the sequence and the last one, as
    many as 2**21 scores allow. Where causal the first 32 come on top: they see few keys, which
    the rough comparison does not average over.
    """
    heads, length, _ = q.shape
    wanted = max(_LEAST_ROWS, _SCORES // (heads * length))
    generator = np.random.default_rng(11)
    rows = np.stack([spread_positions(length, wanted, generator) for _ in range(heads)])
    outputs = _outputs(q, k, v, rows, causal)
    if not causal:
        return Exact(rows, outputs)
    first = np.tile(np.arange(min(ROWS_OF_A_BLOCK, length)), (heads, 1))
    seen = slice(0, first.shape[1])
    early = _outputs(q, k[:, seen], v[:, seen], first, causal)
    return Exact(np.hstack([first, rows]), np.hstack([early, outputs]))


def _outputs(q: Array, k: Array, v: Array, rows: Any, causal: bool) -> Float64s:
    """Outputs (heads, r, head_dim) of the query rows (heads, r) over the given keys."""
    outputs = np.empty((*rows.shape, q.shape[2]))
    for head, own in enumerate(rows):
        scores = q[head, own].astype(np.float64) @ k[head].astype(np.float64).T
        scores /= math.sqrt(q.shape[2])
        if causal:
            scores[np.arange(k.shape[1]) > own[:, None]] = -math.inf
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        outputs[head] = scores @ v[head].astype(np.float64)
        outputs[head] /= scores.sum(axis=1, keepdims=True)
    return outputs


def rough_sums(q: Array, k: Array, v: Array, causal: bool) -> Rough:
    """All rows to first order in the scores, in float32, at the cost of a few passes.

    exp(x) is taken as 1 + x, so that the sum over keys is a product of the query with sums over
    keys that all queries share (running sums where causal). With elements uniform in [-1, 1] a
    score has standard deviation 1/3, and what is left out, x^2 / 2 of each key at random signs,
    amounts to sqrt(3) / 2 / 9 = 0.096 of ``scale``, the size of a sum of random values.
    """
    heads, length, width = q.shape
    weights = np.random.default_rng(13).standard_normal(width).astype(np.float32)
    counts = np.arange(1, length + 1, dtype=np.float32) if causal else np.float32(length)
    sums, scale = np.empty((2, heads, length), np.float32)

    def over_keys(array: Array) -> Array:
        """Sums over the keys that each query sees: a running sum, or one row for all."""
        summed: Array = np.cumsum(array, 0) if causal else array.sum(0, keepdims=True)
        return summed

    for head in range(heads):  # one at a time stays in the cache
        query = q[head] * np.float32(1 / math.sqrt(width))
        values = v[head] @ weights
        first_order = (query * over_keys(k[head] * values[:, None])).sum(1)
        total = counts + (query * over_keys(k[head])).sum(1)
        sums[head] = (over_keys(values) + first_order) / total
        scale[head] = np.sqrt(over_keys(values**2)) / counts
    return Rough(weights, sums, scale, causal)


def exact_error(exact: Exact, output: Array) -> float:
    """Largest relative L2 error of a row; NaN where anything is NaN."""
    own = output[np.arange(len(output))[:, None], exact.rows].astype(np.float64)
    errors = np.linalg.norm(own - exact.outputs, axis=2) / np.linalg.norm(exact.outputs, axis=2)
    return float(np.max(errors))


def rough_error(rough: Rough, output: Array) -> float:
    """Largest error of 32 rows in a line, in units of their scale; NaN where anything is NaN."""
    difference = ((output @ rough.weights - rough.sums) / rough.scale) ** 2
    length = difference.shape[1]
    starts = np.arange(0, length, ROWS_OF_A_BLOCK)
    sums = np.add.reduceat(difference, starts, axis=1)
    counts = np.diff(np.append(starts, length))
    # the few rows at the end of an odd length have no average worth the name
    full = counts == ROWS_OF_A_BLOCK
    if rough.causal:
        full[0] = False  # exact
    if np.isnan(sums).any():
        return math.nan
    return math.sqrt(float(np.max(sums[:, full] / ROWS_OF_A_BLOCK))) if full.any() else 0.0
