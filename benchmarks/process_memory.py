"""A Streamlit server to measure, and the peak memory of it and of its child processes (Linux)."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_LIMIT_S = 60.0
_LOOK_EVERY_S = 0.25


@contextmanager
def serve(script: Path, folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """A Streamlit server on a free port, started in ``folder``: its address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.fileWatcherType", "none", "--server.headless", "true"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=log, stderr=subprocess.STDOUT
        )
        base = f"http://localhost:{port}"
        try:
            _wait(base, process)
            yield base, process.pid
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(base: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"{base}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError("the server did not answer in time")


@dataclass(frozen=True)
class Peaks:
    """Highest resident memory (MB of 10^6 B) of a process, and of its children by command."""

    server_mb: float
    children_mb: dict[str, float]


class MemoryWatch:
    """Looks at a process and its descendants while it is entered; children may come and go."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._children: dict[str, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def peaks(self) -> Peaks:
        return Peaks(_peak_mb(self._pid), dict(self._children))

    def _look_on(self) -> None:
        while not self._end.wait(_LOOK_EVERY_S):
            for pid in _descendants(self._pid):
                name = _command(pid)
                self._children[name] = max(self._children.get(name, 0.0), _peak_mb(pid))


def _peak_mb(pid: int) -> float:
    for line in _read(pid, "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in map(int, _read(pid, f"task/{pid}/children").split()):
        found += [child, *_descendants(child)]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        if task.name != str(pid):
            found += [int(child) for child in _read(pid, f"task/{task.name}/children").split()]
    return found


def _command(pid: int) -> str:
    words = [word for word in _read(pid, "cmdline").split("\0") if word]
    return " ".join(word for word in words[1:3] if not word.startswith("/")) or f"process {pid}"


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""  # it has ended
