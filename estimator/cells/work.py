"""What the kernel formula reads of each cell: arrays of numbers. No arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from estimator.arrays import Array, Indices


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
    ``added`` are seconds that the mode adds to the call (``references``). ``share_floor`` is the
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
