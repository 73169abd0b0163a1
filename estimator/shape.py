"""What the shape of one operation means for its speed: the common form of all families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, inf, log2, sqrt

from collector.workloads import ITEM_BYTES, Work, get_workload

ParamsKey = tuple[tuple[str, int], ...]

_ALIGNED_BYTES = 16


@dataclass(frozen=True)
class Shape:
    """What the shape of one operation means for its speed (see ``KernelWork``).

    ``passes`` multiplies the bytes of the work count and ``serial`` its FLOP. ``steps`` are
    pieces of work that take a time each without being FLOP, such as the rows of a gather; they
    count as FLOP. ``starts`` takes the place of the count of kernels where the host's calls are
    others. ``distinct`` is the share of the bytes that differ: arrays that a later call reads
    again count once. ``fresh`` and ``block`` are bytes that the call allocates on a CPU, all and
    in one piece. ``product`` holds batch, m and n of a product that a GPU cuts into tiles, zeros
    elsewhere.
    """

    width: float = inf
    depth: float = inf
    awkward: float = 0.0
    passes: float = 1.0
    distinct: float = 1.0
    fresh: float = 0.0
    block: float = 0.0
    serial: float = 1.0
    steps: float = 0.0
    starts: float = 0.0
    product_batch: float = 0.0
    product_m: float = 0.0
    product_n: float = 0.0


@dataclass(frozen=True)
class Question:
    """One distinct operation of a table, without its machine."""

    workload: str
    case: str
    dtype: str
    math_mode: str
    backend: str
    device: str
    mode: str
    threads: int
    raw: ParamsKey


def work_of(asked: Question, params: Mapping[str, int]) -> Work:
    """Work of one call including the bus bytes of its operands and result, in every mode."""
    family = get_workload(asked.workload)
    return family.operation_work(asked.case, params, asked.dtype, asked.backend)


def misalignment(elements: int, dtype: str) -> float:
    """0 where ``elements`` of a row fill units of 16 bytes, up to 1 where not even 4 bytes.

    GPU kernels load rows in units of 16 bytes; rows of a multiple of 8, 4 or 2 bytes only take
    more and narrower loads, the first halving costing most (NVIDIA, Matrix Multiplication
    Background User's Guide, 3.1).
    """
    aligned = min(_ALIGNED_BYTES, gcd(elements * ITEM_BYTES[dtype], _ALIGNED_BYTES))
    return min(1.0, sqrt(log2(_ALIGNED_BYTES / aligned) / log2(_ALIGNED_BYTES / 2)))


def product_shape(
    asked: Question,
    batch: float,
    m: float,
    n: float,
    k: float,
    *,
    awkward: float = 0.0,
    fresh: float = 0.0,
    block: float = 0.0,
    distinct: float = 1.0,
) -> Shape:
    """Shape of ``batch`` products of m x k and k x n matrices.

    On a GPU the depth is the inner dimension and the result is cut into tiles; ``fresh`` and
    ``block`` do not count. On a CPU the depth is the mean thickness, the width the root of the
    product of all dimensions, and nothing is awkward.
    """
    if asked.device == "cpu":
        thickness = 3.0 / (1.0 / m + 1.0 / n + 1.0 / k)
        every = sqrt(batch * m * n * k)
        return Shape(width=every, depth=thickness, distinct=distinct, fresh=fresh, block=block)
    return Shape(
        width=float(batch * m * n),
        depth=float(k),
        awkward=awkward,
        distinct=distinct,
        product_batch=float(batch),
        product_m=float(m),
        product_n=float(n),
    )
