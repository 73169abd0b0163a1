"""A small training step, made by hand: two layers, their gradients, an optimizer."""

from __future__ import annotations

from dataclasses import replace

from collector.jobs import (
    COPY_TO_GPU,
    SYNCHRONIZE,
    Job,
    JobMemory,
    Operation,
    Phase,
    Tensor,
)


def tensor(*shape: int, dtype: str = "float32") -> Tensor:
    return Tensor(shape, dtype)


def operation(kind, inputs=(), outputs=(), **more) -> Operation:
    """With the bytes of its tensors counted."""
    return Operation(
        kind,
        tuple(inputs),
        tuple(outputs),
        bytes_read=sum(one.bytes for one in inputs),
        bytes_written=sum(one.bytes for one in outputs),
        **more,
    )


def product(m: int, n: int, k: int, **more) -> Operation:
    dtype = more.pop("dtype", "float32")
    return operation(
        "mm",
        (tensor(m, k, dtype=dtype), tensor(k, n, dtype=dtype)),
        (tensor(m, n, dtype=dtype),),
        flop=2.0 * m * n * k,
        **more,
    )


def make_job(batch: int = 64, width: int = 1024, dtype: str = "float32", **facts) -> Job:
    """Forward, backward, foreach optimizer, a copy in and a loss that is read."""
    x, w = tensor(batch, width, dtype=dtype), tensor(width, width, dtype=dtype)
    weights = (tensor(width, width),) * 2
    calls = (
        operation(COPY_TO_GPU, (tensor(batch, width),), (tensor(batch, width),), launches=0),
        product(batch, width, width, dtype=dtype),
        operation("t", (w,), (w,), launches=0),
        operation("relu", (x,), (x,)),
        product(batch, width, width, dtype=dtype),
        product(batch, width, width, dtype=dtype, stage="backward"),
        operation("threshold_backward", (x, x), (x,), stage="backward"),
        product(width, width, batch, dtype=dtype, stage="backward"),
        operation("_foreach_addcmul_", weights, weights, stage="optimizer"),
        operation(SYNCHRONIZE, launches=0, line="train.py:12"),
    )
    facts = {
        "memory": JobMemory(parameters_bytes=8 * width**2, gradients_bytes=8 * width**2),
        "parameters": 2 * width**2,
        "samples_per_step": batch,
        "tokens_per_step": 10 * batch,
        "steps_per_epoch": 100,
        **facts,
    }
    return Job("train.py", calls, (Phase("step", 1, tuple(range(len(calls)))),), **facts)


def with_operation(job: Job, one: Operation) -> Job:
    """The job with another operation at the end of its step."""
    phase = replace(job.step, sequence=(*job.step.sequence, len(job.operations)))
    return replace(job, operations=(*job.operations, one), phases=(*job.phases[:-1], phase))
