"""What answers an operation: cells of families, each so many times, and how near they are to it."""

from __future__ import annotations

from dataclasses import dataclass

from collector.jobs import ITEM_BYTES, Operation
from collector.workloads import FAMILIES, LARGEST_PARAMETER, Measured, place

Cells = tuple[tuple[Measured, float], ...]


@dataclass(frozen=True)
class Answered:
    """What an operation takes on the device: the sum of cells, each so many times.

    ``exact``: a family measures it; else it is answered by the nearest kind, which ``words`` name.
    ``known``: its kind is one that somebody thought about; else its counted work alone speaks.
    """

    cells: Cells
    exact: bool
    known: bool
    words: str
    #: no cell answers, but what it took where it was recorded
    recorded: bool = False


NOTHING = Answered((), True, True, "nothing on the device")


def whole_size(value: float) -> int:
    """The nearest size that a parameter can have."""
    return min(max(1, round(value)), LARGEST_PARAMETER)


def element_type(operation: Operation, workload: str, dtype: str) -> str:
    """The element type itself where the family has it, else a float of its size, else float32."""
    having = [name for name, _ in FAMILIES[workload].dtypes(*place(operation))]
    alike = [name for name in having if ITEM_BYTES[name] == ITEM_BYTES[dtype] and "float" in name]
    return dtype if dtype in having else alike[0] if alike else "float32"


def cell_of(operation: Operation, workload: str, case: str, dtype: str, **sizes: float) -> Measured:
    """A cell of a family; float32 products as the operation's math mode says."""
    tf32 = (dtype, "tf32") in FAMILIES[workload].dtypes(*place(operation))
    params = {name: whole_size(size) for name, size in sizes.items()}
    math_mode = operation.math_mode if tf32 else "ieee"
    return FAMILIES[workload].measured(case, params, dtype, math_mode)
