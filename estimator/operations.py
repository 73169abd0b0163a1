"""What an operation is called: its routine, its family, the mode that answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from estimator.questions import Question

#: Cases that are an operation of another case: (workload, case) -> the case that stands for all
#: of them. Products of any shape are one routine of a library, batches of them another. NumPy's
#: X X^T calls a symmetric product of half the work.
SAME_OPERATION: Mapping[tuple[str, str], str] = {
    **{
        ("matmul", case): "square"
        for case in ("skinny", "long_k", "int8_square", "dot_2000_float64")
    },
    ("matmul", "x_xt_1000_float32"): "square",
    ("elementwise", "polynomial_1e6_float32"): "polynomial",
}
#: Families whose work a library of NVIDIA's does on a GPU, whatever the backend.
_NVIDIA: Mapping[str, str] = {
    **{"matmul": "cublas", "conv2d": "cudnn", "fft": "cufft", "transfer": "cuda"}
}
_OF_ITS_OWN = {("x_xt_1000_float32", "numpy")}

#: Modes of a GPU whose clock is the host's: each call is dispatched and waited for.
HOST_MODES = ("resident", "end_to_end")

#: Modes of a question -> the mode of the rows that answer it. On a CPU nothing crosses a bus
#: and the call returns when the work is done: resident and end to end are the hot rows.
CPU_MODES: Mapping[str, str] = {"resident": "hot", "end_to_end": "hot"}


def operation(
    workload: str, case: str, backend: str = "", params: Mapping[str, int] | None = None
) -> str:
    """The case whose measurements describe the same operation (``SAME_OPERATION``).

    Libraries have other algorithms for convolutions with kernels of one element: with
    ``params`` that class follows the case's name after a space.
    """
    if (case, backend) in _OF_ITS_OWN:
        return case
    name = SAME_OPERATION.get((workload, case), case)
    if workload == "conv2d" and params is not None and params["kernel"] == 1:
        return f"{name} 1x1"
    return name


def library(workload: str, backend: str, device: str) -> str:
    """The routines that do the work: on a GPU several backends call NVIDIA's."""
    return _NVIDIA.get(workload, backend) if device == "cuda" else backend


def case_of(operation_name: str) -> str:
    """The case in the name of an operation."""
    return operation_name.partition(" ")[0]


def family_of(asked: Question) -> str:
    """The workload, but for cases that have nothing in common with its others.

    A copy over the bus and one on the device, a convolution of all channels and one of each.
    """
    if asked.case == "depthwise":
        return "depthwise"
    if asked.workload != "transfer":
        return asked.workload
    return "device_copy" if asked.case == "d2d" else "bus"
