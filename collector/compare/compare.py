"""Is B different from A, and then by how much? Cells of two sides against run-to-run spread.

Each side is one or several runs of one machine. Whether a cell is different comes before by
how much: the difference of the sides' mean log medians is tested against the spread between
runs (``run_spread``), never against the interval within a run alone. The spread comes from
repeats: other runs of the same machine, or else of other machines; of the sides themselves only
what runs of one side say of each other or of their machine's other runs, never the difference
between the sides.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collector.compare.difference import CellTest, p_value, ratio_limits
from collector.compare.run_spread import (
    CellTime,
    Run,
    RunSpread,
    Scale,
    estimate_spread,
    run_shifts,
)
from collector.compare.runs import CellName, MeasuredRun
from collector.errors import SelectionError
from collector.measure.statistics import false_discovery_rates


@dataclass(frozen=True)
class Settings:
    """What counts as different."""

    false_discovery_rate: float = 0.01
    smallest_effect: float = 0.02  #: relative; smaller true differences are of no interest


@dataclass(frozen=True)
class CellComparison:
    """One cell on both sides. Ratios are B over A; limits and ``q`` are None without spread."""

    name: CellName
    a_median_s: float
    b_median_s: float
    ratio: float
    ratio_low: float | None
    ratio_high: float | None
    q: float | None
    different: bool


@dataclass(frozen=True)
class Shift:
    """What all cells of a kind have in common: median ratio B over A with its 95 % interval."""

    kind: str
    cells: int
    ratio: float
    ratio_low: float | None
    ratio_high: float | None
    different: bool | None
    repeated_cells: int


@dataclass(frozen=True)
class FamilyComparison:
    """Cells of a family on a device. ``half_within`` 0.05: half of them are within 5 %."""

    device: str
    workload: str
    cells: int
    slower: int
    faster: int
    median_ratio: float
    half_within: float
    ninety_within: float


@dataclass(frozen=True)
class Comparison:
    """Everything that ``compare`` reports."""

    settings: Settings
    cells: tuple[CellComparison, ...]
    shifts: tuple[Shift, ...]
    families: tuple[FamilyComparison, ...]
    only_a: Mapping[str, int]
    only_b: Mapping[str, int]
    spread_from: str

    @property
    def different(self) -> tuple[CellComparison, ...]:
        """Cells called different, the largest difference first."""
        return tuple(cell for cell in self.cells if cell.different)

    @property
    def judged(self) -> int:
        """Cells for which repeats tell the spread."""
        return sum(cell.q is not None for cell in self.cells)


def compare_runs(
    a: Sequence[MeasuredRun],
    b: Sequence[MeasuredRun],
    repeats: Sequence[MeasuredRun],
    settings: Settings,
) -> Comparison:
    """Compare two sides. Runs of a side that are among ``repeats`` are left out there.

    Raises SelectionError where a side holds several machines, or one run is on both sides.
    """
    _check_sides(a, b)
    names = {cell: name for run in (*a, *b) for cell, name in run.names.items()}
    spread, spread_from = _spread(a, b, repeats)
    a_cells, b_cells = _cells_of(a), _cells_of(b)
    shared = sorted(a_cells.keys() & b_cells.keys())
    tested = [
        CellTest.of(cell, a_cells[cell], b_cells[cell], spread, settings.smallest_effect)
        for cell in shared
    ]
    judged = [test.p for test in tested if test.p is not None]
    q_values = iter(false_discovery_rates(judged))
    cells = []
    for test in tested:
        q = None if test.p is None else float(next(q_values))
        low, high = test.limits
        cells.append(
            CellComparison(
                names[test.cell_id],
                math.exp(test.a_log),
                math.exp(test.b_log),
                math.exp(test.difference),
                low,
                high,
                q,
                q is not None and q <= settings.false_discovery_rate,
            )
        )
    cells.sort(key=lambda cell: -abs(math.log(cell.ratio)))
    return Comparison(
        settings,
        tuple(cells),
        _shifts(a, b, spread, settings),
        _families(cells),
        Counter(names[cell].workload for cell in a_cells.keys() - b_cells.keys()),
        Counter(names[cell].workload for cell in b_cells.keys() - a_cells.keys()),
        spread_from,
    )


def _check_sides(a: Sequence[MeasuredRun], b: Sequence[MeasuredRun]) -> None:
    for side, runs in (("A", a), ("B", b)):
        machines = sorted({run.label for run in runs})
        if len({run.machine_id for run in runs}) > 1:
            raise SelectionError(
                f"side {side} holds runs of several machines ({', '.join(machines)}); give the "
                "directory of one machine"
            )
        if not any(run.cells for run in runs):
            raise SelectionError(f"side {side} holds no cell with a time; give a measured run")
    both = {run.run_id for run in a} & {run.run_id for run in b}
    if both:
        raise SelectionError(f"run {min(both)} is on both sides; give two different runs")


def _spread(
    a: Sequence[MeasuredRun], b: Sequence[MeasuredRun], repeats: Sequence[MeasuredRun]
) -> tuple[RunSpread, str]:
    """Repeats of the machines compared where both have them, else those of all machines.

    No set of repeats holds runs of both sides.
    """
    compared = {run.run_id for run in (*a, *b)}
    others = [run for run in repeats if run.run_id not in compared]
    machines = {a[0].machine_id, b[0].machine_id}
    if len(machines) > 1:
        sets = _repeat_sets([*a, *b, *others])
    else:
        sets = [s for runs in (a, b, others) for s in _repeat_sets(runs)]
    own = [s for s in sets if s[0].machine_id in machines]
    foreign = [s for s in sets if s[0].machine_id not in machines]
    whose = "the compared machines" if len(machines) > 1 else "the same machine"
    if {s[0].machine_id for s in own} == machines:
        foreign = []
    elif own:
        whose = "one of them and other machines" if foreign else "one of them"
    else:
        whose = "other machines, which may repeat better or worse"
    spread = estimate_spread(
        [[run.cells for run in s] for s in foreign], [[run.cells for run in s] for s in own]
    )
    used = [*own, *foreign]
    if not used:
        return spread, ""
    labels = ", ".join(sorted({s[0].label for s in used}))
    return spread, f"{sum(map(len, used))} runs of {whose}: {labels}"


def _repeat_sets(runs: Sequence[MeasuredRun]) -> list[list[MeasuredRun]]:
    """Runs of one machine with the same libraries and collector, two or more."""
    sets = defaultdict(list)
    for run in {run.run_id: run for run in runs}.values():
        sets[run.machine_id, run.versions].append(run)
    return [s for s in sets.values() if len(s) > 1]


def _cells_of(runs: Sequence[MeasuredRun]) -> dict[str, list[CellTime]]:
    cells: dict[str, list[CellTime]] = defaultdict(list)
    for run in runs:
        for cell_id, cell in run.cells.items():
            cells[cell_id].append(cell)
    return cells


def _shifts(
    a: Sequence[MeasuredRun], b: Sequence[MeasuredRun], spread: RunSpread, settings: Settings
) -> tuple[Shift, ...]:
    shifts = []
    sides: list[Run] = [_mean_run(a), _mean_run(b)]
    for kind in sorted({cell.kind for cell in sides[0].values()}):
        count = sum(c in sides[1] and cell.kind == kind for c, cell in sides[0].items())
        if not count:
            continue
        values: NDArray[np.float64] = run_shifts(sides, kind)
        difference = float(values[1] - values[0])
        scale, strata = spread.shifts.get(kind), spread.strata
        different = None
        if scale is not None:
            scale = Scale(scale.variance * (1 / len(a) + 1 / len(b)), scale.df)
            p = p_value(difference, scale, math.log1p(settings.smallest_effect))
            different = p <= settings.false_discovery_rate
        low, high = ratio_limits(difference, scale)
        repeated = sum(s.cells for (k, _), s in strata.items() if k == kind)
        shifts.append(Shift(kind, count, math.exp(difference), low, high, different, repeated))
    return tuple(shifts)


def _mean_run(runs: Sequence[MeasuredRun]) -> Run:
    return {
        cell_id: CellTime(
            float(np.mean([c.log_median for c in cells])), 0.0, cells[0].kind, cells[0].group, False
        )
        for cell_id, cells in _cells_of(runs).items()
    }


def _families(cells: Sequence[CellComparison]) -> tuple[FamilyComparison, ...]:
    groups: dict[tuple[str, str], list[CellComparison]] = defaultdict(list)
    for cell in cells:
        groups[cell.name.device, cell.name.workload].append(cell)
        groups[cell.name.device, "all"].append(cell)
    found = []
    for (device, workload), members in sorted(
        groups.items(), key=lambda item: (item[0][0], item[0][1] == "all", item[0][1])
    ):
        logs = np.log([cell.ratio for cell in members])
        half, ninety = np.expm1(np.quantile(np.abs(logs), [0.5, 0.9]))
        found.append(
            FamilyComparison(
                device,
                workload,
                len(members),
                sum(cell.different and cell.ratio > 1 for cell in members),
                sum(cell.different and cell.ratio < 1 for cell in members),
                float(np.exp(np.median(logs))),
                float(half),
                float(ninety),
            )
        )
    return tuple(found)
