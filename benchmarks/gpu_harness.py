"""A process that times operations on the GPU with an established harness, one library in each.

CuPy and PyTorch bring CUDA libraries of their own, so each gets a process, as in a run. Requests
and answers are JSON, one a line: {"operation": ..., "seed": n, "harness": name} is answered by
{"median_s": x, "lead_s": y} or {"error": text}. agreement_gpu.py starts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, TextIO

from benchmarks.agreement import Subject, operation_from_json
from benchmarks.same_operation import build_operation
from collector.backends import open_backend
from collector.backends.base import Backend
from collector.cells import Operation
from collector.errors import WorkerError
from collector.measure.affinity import bind
from collector.runs.worker_process import worker_environment

_WARMUP_MS = 100
_REPEAT_MS = 200
_GRAPH_MS = 20  # replayed ten times
_CUPY_CALLS = 10_000
_CUPY_LIMIT_S = 0.3

#: function and operands -> median seconds, and the lead (benchmarks.agreement.Round)
Timer = Callable[[Callable[..., Any], tuple[Any, ...]], tuple[float, float]]


def do_bench(function: Callable[..., Any], operands: tuple[Any, ...]) -> tuple[float, float]:
    """Events around single calls; 256 MB are overwritten before each (our mode cold)."""
    from triton.testing import do_bench

    milliseconds = do_bench(
        lambda: function(*operands), warmup=_WARMUP_MS, rep=_REPEAT_MS, return_mode="median"
    )
    return float(milliseconds) * 1e-3, 0.0


def do_bench_cudagraph(
    function: Callable[..., Any], operands: tuple[Any, ...]
) -> tuple[float, float]:
    """Replays of a graph of many calls, caches as the calls leave them (our mode hot)."""
    from triton.testing import do_bench, do_bench_cudagraph

    def call() -> Any:
        return function(*operands)

    do_bench(call, warmup=_WARMUP_MS, rep=1)  # the graph's timer warms up by one call only
    return float(do_bench_cudagraph(call, rep=_GRAPH_MS, return_mode="median")) * 1e-3, 0.0


def torch_timer(function: Callable[..., Any], operands: tuple[Any, ...]) -> tuple[float, float]:
    """Host wall time of calls that are each waited for (our mode resident)."""
    import torch
    from torch.utils.benchmark import Timer as WallTimer

    timer = WallTimer(
        "function(*operands); synchronize()",
        globals={
            "function": function,
            "operands": operands,
            "synchronize": torch.cuda.synchronize,
        },
    )
    timer.timeit(10)
    return float(timer.blocked_autorange(min_run_time=_REPEAT_MS * 1e-3).median), 0.0


def torch_timer_blocks(
    function: Callable[..., Any], operands: tuple[Any, ...]
) -> tuple[float, float]:
    """Host wall time of blocks of calls, waited for at their end (our mode hot).

    Holds for calls that take the device longer than the host needs to issue them.
    """
    from torch.utils.benchmark import Timer as WallTimer

    timer = WallTimer("function(*operands)", globals={"function": function, "operands": operands})
    timer.timeit(10)
    return float(timer.blocked_autorange(min_run_time=_REPEAT_MS * 1e-3).median), 0.0


def cupyx_benchmark(function: Callable[..., Any], operands: tuple[Any, ...]) -> tuple[float, float]:
    """Events around single calls, caches hot (our mode hot).

    The first event is recorded on an idle device before the host issues the call, so that up to
    the host's time for the call precedes the work: that is the lead.
    """
    from cupyx.profiler import benchmark

    result = benchmark(
        function,
        operands,
        n_repeat=_CUPY_CALLS,
        name="operation",
        n_warmup=10,
        max_duration=_CUPY_LIMIT_S,
    )
    device_s, host_s = median(result.gpu_times[0].tolist()), median(result.cpu_times.tolist())
    return float(device_s), float(min(host_s, device_s))


TIMERS: Mapping[str, Timer] = {
    "triton do_bench": do_bench,
    "triton cudagraph": do_bench_cudagraph,
    "torch Timer": torch_timer,
    "torch Timer blocks": torch_timer_blocks,
    "cupyx benchmark": cupyx_benchmark,
}


def serve(
    requests: TextIO, answers: TextIO, backend: Backend, timers: Mapping[str, Timer] = TIMERS
) -> None:
    """Answer each request until the input ends. Operands are kept between requests."""
    built: dict[Operation, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
    for line in requests:
        request = json.loads(line)
        try:
            operation = operation_from_json(json.dumps(request["operation"]))
            backend.set_math_mode(operation.math_mode)
            if operation not in built:
                _, function, operands = build_operation(operation, request["seed"], backend)
                backend.wait(function(*operands))
                built[operation] = (function, operands)
            median_s, lead_s = timers[request["harness"]](*built[operation])
            answer: dict[str, Any] = {"median_s": median_s, "lead_s": lead_s}
        except Exception as error:  # noqa: BLE001 - one operation that fails costs one line
            first = next(iter(str(error).splitlines()), "")
            answer = {"error": f"{type(error).__name__}: {first}"[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class HarnessProcess:
    """The parent's handle; a process that died is started anew by the next question."""

    def __init__(self, backend: str, device: str = "cuda") -> None:
        self._key = (backend, device)
        self._process: subprocess.Popen[str] | None = None

    def median_s(self, subject: Subject, seed: int) -> tuple[float, float]:
        """Median seconds and lead. Raises WorkerError with the reason where there is none."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.gpu_harness", *self._key],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=worker_environment(1),
                cwd=Path(__file__).resolve().parent.parent,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        request = {
            "operation": asdict(subject.operation),
            "seed": seed,
            "harness": subject.harness,
        }
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self.stop()
            raise WorkerError("crashed", f"the process of {subject.harness} ended")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError("crashed", f"{subject.harness}: {answer['error']}")
        return answer["median_s"], answer["lead_s"]

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> HarnessProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    name, device = sys.argv[1:3]
    bind(1, device)
    backend = open_backend(name, device)
    backend.set_threads(1)
    serve(sys.stdin, answers, backend)


if __name__ == "__main__":
    main()
