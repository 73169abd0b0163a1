"""Which CPU and GPU place of a job to compare by default, and why no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

#: Bases that need no faith in what lies beyond the measurements.
WELL_KNOWN = ("measured", "interpolated")

_NOTICEABLE = 1.01  # times as fast: less is none of a reader's business
_MOST_REASONS = 3


@dataclass(frozen=True)
class Faster:
    """A place that is ``ratio`` times as fast as a chosen one by estimate, but less well known.

    ``at`` is its position in the table, ``same_machine`` whether it is the chosen one's.
    """

    at: int
    ratio: float
    same_machine: bool


def fair_pair(table: pd.DataFrame) -> tuple[int, int] | None:
    """Positions of the CPU and the GPU place of ``PlaceAnswers.table`` to compare by default.

    Those of one machine if any has both: of the machines whose two sides are ``WELL_KNOWN``, if
    any, the one with the fastest GPU. On each side the fastest place by estimate, the well known
    before the others. Fastest of each side where no machine has both; None where a side has no
    place.
    """
    if table.empty:
        return None
    ranked = table.reset_index(drop=True)
    ranked = ranked.assign(
        guessed=(~ranked["basis"].isin(WELL_KNOWN)).astype(int), at=np.arange(len(ranked))
    ).sort_values(["guessed", "seconds_p50", "at"])
    sides = [
        ranked[ranked["device"] == device].drop_duplicates("machine_id")
        for device in ("cpu", "cuda")
    ]
    if not all(len(side) for side in sides):
        return None
    both = sides[0].merge(sides[1], on="machine_id", suffixes=("_cpu", "_gpu"))
    if both.empty:
        on_cpu, on_gpu = (side["at"].iloc[0] for side in sides)
        return int(on_cpu), int(on_gpu)
    guessed = both["guessed_cpu"] + both["guessed_gpu"]
    order = ["guessed", "seconds_p50_gpu", "seconds_p50_cpu", "at_gpu"]
    best = both.assign(guessed=guessed).sort_values(order).iloc[0]
    return int(best["at_cpu"]), int(best["at_gpu"])


def faster_than(table: pd.DataFrame, chosen: Mapping[str, Any] | pd.Series[Any]) -> Faster | None:
    """The fastest place by estimate of a chosen one's device, if it is noticeably faster.

    ``chosen``: a row of ``table`` (``PlaceAnswers.table``).
    """
    ranked = table.reset_index(drop=True)
    same = ranked[ranked["device"] == chosen["device"]]
    best = same["seconds_p50"].astype(float).idxmin()
    ratio = float(chosen["seconds_p50"]) / float(ranked["seconds_p50"].loc[best])
    if ratio < _NOTICEABLE:
        return None
    machine = ranked["machine_id"].loc[best]
    return Faster(int(best), ratio, bool(machine == chosen["machine_id"]))


def reasons_in_short(refused: pd.DataFrame) -> str:
    """The commonest reasons of ``PlaceAnswers.refused`` with their counts; "" for none."""
    counts = refused["reason"].value_counts()
    parts = [
        f"{reason} ({count} place{'' if count == 1 else 's'})"
        for reason, count in counts.iloc[:_MOST_REASONS].items()
    ]
    more = int(counts.iloc[_MOST_REASONS:].sum())
    return "; ".join([*parts, *([f"{more} more for other reasons"] if more else [])])
