"""What the lengths of Fourier transforms mean for their speed. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import inf, log2

import numpy as np

from collector.workloads._factors import Factors, Wholes, factorise, next_smooth
from collector.workloads._shape import Question, Shape
from collector.workloads._types import ITEM_BYTES
from collector.workloads._work import Floats, Truths

#: cuFFT: lengths of so many bytes go through memory once, in one kernel (2^17 bytes are half of
#: an H100's shared memory), longer ones twice; lengths that are no power of two once up to half
#: of that and then three times. Choices of the
#: model, from the residuals of an H200; not checked against other GPUs.
_ONE_PASS_BYTES = 2**17
_ONE_PASS_MIXED_BYTES = 2**16
_MIXED_PASSES = 3.0

#: Bluestein's algorithm (choices of the same kind): passes and kernels where twice the length
#: fits one kernel, and beyond.
_BLUESTEIN_SHORT = (4.0, 2.0)
_BLUESTEIN_LONG = (12.0, 6.0)

_LARGEST_DIRECT_PRIME = 127  # cuFFT: longer prime factors take Bluestein's algorithm
_LARGEST_FAST_PRIME = 13  # longer ones are summed up term by term

#: pocketfft: what Bluestein's two transforms cost beside a direct one, and a factor of more than
#: 5 beside its size (cost_guess and util of pocketfft, M. Reinecke).
_BLUESTEIN_COST, _LARGE_FACTOR_COST = 3.0, 1.1
_SHORT = 50  # pocketfft transforms shorter ones directly

POWER_OF_TWO, SMALL_PRIMES, LARGE_PRIMES, BLUESTEIN = range(4)


def transform_shape(
    asked: Question, n: Floats, points: Floats, result: Floats, dimensions: int
) -> Shape:
    """Shape of transforms of length n, ``points`` all together, along one dimension or more.

    ``result`` are elements that the call returns.
    """
    item = ITEM_BYTES[asked.dtype]
    factors = factorise(n)
    kind = _class(n, factors, asked.device)
    bluestein = kind == BLUESTEIN
    returned = result * item
    shape = Shape(
        width=points,
        awkward=np.where(kind == POWER_OF_TWO, 0.0, 0.5),
        distinct=1.0 / dimensions,
        radix=kind.astype(float),
        special=bluestein.astype(float),
    )
    if asked.device == "cpu":
        return replace(shape, serial=direct_cost(n, factors), fresh=returned, block=returned)
    short = 2.0 * n * item <= _ONE_PASS_MIXED_BYTES
    passes, kernels = (
        np.where(bluestein, np.where(short, brief, long), _passes(n, item, kind))
        for brief, long in zip(_BLUESTEIN_SHORT, _BLUESTEIN_LONG, strict=True)
    )
    chirped = 4.0 * np.log2(2.0 * n) / np.log2(np.maximum(n, 2.0))
    serial = np.where(bluestein, chirped, _term_by_term(n, factors))
    return replace(shape, passes=passes, serial=serial, starts=kernels * dimensions)


def _class(n: Floats, factors: Factors, device: str) -> Wholes:
    largest = factors.largest
    if device == "cpu":
        bluestein: Truths = _bluestein_cost(n, largest) < _cost(n, factors)
    else:
        bluestein = largest > _LARGEST_DIRECT_PRIME
    kind = np.where(bluestein, BLUESTEIN, LARGE_PRIMES)
    kind[largest <= _LARGEST_FAST_PRIME] = SMALL_PRIMES
    kind[largest <= 2] = POWER_OF_TWO
    return kind


def direct_cost(n: Floats, factors: Factors) -> Floats:
    """Arithmetic of transforms over 5 n log2 n FLOP, by pocketfft's own estimate, (n,)."""
    least = np.minimum(_cost(n, factors), _bluestein_cost(n, factors.largest))
    result: Floats = least / (2.0 * n * np.log2(np.maximum(n, 2.0)))
    return result


def _cost(n: Floats, factors: Factors) -> Floats:
    prime = factors.prime
    return n * factors.sum(np.where(prime <= 5, 1.0, _LARGE_FACTOR_COST) * prime)


def _bluestein_cost(n: Floats, largest: Wholes) -> Floats:
    cost = np.full(len(n), inf)
    able = np.flatnonzero((n >= _SHORT) & (largest.astype(float) ** 2 > n))
    if len(able):
        good = next_smooth(2.0 * n[able] - 1.0)
        cost[able] = _BLUESTEIN_COST * _cost(good.astype(float), factorise(good))
    return cost


def _passes(n: Floats, item: int, kind: Wholes) -> Floats:
    powers = np.ceil(np.log2(np.maximum(n, 2.0)) / log2(_ONE_PASS_BYTES / item))
    others = np.where(n * item <= _ONE_PASS_MIXED_BYTES, 1.0, _MIXED_PASSES)
    return np.where(kind == POWER_OF_TWO, powers, others)


def _term_by_term(n: Floats, factors: Factors) -> Floats:
    """Arithmetic over 5 n log2 n where a factor of more than 13 costs as much as its size."""
    prime = factors.prime.astype(float)
    costs = np.where(prime <= _LARGEST_FAST_PRIME, 2.0 * np.log2(prime), prime)
    return np.where(n > 1.0, factors.sum(costs) / (2.0 * np.log2(np.maximum(n, 2.0))), 1.0)
