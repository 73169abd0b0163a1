"""What a question means where it does not say: one default for every command and page.

    data       on the device, as in the steps of a job: the time with copies stands beside it
    type       float32, else the family's first
    math       IEEE: no element type is rounded to another one
    library    on each device the fastest by estimate of those that measured such sizes
    threads    all cores
    machine    a type, pooled over its boxes (``machine_types``)

Data on the device is the default because it is what a step of a longer job costs; a single call
on data in host memory is the other question, which ``pays`` and Estimate answer beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the helps read this module: pandas is imported where it is needed
    import pandas as pd

    from collector.workloads import Workload

#: Where the data of a GPU's call is, as a mode of the dataset.
DataPlace = Literal["resident", "end_to_end"]
DATA_PLACE: DataPlace = "resident"
MATH_MODE = "ieee"
DTYPE = "float32"

#: Bases that need no faith in what lies beyond the measurements.
WELL_KNOWN = ("measured", "interpolated")
#: Estimates that differ by less cannot be told apart: the library that measured the cell speaks.
_TOLD_APART = 1.05
#: Bases of a machine that measured no such thing itself; another's measurements answer.
_BORROWED = ("probed", "same_cores", "from_specs")

#: The defaults in one sentence, for helps.
IN_SHORT = (
    "Where nothing else is said: float32, data on the device, on each device the fastest library "
    "that measured such sizes, all cores, and boxes of one machine type as one."
)


def default_dtype(family: Workload, case: str) -> str:
    """The element type of a case that is asked for without one."""
    every = [dtype for pairs in family.support.values() for dtype, _ in pairs]
    types = [dtype for dtype in every if family.takes(case, dtype)]
    return DTYPE if DTYPE in types else types[0]


def gpu_mode(workload: str, case: str, mode: str | None = None) -> str:
    """The mode in which a GPU is asked; copies within a device have no other than hot."""
    return mode or ("hot" if (workload, case) == ("transfer", "d2d") else DATA_PLACE)


def cpu_mode(mode: str) -> str:
    """The mode in which a CPU is set against a GPU: its data is in its memory whatever it is."""
    return "cold" if mode == "cold" else "hot"


def other_place(mode: str) -> DataPlace | None:
    """The other place where the data may be; None for modes that are about something else."""
    places: dict[str, DataPlace] = {"resident": "end_to_end", "end_to_end": "resident"}
    return places.get(mode)


def fastest_first(table: pd.DataFrame) -> pd.DataFrame:
    """Places in the order in which they speak for a device: by column guessed, then by estimate.

    ``table``: device, backend, basis and seconds_p50. guessed is 0 where such sizes were measured
    there, 1 where a library answers that did so on another machine, else 2: a library that is
    fast only beyond its measurements speaks last. Of estimates within 5 %, one of a measured
    cell comes first. Index kept.
    """
    import numpy as np

    known = set(
        table.loc[table["basis"].isin(WELL_KNOWN), ["device", "backend"]].itertuples(
            index=False, name=None
        )
    )
    pairs = table[["device", "backend"]].itertuples(index=False, name=None)
    lent = np.array([pair in known for pair in pairs], dtype=bool)
    lent &= table["basis"].isin(_BORROWED).to_numpy()
    guessed = np.where(table["basis"].isin(WELL_KNOWN), 0, np.where(lent, 1, 2))
    worth = table["seconds_p50"].astype(float)
    worth = worth.where(table["basis"] == "measured", _TOLD_APART * worth)
    ranked = table.assign(guessed=guessed, worth=worth)
    return ranked.sort_values(["guessed", "worth"], kind="stable").drop(columns="worth")
