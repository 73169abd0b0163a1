"""Is a difference of log medians larger than run-to-run spread explains? Pure; needs scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.compare.run_spread import CellTime, RunSpread, Scale

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class CellTest:
    """Difference of a cell's mean log medians, B minus A, with what is known of its spread."""

    cell_id: str
    a_log: float
    b_log: float
    scale: Scale | None
    p: float | None

    @classmethod
    def of(
        cls,
        cell_id: str,
        a: Sequence[CellTime],
        b: Sequence[CellTime],
        spread: RunSpread,
        smallest_effect: float,
    ) -> CellTest:
        a_log = float(np.mean([cell.log_median for cell in a]))
        b_log = float(np.mean([cell.log_median for cell in b]))
        cell = next((c for c in (*a, *b) if c.noisy), a[0])
        single, shift = spread.of_cell(cell_id, cell), spread.shifts.get(cell.kind)
        if single is None or shift is None:
            return cls(cell_id, a_log, b_log, None, None)
        variance = 0.0
        for side in (a, b):
            within = float(np.mean([c.standard_error**2 for c in side]))
            variance += max(single.variance, within) / len(side)
        shared = shift.variance * (1 / len(a) + 1 / len(b))
        scale = add_scales(Scale(variance, single.df), Scale(shared, shift.df))
        return cls(
            cell_id, a_log, b_log, scale, p_value(b_log - a_log, scale, math.log1p(smallest_effect))
        )

    @property
    def difference(self) -> float:
        return self.b_log - self.a_log

    @property
    def limits(self) -> tuple[float, float] | tuple[None, None]:
        return ratio_limits(self.difference, self.scale)


def add_scales(one: Scale, other: Scale) -> Scale:
    """Variance of a sum, degrees of freedom after Satterthwaite (1946, Biometrics 2, 110)."""
    total = one.variance + other.variance
    df = total**2 / (one.variance**2 / one.df + other.variance**2 / other.df)
    return Scale(total, df)


def p_value(difference: float, scale: Scale, smallest: float) -> float:
    """That the true difference is no larger than ``smallest``, either way.

    McCarthy and Smyth 2009, Bioinformatics 25, 765 (the test called TREAT).
    """
    from scipy.special import stdtr

    error = math.sqrt(scale.variance)
    beyond = stdtr(scale.df, -(abs(difference) - smallest) / error)
    opposite = stdtr(scale.df, -(abs(difference) + smallest) / error)
    return float(beyond + opposite)


def ratio_limits(difference: float, scale: Scale | None) -> tuple[float, float] | tuple[None, None]:
    """95 % interval of a ratio whose logarithm is known with this scale."""
    if scale is None:
        return None, None
    from scipy.special import stdtrit

    reach = float(stdtrit(scale.df, (1 + _CONFIDENCE) / 2)) * math.sqrt(scale.variance)
    low, high = np.exp(np.clip([difference - reach, difference + reach], -700, 700))
    return float(low), float(high)
