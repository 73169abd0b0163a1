"""The ways in which a GPU computes a product, and how full its multiprocessors then are."""

from __future__ import annotations

import numpy as np

from estimator.arrays import Array
from estimator.cells.work import Tilings

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
    waves = np.empty((len(result), len(PIECES) + len(WINOGRAD) + 1, len(TILES)))
    extra = np.zeros(waves.shape[:2])
    tiles = _tiles(m, n) * batch[:, None]
    for way, pieces in enumerate(PIECES):
        waves[:, way] = _covered(tiles * pieces, multiprocessors)
        waves[pieces > most_pieces, way] = np.inf
        if pieces > 1:
            extra[:, way] = 2.0 * pieces * _PARTIAL_BYTES * result
    for way, (side, multiplications) in enumerate(WINOGRAD, len(PIECES)):
        waves[:, way] = np.inf
        able = np.flatnonzero(winograd > 0.0)
        of_images = _tiles(np.ceil(m[able] / side**2), n[able]) * batch[able, None]
        waves[able, way] = _covered(of_images * multiplications, multiprocessors[able])
        if side > WINOGRAD[0][0]:
            extra[:, way] = 2.0 * multiplications / side**2 * winograd
    slower = np.where(plain > 0.0, plain, np.inf)[:, None]
    waves[:, -1] = slower * _covered(tiles, multiprocessors)
    extra[:, -1] = -turned
    waves /= result[:, None, None]
    lacking, tile = np.nonzero(least_tile[:, None] > _AREA)
    waves[lacking, :, tile] = np.inf
    return Tilings(
        waves=waves,
        area=result / multiprocessors,
        depth=k,
        side=2.0 / (1.0 / _SIDES).sum(axis=1),
        depth_share=np.array([*(1.0 / p for p in PIECES), *_WINOGRAD_DEPTH, 1.0]),
        extra=extra + turned[:, None],
        kernels=np.array([*(float(p > 1) for p in PIECES), 0.0, 2.0, 0.0]),
        special=np.array([*(0.0 for _ in PIECES), 1.0, 1.0, 0.0]),
    )


def _tiles(m: Array, n: Array) -> Array:
    """Tiles of each kind that cover m x n, (c, 7), whichever way round takes fewer."""
    short, long = _SIDES[:, 0], _SIDES[:, 1]
    m, n = m[:, None], n[:, None]
    upright = np.ceil(m / short) * np.ceil(n / long)
    result: Array = np.minimum(upright, np.ceil(m / long) * np.ceil(n / short))
    return result


def _covered(tiles: Array, multiprocessors: Array) -> Array:
    """Elements that rounds of so many tiles (c, 7) of each kind cover, (c, 7).

    Rounds times the tiles that a round can hold, times a tile's size: the size of the result
    where every multiprocessor always has a whole tile.
    """
    units = multiprocessors[:, None]
    result: Array = np.ceil(tiles / units) * units * _AREA
    return result
