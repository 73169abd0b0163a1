"""Medians by our own worker processes, asked as a run asks them."""

from __future__ import annotations

from types import TracebackType

from benchmarks.agreement import Subject
from collector.errors import WorkerError
from collector.measure.sampling import StopRule
from collector.runs.worker_process import WorkerProcess

_LIMIT_S = 120.0


class OurWorker:
    """One worker process, started anew after it died."""

    def __init__(self, backend: str, device: str, threads: int) -> None:
        self._key = (backend, device, threads)
        self._process: WorkerProcess | None = None

    def median_s(self, subject: Subject, rule: StopRule, seed: int) -> float:
        """Median seconds of one call. Raises WorkerError where the row is not ``ok``."""
        operation, mode = subject.operation, subject.mode
        if self._process is None:
            self._process = WorkerProcess(*self._key)
        try:
            rows = [
                event
                for event in self._process.run(operation, (mode,), rule, seed, _LIMIT_S)
                if event["event"] == "row"
            ]
        except WorkerError:
            self.stop()
            raise
        row = next((row for row in rows if row["mode"] == mode), None)
        if row is None:
            raise WorkerError("crashed", "the worker gave no row")
        if row["status"] != "ok":
            raise WorkerError(row["status"], f"{row['status']}: {row['error']}")
        return float(row["median_s"])

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> OurWorker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
