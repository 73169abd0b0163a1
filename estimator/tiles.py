"""How a GPU's matrix product is cut into tiles, and how full its multiprocessors then are."""

from __future__ import annotations

import numpy as np

from estimator.kernel_model import Array

#: Sides of the result's tile that one multiprocessor works on at a time, those of the kernels
#: of CUTLASS (CUTLASS documentation, "Efficient GEMM in CUDA", threadblock-level GEMM).
TILES = ((256, 128), (128, 128), (128, 64), (64, 64), (64, 32), (32, 32))

_SIDES = np.array(TILES, dtype=float)


def waves(batch: Array, m: Array, n: Array, multiprocessors: Array) -> Array:
    """Work of each tiling over the useful work, (c, 6), for products (c,) of batch x m x n.

    Rounds of tiles times the tiles that a round can hold, times a tile's size, over the size
    of the result: 1 where every multiprocessor always has a whole tile. A tile may lie either
    way round; the better one counts.
    """
    rows, columns = _SIDES[:, 0], _SIDES[:, 1]
    turned = [
        _waves(batch, m, n, multiprocessors, *sides) for sides in ((rows, columns), (columns, rows))
    ]
    return np.minimum(*turned)


def _waves(
    batch: Array, m: Array, n: Array, multiprocessors: Array, rows: Array, columns: Array
) -> Array:
    tiles = np.ceil(m[:, None] / rows) * np.ceil(n[:, None] / columns) * batch[:, None]
    rounds = np.ceil(tiles / multiprocessors[:, None])
    result: Array = rounds * multiprocessors[:, None] * rows * columns
    return result / (batch * m * n)[:, None]


def harmonic_sides() -> Array:
    """Harmonic mean of each tile's sides, (6,): FLOP per operand read, up to a factor."""
    sides: Array = 2.0 / (1.0 / _SIDES).sum(axis=1)
    return sides
