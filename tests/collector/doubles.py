"""What tests of the collector pass in place of a clock, a machine and a worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from collector.cells import Cell, Operation, Task
from collector.dataset.read import read_dataset, read_table
from collector.machine.fingerprint import Cpu, Gpu, Machine
from collector.runs.plan import Plan, Selection
from collector.runs.run import Outcome, run_plan

CPU = Cpu("Example CPU", 6, 1, 2, 2, 2, None, 32 * 2**20, None)
GPU = Gpu("Example GPU", 1, 80 * 2**30, "600.1", "13.0", "9.0", 700.0, 5, 16, "feedbeef")


def make_machine(gpu: Gpu | None = None) -> Machine:
    """A machine of two cores."""
    return Machine(
        machine_id="0123456789abcdef",
        machine_type_id="fedcba9876543210",
        label="Example box",
        instance_type=None,
        cpu=CPU,
        memory_bytes=8 * 2**30,
        gpu=gpu,
        system="Linux 6.1 x86_64",
        python="3.12.0",
        library_versions={"numpy": "2.4.6"},
    )


class FakeClock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Script:
    """Samples given one after the other (the last one for ever), each taking ``step_s``."""

    def __init__(self, clock: FakeClock, values: Iterable[float], step_s: float) -> None:
        self._clock, self._values, self._step_s = clock, iter(values), step_s
        self.given: list[float] = []

    def __call__(self) -> float:
        self._clock.now_s += self._step_s
        self.given.append(next(self._values, self.given[-1] if self.given else 1.0))
        return self.given[-1]


def make_operation(n: int = 1000, backend: str = "numpy", **changes: Any) -> Operation:
    """An addition of two vectors."""
    fields: dict[str, Any] = {
        "workload": "elementwise",
        "case": "add",
        "params": (("n", n),),
        "dtype": "float32",
        "math_mode": "ieee",
        "backend": backend,
        "device": "cpu",
        "threads": 1,
    }
    return Operation(**{**fields, **changes})


def make_plan_of(tasks: Iterable[Task], suite: str = "quick", seed: int = 0) -> Plan:
    return Plan(Selection(suite=suite, seed=seed), tuple(tasks))


def additions(count: int, modes: tuple[str, ...] = ("hot",), backend: str = "numpy") -> Plan:
    """A plan of additions of 1000, 2000, ... elements."""
    return make_plan_of(
        Task(make_operation(1000 * (index + 1), backend), modes) for index in range(count)
    )


def ok_columns(seconds: float = 1e-3) -> dict[str, Any]:
    """Columns of a cell that went well."""
    return {
        "status": "ok",
        "samples_s": [seconds] * 6,
        "calls_per_sample": 1,
        "n": 6,
        "median_s": seconds,
        "ci95_low_s": seconds,
        "ci95_high_s": seconds,
        "mean_s": seconds,
        "std_s": 0.0,
        "min_s": seconds,
        "p95_s": seconds,
        "warmup_s": [seconds] * 4,
        "stop_reason": "precise",
        "timing_s": 6 * seconds,
        "noisy": False,
    }


def make_row(cell: Cell | None = None, **changes: Any) -> dict[str, Any]:
    """A whole row of a run's file, status ok."""
    cell = cell or Cell(**vars(make_operation()), mode="hot")
    return {
        "run_id": "run1",
        "machine_id": "0123456789abcdef",
        "cell_id": cell.cell_id,
        **vars(cell),
        "params": dict(cell.params),
        "size": cell.size,
        **vars(cell.work),
        "order_index": 0,
        **ok_columns(),
        **changes,
    }


#: what happens to a cell: columns of its row, or an exception
Fate = dict[str, Any] | BaseException


class ScriptedWorker:
    """Answers each cell as ``fate`` says, without measuring anything."""

    def __init__(self, fate: Callable[[Operation, str], Fate]) -> None:
        self.columns: dict[str, Any] = {"blas": "scripted", "blas_threads": 1}
        self.pid = 1
        self.stopped = False
        self._fate = fate

    def run(
        self, operation: Any, modes: tuple[str, ...], rule: Any, seed: int, limit_s: float
    ) -> Iterator[dict[str, Any]]:
        for mode in modes:
            yield {"event": "begin", "mode": mode}
            fate = self._fate(operation, mode)
            if isinstance(fate, BaseException):
                raise fate
            yield {"event": "row", "mode": mode, **fate}

    def wait_ready(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True


class Workers:
    """A ``start_worker`` that remembers which workers it started."""

    def __init__(self, fate: Callable[[Operation, str], Fate] | None = None) -> None:
        self._fate = fate or (lambda operation, mode: ok_columns())
        self.started: list[tuple[tuple[str, str, int], ScriptedWorker]] = []
        self.refusals: dict[str, BaseException] = {}

    def __call__(self, backend: str, device: str, threads: int) -> ScriptedWorker:
        if backend in self.refusals:
            raise self.refusals[backend]
        worker = ScriptedWorker(self._fate)
        self.started.append(((backend, device, threads), worker))
        return worker


MACHINE = make_machine()


def run(plan: Plan, out: Path, workers: Any = None, **options: Any) -> Outcome:
    """Run a plan on the example machine, with workers that do well unless told otherwise."""
    return run_plan(plan, MACHINE, out, start_worker=workers or Workers(), **options)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """All rows of a dataset."""
    return read_table(read_dataset(path)).to_pylist()


def nth_cell(fates: dict[int, Fate]) -> Callable[[Operation, str], Fate]:
    """A fate by the number of the cell in the run, from 0; the others go well."""
    count = -1

    def fate(operation: Operation, mode: str) -> Fate:
        nonlocal count
        count += 1
        return fates.get(count, ok_columns())

    return fate


def cell_ids(plan: Plan) -> list[str]:
    return sorted(cell.cell_id for task in plan.tasks for cell in task.cells)
