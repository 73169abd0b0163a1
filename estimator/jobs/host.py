"""What the host spends to ask for a call: Python, the library's dispatch, autograd, the driver.

Seconds by kind of call on the reference host, the Xeon of the shipped H200 machines. Another
machine's are as many times as long as its chain of ``CHAIN`` calls on its CPU (family launch) takes
longer than the reference's ``REFERENCE_S``.

``GPU`` is fitted to the shipped cells with data on the device, of networks that wait for the host
(training_step and inference_step that take half as long again as their kernels alone, and
optimizer_step: medians over six H200 machines), with the calls of each counted by a dispatch mode
as the tracer does; 13 medians, seven constants, mean error 7 %, most 18 %; machines of the one type
differ by 14 %. ``wait_s`` is what a chain of one call takes beyond a call of a longer chain, and
``view_s`` a choice, as views alone hardly move the fit (1 to 4 us do as well).
``CPU`` is what networks on the CPU take beyond their cells in mode hot, which begin a call each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, SYNCHRONIZE, Operation

Array = np.ndarray[Any, Any]

#: The cell that compares hosts, and its seconds on the reference host.
CHAIN = {"workload": "launch", "case": "chain", "params": {"length": 100}, "dtype": "float32"}
REFERENCE_S = 335e-6

#: Deviation of a host's times in logarithms: where a machine of its type was measured (boxes of one
#: type differ by 14 %, kinds of calls by the fit's error), where only its CPU's name is known, and
#: where not even that.
MEASURED_SIGMA, NAMED_SIGMA, UNKNOWN_SIGMA = 0.18, 0.25, 0.35

#: Of a loop of the host itself on data that is not on the GPU (a loader's tensors): bytes moved by
#: one core through memory, and FLOP of one core: stated choices, a tenth of a socket or less.
_CORE_BYTES_PER_S, _CORE_FLOP_PER_S = 5e9, 20e9


@dataclass(frozen=True)
class Dispatch:
    """Seconds of the reference host by kind of call.

    ``call_s``: an operator without gradients, its module's Python included; ``recorded_s``: one
    that autograd records; ``backward_s``: one that a backward pass makes; ``view_s``: one that
    computes nothing; ``list_s`` and ``tensor_s``: one over lists of tensors, and of it each
    tensor; ``pass_s``: to start a backward pass, with the step's other Python; ``wait_s``: to
    wait for the device and read what it says.
    """

    call_s: float
    recorded_s: float
    backward_s: float
    view_s: float
    list_s: float
    tensor_s: float
    pass_s: float
    wait_s: float


GPU = Dispatch(16e-6, 32e-6, 29e-6, 2e-6, 16e-6, 0.57e-6, 235e-6, 8e-6)
CPU = Dispatch(2.5e-6, 3.5e-6, 6e-6, 1e-6, 0.0, 1.7e-6, 20e-6, 0.0)


def dispatch_seconds(
    operations: Sequence[Operation], training: bool, costs: Dispatch
) -> tuple[Array, Array]:
    """Seconds of the reference host for each operation, (n,): what it asks, what it computes.

    The second is the host's own work: operations on data that is not on the GPU.
    """
    asks = [_seconds(one, training, costs) for one in operations]
    works = [_own_work(one) if one.device == "cpu" else 0.0 for one in operations]
    return np.array(asks, dtype=float), np.array(works, dtype=float)


def _seconds(operation: Operation, training: bool, costs: Dispatch) -> float:
    if operation.kind == SYNCHRONIZE:
        return costs.wait_s
    if operation.device == "cpu":
        costs = CPU
    calls = max(operation.dispatches, 1)
    if operation.kind in (COPY_TO_GPU, COPY_TO_CPU):
        return costs.call_s if is_asynchronous(operation) else 0.0  # its time has it in it
    if operation.kind.startswith(("_foreach", "_fused")):
        return costs.list_s * calls + costs.tensor_s * len(operation.inputs)
    if operation.launches == 0:
        return costs.view_s * calls
    if operation.stage == "backward":
        return costs.backward_s * calls
    return (costs.recorded_s if training and operation.stage == "forward" else costs.call_s) * calls


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
