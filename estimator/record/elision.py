"""Temporaries of an expression that NumPy would write its next result into.

For plain arrays NumPy sees that nobody else holds ``a * b`` in ``a * b + c`` and adds in place (of
256 KiB and more). It does not for subclasses: what a recording runs would take up to twice as
long, and the program as it is would not. So the same is done here, where the count of references
says it surely; what is computed is the same.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import numpy as np

_LEAST_BYTES = 256 * 1024
_OPERATORS = frozenset({dis.opmap[name] for name in ("BINARY_OP", "UNARY_NEGATIVE")
                        if name in dis.opmap})  # fmt: skip
_COMMUTING = frozenset({np.add, np.multiply})
_FIRST = frozenset({np.subtract, np.divide, np.negative, np.square})
_getrefcount = sys.getrefcount


class Elision:
    """Whether an operand is a temporary; off until ``learn`` has seen that counts tell it."""

    def __init__(self) -> None:
        self.least_bytes = sys.maxsize
        #: references to a temporary: which is the first array, and which is not
        self._first = self._other = 0
        self._learning: list[list[int]] | None = None
        self._operator: dict[tuple[int, int], tuple[CodeType, bool]] = {}

    def temporary(self, ufunc: Any, array: Any, inputs: tuple[Any, ...], frame: FrameType) -> int:
        """Which of the inputs the result may be written into; -1: none."""
        if self._learning is not None:
            counts = []
            for one in inputs:
                counts.append(_getrefcount(one))
            self._learning.append(counts)
            return -1
        if not self._by_operator(frame):
            return -1
        commutes = ufunc in _COMMUTING
        if not commutes and ufunc not in _FIRST:
            return -1
        for place in (0, 1) if commutes and len(inputs) == 2 else (0,):
            one = inputs[place]
            if type(one) is not type(array):
                continue
            wanted = self._first if one is array else self._other
            if _getrefcount(one) != wanted or not _owns(one):
                continue
            if len(inputs) == 1 or _fits(inputs[1 - place], one):
                return place
        return -1

    def learn(self, loop: Callable[..., None], *arrays: Any) -> None:
        """See how many references temporaries have.

        ``loop`` makes c = a * b; (a * b) + c; c + (a * b), of which c is no temporary.
        """
        self.least_bytes, self._learning = 0, []
        loop(*arrays)
        (_, _, first, _, second), self._learning = self._learning, None
        told = second[0] == first[0] + 1 and first[1] == second[1] + 1
        self._first, self._other = first[0], second[1]
        self.least_bytes = _LEAST_BYTES if told else sys.maxsize

    def _by_operator(self, frame: FrameType) -> bool:
        code, place = frame.f_code, frame.f_lasti
        known = self._operator.get((id(code), place))
        if known is None:
            known = self._operator[id(code), place] = (code, code.co_code[place] in _OPERATORS)
        return known[1]


def _owns(array: Any) -> bool:
    base = array.base
    return (
        type(base) is np.ndarray
        and base.base is None
        and _getrefcount(base) == 3  # the view's, this frame's, the count's own
        and base.nbytes == array.nbytes
        and array.flags.writeable
        and array.dtype.kind in "fc"
    )


def _fits(other: Any, array: Any) -> bool:
    """Whether the result has the array's shape and type."""
    if isinstance(other, np.ndarray):
        return bool(other.shape == array.shape and other.dtype == array.dtype)
    return type(other) in (float, int)


ELISION = Elision()
