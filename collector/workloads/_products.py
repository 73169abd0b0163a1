"""What the families built on sums of products share: their tolerance, random probes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from collector.workloads._base import Check
from collector.workloads._types import UNIT_ROUNDOFF
from collector.workloads._work import Count

Float64s = np.ndarray[Any, np.dtype[np.float64]]

_BLOCK = 2**18  # elements, 2 MiB in float64: stays in a core's cache


def product_tolerance(terms: int, dtype: str, math_mode: str) -> float:
    """Relative L2 error allowed to sums of that many products: 4 u_in + 4 sqrt(K) u_acc + u_out.

    u_in is tf32's unit round-off where operands are rounded to it; sums are in float32 (float64
    for float64). For float16 libraries may add split parts of the sum in half precision, so an
    eighth of its round-off counts as u_acc.
    """
    u_in = UNIT_ROUNDOFF["tf32"] if math_mode == "tf32" else UNIT_ROUNDOFF[dtype]
    u_sum = UNIT_ROUNDOFF["float64"] if dtype == "float64" else UNIT_ROUNDOFF["float32"]
    if dtype == "float16":
        u_sum = UNIT_ROUNDOFF["float16"] / 8
    return 4 * u_in + 4 * math.sqrt(terms) * u_sum + UNIT_ROUNDOFF[dtype]


def rounded_cube_root(value: Count) -> Count:
    """The cube root, rounded to a whole number; of one number to the last digit.

    NumPy's and Python's roots differ in the last place, which is a whole number beyond 2**52.
    """
    root: Any = round(math.cbrt(value)) if isinstance(value, int) else np.rint(np.cbrt(value))
    return cast("Count", root)


def normal_probe(rows: int, columns: int) -> Float64s:
    """Random weights, always the same.

    Normal ones and not +-1: the difference of two exchanged channels of equal sign would vanish.
    """
    return np.random.default_rng(7).standard_normal((rows, columns))


def relative_l2(actual: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """||actual - expected|| / ||expected||; NaN where anything is NaN."""
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def worst_row(actual: Float64s, expected: Float64s) -> float:
    """Largest root-mean-square error of a row (last axis), relative to all of ``expected``.

    A wrong block of a large result drowns in the norm of the whole, not in that of its rows.
    NaN where anything is NaN.
    """
    scale = math.sqrt(float(np.mean(expected**2)))
    worst = float(np.max(np.mean((actual - expected) ** 2, axis=-1)))
    return math.sqrt(worst) / scale if scale > 0 else math.inf


def worst_element(actual: Float64s, expected: Float64s) -> float:
    """Largest error of an element, relative to it or to the root mean square if that is larger.

    NaN where anything is NaN.
    """
    scale = np.maximum(np.abs(expected), math.sqrt(float(np.mean(expected**2))))
    if not np.all(scale > 0):
        return math.inf
    return float(np.max(np.abs(actual - expected) / scale))


def spread_positions(count: int, wanted: int, generator: np.random.Generator) -> Any:
    """At most ``wanted`` of 0..count-1, one at random from each of equal stretches, in order.

    The last position is always among them, so that a missing tail is seen.
    """
    if count <= wanted:
        return np.arange(count)
    edges = np.arange(wanted) * count / wanted
    chosen = (edges + generator.random(wanted) * (count / wanted)).astype(np.int64)
    return np.append(np.minimum(chosen[:-1], count - 1), count - 1)


def row_sums(matrix: Any, probe: Float64s) -> Float64s:
    """matrix @ probe in float64, a few rows at a time so that no float64 copy is needed."""
    step = max(1, _BLOCK // matrix.shape[1])
    blocks = [
        matrix[start : start + step].astype(np.float64) @ probe
        for start in range(0, len(matrix), step)
    ]
    return np.concatenate(blocks)


def column_sums(probe: Float64s, matrix: Any) -> Float64s:
    """probe @ matrix in float64, a few rows of the matrix at a time."""
    step = max(1, _BLOCK // matrix.shape[1])
    total = np.zeros((len(probe), matrix.shape[1]))
    for start in range(0, len(matrix), step):
        rows = slice(start, start + step)
        total += probe[:, rows] @ matrix[rows].astype(np.float64)
    return total


def nearest_to_failure(checks: Sequence[Check]) -> Check:
    """Of several outcomes one that failed, else the one with the largest share of its tolerance."""
    return max(
        checks,
        key=lambda check: (not check.passed, (check.relative_error or 0.0) / check.tolerance),
    )
