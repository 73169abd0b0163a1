"""What the parameters of each family mean for its speed: one function per family. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, gcd, inf, log2, sqrt

from collector.workloads import ITEM_BYTES, get_workload

ParamsKey = tuple[tuple[str, int], ...]

#: A transform longer than this does not fit a multiprocessor's shared memory and goes through
#: memory once more for each such factor (2^13 points of complex64 take 64 KiB).
_FFT_POINTS_PER_PASS = 2**13
_LARGEST_DIRECT_PRIME = 127  # cuFFT: longer prime factors take Bluestein's algorithm

#: Most threads of numba's counting kernel in the python_loop family: 1024 blocks of 256.
_NUMBA_GRID_THREADS = 1024 * 256

_ALIGNED_BYTES = 16


@dataclass(frozen=True)
class Shape:
    """What the shape of one operation means for its speed (see ``KernelWork``).

    ``passes`` multiplies the bytes of the work count and ``serial`` its FLOP. ``distinct`` is
    the share of the bytes that differ: arrays that a later call reads again count once.
    ``fresh`` and ``block`` are bytes that the call allocates on a CPU, all and in one piece.
    ``product`` holds batch, m and n of a product that a GPU cuts into tiles, zeros elsewhere.
    """

    width: float = inf
    depth: float = inf
    awkward: float = 0.0
    passes: float = 1.0
    distinct: float = 1.0
    fresh: float = 0.0
    block: float = 0.0
    serial: float = 1.0
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


def shape_of(asked: Question, params: Mapping[str, int]) -> Shape:
    """Shape of a question with canonical parameters; the plain one for families without."""
    return _SHAPES.get(asked.workload, _shapeless)(asked, params)


def _matmul_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Depth: the inner dimension, on a CPU the mean thickness. Width: root of the product.

    GPU kernels load rows in units of 16 bytes; rows of a multiple of 8, 4 or 2 bytes only take
    more and narrower loads, the first halving costing most (NVIDIA, Matrix Multiplication
    Background User's Guide, 3.1). The rows of row-major operands are k and n elements long.
    """
    batch, m, n, k = (params[name] for name in ("batch", "m", "n", "k"))
    every = float(batch) * m * n * k
    aligned = min(_ALIGNED_BYTES, gcd(gcd(n, k) * ITEM_BYTES[asked.dtype], _ALIGNED_BYTES))
    if asked.device == "cpu":
        result = float(batch * m * n * ITEM_BYTES[asked.dtype])
        thickness = 3.0 / (1.0 / m + 1.0 / n + 1.0 / k)
        return Shape(width=sqrt(every), depth=thickness, fresh=result, block=result)
    awkward = sqrt(log2(_ALIGNED_BYTES / aligned) / log2(_ALIGNED_BYTES / 2))
    return Shape(
        width=float(batch) * m * n,
        depth=float(k),
        awkward=awkward,
        product_batch=float(batch),
        product_m=float(m),
        product_n=float(n),
    )


def _fft_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """Awkward: 0 for powers of two, 1/2 for products of small primes, 1 for large primes."""
    n = params["n"]
    largest = _largest_prime_factor(n)
    awkward = 0.0 if largest <= 2 else 0.5 if largest <= _LARGEST_DIRECT_PRIME else 1.0
    passes = 1.0
    if asked.device == "cuda":
        passes = float(ceil(log2(max(n, 2)) / log2(_FFT_POINTS_PER_PASS)))
    points = float(get_workload("fft").size(asked.case, params))
    result = points * ITEM_BYTES[asked.dtype] if asked.device == "cpu" else 0.0
    return Shape(
        width=points,
        awkward=awkward,
        passes=passes,
        distinct=0.5 if asked.case == "fft2" else 1.0,
        fresh=result,
        block=result,
    )


def _loop_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """On a GPU each thread of numba's kernel adds once to one counter, which takes turns.

    The grid stops growing at a number of threads, from where on each counts more points.
    """
    if asked.backend == "numba" and asked.device == "cuda":
        return Shape(serial=min(1.0, _NUMBA_GRID_THREADS / params["n"]))
    if asked.backend in ("python", "numba"):
        return Shape()
    # of 66 bytes a point: x and y, two squares and their sum of 8, the comparison's of 1
    if asked.device == "cuda":
        return Shape(distinct=41.0 / 66.0)
    return Shape(distinct=41.0 / 66.0, fresh=25.0 * params["n"], block=8.0 * params["n"])


def _elementwise_shape(asked: Question, params: Mapping[str, int]) -> Shape:
    """An expression of arrays reads its intermediate results again, and allocates them.

    The polynomial's four calls move nine vectors, of which three are alive at a time; the
    triad of NumPy and CuPy is two calls that move five, three of them distinct.
    """
    if asked.backend == "numba":
        return Shape()
    if not asked.case.startswith("polynomial"):
        twice = asked.case == "triad" and asked.backend != "torch"
        return Shape(distinct=3.0 / 5.0 if twice else 1.0)
    if asked.device == "cuda":
        return Shape(distinct=3.0 / 9.0)
    block = float(params["n"] * ITEM_BYTES[asked.dtype])
    return Shape(distinct=3.0 / 9.0, fresh=4.0 * block, block=block)


def _shapeless(asked: Question, params: Mapping[str, int]) -> Shape:
    return Shape()


def _largest_prime_factor(n: int) -> int:
    factor, largest = 2, 1
    while factor * factor <= n:
        while n % factor == 0:
            n //= factor
            largest = factor
        factor += 1
    return max(largest, n)


_SHAPES: Mapping[str, Callable[[Question, Mapping[str, int]], Shape]] = {
    "matmul": _matmul_shape,
    "fft": _fft_shape,
    "python_loop": _loop_shape,
    "elementwise": _elementwise_shape,
}
