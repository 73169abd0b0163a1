"""A worker process: one backend on one device with one thread count.

It reads one JSON request a line from standard input and writes events, one JSON object a
line, to the descriptor that its parent passed. Anything that libraries print goes to standard
error. It ends when its input ends, so a killed parent leaves no process behind.

Requests: {"operation": {...}, "modes": [...], "rule": {...}, "seed": n}.
Events: ready; begin (mode); timing and timed (mode), around the timing; row (mode, columns); done;
fatal (the process ends after it).
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from typing import Any

from collector.backends import open_backend
from collector.backends.base import Backend
from collector.cells import Operation
from collector.errors import WrongResultError
from collector.machine.fingerprint import cpu_cache_bytes
from collector.measure.affinity import bind
from collector.measure.measure import measure_mode
from collector.measure.prepare import Prepared, memory_shortage, prepare, verify_again
from collector.measure.sampling import StopRule
from collector.measure.thread_pools import ThreadPools, blas_summary
from collector.workloads import get_workload


class Channel:
    """Events to the parent."""

    def __init__(self, descriptor: int) -> None:
        self._stream = os.fdopen(descriptor, "w", encoding="utf-8")

    def send(self, event: str, **fields: Any) -> None:
        self._stream.write(json.dumps({"event": event, **fields}) + "\n")
        self._stream.flush()


def main(argv: list[str]) -> int:
    """Entry of the process: backend, device, threads, event descriptor."""
    name, device, threads, descriptor = argv[0], argv[1], int(argv[2]), int(argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    channel = Channel(descriptor)
    affinity_cpus = bind(threads, device)  # before the import: libraries size their pools by it
    try:
        backend = open_backend(name, device)
    except Exception as error:  # noqa: BLE001 - a library may raise anything at import
        channel.send("fatal", status="unsupported", error=one_line(error))
        return 1
    backend.set_threads(threads)
    gc.freeze()  # what the libraries made at import need not be looked at in each collection
    channel.send("ready", columns={"affinity_cpus": affinity_cpus, **blas_summary(name)})
    pools = ThreadPools(name, threads)
    for line in sys.stdin:
        if not _serve(json.loads(line), backend, channel, pools):
            return 1
    return 0


def _serve(request: dict[str, Any], backend: Backend, channel: Channel, pools: ThreadPools) -> bool:
    """Answer one request. False if the process must end."""
    fields = dict(request["operation"])
    fields["params"] = tuple((key, value) for key, value in fields["params"])
    operation = Operation(**fields)
    rule = StopRule(**request["rule"])
    workload = get_workload(operation.workload)
    modes = list(request["modes"])
    channel.send("begin", mode=modes[0])
    started = time.perf_counter()
    shortage = memory_shortage(workload, operation, backend)
    if shortage is not None:
        for mode in modes:
            channel.send("row", mode=mode, status="out_of_memory", error=shortage)
        channel.send("done")
        return True
    try:
        prepared = prepare(workload, operation, backend, request["seed"])
    except Exception as error:  # noqa: BLE001 - one operation's failure is a row, not a crash
        for mode in modes:
            channel.send("row", mode=mode, **failure(error, backend))
        if backend.is_fatal(error):
            channel.send("fatal", status="crashed", error=one_line(error))
            return False
        channel.send("done")
        return True
    for index, mode in enumerate(modes):
        if index:
            channel.send("begin", mode=mode)
            started = time.perf_counter()
        try:
            columns = _measure(prepared, backend, mode, rule, channel)
            columns["threads_confirmed"] = pools.confirmed(operation.workload)
        except Exception as error:  # noqa: BLE001 - as above
            channel.send("row", mode=mode, **failure(error, backend))
            if backend.is_fatal(error):
                channel.send("fatal", status="crashed", error=one_line(error))
                return False
            continue
        columns["cell_wall_s"] = time.perf_counter() - started
        channel.send("row", mode=mode, **columns)
    channel.send("done")
    return True


def _measure(
    prepared: Prepared, backend: Backend, mode: str, rule: StopRule, channel: Channel
) -> dict[str, Any]:
    channel.send("timing", mode=mode)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    columns = measure_mode(prepared, backend, mode, rule, cpu_cache_bytes())
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - before
    channel.send("timed", mode=mode)
    if mode == "first_call":  # checked when it was made
        return {"status": "ok", **columns, "relative_error": prepared.check.relative_error}
    errors = (prepared.check.relative_error, verify_again(prepared, backend).relative_error)
    return {
        "status": "ok",
        **columns,
        "involuntary_switches": switches,
        "relative_error": max((error for error in errors if error is not None), default=None),
    }


def failure(error: BaseException, backend: Backend) -> dict[str, Any]:
    """Status, error and relative_error columns for an exception."""
    if isinstance(error, WrongResultError):
        return {
            "status": "wrong_result",
            "error": str(error),
            "relative_error": error.relative_error,
        }
    if backend.is_out_of_memory(error):
        return {"status": "out_of_memory", "error": one_line(error)}
    if isinstance(error, NotImplementedError):
        return {"status": "unsupported", "error": one_line(error)}
    return {"status": "crashed", "error": one_line(error)}


def one_line(error: BaseException) -> str:
    """Type and first line of an exception's message, at most 300 characters."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}"[:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
