"""The parent's handle of a worker process: start, ask, wait with a deadline, kill."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from collector.cells import Operation
from collector.errors import WorkerError
from collector.measure.sampling import StopRule
from collector.shipped import ROOT

_START_LIMIT_S = 180.0

#: set before a library is imported, as most read them only then
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class WorkerProcess:
    """One live worker. Not reusable after WorkerError."""

    def __init__(self, backend: str, device: str, threads: int) -> None:
        """Start the process; its library comes up meanwhile (see ``wait_ready``)."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        read_end, write_end = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "collector.runs.worker"),
                *(backend, device, str(threads), str(write_end)),
            ],
            stdin=subprocess.PIPE,
            stdout=self._errors,
            stderr=self._errors,
            pass_fds=(write_end,),
            env=worker_environment(threads),
            start_new_session=True,  # Ctrl-C reaches the parent only
        )
        os.close(write_end)
        os.set_blocking(read_end, False)
        self._descriptor = read_end
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(read_end, selectors.EVENT_READ)
        self._ready = False
        #: columns that hold for all its rows: BLAS, affinity
        self.columns: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        """Return when the library is up. Raises WorkerError, and ends the process, if it fails."""
        if self._ready:
            return
        try:
            event = self._next_event(time.monotonic() + _START_LIMIT_S)
            if event["event"] == "fatal":
                raise WorkerError(event["status"], event["error"])
            self.columns = event["columns"]
            self._ready = True
        except WorkerError:
            self.stop()
            raise

    def run(
        self,
        operation: Operation,
        modes: tuple[str, ...],
        rule: StopRule,
        seed: int,
        limit_s: float,
    ) -> Iterator[dict[str, Any]]:
        """Events of one task as they come, up to and without ``done``.

        Each event must come within ``limit_s`` of the one before. Raises WorkerError.
        """
        self.wait_ready()
        request = {
            "operation": asdict(operation),
            "modes": modes,
            "rule": asdict(rule),
            "seed": seed,
        }
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._died() from error
        while True:
            event = self._next_event(time.monotonic() + limit_s)
            if event["event"] == "done":
                return
            if event["event"] == "fatal":
                raise WorkerError(event["status"], event["error"])
            yield event

    def stop(self) -> None:
        """End the process, politely first."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
                self._process.wait(timeout=2.0)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self._process.kill()
        self._process.wait()
        self._selector.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._errors.close()

    def _next_event(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                self._process.kill()
                raise WorkerError("timeout", "no answer within the time limit; process killed")
            if not self._selector.select(remaining):
                continue
            chunk = os.read(self._descriptor, 1 << 20)
            if not chunk:
                raise self._died()
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            event = json.loads(line)
        except ValueError as error:
            raise WorkerError("crashed", "the worker sent a line that is not JSON") from error
        if not isinstance(event, dict):
            raise WorkerError("crashed", "the worker sent a line that is not an event")
        return event

    def _died(self) -> WorkerError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        last = lines[-1][:200] if lines else "no message"
        if code == -9:
            # the kernel's out-of-memory killer is the usual sender of this signal
            return WorkerError("crashed", f"worker killed (signal 9, out of memory?): {last}")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return WorkerError("crashed", f"worker ended with {how}: {last}")


def worker_environment(threads: int) -> dict[str, str]:
    """This process's environment with what libraries must read before they are imported."""
    environment = dict(os.environ)
    environment.update({name: str(threads) for name in _THREAD_VARIABLES})
    environment["PYTHONUNBUFFERED"] = "1"
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # NVML's order, so that telemetry fits
    environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    root = str(ROOT)
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment
