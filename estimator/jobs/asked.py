"""A job's different operations on a device, and the cells that answer for them, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from collector.jobs import COPY_TO_CPU, COPY_TO_GPU, SYNCHRONIZE, Job, Operation, Phase, Tensor
from estimator.jobs.answered import NOTHING, Answered
from estimator.jobs.place import Device, Place
from estimator.jobs.stand_ins import answered_by, counted

Array = np.ndarray[Any, Any]

HALF_TYPES = ("float16", "bfloat16")
COPIES = (COPY_TO_GPU, COPY_TO_CPU)
_COLUMNS = ("workload", "case", "params", "dtype", "math_mode", "device", "mode", "threads")

#: calls in a row, as indices into operations, and how often
Part = tuple[int, Array]


class AskedJob:
    """The operations of a job and the cells that answer for them on a device.

    ``operations`` are all different ones; ``parts`` are what is timed: the step, or all phases of
    a run; ``before`` the phases that come before a step.
    """

    def __init__(self, job: Job, device: Device, by_work: frozenset[int] = frozenset()) -> None:
        self.device, self._job = device, job
        index: dict[Operation, int] = {}
        of_job = [index.setdefault(one, len(index)) for one in job.operations]
        self.operations = tuple(index)
        self._of_job = np.array(of_job, dtype=int)
        of_run = job.scope == "run"
        self.parts: tuple[Part, ...] = (
            self._together(job.phases) if of_run else ((1, self._calls_of(job.step.sequence)),)
        )
        self.before: tuple[Part, ...] = () if of_run else self._together(job.phases[:-1])
        self.answers = [self._answer(one, at in by_work) for at, one in enumerate(self.operations)]

    def _calls_of(self, sequence: Sequence[int]) -> Array:
        calls: Array = self._of_job[np.array(sequence, dtype=int)]
        return calls

    def _together(self, phases: Sequence[Phase]) -> tuple[Part, ...]:
        """Phases as parts; those that come once and follow each other as one."""
        parts: list[Part] = []
        for phase in phases:
            calls = self._calls_of(phase.sequence)
            if parts and parts[-1][0] == phase.count == 1:
                parts[-1] = (1, np.concatenate([parts[-1][1], calls]))
            elif phase.count and len(calls):
                parts.append((phase.count, calls))
        return tuple(parts)

    def silent(self, answers: pd.DataFrame) -> frozenset[int]:
        """The operations with a cell that has no answer."""
        of, cell, _ = self.cells_of
        missing = answers["seconds_p50"].isna().to_numpy(dtype=bool)[cell]
        return frozenset(of[missing].tolist())

    def by_work(self, operations: frozenset[int]) -> AskedJob:
        """The same with some operations answered by their counted work."""
        return AskedJob(self._job, self.device, operations)

    def table(self, place: Place) -> pd.DataFrame:
        """The cells as questions to a place."""
        return self.cells.assign(machine_id=place.machine_id, backend=place.backend)

    def questions(self, place: Place, at: int) -> dict[str, Any]:
        """One cell as a question to a place."""
        return {str(name): value for name, value in self.table(place).iloc[at].items()}

    def _answer(self, operation: Operation, by_work: bool) -> Answered:
        moves_nothing = self.device == "cpu" and operation.kind in COPIES
        if operation.kind == SYNCHRONIZE or moves_nothing:
            return NOTHING
        if operation.device == "cpu" and (self.device == "cuda" or operation.library == "torch"):
            return NOTHING  # the host does it
        here = operation if self.device == "cuda" else _on_cpu(operation)
        if by_work and operation.kind not in COPIES:
            found = Answered(counted(here), False, True, "its counted work")
        else:
            found = answered_by(here)
        recorded = self.device == "cpu" and operation.measured_s > 0.0
        if recorded and not found.exact:  # nearer than what a cell of another kind says
            return Answered((), False, found.known, "where it was recorded", recorded=True)
        return found

    @cached_property
    def counts(self) -> Array:
        """How often what is timed makes each operation, (m,)."""
        counts: Array = np.zeros(len(self.operations))
        for times, calls in self.parts:
            counts += times * np.bincount(calls, minlength=len(self.operations))
        return counts

    @cached_property
    def distinct(self) -> dict[Any, int]:
        """The different cells, and the place of each in the table."""
        cells: dict[Any, int] = {}
        for answer in self.answers:
            for cell, _ in answer.cells:
                cells.setdefault(cell, len(cells))
        return cells

    @cached_property
    def cells_of(self) -> tuple[Array, Array, Array]:
        """Of each part of an operation: the operation, its cell, and how often it takes it."""
        rows = [
            (at, self.distinct[cell], times)
            for at, answer in enumerate(self.answers)
            for cell, times in answer.cells
        ]
        table = np.array(rows, dtype=float).reshape(-1, 3)
        return table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The different cells as questions, but for machine and library."""
        rows = [
            {
                "workload": cell.workload,
                "case": cell.case,
                "params": dict(cell.params),
                "dtype": cell.dtype,
                "math_mode": cell.math_mode,
                "device": self.device,
                "mode": "resident" if over_bus(cell.workload, cell.case) else "hot",
                "threads": nan,
            }
            for cell in self.distinct
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))


def over_bus(workload: str, case: str) -> bool:
    """Whether a cell copies between host and GPU, which has no mode but resident."""
    return workload == "transfer" and case != "d2d"


def _on_cpu(operation: Operation) -> Operation:
    """The operation where the host computes: in float32 what a GPU does in half of it."""

    def whole(tensor: Tensor) -> Tensor:
        return replace(tensor, dtype="float32") if tensor.dtype in HALF_TYPES else tensor

    tensors = (*operation.inputs, *operation.outputs)
    before = sum(tensor.bytes for tensor in tensors)
    after = sum(whole(tensor).bytes for tensor in tensors)
    wider = after / before if before else 1.0
    return replace(
        operation,
        device="cpu",
        math_mode="ieee",
        inputs=tuple(map(whole, operation.inputs)),
        outputs=tuple(map(whole, operation.outputs)),
        bytes_read=wider * operation.bytes_read,
        bytes_written=wider * operation.bytes_written,
    )
