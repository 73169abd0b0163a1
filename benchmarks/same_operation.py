"""The function and operands that our worker would time, for another harness to time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from collector.backends import open_backend
from collector.backends.base import Backend
from collector.cells import Operation
from collector.measure.affinity import bind
from collector.workloads import get_workload


def build_operation(
    operation: Operation, seed: int, backend: Backend | None = None
) -> tuple[Backend, Callable[..., Any], tuple[Any, ...]]:
    """Backend, function and device operands, by the steps of collector.measure.prepare.prepare.

    The same seed gives the operands that the worker has. Checks are the worker's business.
    """
    if backend is None:
        bind(operation.threads, operation.device)  # as the worker does
        backend = open_backend(operation.backend, operation.device)
        backend.set_threads(operation.threads)
    backend.set_math_mode(operation.math_mode)
    workload, params = get_workload(operation.workload), dict(operation.params)
    inputs = workload.inputs(operation.case, params, operation.dtype, seed)
    operands = workload.host_operands(backend, inputs, operation.dtype)
    if backend.device != "cpu":
        operands = tuple(backend.upload(array) for array in operands)
    function = workload.build(backend, operation.case, params, operation.dtype)
    return backend, function, operands
