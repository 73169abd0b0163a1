"""Questions of many targets put to many donors at once: who asks whom, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from estimator.arrays import Array, Flags, Indices
from estimator.others.facts import MachineFacts, distance

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Answers:
    """Log seconds of cells, their deviation, and the parts in seconds (n, 4); NaN: no answer.

    ``n`` is the count of rows behind each answer's fit, ``probes`` that of the target's cells.
    """

    log_seconds: Array
    deviation: Array
    parts: Array
    n: Counts
    probes: Counts

    def first(self, count: int) -> Answers:
        """Those of the first cells."""
        return Answers(*(values[:count] for values in vars(self).values()))

    @property
    def known(self) -> Flags:
        known: Flags = np.isfinite(self.log_seconds)
        return known


@dataclass(frozen=True)
class Pairs:
    """Row i of a table asks for ``pairs[code[i]]``: (target, donor); ``code`` is (n,)."""

    pairs: Sequence[tuple[MachineFacts, MachineFacts]]
    code: Indices

    def __len__(self) -> int:
        return len(self.code)

    @classmethod
    def one(cls, target: MachineFacts, donor: MachineFacts, count: int) -> Pairs:
        """The same pair in each of ``count`` rows."""
        return cls(((target, donor),), np.zeros(count, dtype=np.intp))

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """The rows of several, one after the other."""
        starts = np.cumsum([0, *(len(part.pairs) for part in parts)])
        code = [part.code + start for part, start in zip(parts, starts, strict=False)]
        every = [pair for part in parts for pair in part.pairs]
        return cls(every, np.concatenate([np.zeros(0, dtype=np.intp), *code]))

    @property
    def donors(self) -> Any:
        """The donor's identifier of each row, (n,)."""
        return self.each(lambda _, donor: donor.machine_id, object)

    def take(self, rows: Indices) -> Pairs:
        """The pairs of these rows."""
        return Pairs(self.pairs, self.code[rows])

    def each(self, value: Callable[[MachineFacts, MachineFacts], Any], dtype: Any = float) -> Any:
        """What a function says of target and donor of each row, (n,)."""
        found = np.empty(len(self.pairs), dtype=dtype)
        for i, pair in enumerate(self.pairs):
            found[i] = value(*pair)
        return found[self.code]


Distances = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Ranks:
    """``owner`` (n,): each row's place in ``targets`` and ``donors`` (a target on a device each).

    ``distance`` says of each donor how unlike the target it is (``facts.distance``).
    """

    owner: Indices
    targets: Sequence[MachineFacts]
    donors: Sequence[Sequence[MachineFacts]]
    distance: Sequence[Sequence[int]]

    @classmethod
    def of(
        cls,
        able: Callable[[MachineFacts, str], list[MachineFacts]],
        targets: Sequence[MachineFacts],
        which: Indices,
        device: pd.Series[Any],
    ) -> Ranks:
        """Row i asks for ``targets[which[i]]``; ``able`` gives the donors of a target."""
        numbers, devices = pd.factorize(device)
        kinds, owner = np.unique(which * len(devices) + numbers, return_inverse=True)
        asking = [(targets[kind // len(devices)], devices[kind % len(devices)]) for kind in kinds]
        donors = [able(*one) for one in asking]
        far = [
            [distance(target, donor, on) for donor in known]
            for (target, on), known in zip(asking, donors, strict=True)
        ]
        return cls(owner.ravel(), [target for target, _ in asking], donors, far)

    @property
    def most(self) -> int:
        """How many ranks there are."""
        return max((len(known) for known in self.donors), default=0)

    def at(self, rank: int) -> tuple[Flags, Flags]:
        """Of each row: whether it has a donor of this rank, and whether that is the first one
        that is less alike than those before."""
        there = np.array([rank < len(known) for known in self.donors], dtype=bool)
        turned = [0 < rank < len(far) and far[rank] > far[rank - 1] for far in self.distance]
        return there[self.owner], np.array(turned, dtype=bool)[self.owner]

    def pairs(self, rank: int, rows: Indices) -> tuple[Pairs, Distances]:
        """Targets and donors of this rank of rows, and how unlike they are."""
        owners, code = np.unique(self.owner[rows], return_inverse=True)
        pairs = [(self.targets[owner], self.donors[owner][rank]) for owner in owners]
        far = np.array([self.distance[owner][rank] for owner in owners], dtype=np.int64)
        return Pairs(pairs, code.ravel()), far[code.ravel()]
