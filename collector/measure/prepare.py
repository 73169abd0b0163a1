"""Brings one operation to where it can be timed: memory, operands, a first call, a check."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from collector.backends.base import Array, Backend, available_memory_bytes
from collector.cells import Operation
from collector.errors import WrongResultError
from collector.workloads import Check, Workload


@dataclass(frozen=True)
class Prepared:
    """An operation ready to be timed: checked once, operands in place."""

    workload: Workload
    operation: Operation
    inputs: tuple[Array, ...]
    host_inputs: tuple[Any, ...]
    device_inputs: tuple[Any, ...]
    function: Callable[..., Any]
    first_call_s: float
    check: Check
    reference: Any

    @property
    def params(self) -> dict[str, int]:
        return dict(self.operation.params)


def memory_shortage(workload: Workload, operation: Operation, backend: Backend) -> str | None:
    """One line if the operands cannot fit into the memory that is free now, else None."""
    needed = workload.measuring_bytes(
        operation.case, dict(operation.params), operation.dtype, operation.backend
    )
    free = min(backend.free_memory_bytes(), available_memory_bytes())
    if needed > 0.9 * free:
        backend.release()
        free = min(backend.free_memory_bytes(), available_memory_bytes())
    if needed <= 0.9 * free:
        return None
    return f"needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free"


def prepare(workload: Workload, operation: Operation, backend: Backend, seed: int) -> Prepared:
    """Make operands, run once, check. Raises WrongResultError or what the library raises."""
    params = dict(operation.params)
    backend.set_math_mode(operation.math_mode)
    inputs = workload.inputs(operation.case, params, operation.dtype, seed)
    host_inputs = workload.host_operands(backend, inputs, operation.dtype)
    device_inputs = host_inputs
    if backend.device != "cpu":
        device_inputs = tuple(backend.upload(array) for array in host_inputs)
    function = workload.build(backend, operation.case, params, operation.dtype)
    backend.synchronize()
    start = time.perf_counter()
    output = function(*device_inputs)
    backend.wait(output)
    first_call_s = time.perf_counter() - start
    reference = workload.reference(inputs, operation.case, params, operation.dtype)
    check = workload.check(
        reference,
        workload.fetch(backend, output),
        operation.case,
        params,
        operation.dtype,
        operation.math_mode,
    )
    if not check.passed:
        raise WrongResultError(check.relative_error, check.tolerance, "before")
    if not workload.returns_operands(operation.case):
        for part in output if isinstance(output, tuple | list) else (output,):
            backend.poison(part)
    return Prepared(
        workload,
        operation,
        inputs,
        host_inputs,
        device_inputs,
        function,
        first_call_s,
        check,
        reference,
    )


def verify_again(prepared: Prepared, backend: Backend) -> Check:
    """Check the very function that was timed (a fresh one where calls change its state)."""
    operation = prepared.operation
    function = prepared.function
    if prepared.workload.stateful:
        function = prepared.workload.build(
            backend, operation.case, prepared.params, operation.dtype
        )
    output = function(*prepared.device_inputs)
    backend.wait(output)
    check = prepared.workload.check(
        prepared.reference,
        prepared.workload.fetch(backend, output),
        operation.case,
        prepared.params,
        operation.dtype,
        operation.math_mode,
    )
    if not check.passed:
        raise WrongResultError(check.relative_error, check.tolerance, "after")
    return check
