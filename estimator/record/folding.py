"""The order of millions of calls, folded where they repeat: exact, in one pass.

A loop is found where as many calls in a row as lie between a call and its last occurrence have
that distance; from there on only what repeats is counted. What is left is folded once more: an
outer loop repeats what its inner loops were folded to.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

#: numbers in a row, and how often they repeat
Run = tuple[tuple[int, ...], int]

#: numbers that are folded at a time
BLOCK = 1 << 16
#: an outer loop is written out up to this length of its body
_LONGEST = 20_000
#: loops in loops that are looked for; what a run costs in a file, in numbers
_DEPTH, _RUN = 4, 10
#: numbers that are kept in their order; beyond, blocks are kept by their counts
_MOST = 6_000_000


class Folder:
    """Takes numbers in blocks; ``runs`` gives them back, folded."""

    def __init__(self) -> None:
        #: what is to come; whoever appends closes a block when it has ``BLOCK`` numbers
        self.order: list[int] = []
        self._runs: list[Run] = []
        self._kept = 0
        #: whether the order of some blocks was given up
        self.unordered = False

    def runs(self) -> list[Run]:
        """All runs up to now, in order."""
        self.close(self.order)
        return _worthwhile(folded_again(self._runs))

    def close(self, order: list[int]) -> None:
        """Fold what has come."""
        block = order.copy()
        order.clear()
        runs = _worthwhile(folded_again(folded(block)))
        size = sum(len(body) for body, _ in runs)
        if self._kept + size > _MOST:
            self.unordered = True
            counts: dict[int, int] = {}
            for body, count in runs:
                for number in body:
                    counts[number] = counts.get(number, 0) + count
            runs = [((number,), count) for number, count in counts.items()]
            size = len(runs)
        self._kept += size
        if self._runs and runs and self._runs[-1][0] == runs[0][0]:
            body, count = self._runs.pop()
            runs[0] = (body, count + runs[0][1])
        self._runs += runs


def expanded(runs: Sequence[Run]) -> list[int]:
    """The numbers that were folded."""
    return list(chain.from_iterable(body * count for body, count in runs))


def folded(numbers: Sequence[int]) -> list[Run]:
    """Runs that repeat, and what lies between them as runs of count 1."""
    runs: list[Run] = []
    last: dict[int, int] = {}  # where each number was last
    start = 0  # of what is not in a run yet
    distance = length = 0
    position, end = 0, len(numbers)
    while position < end:
        number = numbers[position]
        before = last.get(number, -1)
        last[number] = position
        position += 1
        if before < start:
            distance = length = 0
            continue
        if position - 1 - before == distance:
            length += 1
        else:
            distance, length = position - 1 - before, 1
        if length < distance or position - 2 * distance < start:
            continue
        first = position - 2 * distance
        body = tuple(numbers[first : first + distance])
        count = 2
        while tuple(numbers[position : position + distance]) == body:
            count += 1
            position += distance
        if first > start:
            runs.append((tuple(numbers[start:first]), 1))
        runs.append((body, count))
        start = position
        distance = length = 0
    if start < end:
        runs.append((tuple(numbers[start:end]), 1))
    return runs


def folded_again(runs: list[Run]) -> list[Run]:
    """Runs of runs, as outer loops make them, where that is shorter than to leave them."""
    for _ in range(_DEPTH):
        numbers: dict[Run, int] = {}
        order = [numbers.setdefault(run, len(numbers)) for run in runs]
        known = list(numbers)
        result: list[Run] = []
        for body, count in folded(order):
            parts = [known[number] for number in body]
            size = sum(len(inner) * times for inner, times in parts)
            flat = count * sum(len(inner) + _RUN for inner, _ in parts)
            if count > 1 and size <= min(_LONGEST, flat):
                written = tuple(chain.from_iterable(inner * times for inner, times in parts))
                result.append((written, count))
            else:
                result += parts * count
        joined = _joined(result)
        if len(joined) >= len(runs):
            return joined
        runs = joined
    return runs


def _worthwhile(runs: list[Run]) -> list[Run]:
    """Runs that save nothing are written out."""
    return _joined(
        [
            (body * count, 1) if len(body) * (count - 1) < _RUN else (body, count)
            for body, count in runs
        ]
    )


def _joined(runs: list[Run]) -> list[Run]:
    """Runs of count 1 that follow each other as one."""
    joined: list[Run] = []
    pending: list[tuple[int, ...]] = []
    for body, count in runs:
        if count == 1:
            pending.append(body)
            continue
        if pending:
            joined.append((tuple(chain.from_iterable(pending)), 1))
            pending = []
        joined.append((body, count))
    if pending:
        joined.append((tuple(chain.from_iterable(pending)), 1))
    return joined
