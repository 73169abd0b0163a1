"""Times that machines answer for cells, on their way to a table of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from estimator.kernel_model import Array

Flags = np.ndarray[Any, np.dtype[np.bool_]]
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
