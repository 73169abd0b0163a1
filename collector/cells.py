"""A cell: one operation in one mode, the unit that is measured, stored and predicted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.workloads import Work, get_workload


@dataclass(frozen=True)
class Operation:
    """What is computed and where. Its modes share operands and the reference result."""

    workload: str
    case: str
    params: tuple[tuple[str, int], ...]
    dtype: str
    math_mode: str
    backend: str
    device: str
    threads: int


@dataclass(frozen=True)
class Cell(Operation):
    """An operation in one mode."""

    mode: str

    @property
    def cell_id(self) -> str:
        """The same for the same cell in every run, on every machine (16 hex digits)."""
        text = json.dumps(
            [
                self.workload,
                self.case,
                sorted(self.params),
                self.dtype,
                self.math_mode,
                self.backend,
                self.device,
                self.threads,
                self.mode,
            ],
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        return get_workload(self.workload).size(self.case, dict(self.params))

    @property
    def work(self) -> Work:
        return get_workload(self.workload).work(
            self.case, dict(self.params), self.dtype, self.backend, self.device, self.mode
        )


@dataclass(frozen=True)
class Task:
    """An operation with the modes to measure: the unit of scheduling."""

    operation: Operation
    modes: tuple[str, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(Cell(**vars(self.operation), mode=mode) for mode in self.modes)

    @property
    def worker_key(self) -> tuple[str, str, int]:
        """The worker process that runs it: backend, device, host threads."""
        return (self.operation.backend, self.operation.device, self.operation.threads)


def make_tasks(
    suite: str,
    backends: Iterable[tuple[str, str]],
    physical_cores: int,
    workloads: Sequence[str],
) -> list[Task]:
    """Every task of a suite on the given (backend, device) pairs, in a fixed order."""
    tasks = []
    for backend, device in backends:
        for name in workloads:
            workload = get_workload(name)
            counts = workload.thread_counts(backend, device, physical_cores)
            for index, point in enumerate(workload.grid(suite, backend, device)):
                params = workload.complete(point.case, dict(point.params))
                work = workload.operation_work(point.case, params, point.dtype, backend)
                for threads in _worth_measuring(suite, counts, index, work):
                    operation = Operation(
                        workload=name,
                        case=point.case,
                        params=tuple(sorted(params.items())),
                        dtype=point.dtype,
                        math_mode=point.math_mode,
                        backend=backend,
                        device=device,
                        threads=threads,
                    )
                    tasks.append(Task(operation, point.modes))
    return tasks


#: what one core does in a fraction of a second; more is left to all cores together
_ONE_THREAD_FLOP = 8e9


def _worth_measuring(
    suite: str, counts: tuple[int, ...], index: int, work: Work
) -> tuple[int, ...]:
    """Thread counts for the grid's point number ``index``.

    The quick suite measures a library as users find it, with all its threads. The standard
    one adds one thread at every second point, the full one at each.
    """
    if suite == "quick" or work.flop_count > _ONE_THREAD_FLOP:
        return counts[-1:]
    return counts if suite == "full" or index % 2 == 0 else counts[-1:]
