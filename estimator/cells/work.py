"""What the kernel formula reads of each cell, and the ways in which a GPU computes a product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.arrays import Array, Indices

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

    ``products`` has the columns of ``PRODUCT_COLUMNS``.
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


@dataclass(frozen=True)
class Tilings:
    """Ways to compute c products on a GPU: w ways, each with t tiles to choose from.

    ``waves`` (c, w, t): tiles times their size over the size of the result (infinite: not to
    be had). ``area`` (c,): elements of the result for each multiprocessor. ``depth`` (c,): the
    inner dimension. ``side`` (t,): a tile's harmonic mean side. ``depth_share`` (w,): share of
    the depth that a tile goes through.
    ``extra`` (c, w): bytes moved before and after, by ``kernels`` (w,) more than the product's.
    ``special`` (w,): 1 for Winograd's algorithm.
    """

    waves: Array
    area: Array
    depth: Array
    side: Array
    depth_share: Array
    extra: Array
    kernels: Array
    special: Array


@dataclass(frozen=True)
class KernelWork:
    """What the kernel formula reads of each cell, each an array of shape (n,).

    ``fresh`` are bytes written to memory that the call allocates, in blocks of ``block`` bytes.
    ``added`` are seconds that the mode adds to the call (``priors``). ``share_floor`` is the
    share of the threads that is busy at worst. ``width`` and ``depth`` are infinite where a family
    has no such limit. ``forks`` is 1 where each launch costs the host time of its own
    (``dispatch_s``), ``awkward`` 0 to 1: how far a shape is from what the library serves best, in
    arithmetic and (``awkward_memory``) in memory; ``special`` 0 to 1: how far another algorithm
    does its arithmetic. ``product`` (n, 3) are a cell's rows of ``tilings``, -1 for none, ``part``
    (n, 3) the share of its FLOP in each, and ``byte_unit`` how many of the tilings' bytes are one
    of this cell's.
    """

    flop: Array
    bytes: Array
    footprint: Array
    fresh: Array
    block: Array
    launches: Array
    forks: Array
    added: Array
    share_floor: Array
    width: Array
    depth: Array
    awkward: Array
    awkward_memory: Array
    special: Array
    product: Indices
    part: Array
    byte_unit: Array
    tilings: Tilings

    def __len__(self) -> int:
        return len(self.flop)

    def take(self, index: Any) -> KernelWork:
        rows = {name: values[index] for name, values in vars(self).items() if name != "tilings"}
        return KernelWork(**rows, tilings=self.tilings)
