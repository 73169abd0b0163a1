"""What the shapes of operations mean for their speed: the common form of all families.

Numbers are those of one operation or of all, or arrays with one element for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf, log2

import numpy as np

from collector.workloads._types import ITEM_BYTES
from collector.workloads._work import Floats

Values = float | Floats

#: Bytes that one access brings: a cache line of a CPU, a sector of a GPU's (CUDA C++ Best
#: Practices Guide, "Coalesced Access to Global Memory").
LINE_BYTES: Mapping[str, int] = {"cpu": 64, "cuda": 32}

#: cuDNN's tiles are of 64 x 64 or 128 x 32 elements at least (names of its kernels in the times
#: published with NeuSight, and the residuals of an H200).
LEAST_TILE = 4096.0

_ALIGNED_BYTES = 16

MOST_PRODUCTS = 3


@dataclass(frozen=True)
class Question:
    """What is asked, without its machine, its threads and its size."""

    workload: str
    case: str
    dtype: str
    math_mode: str
    backend: str
    device: str
    mode: str


@dataclass(frozen=True)
class Product:
    """A product that a GPU cuts into tiles: ``batch`` times m x k and k x n.

    ``turned`` are bytes moved to change the layout of operands and result, ``winograd`` those
    of the images that Winograd's algorithm would transform (0: not to be had). The library cuts
    the depth into ``most_pieces`` at most and has no tile of less than ``least_tile`` elements.
    ``plain`` is how many times slower plain units are than the matrix units that a library may
    use instead, on operands as they lie (0: it does not choose).
    """

    batch: Values
    m: Values
    n: Values
    k: Values
    turned: Values = 0.0
    winograd: Values = 0.0
    most_pieces: Values = inf
    least_tile: Values = 0.0
    plain: Values = 0.0

    @property
    def size(self) -> Values:
        return self.batch * self.m * self.n * self.k


PRODUCT_COLUMNS = tuple(field.name for field in fields(Product))


@dataclass(frozen=True)
class Shape:
    """What the shape of one operation means for its speed (see ``KernelWork``).

    ``passes`` multiplies the bytes of the work count and ``serial`` its FLOP. ``steps`` are
    pieces of work that take a time each without being FLOP, such as the elements of a gather;
    they count as FLOP. ``special`` tells where another algorithm does the arithmetic, ``radix``
    and ``algorithm`` number the ways of a library (0: the plain one). ``starts`` takes the place
    of the count of kernels where the host's calls are others. ``distinct`` is the share of the
    bytes that differ: arrays that a later call reads again count once. ``fresh`` and ``block``
    are bytes that the call allocates on a CPU, all and in one piece. ``product`` holds batch, m
    and n of the product that stands for all, zeros where nothing is multiplied, ``products`` (on
    a GPU) all of them, three at most, where ``product_batch`` is not zero.
    """

    width: Values = inf
    depth: Values = inf
    awkward: Values = 0.0
    special: Values = 0.0
    passes: Values = 1.0
    distinct: Values = 1.0
    fresh: Values = 0.0
    block: Values = 0.0
    serial: Values = 1.0
    steps: Values = 0.0
    starts: Values = 0.0
    product_batch: Values = 0.0
    product_m: Values = 0.0
    product_n: Values = 0.0
    products: tuple[Product, ...] = ()
    radix: Values = 0.0
    algorithm: Values = 0.0


def common_divisor(one: Values, other: Values) -> Values:
    """Greatest common divisor of whole numbers."""
    result: Floats = np.gcd(np.asarray(one, np.int64), np.asarray(other, np.int64)).astype(float)
    return result


def misalignment(elements: Values, dtype: str) -> Values:
    """0 where ``elements`` of a row fill units of 16 bytes, up to 1 where not even 4 bytes.

    GPU kernels load rows in units of 16 bytes; rows of a multiple of 8, 4 or 2 bytes only take
    more and narrower loads, the first halving costing most (NVIDIA, Matrix Multiplication
    Background User's Guide, 3.1).
    """
    aligned = common_divisor(elements * ITEM_BYTES[dtype], _ALIGNED_BYTES)
    halvings = np.log2(_ALIGNED_BYTES / aligned)
    result: Floats = np.minimum(1.0, np.cbrt(halvings / log2(_ALIGNED_BYTES / 2)))
    return result


def product_shape(
    asked: Question,
    products: Sequence[Product],
    *,
    awkward: Values = 0.0,
    fresh: Values = 0.0,
    block: Values = 0.0,
    distinct: Values = 1.0,
    serial: Values = 1.0,
    starts: Values = 0.0,
) -> Shape:
    """Shape of products, of which the first stands for all.

    On a GPU the depth is the inner dimension and results are cut into tiles; ``fresh`` and
    ``block`` do not count. On a CPU the depth is the mean thickness, the width the root of the
    product of all dimensions (NumPy multiplies one by one); nothing is awkward. A vector times
    a matrix streams the matrix.
    """
    first = products[0]
    batch, m, n, k = first.batch, first.m, first.n, first.k
    vector = np.minimum(m, n) == 1.0
    if asked.device == "cpu":
        # a vector's product streams its matrix as it lies: nothing is packed
        thickness = np.where(vector, inf, 3.0 / (1.0 / m + 1.0 / n + 1.0 / k))
        every = np.sqrt(sum(product.size for product in products))
        if asked.backend == "numpy":  # which multiplies a batch one by one
            every = every / np.sqrt(batch)
        return Shape(width=every, depth=thickness, distinct=distinct, fresh=fresh, block=block)
    ways = 2.0 * np.greater(first.turned, 0.0) + np.greater(first.winograd, 0.0)
    return Shape(
        width=np.where(vector, inf, batch * m * n * len(products)),
        depth=np.where(vector, inf, k),
        awkward=awkward,
        serial=np.where(vector, 1.0, serial),
        starts=np.where(vector, 0.0, starts),
        algorithm=np.where(vector, 0.0, ways),
        distinct=distinct,
        product_batch=np.where(vector, 0.0, batch * len(products)),
        product_m=np.where(vector, 0.0, m),
        product_n=np.where(vector, 0.0, n),
        products=tuple(products),
    )
