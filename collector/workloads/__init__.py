"""The families of workloads, one module each, and the registry that finds them by name."""

from __future__ import annotations

from collector.errors import SelectionError
from collector.workloads.anchor import Anchor
from collector.workloads.attention import Attention
from collector.workloads.base import ITEM_BYTES, SUITES, UNIT_ROUNDOFF, Check, GridPoint, Workload
from collector.workloads.conv2d import Conv2d
from collector.workloads.dense_layer import DenseLayer
from collector.workloads.elementwise import Elementwise
from collector.workloads.fft import Fft
from collector.workloads.gather import Gather
from collector.workloads.image_pipeline import ImagePipeline
from collector.workloads.inference_step import InferenceStep
from collector.workloads.job_memory import JobMemory
from collector.workloads.launch import Launch
from collector.workloads.matmul import Matmul
from collector.workloads.python_loop import PythonLoop
from collector.workloads.random_numbers import RandomNumbers
from collector.workloads.reduction import Reduction
from collector.workloads.scatter_add import ScatterAdd
from collector.workloads.sort import Sort
from collector.workloads.spmm import Spmm
from collector.workloads.training_step import TrainingStep
from collector.workloads.transfer import Transfer
from collector.workloads.work import Work

__all__ = [
    "FAMILIES",
    "ITEM_BYTES",
    "SUITES",
    "UNIT_ROUNDOFF",
    "Check",
    "GridPoint",
    "JobMemory",
    "Work",
    "Workload",
    "get_workload",
]

FAMILIES: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Matmul(),
        Conv2d(),
        DenseLayer(),
        Attention(),
        Elementwise(),
        Reduction(),
        Sort(),
        Gather(),
        ScatterAdd(),
        Spmm(),
        RandomNumbers(),
        Fft(),
        ImagePipeline(),
        Transfer(),
        Launch(),
        PythonLoop(),
        TrainingStep(),
        InferenceStep(),
        Anchor(),
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
