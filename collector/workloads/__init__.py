"""The families of workloads, one module each, and the registry that finds them by name."""

from __future__ import annotations

from collector.errors import SelectionError
from collector.workloads.base import (
    ITEM_BYTES,
    SUITES,
    UNIT_ROUNDOFF,
    Check,
    GridPoint,
    Work,
    Workload,
)
from collector.workloads.elementwise import Elementwise
from collector.workloads.fft import Fft
from collector.workloads.launch import Launch
from collector.workloads.matmul import Matmul
from collector.workloads.python_loop import PythonLoop
from collector.workloads.reduction import Reduction
from collector.workloads.training_step import TrainingStep
from collector.workloads.transfer import Transfer

__all__ = [
    "FAMILIES",
    "ITEM_BYTES",
    "SUITES",
    "UNIT_ROUNDOFF",
    "Check",
    "GridPoint",
    "Work",
    "Workload",
    "get_workload",
]

FAMILIES: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Matmul(),
        Elementwise(),
        Reduction(),
        Fft(),
        Transfer(),
        Launch(),
        PythonLoop(),
        TrainingStep(),
    )
}


def get_workload(name: str) -> Workload:
    """The family of that name. Raises SelectionError, which lists the names."""
    try:
        return FAMILIES[name]
    except KeyError:
        raise SelectionError(
            f"unknown workload {name!r}; choose one of {', '.join(FAMILIES)}"
        ) from None
