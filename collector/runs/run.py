"""A run: every task of a plan through worker processes into the journal, then into Parquet."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from collector.cells import Task
from collector.dataset.read import write_run
from collector.errors import OutputError
from collector.machine.fingerprint import Machine
from collector.runs.plan import Plan
from collector.runs.progress import Progress
from collector.runs.run_files import resume_run, start_run
from collector.runs.worker_pool import StartWorker, WorkerPool
from collector.runs.worker_process import WorkerProcess

#: key of a journal's row, and of no column: seconds of the run up to it, earlier parts included
ELAPSED = "elapsed_s"


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
    earlier_s = header["run"].get("wall_s") or max((r.get(ELAPSED, 0.0) for r in rows), default=0.0)
    outcome = Outcome(journal.path.with_suffix(".parquet"))
    progress = progress or Progress(plan.cell_count)
    session = WorkerPool(machine, plan.selection.suite, plan.selection.seed, start_worker)
    order = len(rows)
    tasks = list(_unfinished(plan.tasks, finished))
    try:
        session.start_all(sorted({task.worker_key for task in tasks}))
        for task in tasks:
            if time_budget_s is not None and time.monotonic() - started > time_budget_s:
                outcome.ended = "time_budget"
                break
            for row in session.measure(task):
                row = {**row, "order_index": order}
                rows.append(row)  # first, so that an interrupt in the next line loses nothing
                journal.append({**row, ELAPSED: earlier_s + time.monotonic() - started})
                order += 1
                progress.show(order, _describe(row))
    except KeyboardInterrupt:
        outcome.ended = "interrupted"
    except BaseException:
        journal.close()
        raise
    finally:
        session.close()
        progress.close()
    outcome.wall_s = earlier_s + time.monotonic() - started
    outcome.counts = Counter(row["status"] for row in rows)
    outcome.operation_s = sum(_operation_seconds(row) for row in rows)
    outcome.timing_s = sum(row.get("timing_s") or 0.0 for row in rows)
    if not rows:
        journal.remove()
        return outcome
    summary = {
        **header["run"],
        "cells_planned": plan.cell_count,
        "cells_by_status": dict(outcome.counts),
        "wall_s": outcome.wall_s,
        "operation_s": outcome.operation_s,
        "timing_s": outcome.timing_s,
        "ended": outcome.ended,
        "parent_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    complete_rows = [{**header["columns"], **row} for row in rows]
    try:
        write_run(outcome.path, complete_rows, header["machine"], summary)
    except OutputError as error:
        raise OutputError(f"{error}; the finished cells are kept in {journal.path}") from error
    else:
        journal.remove()
    finally:
        journal.close()
    return outcome


def _unfinished(tasks: Iterable[Task], finished: Collection[str]) -> Iterator[Task]:
    """Tasks with the modes that are not measured yet, in their order."""
    for task in tasks:
        modes = tuple(cell.mode for cell in task.cells if cell.cell_id not in finished)
        if modes:
            yield replace(task, modes=modes)


def _operation_seconds(row: dict[str, Any]) -> float:
    calls = row.get("calls_per_sample") or 0
    warmup = row.get("warmup_s") or ()
    # the first call belongs to the operation: modes measured later did not repeat it
    return float(sum(row.get("samples_s") or ()) * calls + sum(warmup[1:]))


def _describe(row: dict[str, Any]) -> str:
    return f"{row['backend']} {row['device']} {row['workload']} {row['case']} {row['mode']}"
