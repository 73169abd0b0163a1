"""The ways in which a GPU computes a product, and how full its multiprocessors then are."""

from __future__ import annotations

import numpy as np

from estimator.kernel_model import Array, Tilings

#: Sides of the result's tile that one multiprocessor works on at a time, those of the kernels
#: of CUTLASS (CUTLASS documentation, "Efficient GEMM in CUDA", threadblock-level GEMM).
TILES = ((256, 128), (128, 128), (128, 64), (64, 64), (128, 32), (64, 32), (32, 32))

#: Pieces of the depth whose partial results are added up afterwards (split k and stream k).
PIECES = (1, 2, 4, 8, 16, 32, 64)

#: Winograd's algorithm for kernels of 3 x 3: side of an output tile, and products for each tile
#: over the 9 of each of its elements (Lavin and Gray 2016, Fast Algorithms for Convolutional
#: Neural Networks). The smaller one is done within one kernel, the larger in three, which move
#: the transformed images through memory.
WINOGRAD = ((2, 16), (4, 36))

_SIDES = np.array(TILES, dtype=float)
_AREA = _SIDES.prod(axis=1)
_PARTIAL_BYTES = 4.0  # partial results are kept in float32 at least
_WINOGRAD_DEPTH = (1.0 / 9.0, 1.0 / 9.0)  # the kernel's elements are products of their own


def tilings(products: Array, multiprocessors: Array) -> Tilings:
    """Every count of pieces and tile for products (c, 9); then Winograd's ways, then plain units.

    ``products`` has the columns of ``shape.PRODUCT_COLUMNS``.
    """
    batch, m, n, k, turned, winograd, most_pieces, least_tile, plain = products.T
    result = batch * m * n
    covered, extra = [], []
    for pieces in PIECES:
        found = rounds(batch * pieces, m, n, multiprocessors)
        covered.append(np.where((pieces <= most_pieces)[:, None], found, np.inf))
        extra.append(2.0 * pieces * _PARTIAL_BYTES * result * (pieces > 1))
    for side, multiplications in WINOGRAD:
        found = rounds(batch * multiplications, np.ceil(m / side**2), n, multiprocessors)
        covered.append(np.where(winograd[:, None] > 0.0, found, np.inf))
        extra.append(2.0 * multiplications / side**2 * winograd * (side > WINOGRAD[0][0]))
    slower = np.where(plain > 0.0, plain, np.inf)[:, None]
    covered.append(slower * rounds(batch, m, n, multiprocessors))
    extra.append(-turned)
    waves = np.stack(covered, axis=1) / result[:, None, None]
    waves[np.broadcast_to((least_tile[:, None] > _AREA)[:, None, :], waves.shape)] = np.inf
    return Tilings(
        waves=waves,
        area=result / multiprocessors,
        depth=k,
        side=2.0 / (1.0 / _SIDES).sum(axis=1),
        depth_share=np.array([*(1.0 / p for p in PIECES), *_WINOGRAD_DEPTH, 1.0]),
        extra=np.stack(extra, axis=1) + turned[:, None],
        kernels=np.array([*(float(p > 1) for p in PIECES), 0.0, 2.0, 0.0]),
        special=np.array([*(0.0 for _ in PIECES), 1.0, 1.0, 0.0]),
    )


def rounds(batch: Array, m: Array, n: Array, multiprocessors: Array) -> Array:
    """Elements that rounds of each tile cover, (c, 7), for products (c,) of batch x m x n.

    Rounds of tiles times the tiles that a round can hold, times a tile's size: the size of the
    result where every multiprocessor always has a whole tile. A tile may lie either way round;
    the better one counts.
    """
    short, long = _SIDES[:, 0], _SIDES[:, 1]
    upright = _rounds(batch, m, n, multiprocessors, short, long)
    return np.minimum(upright, _rounds(batch, m, n, multiprocessors, long, short))


def _rounds(
    batch: Array, m: Array, n: Array, multiprocessors: Array, rows: Array, columns: Array
) -> Array:
    tiles = np.ceil(m[:, None] / rows) * np.ceil(n[:, None] / columns) * batch[:, None]
    units = multiprocessors[:, None]
    result: Array = np.ceil(tiles / units) * units * rows * columns
    return result
