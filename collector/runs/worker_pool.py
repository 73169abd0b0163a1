"""The workers of a run: started side by side, one row for each cell whatever happens to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from collector.backends import missing_reason
from collector.cells import Cell, Task
from collector.errors import WorkerError
from collector.machine.fingerprint import Machine, measured_gpu_index
from collector.measure.noise import reasons_around
from collector.measure.sampling import StopRule, stop_rule
from collector.measure.telemetry import Telemetry

_CELL_LIMIT_S = 120.0
#: starts of a worker that dies each time before it is ready
_STARTS = 3


class Worker(Protocol):
    """What a run needs of a worker; tests pass their own."""

    columns: dict[str, Any]

    @property
    def pid(self) -> int: ...

    def wait_ready(self) -> None: ...

    def run(
        self, operation: Any, modes: tuple[str, ...], rule: StopRule, seed: int, limit_s: float
    ) -> Iterator[dict[str, Any]]: ...

    def stop(self) -> None: ...


StartWorker = Callable[[str, str, int], Worker]


class WorkerPool:
    """The workers that are alive, and the telemetry around each cell."""

    def __init__(self, machine: Machine, suite: str, seed: int, start_worker: StartWorker) -> None:
        self._suite, self._seed, self._start = suite, seed, start_worker
        self._workers: dict[tuple[str, str, int], Worker] = {}
        self._launches: Counter[tuple[str, str, int]] = Counter()
        self._refused: dict[tuple[str, str, int], tuple[str, str]] = {}
        self._start_deaths: Counter[tuple[str, str, int]] = Counter()
        self._telemetry = Telemetry(gpu_index=measured_gpu_index() if machine.gpu else None)

    def start_all(self, keys: Sequence[tuple[str, str, int]]) -> None:
        """Start all workers side by side, so that imports are over before the first cell."""
        wanted = [key for key in keys if self._refusal(key) is None]
        for key in wanted:
            self._try_start(key)
        for key in wanted:
            if key in self._workers:
                self._await(key)

    def measure(self, task: Task) -> Iterator[dict[str, Any]]:
        """One row for each mode of the task, whatever happens to the worker."""
        pending = list(task.cells)
        key = task.worker_key
        idle_deaths = 0
        while pending:
            refusal = self._refusal(key)
            if refusal is not None:
                for refused in pending:
                    yield _row(refused, status=refusal[0], error=refusal[1])
                return
            if key not in self._workers:
                self._try_start(key)
                self._await(key)
                continue
            worker = self._workers[key]
            columns = {"launch_index": self._launches[key] - 1, **worker.columns}
            in_flight: Cell | None = None
            try:
                quality: dict[str, Any] = {}
                for event in worker.run(
                    task.operation,
                    tuple(cell.mode for cell in pending),
                    self._rule(task),
                    self._seed,
                    _CELL_LIMIT_S,
                ):
                    cell = next((c for c in pending if c.mode == event.get("mode")), None)
                    if cell is None:
                        raise WorkerError("crashed", "the worker spoke of a mode not asked for")
                    match event.pop("event"):
                        case "begin":
                            in_flight, quality = cell, {}
                            continue
                        case "timing":
                            self._telemetry.begin()
                            continue
                        case "timed":
                            pids = [other.pid for other in self._workers.values()]
                            quality = self._telemetry.end(task.operation.device, pids)
                            continue
                    pending.remove(cell)
                    in_flight, idle_deaths = None, 0
                    yield _with_noise(_row(cell, **columns, **quality, **event))
                if pending:
                    raise WorkerError("crashed", "the worker ended a task without a result")
            except WorkerError as error:
                self._drop(key)
                idle_deaths += in_flight is None
                if pending and in_flight is None and idle_deaths > 1:
                    in_flight = pending[0]
                if in_flight is not None:  # that cell is lost, the others get a new worker
                    pending.remove(in_flight)
                    yield _row(in_flight, **columns, status=error.status, error=str(error))

    def close(self) -> None:
        for key in list(self._workers):
            self._drop(key)
        self._telemetry.close()

    def _refusal(self, key: tuple[str, str, int]) -> tuple[str, str] | None:
        reason = missing_reason(key[0])
        return ("unsupported", reason) if reason else self._refused.get(key)

    def _try_start(self, key: tuple[str, str, int]) -> None:
        try:
            self._workers[key] = self._start(*key)
            self._launches[key] += 1
        except WorkerError as error:
            self._refused[key] = (error.status, str(error))

    def _await(self, key: tuple[str, str, int]) -> None:
        try:
            if key in self._workers:
                self._workers[key].wait_ready()
                self._start_deaths.pop(key, None)
        except WorkerError as error:
            self._drop(key)
            self._start_deaths[key] += 1
            # a worker that was killed while it started says nothing of its library
            if error.status != "crashed" or self._start_deaths[key] >= _STARTS:
                self._refused[key] = (error.status, str(error))

    def _rule(self, task: Task) -> StopRule:
        rule = stop_rule(self._suite, task.operation.device)
        return rule if task.energy else replace(rule, energy_time_s=0.0)

    def _drop(self, key: tuple[str, str, int]) -> None:
        self._workers.pop(key).stop()


def _row(cell: Cell, **columns: Any) -> dict[str, Any]:
    work = cell.work
    return {
        "cell_id": cell.cell_id,
        **vars(cell),
        "params": dict(cell.params),
        "size": cell.size,
        **vars(work),
        **columns,
    }


def _with_noise(row: dict[str, Any]) -> dict[str, Any]:
    """The row with all reasons for noise, those of the samples and those of the telemetry."""
    if row["status"] != "ok":
        return row
    reasons = [*row.get("noise_reasons", ()), *reasons_around(row)]
    return {**row, "noise_reasons": ",".join(reasons), "noisy": bool(reasons)}
