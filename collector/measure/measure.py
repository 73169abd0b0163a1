"""Times a prepared operation in its modes, inside a worker process."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from collector.backends.base import Backend
from collector.measure.energy import energy_per_call, open_energy_counter
from collector.measure.noise import count_outliers, reasons_in_samples
from collector.measure.prepare import Prepared
from collector.measure.sampling import Samples, StopRule, WarmUp, collect_samples, warm_up
from collector.measure.statistics import summarise

_LARGEST_BLOCK_CALLS = 20_000
_QUEUED_KERNELS = 500  # half of what a CUDA stream queues before the host must wait
_LONGEST_LEAD_S = 0.02
_ROTATION_LIMIT_BYTES = 2 * 2**30
_ENERGY_BATCH_S = 0.004


def measure_mode(
    prepared: Prepared, backend: Backend, mode: str, rule: StopRule, cache_bytes: int
) -> dict[str, Any]:
    """Result columns of one cell (schema groups result and quality), status ok."""
    if mode == "first_call":
        return _first_call_columns(prepared)
    if mode == "cold" and backend.device == "cpu":
        call = _rotating_call(prepared, backend, cache_bytes)
    elif mode == "end_to_end":
        call = _end_to_end_call(prepared, backend)
    else:
        call = _resident_call(prepared)
    started = time.perf_counter()
    with _quiet_interpreter():
        warmup, samples = _sample(call, backend, mode, rule, prepared)
        energy_j = None
        if mode == "hot" and rule.energy_time_s > 0:
            energy_j = _energy_j(call, backend, warmup.settled_s, rule.energy_time_s)
    timing_s = time.perf_counter() - started
    summary = summarise(samples.samples_s)
    outliers = count_outliers(samples.samples_s)
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
        "warmup_s": [prepared.first_call_s, *warmup.durations_s],
        "timing_s": timing_s,
        "outliers": outliers,
        "energy_j": energy_j,
        "noise_reasons": reasons_in_samples(summary, outliers, rule.half_width, warmup.steady),
    }


def _first_call_columns(prepared: Prepared) -> dict[str, Any]:
    """The one sample that there can be of a first call in a process; it has no interval."""
    seconds = prepared.first_call_s
    return {
        "samples_s": [seconds],
        "calls_per_sample": 1,
        "stop_reason": "single",
        "n": 1,
        "median_s": seconds,
        "mean_s": seconds,
        "min_s": seconds,
        "p95_s": seconds,
        "warmup_s": [],
        "timing_s": seconds,
        "noise_reasons": [],
    }


def _energy_j(
    call: Callable[[], Any], backend: Backend, settled_s: float, cap_s: float
) -> float | None:
    """Energy of one call on a GPU, None elsewhere and where the driver does not tell."""
    if backend.device == "cpu":
        return None
    read_energy_j = open_energy_counter()
    if read_energy_j is None:
        return None
    calls = max(1, min(_LARGEST_BLOCK_CALLS, int(_ENERGY_BATCH_S / max(settled_s, 1e-9))))
    return energy_per_call(lambda: _run(call, backend, calls), calls, read_energy_j, cap_s)


def _run(call: Callable[[], Any], backend: Backend, calls: int) -> None:
    backend.time_wall(call, calls)


def _resident_call(prepared: Prepared) -> Callable[[], Any]:
    return partial(prepared.function, *prepared.device_inputs)  # cheaper to call than a lambda


def _end_to_end_call(prepared: Prepared, backend: Backend) -> Callable[[], Any]:
    function, host_inputs = prepared.function, prepared.host_inputs

    def call() -> Any:
        operands = [backend.upload(array) for array in host_inputs]
        output = function(*operands)
        if isinstance(output, tuple):  # of gradients
            return tuple(backend.download(part) for part in output)
        return backend.download(output)

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
) -> tuple[WarmUp, Samples]:
    clock = time.perf_counter
    warmup = warm_up(lambda: backend.time_wall(call, 1), rule.warmup_time_s, clock)
    settled_s = warmup.settled_s
    if backend.device == "cpu":
        calls = _calls_for(settled_s, rule.block_s)
        return warmup, collect_samples(lambda: backend.time_wall(call, calls), calls, rule, clock)
    if mode in ("resident", "end_to_end"):

        def complete() -> None:
            backend.wait(call())

        calls = _calls_for(settled_s, rule.block_s)
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
    calls = min(_calls_for(device_s, rule.block_s), queue_limit)
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
