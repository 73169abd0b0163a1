"""How long a plan will take: from earlier runs where there are any, else from the suite's rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.cells import Task
from collector.errors import UserError
from collector.machine.fingerprint import Machine
from collector.measure.sampling import stop_rule
from collector.runs.plan import Plan

# Measured on the shipped standard runs (2-core EPYC host; H200 with a 16-core host). Between the
# shortest and the longest time that the rule allows, timing of a cell takes this share of the way:
_SHARE_OF_RULE = {"cpu": 0.5, "cuda": 0.2}
# making operands, the reference and both checks of an operation:
_OPERATION_S = 0.1
# starting a worker process, side by side with others:
_WORKER_S = 0.7


@dataclass(frozen=True)
class PlanTime:
    """Expected wall time and where the figure comes from. ``known_cells`` were timed before."""

    seconds: float
    source: str
    known_cells: int


@dataclass(frozen=True)
class EarlierTimes:
    """Wall seconds of cells in earlier runs: of one cell, and of each (family, device)."""

    source: str
    by_cell: Mapping[str, float] = field(default_factory=dict)
    by_family: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of_task(self, task: Task) -> tuple[list[float], int]:
        """Seconds of those cells that can be told, and how many of them were timed before."""
        operation = task.operation
        family = self.by_family.get((operation.workload, operation.device))
        seconds, known = [], 0
        for cell in task.cells:
            own = self.by_cell.get(cell.cell_id)
            known += own is not None
            value = own if own is not None else family
            if value is not None:
                seconds.append(value)
        return seconds, known


def expected_time(plan: Plan, earlier: EarlierTimes | None = None) -> PlanTime:
    """Seconds that a run of the plan takes on the wall.

    A cell that an earlier run timed is taken to need as long again, another one the mean of its
    family on its device (the mean, as sums are asked for), and where nothing like it was
    measured what the suite's rule says.
    """
    total, known_cells, from_rule = _WORKER_S * len(plan.worker_keys), 0, 0
    for task in plan.tasks:
        seconds, known = earlier.of_task(task) if earlier else ([], 0)
        missing = len(task.modes) - len(seconds)
        total += sum(seconds) + missing / len(task.modes) * _rule_seconds(plan, task)
        known_cells += known
        from_rule += missing
    source = "the suite's rule"
    if earlier and from_rule < plan.cell_count:
        source = earlier.source
        if from_rule:
            source += f", {from_rule} cells from the suite's rule"
    return PlanTime(total, source, known_cells)


def _rule_seconds(plan: Plan, task: Task) -> float:
    device = task.operation.device
    rule = stop_rule(plan.selection.suite, device)
    longest = rule.max_time_s + rule.warmup_time_s
    timing_s = rule.min_time_s + _SHARE_OF_RULE[device] * (longest - rule.min_time_s)
    energy_s = rule.energy_time_s if task.energy else 0.0
    return len(task.modes) * timing_s + energy_s + _OPERATION_S


def earlier_times(
    rows: Iterable[Mapping[str, Any]], machine: Machine, suite: str
) -> EarlierTimes | None:
    """What earlier runs of this suite tell: those of this machine, else of the same devices.

    Rows need the columns ``EARLIER_COLUMNS``.
    """
    rows = [row for row in rows if row["suite"] == suite and row["cell_wall_s"]]
    own = [row for row in rows if row["machine_id"] == machine.machine_id]
    gpu_model = machine.gpu.model if machine.gpu else None
    alike = [
        row
        for row in rows
        if (row["device"] == "cpu" and row["cpu_model"] == machine.cpu.model)
        or (row["device"] == "cuda" and row["gpu_model"] == gpu_model)
    ]
    for chosen, words in ((own, "of this machine"), (alike, "of the same processor or GPU")):
        if chosen:
            runs = len({row["run_id"] for row in chosen})
            by_cell, by_family = defaultdict(list), defaultdict(list)
            for row in chosen:
                by_cell[row["cell_id"]].append(row["cell_wall_s"])
                by_family[row["workload"], row["device"]].append(row["cell_wall_s"])
            return EarlierTimes(
                f"{runs} earlier run{'s' * (runs > 1)} {words}",
                {key: _mean(values) for key, values in by_cell.items()},
                {key: _mean(values) for key, values in by_family.items()},
            )
    return None


EARLIER_COLUMNS = (
    *("run_id", "suite", "machine_id", "cpu_model", "gpu_model", "device"),
    *("workload", "cell_id", "cell_wall_s"),
)


def read_earlier_rows(places: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Rows of the runs below some places; one that is not there or cannot be read adds none."""
    from collector.dataset.read import read_dataset, read_table

    rows: list[dict[str, Any]] = []
    for place in places:
        try:
            table = read_table(read_dataset(place))
        except UserError:
            continue
        rows += table.select(list(EARLIER_COLUMNS)).to_pylist()
    return rows


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
