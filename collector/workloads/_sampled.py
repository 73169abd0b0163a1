"""Parts of large outputs: enough of them to see a wrong block, few enough to check quickly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collector.backends.base import Backend

_PIECES = 2048
_PIECE = 1024

Parts = tuple[tuple[int, ...], list[np.ndarray[Any, Any]]]


def checked_parts(vector: Any) -> list[Any]:
    """Parts of a vector (of any library) to check: all of a short one, else 2048 pieces, the end.

    Pieces of 1024 elements begin at equal distances, so that whatever contiguous part of a few
    thousand elements an operation leaves out (a tail, a thread block's share) is seen.
    """
    count = len(vector)
    if count <= _PIECES * _PIECE:
        return [vector]
    stride = count // _PIECES
    pieces = vector[: _PIECES * stride].reshape(_PIECES, stride)
    return [pieces[:, :_PIECE], vector[_PIECES * stride - _PIECE :]]


def fetch_parts(backend: Backend, output: Any) -> Parts:
    """Shape of an output, and in main memory those parts of its elements that are checked."""
    # slicing a JAX array compiles a program for each shape, which takes longer than the copy
    array = backend.to_numpy(output) if backend.name == "jax" else output
    parts = checked_parts(array.reshape(-1))
    if backend.name != "jax":
        parts = [backend.to_numpy(part) for part in parts]
    return tuple(int(length) for length in output.shape), parts


def part_positions(shape: tuple[int, ...]) -> list[np.ndarray[Any, Any]]:
    """Positions, in an array of that shape made flat, of the elements of ``fetch_parts``."""
    count = math.prod(shape)
    # a broadcast scalar has the parts' shapes without taking their memory
    parts = checked_parts(np.broadcast_to(np.int8(0), (count,)))
    if len(parts) == 1:
        return [np.arange(count)]
    (pieces, length), tail = parts[0].shape, len(parts[1])
    starts = np.arange(pieces) * (count // pieces)
    return [starts[:, None] + np.arange(length), np.arange(count - tail, count)]


def share_that_differs(
    actual: list[np.ndarray[Any, Any]], expected: list[np.ndarray[Any, Any]]
) -> float:
    """Share of elements that are not exactly the expected ones; NaN differs from everything."""
    wrong = sum(
        int(np.count_nonzero(~(one == other))) for one, other in zip(actual, expected, strict=True)
    )
    return wrong / sum(part.size for part in expected)
