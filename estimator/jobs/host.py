"""What the host spends to ask for a call: the program's Python, torch's dispatch, the driver.

The Python comes with the job (``Operation.python_points``), and takes as long as so many points of
the loop of the family python_loop on the machine's CPU. The rest goes by kind of call, in seconds
of the reference host, the Xeon of the shipped H200 machines; on another machine as many times as
long as its chain of ``CHAIN`` calls takes longer than the reference's ``REFERENCE_S``.

``GPU`` is fitted to the shipped cells with data on the device that wait for the host (half as long
again as their kernels alone): the networks of training_step and inference_step, with half their
weight family launch and single calls of seven families; of each case the medians of the H200
machines, median over them, with the calls and the Python of each as a trace counts them. 24
medians, nine constants, rounded: the networks' mean error is 12 %, most 21 %; of all 19 %. A chain
of one product with gradients takes 21 to 44 % less, since it finds the caches warm, a copy of a row
a third more. ``kernel_s`` is a choice: what the driver takes to launch one. ``GPU_WITH_PYTHON`` was
fitted in the same way without the Python (13 medians, 7 %, most 18 %). ``CPU`` is what networks on
the CPU take beyond their cells in mode hot, which begin a call each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, SYNCHRONIZE, Operation

Array = np.ndarray[Any, Any]

#: The cells that compare hosts, and their seconds on the reference host: the library's calls on the
#: CPU, and Python's loop.
CHAIN = {
    **{"workload": "launch", "case": "chain", "params": {"length": 100}, "dtype": "float32"},
    "backend": "torch",
}
REFERENCE_S = 335e-6
_POINTS = 100_000
LOOP = {
    **{"workload": "python_loop", "case": "monte_carlo_pi", "params": {"n": _POINTS}},
    **{"dtype": "float64", "backend": "python"},
}
REFERENCE_POINT_S = 55e-9

#: Deviation of a host's times in logarithms: where a machine of its type was measured (174 cells of
#: such networks on six H200 machines lie 0.27 about what this file says; the machines' medians from
#: -0.14 to 0.30), where only its CPU's name is known, and where not even that (stated choices).
MEASURED_SIGMA, NAMED_SIGMA, UNKNOWN_SIGMA = 0.27, 0.35, 0.45

#: Of a loop of the host itself on data that is not on the GPU (a loader's tensors): bytes moved by
#: one core through memory, and FLOP of one core: stated choices, a tenth of a socket or less.
_CORE_BYTES_PER_S, _CORE_FLOP_PER_S = 5e9, 20e9


class Speed(NamedTuple):
    """A host: times as long as the reference's, its deviation in logarithms, seconds of a point."""

    scale: float = 1.0
    sigma: float = UNKNOWN_SIGMA
    point_s: float = REFERENCE_POINT_S

    @classmethod
    def measured(cls, chain_s: float, loop_s: float, lent: bool) -> Speed:
        """Of a host that takes so long for ``CHAIN`` and ``LOOP``, NaN where that is not known.

        ``lent``: others answered for it.
        """
        scales = (chain_s / REFERENCE_S, loop_s / _POINTS / REFERENCE_POINT_S)
        known = [scale for scale in scales if np.isfinite(scale)]
        if not known:
            return cls()
        chain, loop = (scale if np.isfinite(scale) else known[0] for scale in scales)
        return cls(chain, NAMED_SIGMA if lent else MEASURED_SIGMA, loop * REFERENCE_POINT_S)


@dataclass(frozen=True)
class Dispatch:
    """Seconds of the reference host by kind of call.

    ``call_s``: an operator; ``planned_s``: more where a library plans it (products, convolutions,
    norms, attention); ``recorded_s``: more where autograd records it; ``node_s``: more where a
    backward pass makes it; ``view_s``: one that computes nothing; ``list_s`` and ``tensor_s``: one
    over lists of tensors, and of it each tensor; ``kernel_s``: each kernel of a call beyond its
    first; ``pass_s``: to start a backward pass; ``wait_s``: to wait for the device and read what it
    says. ``views_recorded``: autograd's parts are of views too.
    """

    call_s: float
    planned_s: float
    recorded_s: float
    node_s: float
    view_s: float
    list_s: float
    tensor_s: float
    kernel_s: float
    pass_s: float
    wait_s: float
    views_recorded: bool = False


KERNEL_S = 2.5e-6

GPU = Dispatch(
    *(6.5e-6, 13.5e-6, 6e-6, 13e-6, 0.7e-6, 14e-6, 0.15e-6),
    *(KERNEL_S, 145e-6, 8e-6),
    views_recorded=True,
)
#: of jobs that do not say how much Python they have: an average program's is in it
GPU_WITH_PYTHON = Dispatch(
    *(16e-6, 0.0, 16e-6, 13e-6, 2e-6, 16e-6, 0.57e-6), *(KERNEL_S, 235e-6, 8e-6)
)
#: of networks on the CPU, an average program's Python with it
CPU = Dispatch(*(2.5e-6, 0.0, 1e-6, 3.5e-6, 1e-6, 0.0, 1.7e-6), *(0.0, 20e-6, 0.0))

_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "addbmm")
_PLANNED_PARTS = ("convolution", "attention", "_layer_norm", "batch_norm", "group_norm", "_rnn")


def has_python(operations: Sequence[Operation]) -> bool:
    """Whether a job says how much Python it has."""
    return any(one.python_points for one in operations)


def costs_of(operations: Sequence[Operation], device: str) -> Dispatch:
    """What calls of a job cost on a device's host, besides the Python that the job speaks of."""
    if device == "cpu":
        return CPU
    return GPU if has_python(operations) else GPU_WITH_PYTHON


def dispatch_seconds(
    operations: Sequence[Operation], training: bool, costs: Dispatch, speed: Speed
) -> Array:
    """Seconds of a host for each operation, (n,): Python before it, asking for it, own work.

    The last is of operations on data that is not on the GPU.
    """
    python = np.array([one.python_points for one in operations], dtype=float) * speed.point_s
    asks = np.array([_seconds(one, training, costs) for one in operations], dtype=float)
    works = np.array([_own_work(one) if one.device == "cpu" else 0.0 for one in operations])
    asks *= speed.scale
    both: Array = np.maximum(python, asks) if costs is CPU else python + asks
    return both + speed.scale * works


def _seconds(operation: Operation, training: bool, costs: Dispatch) -> float:
    if operation.kind == SYNCHRONIZE:
        return costs.wait_s
    if operation.device == "cpu":
        costs = CPU
    calls = max(operation.dispatches, 1)
    if operation.kind in (COPY_TO_GPU, COPY_TO_CPU):
        return costs.call_s if is_asynchronous(operation) else 0.0  # its time has it in it
    kernels = max(operation.launches - 1, 0) * costs.kernel_s
    if operation.kind.startswith(("_foreach", "_fused", "_amp_foreach")):
        return costs.list_s * calls + costs.tensor_s * len(operation.inputs) + kernels
    if operation.launches == 0:
        seconds = costs.view_s
        if not costs.views_recorded:
            return seconds * calls
    else:
        seconds = costs.call_s + costs.planned_s * _planned(operation)
    if operation.stage == "backward":
        seconds += costs.node_s
    elif training and operation.stage == "forward":
        seconds += costs.recorded_s
    return seconds * calls + kernels


def _planned(operation: Operation) -> int:
    """How often a library plans: of a convolution's gradients each."""
    kind = operation.kind
    if kind == "convolution_backward":
        return max(1, min(len(operation.outputs), 2))
    return int(kind in _PRODUCTS or any(part in kind for part in _PLANNED_PARTS))


def is_asynchronous(operation: Operation) -> bool:
    """Whether a copy lets the host go on: it was asked to, and the host's memory is pinned."""
    return bool(operation.attribute("non_blocking", False)) and bool(
        operation.attribute("pinned", False)
    )


def waits(operation: Operation) -> bool:
    """Whether the host goes on only when the device is done."""
    copies = operation.kind in (COPY_TO_GPU, COPY_TO_CPU)
    return operation.kind == SYNCHRONIZE or (copies and not is_asynchronous(operation))


def _own_work(operation: Operation) -> float:
    moved = (operation.bytes_read + operation.bytes_written) / _CORE_BYTES_PER_S
    return max(moved, operation.flop / _CORE_FLOP_PER_S)


def passes(operations: Sequence[Operation], sequence: Array) -> Array:
    """Whether each call of the sequence, (n,), is the first of a backward pass."""
    backward = np.array([one.stage == "backward" for one in operations], dtype=bool)[sequence]
    first: Array = backward & ~np.concatenate([[False], backward[:-1]])
    return first
