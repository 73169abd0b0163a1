"""``with breakeven.step():`` in a program marks what ``breakeven trace`` takes as one step.

In any other run it does nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_began: Callable[[], None] | None = None
_ended: Callable[[], None] | None = None


@contextlib.contextmanager
def step() -> Iterator[None]:
    """The body of a loop that repeats."""
    if _began is not None:
        _began()
    yield
    if _ended is not None:
        _ended()
