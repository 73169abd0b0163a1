"""What goes wrong on a GPU costs one cell: too large an operation, a poisoned context."""

import pytest

from collector.backends import missing_reason
from collector.errors import WorkerError
from collector.runs.worker_process import WorkerProcess
from tests.gpu.operations import LIMIT_S, RULE, make_operation

TOO_LARGE = {"n": 300_000}  # three matrices of 335 GiB


@pytest.mark.parametrize("backend", ["torch", "cupy"])
def test_an_operation_that_cannot_fit_is_a_row_and_the_worker_goes_on(backend, measure):
    rows = measure(make_operation("matmul", "square", backend, **TOO_LARGE), ("hot", "resident"))
    assert [rows[mode]["status"] for mode in ("hot", "resident")] == ["out_of_memory"] * 2
    assert "GiB are free" in rows["hot"]["error"]
    small = measure(make_operation("matmul", "square", backend, n=100), ("hot",))
    assert small["hot"]["status"] == "ok"


PATCH = """
import sys
if "collector" in " ".join(sys.orig_argv):
    from collector.workloads.launch import Launch

    def build(self, backend, case, params, dtype):
{body}

    Launch.build = build
"""

OUT_OF_BOUNDS = """
        kernel = backend.module.RawKernel(
            'extern "C" __global__ void bad(float* p) { p[1LL << 40] = 1.0f; }', "bad"
        )

        def call(x):
            kernel((1,), (1,), (x,))
            return x

        return call
"""

MORE_THAN_THERE_IS = """
        def call(x):
            return backend.empty(2**42, "float32")

        return call
"""


@pytest.fixture
def patched_worker(tmp_path, monkeypatch):
    """Start a worker whose chains do something else."""
    started = []

    def start(backend, body):
        if missing_reason(backend):
            pytest.skip(missing_reason(backend))
        (tmp_path / "sitecustomize.py").write_text(PATCH.format(body=body))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        started.append(WorkerProcess(backend, "cuda", 1))
        return started[-1]

    yield start
    for process in started:
        process.stop()


def test_an_illegal_address_ends_the_worker_and_is_told(patched_worker):
    worker = patched_worker("cupy", OUT_OF_BOUNDS)
    chain = make_operation("launch", "chain", "cupy", length=1)
    with pytest.raises(WorkerError) as caught:
        list(worker.run(chain, ("hot",), RULE, 0, LIMIT_S))
    assert caught.value.status == "crashed"
    assert "illegal" in str(caught.value).lower()


def test_an_illegal_address_leaves_other_workers_alone(patched_worker, measure):
    worker = patched_worker("cupy", OUT_OF_BOUNDS)
    chain = make_operation("launch", "chain", "cupy", length=1)
    with pytest.raises(WorkerError):
        list(worker.run(chain, ("hot",), RULE, 0, LIMIT_S))
    assert measure(chain, ("hot",))["hot"]["status"] == "ok"


@pytest.mark.parametrize("backend", ["torch", "cupy"])
def test_an_allocation_that_fails_is_a_row_and_the_worker_goes_on(patched_worker, backend):
    worker = patched_worker(backend, MORE_THAN_THERE_IS)
    chain = make_operation("launch", "chain", backend, length=1)
    events = list(worker.run(chain, ("hot",), RULE, 0, LIMIT_S))
    assert events[-1]["status"] == "out_of_memory", events[-1]
    addition = make_operation("elementwise", "add", backend, n=1000)
    assert list(worker.run(addition, ("hot",), RULE, 0, LIMIT_S))[-1]["status"] == "ok"
