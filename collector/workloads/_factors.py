"""Prime factors of many whole numbers at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from collector.workloads._work import Floats

Wholes = np.ndarray[Any, np.dtype[np.int64]]

_AT_ONCE = 2**21  # remainders that are computed at a time: 16 MiB
_MOST_BITS = 42  # of a smooth number: more than twice the largest parameter


@dataclass(frozen=True)
class Factors:
    """Prime factors of numbers (n,): ``prime`` divides number ``of`` so many ``times``."""

    count: int
    of: Wholes
    prime: Wholes
    times: Wholes

    @property
    def largest(self) -> Wholes:
        """Largest prime factor, (n,); 1 of 1."""
        found = np.ones(self.count, dtype=np.int64)
        np.maximum.at(found, self.of, self.prime)
        return found

    def sum(self, costs: Floats) -> Floats:
        """Sum over a number's factors of their ``costs`` (one for each of ``prime``), (n,)."""
        return np.bincount(self.of, costs * self.times, self.count).astype(float)


def factorise(numbers: Floats | Wholes) -> Factors:
    """By trial division. Numbers (n,), one at least, are whole and positive, up to 2**41."""
    unique, inverse = np.unique(np.asarray(numbers).astype(np.int64), return_inverse=True)
    primes = _primes_to(_root_bits(int(unique[-1])))
    rows = max(1, _AT_ONCE // max(1, len(primes)))
    found = [_pairs(unique[at : at + rows], primes, at) for at in range(0, len(unique), rows)]
    of, prime = (np.concatenate(parts) for parts in zip(*found, strict=True))
    times, power, left = np.ones(len(of), np.int64), prime * prime, np.arange(len(of))
    while len(left):
        left = left[unique[of[left]] % power[left] == 0]
        times[left] += 1
        power[left] *= prime[left]
    rest = unique.copy()
    np.floor_divide.at(rest, of, prime**times)
    over = np.flatnonzero(rest > 1)  # what is left has no factor up to its root: a prime
    of, prime = np.concatenate([of, over]), np.concatenate([prime, rest[over]])
    times = np.concatenate([times, np.ones(len(over), np.int64)])
    return _of_each(Factors(len(unique), of, prime, times), inverse.ravel())


def next_smooth(numbers: Floats | Wholes) -> Wholes:
    """The least products of 2, 3 and 5 that are at least as large, (n,)."""
    smooth = _smooth_numbers()
    found: Wholes = smooth[np.searchsorted(smooth, np.asarray(numbers).astype(np.int64))]
    return found


def _of_each(unique: Factors, inverse: Wholes) -> Factors:
    """Factors of numbers of which some are alike, from those of the distinct ones."""
    order = np.argsort(unique.of, kind="stable")
    counts = np.bincount(unique.of, minlength=unique.count)
    starts = np.cumsum(counts) - counts
    each = counts[inverse]
    of = np.repeat(np.arange(len(inverse)), each)
    within = np.arange(len(of)) - np.repeat(np.cumsum(each) - each, each)
    at = order[np.repeat(starts[inverse], each) + within]
    return Factors(len(inverse), of, unique.prime[at], unique.times[at])


def _pairs(numbers: Wholes, primes: Wholes, first: int) -> tuple[Wholes, Wholes]:
    """Which of the ascending numbers, counted from ``first``, each prime to the root divides."""
    tried = primes[: np.searchsorted(primes, np.sqrt(numbers[-1]), side="right")]
    of, at = np.nonzero(numbers[:, None] % tried == 0)
    return of + first, tried[at]


def _root_bits(number: int) -> int:
    return (number.bit_length() + 1) // 2


@lru_cache(maxsize=32)
def _primes_to(bits: int) -> Wholes:
    """Primes up to 2**bits, by the sieve of Eratosthenes."""
    prime = np.ones(2**bits + 1, dtype=bool)
    prime[:2] = False
    for factor in range(2, int(2 ** (bits / 2)) + 1):
        if prime[factor]:
            prime[factor**2 :: factor] = False
    return np.flatnonzero(prime)


@lru_cache(maxsize=1)
def _smooth_numbers() -> Wholes:
    found = np.ones(1, dtype=np.int64)
    for factor in (2, 3, 5):
        powers = np.array([factor**i for i in range(_MOST_BITS) if factor**i <= 2**_MOST_BITS])
        found = np.outer(found, powers).ravel()
        found = found[found <= 2**_MOST_BITS]
    return np.sort(found)
