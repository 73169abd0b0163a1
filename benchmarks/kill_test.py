"""Kill the collector again and again (SIGKILL) and count what is lost.

    python -m benchmarks.kill_test --kills 200 --seed 0
    python -m benchmarks.kill_test --kills 10 --backend numpy --workload elementwise

One run without kills says which cells there are and how long they take. Then runs are started,
or resumed, and at random moments from their first instant on either the collector or one of its
worker processes is killed. Just before each kill the finished cells are read from the journal's
whole lines, by code of this file; after it the dataset is read as everyone reads it. The last
run is resumed to its end. Nothing may be lost, unreadable, doubled or left running; a killed
worker may cost the one cell that it was measuring. Linux only (/proc).

Exit code 0 if all this holds, else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from collector.dataset.read import read_dataset, read_table

ROOT = Path(__file__).resolve().parents[1]
#: every process that a run starts inherits it, so that none can hide
MARK = "BREAKEVEN_KILL_TEST"
#: longest wait for workers to notice that their parent is gone: a cell of the quick suite
GRACE_S = 30.0
#: kills fall into this share of an undisturbed run, so that runs are resumed a few times
SHARE = 0.5
#: how often the victim is a worker, which may still be starting
WORKER_SHARE = 0.5

#: run, cell -> the median that was first read for it
Finished = dict[tuple[str, str], float | None]


@dataclass
class Tally:
    """What the table says; the last group must stay at zero."""

    kills_of_collector: int = 0
    kills_of_workers: int = 0
    runs_completed: int = 0
    runs_resumed: int = 0
    cells_of_a_run: int = 0
    cells_crashed_by_killed_workers: int = 0
    longest_wait_for_workers_s: float = 0.0
    finished_cells_lost: int = field(default=0, metadata={"bad": True})
    finished_cells_changed: int = field(default=0, metadata={"bad": True})
    cells_twice: int = field(default=0, metadata={"bad": True})
    unreadable_files: int = field(default=0, metadata={"bad": True})
    orphan_processes: int = field(default=0, metadata={"bad": True})
    incomplete_completed_runs: int = field(default=0, metadata={"bad": True})
    cells_crashed_without_a_kill: int = field(default=0, metadata={"bad": True})
    unexpected_exits: int = field(default=0, metadata={"bad": True})

    @property
    def is_good(self) -> bool:
        return not any(getattr(self, f.name) for f in fields(self) if f.metadata.get("bad"))

    @property
    def kills(self) -> int:
        return self.kills_of_collector + self.kills_of_workers

    def table(self) -> str:
        lines = []
        for item in fields(self):
            value = getattr(self, item.name)
            text = f"{value:.1f}" if isinstance(value, float) else str(value)
            must = "  (must be 0)" if item.metadata.get("bad") else ""
            lines.append(f"{item.name.replace('_', ' '):<34}{text:>8}{must}")
        return "\n".join(lines)


class KillTest:
    """One dataset directory, and the runs that go into it."""

    def __init__(
        self, options: list[str], out: Path, seed: int, longest_wait_s: float | None
    ) -> None:
        self.tally = Tally()
        self._options, self._out = options, out
        self._random = random.Random(seed)
        self._known: Finished = {}
        self._worker_kills: Counter[str] = Counter()
        self._cells: set[str] = set()
        self._longest_wait_s = longest_wait_s

    def undisturbed(self) -> None:
        """One whole run: its cells and its duration."""
        started = time.monotonic()
        process, mark = self._start(resume=False)
        if process.wait():
            raise SystemExit(f"the run without kills failed: {self._complaint(process)}")
        if self._longest_wait_s is None:
            self._longest_wait_s = SHARE * (time.monotonic() - started)
        self._await_end_of(mark)
        self._look()
        self._cells = {cell for _, cell in self._known}
        self.tally.cells_of_a_run = len(self._cells)

    def one_run(self, kills: int) -> None:
        """Start a run, or resume the one that was killed, until it ends or is killed."""
        unfinished = any(not info.finished for info in read_dataset(self._out).runs)
        self.tally.runs_resumed += unfinished
        process, mark = self._start(resume=unfinished)
        while self.tally.kills < kills:
            try:
                process.wait(self._random.uniform(0.0, self._longest_wait_s or 0.0))
                break
            except subprocess.TimeoutExpired:
                pass
            if self._random.random() >= WORKER_SHARE:
                self._read_journals()
                process.kill()
                process.wait()
                self.tally.kills_of_collector += 1
                self._await_end_of(mark)
                self._look()
                return
            worker = self._await_worker(process, mark)
            if worker is None:  # the run ended before it started one
                break
            self._read_journals()
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(worker, signal.SIGKILL)
                self.tally.kills_of_workers += 1
                self._worker_kills[self._growing_run()] += 1
            self._look()
        if process.wait() not in (0, -signal.SIGKILL):
            self.tally.unexpected_exits += 1
            print(f"unexpected exit: {self._complaint(process)}", file=sys.stderr)
        self._await_end_of(mark)
        self._look()

    def finish(self) -> None:
        """Complete what is unfinished, then count what each run lost."""
        while any(not info.finished for info in read_dataset(self._out).runs):
            before = self.tally.unexpected_exits
            self.one_run(kills=0)
            if self.tally.unexpected_exits > before:
                break
        by_run: dict[str, dict[str, dict[str, Any]]] = {}
        for row in read_table(read_dataset(self._out)).to_pylist():
            by_run.setdefault(row["run_id"], {})[row["cell_id"]] = row
        for run, rows in by_run.items():
            complete = set(rows) == self._cells
            self.tally.runs_completed += complete
            self.tally.incomplete_completed_runs += not complete
            crashed = [row["error"] for row in rows.values() if row["status"] == "crashed"]
            excess = max(0, len(crashed) - self._worker_kills[run])
            self.tally.cells_crashed_without_a_kill += excess
            self.tally.cells_crashed_by_killed_workers += len(crashed) - excess
            if excess:
                print(f"{excess} cells crashed for no kill: {crashed[-1]}", file=sys.stderr)

    def _start(self, resume: bool) -> tuple[subprocess.Popen[str], str]:
        mark = secrets.token_hex(8)
        command = [sys.executable, "-m", "collector", "run", *self._options]
        command += ["--out", str(self._out), *(["--resume"] if resume else [])]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, MARK: mark},
            stdout=subprocess.DEVNULL,
            stderr=(self._out / "stderr.txt").open("w"),
            text=True,
        )
        return process, mark

    def _complaint(self, process: subprocess.Popen[str]) -> str:
        lines = (self._out / "stderr.txt").read_text().strip().splitlines()
        return f"exit code {process.returncode}: {lines[-1] if lines else 'no message'}"

    def _await_worker(self, process: subprocess.Popen[str], mark: str) -> int | None:
        """A random worker, as soon as there is one; None if the run ends without."""
        while process.poll() is None:
            workers = [pid for pid in _marked(mark) if _is_worker(pid)]
            if workers:
                return self._random.choice(workers)
            time.sleep(0.02)
        return None

    def _await_end_of(self, mark: str) -> None:
        """Workers end by themselves; those that do not are counted, then ended."""
        started = time.monotonic()
        while left := _marked(mark):
            waited = time.monotonic() - started
            if waited > GRACE_S:
                self.tally.orphan_processes += len(left)
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.02)
        waited = time.monotonic() - started
        self.tally.longest_wait_for_workers_s = max(self.tally.longest_wait_for_workers_s, waited)

    def _growing_run(self) -> str:
        """The newest run's id; the header is written before the first worker starts."""
        newest = max(self._out.rglob("*.journal"), key=lambda path: path.name, default=None)
        return newest.stem.rpartition("-")[2] if newest else ""

    def _read_journals(self) -> None:
        """Remember every cell that a journal holds as a whole line just now."""
        for path in self._out.rglob("*.journal"):
            try:
                lines = path.read_bytes().split(b"\n")[:-1]
            except FileNotFoundError:
                continue  # the run has just ended
            if lines:
                run = json.loads(lines[0])["header"]["run"]["run_id"]
                for line in lines[1:]:
                    row = json.loads(line)
                    self._known.setdefault((run, row["cell_id"]), row.get("median_s"))

    def _look(self) -> None:
        """Compare the dataset with all cells that were ever seen finished."""
        dataset = read_dataset(self._out)
        for problem in dataset.problems:
            print(f"unreadable: {problem.path.name}: {problem.reason}", file=sys.stderr)
        self.tally.unreadable_files += len(dataset.problems)
        table = read_table(dataset).select(["run_id", "cell_id", "median_s"]).to_pylist()
        now: Finished = {(row["run_id"], row["cell_id"]): row["median_s"] for row in table}
        self.tally.cells_twice += len(table) - len(now)
        for key, median_s in list(self._known.items()):
            if key not in now:
                self.tally.finished_cells_lost += 1
                del self._known[key]  # counted once
            elif now[key] != median_s:
                self.tally.finished_cells_changed += 1
                self._known[key] = now[key]
        self._known.update(now)


def _marked(mark: str) -> list[int]:
    """Living processes that carry the mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # ended meanwhile, or not ours to look at
    return found


def _is_worker(pid: int) -> bool:
    try:
        return b"collector.worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description="kill the collector and count what is lost")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="seed of moments and victims")
    parser.add_argument(
        "--longest-wait-s",
        type=float,
        help="kills come within so many seconds (default: half of an undisturbed run)",
    )
    parser.add_argument("--suite", default="quick")
    for name in ("backend", "workload", "device"):
        parser.add_argument(f"--{name}", action="append", default=[], help="as of the collector")
    arguments = parser.parse_args()
    options = ["--suite", arguments.suite]
    for name in ("backend", "workload", "device"):
        for value in getattr(arguments, name):
            options += [f"--{name}", value]
    with tempfile.TemporaryDirectory(prefix="breakeven-kill-test-") as directory:
        test = KillTest(options, Path(directory), arguments.seed, arguments.longest_wait_s)
        test.undisturbed()
        while test.tally.kills < arguments.kills and not test.tally.unexpected_exits:
            test.one_run(arguments.kills)
        test.finish()
    print(f"python -m benchmarks.kill_test {' '.join(sys.argv[1:])}")
    print(test.tally.table())
    return 0 if test.tally.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
