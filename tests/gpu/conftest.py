"""Tests that measure on an NVIDIA GPU; without one they are skipped."""

import pytest

from collector.backends import missing_reason
from collector.errors import WorkerError
from collector.machine.fingerprint import read_gpu
from collector.runs.worker_process import WorkerProcess
from tests.gpu.operations import LIMIT_S, RULE


@pytest.fixture(scope="session", autouse=True)
def gpu():
    """The GPU of this machine."""
    found = read_gpu()
    if found is None:
        pytest.skip("no NVIDIA GPU is visible")
    return found


@pytest.fixture(scope="session")
def workers(gpu):
    """Worker processes by backend, started once each; one that died is started again."""
    started: dict[str, WorkerProcess] = {}

    def get(backend: str) -> WorkerProcess:
        if missing_reason(backend):
            pytest.skip(missing_reason(backend))
        if backend not in started:
            started[backend] = WorkerProcess(backend, "cuda", 1)
        return started[backend]

    yield get
    for worker in started.values():
        worker.stop()


@pytest.fixture
def measure(workers):
    """Rows of an operation by mode, measured by the worker of its backend."""

    def run(operation, modes, rule=RULE):
        worker = workers(operation.backend)
        try:
            events = list(worker.run(operation, modes, rule, seed=0, limit_s=LIMIT_S))
        except WorkerError as error:
            pytest.fail(f"the worker ended: {error}")
        return {event["mode"]: event for event in events if event["event"] == "row"}

    return run
