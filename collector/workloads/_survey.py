"""What the survey suite draws from: for a case the ranges of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collector.workloads._types import ElementType

Range = tuple[int, int]
Choice = list[int]


@dataclass(frozen=True)
class Space:
    """One case: parameters drawn from a range (low, high) on a logarithmic scale or a list.

    ``counts`` says how many shapes each element type and math mode gets; all of them take
    theirs from the beginning of the same sequence.
    """

    case: str
    ranges: Mapping[str, Range | Choice]
    counts: Mapping[ElementType, int]
