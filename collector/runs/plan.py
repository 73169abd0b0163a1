"""What a run would measure: the selection that a user made, turned into ordered tasks."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from collector.backends import BACKEND_DEVICES
from collector.cells import Task, make_tasks, with_anchors, with_first_calls
from collector.errors import SelectionError
from collector.machine.fingerprint import Machine
from collector.measure.sampling import stop_rule
from collector.schema import BACKENDS, DEVICES
from collector.workloads import FAMILIES, SUITES, get_workload


@dataclass(frozen=True)
class Selection:
    """What the user asked for; empty means everything."""

    suite: str = "standard"
    devices: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """Tasks in the order in which they run."""

    selection: Selection
    tasks: tuple[Task, ...]

    @property
    def cell_count(self) -> int:
        return sum(len(task.modes) for task in self.tasks)

    @property
    def worker_keys(self) -> tuple[tuple[str, str, int], ...]:
        return tuple(sorted({task.worker_key for task in self.tasks}))

    @property
    def largest_task_bytes(self) -> float:
        """Memory that the largest operation needs for operands, result and temporaries."""
        return max((_measuring_bytes(task) for task in self.tasks), default=0.0)

    def seconds_range(self) -> tuple[float, float]:
        """Sampling time at best and at worst: every cell precise at once, every cell capped.

        Set-up, checks and operations slower than the cap come on top.
        """
        low = high = 0.0
        for task in self.tasks:
            rule = stop_rule(self.selection.suite, task.operation.device)
            low += len(task.modes) * rule.min_time_s
            high += len(task.modes) * (rule.max_time_s + rule.warmup_time_s)
        return low, high

    def cells_by(self, attribute: str) -> Counter[str]:
        """Cells per value of an attribute of the operation."""
        counts: Counter[str] = Counter()
        for task in self.tasks:
            counts[str(getattr(task.operation, attribute))] += len(task.modes)
        return counts


def make_plan(selection: Selection, machine: Machine) -> Plan:
    """Tasks of a selection on this machine, in seeded random order.

    Raises SelectionError for an unknown name, for cuda without a GPU, for a selection that
    leaves nothing.
    """
    _check_names(selection)
    gpu = machine.gpu is not None
    if "cuda" in selection.devices and not gpu:
        raise SelectionError(
            "--device cuda: no NVIDIA GPU is visible here (see `python -m collector info`); "
            "leave --device out to measure the CPU"
        )
    devices = selection.devices or (("cpu", "cuda") if gpu else ("cpu",))
    pairs = [
        (backend, device)
        for backend, device in BACKEND_DEVICES
        if device in devices and (not selection.backends or backend in selection.backends)
    ]
    tasks = make_tasks(
        selection.suite,
        pairs,
        machine.cpu.physical_cores,
        selection.workloads or tuple(FAMILIES),
    )
    if selection.threads:
        tasks = [
            task
            for task in tasks
            if task.operation.device == "cuda" or task.operation.threads in selection.threads
        ]
    if not tasks:
        raise SelectionError(
            "nothing to measure: no workload has a form for this combination of --device, "
            "--backend, --workload and --threads (see `python -m collector list`)"
        )
    random.Random(selection.seed).shuffle(tasks)
    if selection.suite not in ("quick", "survey"):
        tasks = with_first_calls(tasks)
    if selection.suite != "quick" and not selection.workloads:
        low, high = Plan(selection, tuple(tasks)).seconds_range()
        tasks = with_anchors(tasks, (low + high) / 2)
    return Plan(selection, tuple(tasks))


def _check_names(selection: Selection) -> None:
    for option, given, known in (
        ("--suite", (selection.suite,), SUITES),
        ("--device", selection.devices, DEVICES),
        ("--backend", selection.backends, BACKENDS),
    ):
        _check_known(option, given, known)
    for name in selection.workloads:
        get_workload(name)
    if not 0 <= selection.seed < 2**63:
        raise SelectionError(f"--seed {selection.seed}: must be 0 or more, and below 2^63")


def _check_known(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise SelectionError(f"{option} {name}: unknown; choose one of {', '.join(known)}")


def _measuring_bytes(task: Task) -> float:
    operation = task.operation
    return get_workload(operation.workload).measuring_bytes(
        operation.case, dict(operation.params), operation.dtype, operation.backend
    )
