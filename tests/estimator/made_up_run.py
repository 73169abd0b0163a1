"""A small NumPy program as it would be recorded: maps in a loop, a sum that is read, Python."""

from __future__ import annotations

from dataclasses import replace

from collector.jobs import (
    COPY_TO_CPU,
    Job,
    JobMemory,
    Operation,
    Phase,
    Recording,
)
from tests.estimator.made_up_job import operation, tensor


def call(kind: str, *shapes: tuple[int, ...], dtype: str = "float64", **more) -> Operation:
    """A call of NumPy: the operands' shapes, then the result's."""
    *inputs, result = (tensor(*shape, dtype=dtype) for shape in shapes)
    return operation(kind, tuple(inputs), (result,), library="numpy", line="sim.py:7", **more)


#: made once, then an exponential and a view in a loop, and a sum that Python reads
CALLS = (
    call("random.standard_normal", (1_000_000,)),
    call("exp", (1_000_000,), (1_000_000,), measured_s=5e-3, python_points=100.0),
    call("view", (1_000_000,), (500_000,), launches=0, measured_s=2e-7),
    call("sum", (1_000_000,), (), measured_s=1e-3),
    operation(COPY_TO_CPU, (tensor(dtype="float64"),), (), library="numpy", launches=0),
)
RECORDING = Recording(
    wall_s=1.0, array_s=0.9, python_s=0.1, calls=42, point_s=100e-9, processor="a CPU", threads=2
)


def make_run(*more: Operation, loops: int = 20, **facts) -> Job:
    """The program, and other calls at its end."""
    calls = (*CALLS, *more)
    phases = (
        Phase("", 1, (0,)),
        Phase("", loops, (1, 2)),
        Phase("", 1, (3, 4, *range(len(CALLS), len(calls)))),
    )
    return Job(
        "sim.py",
        calls,
        phases,
        **{
            "memory": JobMemory(arrays_bytes=24_000_000),
            "library": "numpy",
            "scope": "run",
            "training": False,
            "recording": RECORDING,
            **facts,
        },
    )


def unfolded(job: Job) -> Job:
    """The same with its loops written out."""
    sequence = tuple(
        at for phase in job.phases for _ in range(phase.count) for at in phase.sequence
    )
    return replace(job, phases=(Phase("", 1, sequence),))
