"""Whom each question asks: the donors of its machine on its device, the most alike first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from estimator.answers import Flags
from estimator.donor_pairs import Indices, Pairs
from estimator.machine_facts import MachineFacts, distance

Distances = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Ranks:
    """``owner`` (n,): each row's place in ``targets`` and ``donors`` (a target on a device each).

    ``distance`` says of each donor how unlike the target it is (``machine_facts.distance``).
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
