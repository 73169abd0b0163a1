"""Questions of many targets put to many donors at once: who asks whom, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.machine_facts import MachineFacts

Indices = np.ndarray[Any, np.dtype[np.intp]]


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
