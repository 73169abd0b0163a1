"""Folding keeps the order of all calls and is short where they repeat."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.record import folding
from estimator.record.folding import BLOCK, Folder, expanded

_LOOPS = st.recursive(
    st.lists(st.integers(0, 5), max_size=6),
    lambda inner: st.builds(
        lambda parts, times: [one for part in parts for one in part] * times,
        st.lists(inner, max_size=4),
        st.integers(1, 5),
    ),
    max_leaves=12,
)


def _folded(numbers: list[int]) -> Folder:
    folder = Folder()
    for number in numbers:
        folder.order.append(number)
        if len(folder.order) >= BLOCK:
            folder.close(folder.order)
    return folder


@given(_LOOPS)
def test_runs_expand_to_the_very_sequence(numbers: list[int]) -> None:
    assert expanded(_folded(numbers).runs()) == numbers


def test_loops_in_loops_are_short() -> None:
    numbers = [9, *([0, *([1, 2] * 30), 3] * 20_000), 8]
    runs = _folded(numbers).runs()
    assert expanded(runs) == numbers
    assert sum(len(body) for body, _ in runs) < 10_000


def test_beyond_what_is_kept_counts_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_MOST", 1000)
    random = Random(1)
    numbers = [random.randrange(50) for _ in range(5000)]
    folder = Folder()
    for start in range(0, 5000, 500):
        folder.order.extend(numbers[start : start + 500])
        folder.close(folder.order)
    runs = folder.runs()
    assert folder.unordered
    assert Counter(expanded(runs)) == Counter(numbers)
    assert sum(len(body) for body, _ in runs) < 2000
