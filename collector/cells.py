"""A cell: one operation in one mode, the unit that is measured, stored and predicted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from collector.survey import survey_grid
from collector.workloads import GridPoint, Work, Workload, get_workload


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
    """An operation with the modes to measure: the unit of scheduling.

    ``energy`` asks for the energy of one call too, which takes the GPU up to a second longer.
    """

    operation: Operation
    modes: tuple[str, ...]
    energy: bool = False

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
            grid = _worth_compiling(suite, backend, device, _grid(workload, suite, backend, device))
            last = _last_of_cases(grid)
            for index, point in enumerate(grid):
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
                    energy = (backend, device) == ("torch", "cuda") and index in last
                    energy = energy and suite not in ("quick", "survey")
                    tasks.append(Task(operation, point.modes, energy))
    return tasks


def _grid(workload: Workload, suite: str, backend: str, device: str) -> Iterable[GridPoint]:
    if suite == "survey":
        return survey_grid(workload, backend, device)
    return workload.grid(suite, backend, device)


def _worth_compiling(
    suite: str, backend: str, device: str, grid: Iterable[GridPoint]
) -> list[GridPoint]:
    """The grid; of JAX on a GPU only one point, but for the full suite.

    There XLA tries its kernels out on each new shape, which takes up to ten seconds. The point
    is the last one of the first case in its first element type.
    """
    every = list(grid)
    if (backend, device) != ("jax", "cuda") or suite == "full" or not every:
        return every

    def kind(point: GridPoint) -> tuple[str, str, str]:
        return (point.case, point.dtype, point.math_mode)

    return [point for point in every if kind(point) == kind(every[0])][-1:]


def _last_of_cases(grid: Sequence[GridPoint]) -> set[int]:
    """Numbers of the last (largest) point of each case that is timed hot: they tell the energy."""
    last = {point.case: index for index, point in enumerate(grid) if "hot" in point.modes}
    return set(last.values())


def with_first_calls(tasks: Iterable[Task]) -> list[Task]:
    """Tasks in their order, with mode first_call where a case is called first in its worker.

    Of each case, element type and math mode, so that no kernel of its kind has run before.
    """
    seen: set[tuple[str, ...]] = set()
    ordered = []
    for task in tasks:
        o = task.operation
        kind = (o.workload, o.case, o.dtype, o.math_mode, *map(str, task.worker_key))
        modes = task.modes if kind in seen else ("first_call", *task.modes)
        seen.add(kind)
        ordered.append(replace(task, modes=modes))
    return ordered


#: one anchor is measured in so many seconds of a run
_ANCHOR_INTERVAL_S = 120.0
_ANCHOR_BACKENDS = {"cpu": ("numpy", "torch"), "cuda": ("torch", "cupy")}


def with_anchors(tasks: Sequence[Task], expected_s: float) -> list[Task]:
    """Tasks in their order with the anchor at the start, at the end, and every two minutes.

    On each device the first backend of the plan that has a form of it measures the anchor, with
    the most threads of its workers.
    """
    repetitions = 2 + int(expected_s / _ANCHOR_INTERVAL_S)
    keys = {task.worker_key for task in tasks}
    anchors: list[tuple[str, str, int]] = []
    for device, backends in _ANCHOR_BACKENDS.items():
        for backend in backends:
            counts = [key[2] for key in keys if key[:2] == (backend, device)]
            if counts:
                anchors.append((backend, device, max(counts)))
                break
    ordered: list[Task] = []
    for index in range(repetitions):
        for backend, device, threads in anchors:
            operation = Operation(
                "anchor",
                "matmul_copy",
                (("repetition", index + 1),),
                *("float32", "ieee", backend, device, threads),
            )
            ordered.append(Task(operation, ("hot",)))
        if index < repetitions - 1:
            begin, end = (len(tasks) * i // (repetitions - 1) for i in (index, index + 1))
            ordered += tasks[begin:end]
    return ordered


#: what one core does in a fraction of a second; more is left to all cores together
_ONE_THREAD_FLOP = 8e9


def _worth_measuring(
    suite: str, counts: tuple[int, ...], index: int, work: Work
) -> tuple[int, ...]:
    """Thread counts for the grid's point number ``index``.

    The quick suite measures a library as users find it, with all its threads. The standard
    one adds one thread at every fourth point, the full one at each.
    """
    if suite == "quick" or work.flop_count > _ONE_THREAD_FLOP:
        return counts[-1:]
    return counts if suite == "full" or index % 4 == 0 else counts[-1:]
