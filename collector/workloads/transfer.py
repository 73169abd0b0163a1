"""Copies between host and device, and within the device."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, Operation
from collector.workloads._base import (
    Arrays,
    Check,
    Function,
    GridPoint,
    Params,
    Workload,
    points,
    sizes,
)
from collector.workloads._job_memory import JobMemory
from collector.workloads._limits import Limit
from collector.workloads._operations import Measured, dense, plain_kind
from collector.workloads._shape import Question, Shape
from collector.workloads._survey import Space
from collector.workloads._types import F32
from collector.workloads._work import Count, Floats, Work

if TYPE_CHECKING:
    from collector.backends.base import Backend

_KIB, _MIB = 2**10, 2**20
_SIZES: tuple[int, ...] = (
    *(4 * _KIB, 32 * _KIB, 100_000, 256 * _KIB, 1_000_000, 4 * _MIB, 10_000_000),
    *(16 * _MIB, 32 * _MIB, 100_000_000, 256 * _MIB),
)
_STANDARD_SIZES = (4 * _KIB, 100_000, 1_000_000, 4 * _MIB, 10_000_000, 32 * _MIB, 256 * _MIB)
_HOST_COPIES = ("h2d_pageable", "h2d_pinned", "d2h_pageable", "d2h_pinned")
_QUICK_SIZES = (64 * _KIB, 4 * _MIB, 64 * _MIB)


class Transfer(Workload):
    """Host copies are timed by the host's clock, to the moment when the copy is complete."""

    name = "transfer"
    summary = "copies host to device, device to host (pageable, pinned) and on the device"
    size_meaning = "bytes copied"
    signatures = {
        "h2d_pageable": {"bytes": None},
        "h2d_pinned": {"bytes": None},
        "d2h_pageable": {"bytes": None},
        "d2h_pinned": {"bytes": None},
        "d2d": {"bytes": None},
    }
    support = {("torch", "cuda"): (F32,), ("cupy", "cuda"): (F32,)}
    rank = 140
    label = "Copy between host and GPU"
    case_labels = {
        "h2d_pageable": "To the GPU, ordinary memory",
        "h2d_pinned": "To the GPU, pinned memory",
        "d2h_pageable": "From the GPU, ordinary memory",
        "d2h_pinned": "From the GPU, pinned memory",
        "d2d": "On the GPU",
    }
    case_help = (
        "The direction, and whether the host's memory is pinned (page-locked), which copies faster."
    )
    parameter_labels = {
        "bytes": ("Bytes", "Bytes that are copied by one call."),
    }
    start_values = {"bytes": 100_000_000}
    survey = {
        "cuda": tuple(
            Space(case, {"bytes": (1000, 500_000_000)}, {F32: 12})
            for case in (*_HOST_COPIES, "d2d")
        )
    }
    limits = frozenset({Limit.BUS})
    kin = {**dict.fromkeys(_HOST_COPIES, "bus"), "d2d": "device_copy"}
    kin_limits = {"bus": frozenset({Limit.BUS}), "device_copy": frozenset({Limit.STREAMING})}
    nvidia_library = "cuda"
    recognised_kinds = frozenset({COPY_TO_GPU, COPY_TO_CPU, "clone", "copy"})
    overhead = True

    def canonical(self, given: Mapping[str, Count]) -> dict[str, Count]:
        """Bytes, rounded down to whole float32 elements (at least one)."""
        return {"bytes": given["bytes"] // 4 * 4 + 4 * (given["bytes"] < 4)}

    def recognise(self, operation: Operation) -> Measured | None:
        """Copies over the bus, of pinned memory where the attribute ``pinned`` says so; and on the
        GPU into the same layout. The bytes are what counts: all are measured as float32.
        """
        kind = plain_kind(operation.kind)
        if kind in (COPY_TO_GPU, COPY_TO_CPU):
            memory = "pinned" if operation.attribute("pinned", False) else "pageable"
            way = "h2d" if kind == COPY_TO_GPU else "d2h"
            moved = (*operation.inputs, *operation.outputs)[:1]
            count = sum(tensor.bytes for tensor in moved) or operation.bytes_read
            return self.measured(f"{way}_{memory}", {"bytes": int(count)}, "float32")
        if operation.device != "gpu" or not operation.outputs or not operation.inputs:
            return None
        result, source = operation.outputs[0], operation.inputs[-1]
        if result.dtype != source.dtype or not dense(result, source):
            return None
        return self.measured("d2d", {"bytes": int(result.bytes)}, "float32")

    def principal_size(self, case: str, params: Mapping[str, Count]) -> Count:
        return params["bytes"]

    def grid(self, suite: str, backend: str, device: str) -> Iterator[GridPoint]:
        dtypes = self.dtypes(backend, device)
        if not dtypes:
            return
        cases: tuple[str, ...] = self.cases
        chosen = {"quick": _QUICK_SIZES, "standard": _STANDARD_SIZES}.get(suite, _SIZES)
        if backend == "cupy":
            cases, chosen = ("h2d_pageable", "d2h_pageable"), chosen[1::4]
        for case in cases:
            modes = ("hot",) if case == "d2d" else ("resident",)
            yield from points(case, sizes("bytes", chosen), dtypes, modes)

    def operation_work(
        self, case: str, params: Mapping[str, Count], dtype: str, backend: str
    ) -> Work[Count]:
        """The bytes cross the bus once; a copy on the device reads and writes them."""
        count = 1.0 * params["bytes"]
        if case == "d2d":
            return Work(0.0, count, count)
        if case.startswith("h2d"):
            return Work(0.0, 0.0, 0.0, h2d_bytes=count)
        return Work(0.0, 0.0, 0.0, d2h_bytes=count)

    def call_work(
        self,
        case: str,
        complete: Mapping[str, Count],
        dtype: str,
        backend: str,
        device: str,
        mode: str,
    ) -> Work[Count]:
        """Bus bytes count in every mode: they are what this family does."""
        return self.operation_work(case, complete, dtype, backend)

    def surveyed_modes(self, case: str, modes: tuple[str, ...]) -> tuple[str, ...]:
        """Host copies have one mode, and those on the device nothing to bring there."""
        if case != "d2d":
            return ("resident",)
        return tuple(mode for mode in modes if mode != "end_to_end")

    def measuring_bytes(self, case: str, params: Params, dtype: str, backend: str) -> float:
        return 2.5 * params["bytes"]

    def operation_memory(
        self, case: str, params: Params, dtype: str, backend: str, device: str
    ) -> JobMemory:
        """The bytes, on the device; twice where a copy stays there."""
        own = (2.0 if case == "d2d" else 1.0) * params["bytes"]
        return JobMemory(own, own)

    def shape(self, asked: Question, params: Mapping[str, Floats]) -> Shape:
        """The work says all: bytes over the bus, or through memory."""
        return Shape()

    def inputs(self, case: str, params: Params, dtype: str, seed: int) -> Arrays:
        """Random bits: a pattern that a wrong or partial copy cannot match."""
        count = params["bytes"] // 4
        return (np.random.default_rng(seed).random(count, dtype=np.float32),)

    def build(self, backend: Backend, case: str, params: Params, dtype: str) -> Function:
        count = params["bytes"] // 4
        if case == "d2d":
            target = backend.empty(count, dtype)
            return lambda source: backend.copy(target, source)
        pinned = case.endswith("pinned")
        staging = backend.empty_host(count, dtype, pinned)
        if case.startswith("h2d"):
            target = backend.empty(count, dtype)
            filled = False

            def upload(source: Any) -> Any:
                # the operand arrives on the device; the first call brings it to the host
                nonlocal filled
                if not filled:
                    backend.copy(staging, source)
                    backend.synchronize()
                    filled = True
                return backend.copy(target, staging)

            return upload
        return lambda source: backend.copy(staging, source)

    def reference(self, inputs: Arrays, case: str, params: Params, dtype: str) -> Any:
        return inputs[0]

    def check(
        self,
        reference: Any,
        output: Any,
        case: str,
        params: Params,
        dtype: str,
        math_mode: str,
    ) -> Check:
        """Every element must be equal: the error is 0, or infinite."""
        return Check(0.0 if np.array_equal(output, reference) else math.inf, 0.0)
