"""Measures one operation in its modes, inside a worker process."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from collector.backends.base import Array, Backend, available_memory_bytes
from collector.cells import Operation
from collector.errors import WrongResultError
from collector.sampling import Samples, StopRule, collect_samples, warm_up
from collector.statistics import summarise
from collector.workloads import Check, Workload

_CPU_BLOCK_S = 0.005  # shorter operations are timed in blocks of calls of about this length
_CUDA_BLOCK_S = 0.001  # device events resolve about half a microsecond
_LARGEST_BLOCK_CALLS = 20_000
_QUEUED_KERNELS = 500  # half of what a CUDA stream queues before the host must wait
_LONGEST_LEAD_S = 0.02
_ROTATION_LIMIT_BYTES = 2 * 2**30
_SPREAD_LIMIT = 0.10


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
    needed = workload.memory_bytes(
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
    host_inputs = tuple(backend.host(array, operation.dtype) for array in inputs)
    device_inputs = host_inputs
    if backend.device != "cpu":
        device_inputs = tuple(backend.upload(array) for array in host_inputs)
    function = workload.build(backend, operation.case, params, operation.dtype)
    backend.synchronize()
    start = time.perf_counter()
    output = function(*device_inputs)
    backend.synchronize()
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
    backend.poison(output)
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
    backend.synchronize()
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


def measure_mode(
    prepared: Prepared, backend: Backend, mode: str, rule: StopRule, cache_bytes: int
) -> dict[str, Any]:
    """Result columns of one cell (schema groups result and quality), status ok."""
    if mode == "cold" and backend.device == "cpu":
        call = _rotating_call(prepared, backend, cache_bytes)
    elif mode == "end_to_end":
        call = _end_to_end_call(prepared, backend)
    else:
        call = _resident_call(prepared)
    started = time.perf_counter()
    with _quiet_interpreter():
        warmup, samples = _sample(call, backend, mode, rule, prepared)
    timing_s = time.perf_counter() - started
    summary = summarise(samples.samples_s)
    noisy = (
        summary.relative_half_width > rule.half_width
        or summary.relative_interquartile > _SPREAD_LIMIT
    )
    return {
        **asdict(samples),
        "n": summary.n,
        "median_s": summary.median,
        "ci95_low_s": summary.ci95_low,
        "ci95_high_s": summary.ci95_high,
        "mean_s": summary.mean,
        "std_s": summary.std,
        "min_s": summary.minimum,
        "p95_s": summary.p95,
        "warmup_s": [prepared.first_call_s, *warmup],
        "timing_s": timing_s,
        "noisy": noisy,
    }


def _resident_call(prepared: Prepared) -> Callable[[], Any]:
    function, operands = prepared.function, prepared.device_inputs
    return lambda: function(*operands)


def _end_to_end_call(prepared: Prepared, backend: Backend) -> Callable[[], Any]:
    function, host_inputs = prepared.function, prepared.host_inputs

    def call() -> Any:
        operands = [backend.upload(array) for array in host_inputs]
        return backend.download(function(*operands))

    return call


def _rotating_call(prepared: Prepared, backend: Backend, cache_bytes: int) -> Callable[[], Any]:
    """Cycle through copies of operands and results that together exceed the cache 4 times."""
    operation = prepared.operation
    own_bytes = max(sum(array.nbytes for array in prepared.inputs), 1)
    wanted = min(4 * cache_bytes, _ROTATION_LIMIT_BYTES)
    copies = max(2, math.ceil(wanted / own_bytes))
    build = prepared.workload.build
    sets = [
        (
            build(backend, operation.case, prepared.params, operation.dtype),
            tuple(backend.upload(array) for array in prepared.host_inputs),
        )
        for _ in range(copies)
    ]
    position = 0

    def call() -> Any:
        nonlocal position
        position = (position + 1) % copies
        function, operands = sets[position]
        return function(*operands)

    return call


def _sample(
    call: Callable[[], Any], backend: Backend, mode: str, rule: StopRule, prepared: Prepared
) -> tuple[list[float], Samples]:
    clock = time.perf_counter
    warmup = warm_up(lambda: backend.time_wall(call, 1), rule.warmup_time_s, clock)
    settled_s = float(np.median(warmup[len(warmup) // 2 :]))
    if backend.device == "cpu":
        calls = _calls_for(settled_s, _CPU_BLOCK_S)
        return warmup, collect_samples(lambda: backend.time_wall(call, calls), calls, rule, clock)
    if mode in ("resident", "end_to_end"):

        def complete() -> None:
            call()
            backend.synchronize()

        calls = _calls_for(settled_s, _CUDA_BLOCK_S)
        return warmup, collect_samples(
            lambda: backend.time_wall(complete, calls), calls, rule, clock
        )
    dispatch_s = _dispatch_seconds(call, backend)
    if mode == "cold":
        lead_s = min(2 * dispatch_s + 20e-6, _LONGEST_LEAD_S)

        def cold() -> float:
            backend.flush_cache()
            return backend.time_device(call, 1, lead_s)

        return warmup, collect_samples(cold, 1, rule, clock)
    device_s = backend.time_device(call, 1, min(2 * dispatch_s + 20e-6, _LONGEST_LEAD_S))
    queue_limit = max(1, _QUEUED_KERNELS // _kernel_count(prepared))
    calls = min(_calls_for(device_s, _CUDA_BLOCK_S), queue_limit)
    lead_s = min(1.5 * calls * dispatch_s + 20e-6, _LONGEST_LEAD_S)
    return warmup, collect_samples(
        lambda: backend.time_device(call, calls, lead_s), calls, rule, clock
    )


def _kernel_count(prepared: Prepared) -> int:
    operation = prepared.operation
    work = prepared.workload.work(
        operation.case,
        prepared.params,
        operation.dtype,
        operation.backend,
        operation.device,
        "hot",
    )
    return max(1, work.kernel_count)


def _calls_for(seconds: float, block_s: float) -> int:
    """Calls that fill a block; one where a call is a fair share of it already."""
    if seconds >= block_s / 2:
        return 1
    return min(_LARGEST_BLOCK_CALLS, math.ceil(block_s / max(seconds, 1e-9)))


def _dispatch_seconds(call: Callable[[], Any], backend: Backend) -> float:
    """Median host time to issue one call, the device's work not waited for."""
    durations = []
    for _ in range(5):
        backend.synchronize()
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    backend.synchronize()
    return float(np.median(durations))


@contextmanager
def _quiet_interpreter() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
