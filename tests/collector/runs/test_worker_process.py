"""Real worker processes: they answer, they die, they hang, and their parent copes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.backends import missing_reason
from collector.cells import Operation
from collector.errors import WorkerError
from collector.measure.sampling import StopRule
from collector.runs.worker_process import WorkerProcess
from tests.collector.doubles import make_operation

ROOT = Path(__file__).resolve().parents[3]
RULE = StopRule(0.5, min_samples=6, min_time_s=0.0, max_time_s=0.02, warmup_time_s=0.01)
LIMIT_S = 60.0

CHAIN = Operation("launch", "chain", (("length", 5),), "float32", "ieee", "numpy", "cpu", 1)


@pytest.fixture
def worker():
    process = WorkerProcess("numpy", "cpu", 1)
    yield process
    process.stop()


def ask(worker, operation=CHAIN, modes=("hot",), limit_s=LIMIT_S):
    return list(worker.run(operation, modes, RULE, seed=0, limit_s=limit_s))


def pid_of(worker):
    return worker._process.pid


def is_running(pid):
    """Whether a process does anything still; one that waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_worker_answers_with_one_row_for_each_mode(worker):
    addition = make_operation(1000)
    events = ask(worker, addition, ("hot", "cold"))
    assert [(event["event"], event["mode"]) for event in events] == [
        (name, mode) for mode in ("hot", "cold") for name in ("begin", "timing", "timed", "row")
    ]
    for event in events[3::4]:
        assert event["status"] == "ok"
        assert event["median_s"] > 0
        assert event["cell_wall_s"] >= event["timing_s"] > 0
        assert event["involuntary_switches"] >= 0
        assert 0 <= event["relative_error"] < 1e-6
    assert ask(worker)[-1]["status"] == "ok"  # and it answers again


def test_a_worker_tells_its_blas_and_keeps_to_its_threads(worker):
    worker.wait_ready()
    assert worker.columns["blas"]
    assert worker.columns["blas_threads"] == 1


def test_what_cannot_fit_into_memory_is_a_row_and_the_worker_goes_on(worker):
    events = ask(worker, make_operation(2**38), ("hot", "cold"))
    rows = [event for event in events if event["event"] == "row"]
    assert [row["status"] for row in rows] == ["out_of_memory"] * 2
    assert "GiB are free" in rows[0]["error"]
    assert ask(worker)[-1]["status"] == "ok"


def test_what_a_backend_has_no_form_for_is_a_row_and_the_worker_goes_on(worker):
    strange = Operation("launch", "empty_kernel", (), "float32", "ieee", "numpy", "cpu", 1)
    (row,) = [event for event in ask(worker, strange) if event["event"] == "row"]
    assert row["status"] != "ok"
    assert "empty_kernel has no form for backend 'numpy'" in row["error"]
    assert ask(worker)[-1]["status"] == "ok"


def test_a_killed_worker_is_reported_as_crashed(worker):
    os.kill(pid_of(worker), signal.SIGKILL)
    with pytest.raises(WorkerError, match="signal 9") as caught:
        ask(worker)
    assert caught.value.status == "crashed"


def test_a_worker_killed_while_it_measures_is_reported_as_crashed(worker):
    events = worker.run(CHAIN, ("hot",), RULE, 0, LIMIT_S)
    assert next(events)["event"] == "begin"
    os.kill(pid_of(worker), signal.SIGSEGV)
    with pytest.raises(WorkerError) as caught:
        list(events)
    assert caught.value.status == "crashed"
    assert "signal 11" in str(caught.value)


def test_a_worker_that_hangs_is_killed_at_its_limit(worker):
    worker.wait_ready()  # else its start is what takes too long
    os.kill(pid_of(worker), signal.SIGSTOP)
    with pytest.raises(WorkerError, match="no answer within the time limit") as caught:
        ask(worker, limit_s=0.2)
    assert caught.value.status == "timeout"
    assert wait_until(lambda: not is_running(pid_of(worker)))


def test_an_interrupt_from_the_keyboard_is_left_to_the_parent(worker):
    worker.wait_ready()
    os.kill(pid_of(worker), signal.SIGINT)
    assert ask(worker)[-1]["status"] == "ok"


def test_stop_ends_the_process(worker):
    pid = pid_of(worker)
    worker.stop()
    assert not is_running(pid)


@pytest.mark.skipif(missing_reason("cupy") is None, reason="cupy is installed here")
def test_a_library_that_cannot_be_imported_is_unsupported():
    with pytest.raises(WorkerError, match="No module named 'cupy'") as caught:
        WorkerProcess("cupy", "cuda", 1).wait_ready()
    assert caught.value.status == "unsupported"


PATCH = """
import os, signal, sys
if sys.argv[0] == "-m" or "collector" in " ".join(sys.orig_argv):
    from collector.workloads.launch import Launch

    def build(self, backend, case, params, dtype):
        {body}

    Launch.build = build
"""


@pytest.fixture
def patched_worker(tmp_path, monkeypatch):
    """Start a worker whose chains do something else; other operations are as ever."""
    started = []

    def start(body):
        (tmp_path / "sitecustomize.py").write_text(PATCH.format(body=body))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        started.append(WorkerProcess("numpy", "cpu", 1))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def test_an_operation_that_kills_its_process_says_how(patched_worker):
    worker = patched_worker("os.kill(os.getpid(), signal.SIGABRT)")
    with pytest.raises(WorkerError, match="signal 6"):
        ask(worker)


def test_the_last_line_that_a_dying_worker_printed_is_kept(patched_worker):
    worker = patched_worker("print('bad weather', file=sys.stderr, flush=True); os._exit(3)")
    with pytest.raises(WorkerError, match="exit code 3: bad weather"):
        ask(worker)


def test_what_an_operation_prints_does_not_disturb_the_answer(patched_worker):
    worker = patched_worker("print('hello'); return lambda x: x * 0.5**5")
    assert ask(worker)[-1]["status"] == "ok"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("return lambda x: x", "wrong_result", "wrong result before timing"),
        ("raise MemoryError('too big')", "out_of_memory", "MemoryError: too big"),
        ("raise NotImplementedError('no such thing')", "unsupported", "no such thing"),
        ("raise ValueError('odd\\nsecond line')", "crashed", "ValueError: odd"),
    ],
)
def test_what_goes_wrong_in_an_operation_is_the_status_of_its_row(
    patched_worker, body, status, error
):
    worker = patched_worker(body.replace("\n", "\\n"))
    rows = [event for event in ask(worker, modes=("hot", "cold")) if event["event"] == "row"]
    assert [row["status"] for row in rows] == [status] * 2
    assert error in rows[0]["error"]
    assert "\n" not in rows[0]["error"]
    assert ask(worker, make_operation(1000))[-1]["status"] == "ok"


PARENT = """
import sys, time
from collector.runs.worker_process import WorkerProcess
worker = WorkerProcess("numpy", "cpu", 1)
print(worker._process.pid, flush=True)
time.sleep(600)
"""


def test_a_worker_does_not_outlive_its_parent():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    assert wait_until(lambda: not is_running(pid))
