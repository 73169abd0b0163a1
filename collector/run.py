"""A run: every task of a plan through worker processes into the journal, then into Parquet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from collector.backends import missing_reason
from collector.cells import Cell, Task
from collector.dataset import write_run
from collector.errors import OutputError, WorkerError
from collector.fingerprint import Machine, measured_gpu_index
from collector.planning import Plan
from collector.progress import Progress
from collector.run_files import resume_run, start_run
from collector.sampling import StopRule, stop_rule
from collector.telemetry import Telemetry
from collector.worker_process import WorkerProcess

_CELL_LIMIT_S = 120.0


class Worker(Protocol):
    """What a run needs of a worker; tests pass their own."""

    blas: dict[str, Any]

    def run(
        self, operation: Any, modes: tuple[str, ...], rule: StopRule, seed: int, limit_s: float
    ) -> Iterator[dict[str, Any]]: ...

    def stop(self) -> None: ...


StartWorker = Callable[[str, str, int], Worker]


@dataclass
class Outcome:
    """What a run came to."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    operation_s: float = 0.0
    timing_s: float = 0.0
    ended: Literal["complete", "interrupted", "time_budget"] = "complete"

    @property
    def operation_share(self) -> float:
        """Share of wall time inside the measured operations, warm-up included."""
        return self.operation_s / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def timing_share(self) -> float:
        """Share of wall time in timing loops: operations, cache flushes, waits for the device."""
        return self.timing_s / self.wall_s if self.wall_s > 0 else 0.0


def run_plan(
    plan: Plan,
    machine: Machine,
    out: Path,
    resume: bool = False,
    time_budget_s: float | None = None,
    start_worker: StartWorker = WorkerProcess,
    progress: Progress | None = None,
) -> Outcome:
    """Measure a plan. Every finished cell is on disk before the next begins.

    An interrupt (Ctrl-C) or a spent time budget ends the run early and keeps what is
    finished. Raises OutputError where the place cannot be written.
    """
    started = time.monotonic()
    opened = resume_run(plan, machine, out) if resume else start_run(plan, machine, out)
    journal, rows, header = opened.journal, list(opened.rows), opened.header
    finished = {row["cell_id"] for row in rows}
    outcome = Outcome(journal.path.with_suffix(".parquet"))
    progress = progress or Progress(plan.cell_count)
    session = _WorkerPool(machine, plan.selection.suite, plan.selection.seed, start_worker)
    order = len(rows)
    try:
        session.start_all(plan.worker_keys)
        for task in plan.tasks:
            modes = tuple(c.mode for c in task.cells if c.cell_id not in finished)
            if not modes:
                continue
            if time_budget_s is not None and time.monotonic() - started > time_budget_s:
                outcome.ended = "time_budget"
                break
            for row in session.measure(Task(task.operation, modes)):
                row = {**row, "order_index": order}
                rows.append(row)  # first, so that an interrupt in the next line loses nothing
                journal.append(row)
                order += 1
                progress.show(order, _describe(row))
    except KeyboardInterrupt:
        outcome.ended = "interrupted"
    finally:
        session.close()
        progress.close()
        journal.close()
    outcome.wall_s = time.monotonic() - started + header["run"].get("wall_s", 0.0)
    outcome.counts = Counter(row["status"] for row in rows)
    outcome.operation_s = sum(_operation_seconds(row) for row in rows)
    outcome.timing_s = sum(row.get("timing_s") or 0.0 for row in rows)
    if not rows:
        journal.path.unlink(missing_ok=True)
        return outcome
    summary = {
        **header["run"],
        "cells_planned": plan.cell_count,
        "cells_by_status": dict(outcome.counts),
        "wall_s": outcome.wall_s,
        "operation_s": outcome.operation_s,
        "timing_s": outcome.timing_s,
        "ended": outcome.ended,
    }
    complete_rows = [{**header["columns"], **row} for row in rows]
    try:
        write_run(outcome.path, complete_rows, header["machine"], summary)
    except OutputError as error:
        raise OutputError(f"{error}; the finished cells are kept in {journal.path}") from error
    journal.path.unlink(missing_ok=True)
    return outcome


class _WorkerPool:
    """The workers that are alive, and the telemetry around each cell."""

    def __init__(self, machine: Machine, suite: str, seed: int, start_worker: StartWorker) -> None:
        self._suite, self._seed, self._start = suite, seed, start_worker
        self._workers: dict[tuple[str, str, int], Worker] = {}
        self._launches: Counter[tuple[str, str, int]] = Counter()
        self._refused: dict[tuple[str, str, int], tuple[str, str]] = {}
        self._telemetry = Telemetry(gpu_index=measured_gpu_index() if machine.gpu else None)

    def start_all(self, keys: Sequence[tuple[str, str, int]]) -> None:
        """Start all workers side by side, so that imports are over before the first cell."""
        wanted = [key for key in keys if self._refusal(key) is None]
        with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
            list(pool.map(self._try_start, wanted))

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
                continue
            worker = self._workers[key]
            columns = {"launch_index": self._launches[key] - 1, **worker.blas}
            in_flight: Cell | None = None
            try:
                self._telemetry.begin()
                for event in worker.run(
                    task.operation,
                    tuple(cell.mode for cell in pending),
                    stop_rule(self._suite, task.operation.device),
                    self._seed,
                    _CELL_LIMIT_S,
                ):
                    cell = next((c for c in pending if c.mode == event.get("mode")), None)
                    if cell is None:
                        raise WorkerError("crashed", "the worker spoke of a mode not asked for")
                    if event.pop("event") == "begin":
                        in_flight = cell
                        continue
                    quality = self._telemetry.end(task.operation.device)
                    self._telemetry.begin()
                    pending.remove(cell)
                    in_flight, idle_deaths = None, 0
                    yield _row(cell, **columns, **quality, **event)
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


def _operation_seconds(row: dict[str, Any]) -> float:
    calls = row.get("calls_per_sample") or 0
    warmup = row.get("warmup_s") or ()
    # the first call belongs to the operation: modes measured later did not repeat it
    return float(sum(row.get("samples_s") or ()) * calls + sum(warmup[1:]))


def _describe(row: dict[str, Any]) -> str:
    return f"{row['backend']} {row['device']} {row['workload']} {row['case']} {row['mode']}"
