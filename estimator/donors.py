"""Answers for a machine through other machines that were measured (its donors).

Each donor's time of a cell (measured if it measured that very cell, else by its fit) is scaled
part by part with the data sheets of both machines (``part_scaling``), then shifted by what the
target's own cells tell of the difference (``effects``). Several donors are averaged in logarithms
with the inverse of their variances as weights. The variance of the average is the average of the
variances, as donors err together where they err through the target; between machines of one type
that is half of it, and the other half averages out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from collector.workloads import FAMILIES
from estimator.answers import Answers
from estimator.donor_cells import Cells
from estimator.donor_pairs import Indices, Pairs
from estimator.donor_ranks import Ranks
from estimator.donor_times import (
    PUBLISHED,
    ScaledTimes,
    measured_by,
    published,
    scaled_times,
    times_by_rank,
)
from estimator.effect_spread import FAMILY, MAKER, estimate, wider
from estimator.effects import (
    Design,
    Deviations,
    Posterior,
    combined,
    design,
    infer,
)
from estimator.gpu_profiles import has_profiles
from estimator.kernel_model import Array
from estimator.machine_facts import (
    FEW_CELLS,
    MachineFacts,
    Relation,
    comparable,
    distance,
    facts_of,
    facts_of_name,
    relation,
)

if TYPE_CHECKING:
    from estimator.model import Model

#: Most donors that are averaged, the most alike first, then those of most cells.
MOST_DONORS = 4

_MOST_PAIRS = 6  # of machines, from which deviations are estimated
_CELLS_OF_PAIR = 600  # of one pair, for the same
_MOST_CELLS = 3000  # of a target that enter an inference


@dataclass
class Donors:
    """Donors of a model's machines. Everything is computed when first asked for."""

    model: Model
    _posteriors: dict[tuple[str, ...], Posterior] = field(default_factory=dict)

    @cached_property
    def facts(self) -> dict[str, MachineFacts]:
        return facts_of(self.model)

    @cached_property
    def cells(self) -> Cells:
        """Questions and measured cells as donors read them."""
        return Cells(self.model)

    def table(self, asked: pd.DataFrame) -> pd.DataFrame:
        """Completed questions with their features (``Cells.table``)."""
        return self.cells.table(asked)

    def of(self, target: MachineFacts, device: str) -> list[MachineFacts]:
        """The machines that answer for a target on a device, the most alike first."""
        if not target.has(device) or not target.is_fixed(device):
            return []
        able = [
            machine
            for machine in self.facts.values()
            if machine.cells.get(device, 0) > 0
            and machine.machine_id != target.machine_id
            and comparable(target, machine, device)
        ]
        few = target.cells.get(device, 0) <= FEW_CELLS
        if device == "cuda" and not able and few and has_profiles(target.gpu):
            return [published(target.gpu)]
        able.sort(
            key=lambda machine: (
                distance(target, machine, device),
                -machine.cells.get(device, 0),
                machine.machine_id,
            )
        )
        return able[:MOST_DONORS]

    def target(self, name: str) -> MachineFacts:
        """A machine of the dataset, or a GPU or CPU of the catalogue. Raises SelectionError."""
        found = self.facts.get(name) or facts_of_name(name)
        if found is None:
            machine = self.model.find_machine(name)  # raises, and lists the machines
            raise SelectionError(f"machine {name!r}: give its id, {machine}")
        return found

    def default_threads(self, asked: pd.DataFrame) -> pd.Series[float]:
        """Threads of each question on a machine that did not measure its family: all cores.

        1 on a GPU, for libraries that use one core, and where the cores are not known. Unknown
        machines and families are left to whoever names what is wrong with them.
        """
        keys = ["machine_id", "device", "backend", "workload"]
        found = {}
        for key in asked[keys].drop_duplicates().itertuples(index=False, name=None):
            machine, device, backend, workload = map(str, key)
            facts = self.facts.get(machine) or facts_of_name(machine)
            cores = None if facts is None else facts.physical_cores
            family = FAMILIES.get(workload)
            if cores is None or family is None:
                found[key] = 1.0
            else:
                found[key] = float(family.thread_counts(backend, device, cores)[-1])
        rows = asked[keys].itertuples(index=False, name=None)
        return pd.Series([found[row] for row in rows], asked.index, dtype=float)

    def why_none(self, name: str, device: str) -> str:
        """Why nothing answers for a machine on a device; "" where donors do."""
        target = self.target(name)
        if not target.has(device):
            if device == "cpu" and target.gpu is not None:
                return "a GPU's data sheet tells nothing of a CPU; name a measured machine or a CPU"
            return f"it has no {'GPU' if device == 'cuda' else 'CPU'} that is known"
        if not target.is_fixed(device):
            return "the provider does not fix which processor it is"
        if self.of(target, device):
            return ""
        kind = "GPU" if device == "cuda" else "CPU"
        if any(machine.cells.get(device, 0) for machine in self.facts.values()):
            return f"no {kind} of its vendor or instruction set has been measured: libraries differ"
        return f"no machine with a {kind} has been measured, so none to scale from"

    def answers(
        self, targets: Sequence[MachineFacts], which: Indices, asked: pd.DataFrame
    ) -> Answers:
        """Cells of ``targets[which[i]]`` (any devices). ``asked``: described questions.

        The donors of one rank (the most alike of each target, the next, ...) answer together.
        """
        asked = asked.reset_index(drop=True)
        count = len(asked)
        weight, mean = np.zeros(count), np.zeros(count)
        spread, squares, parts = np.zeros(count), np.zeros(count), np.zeros((count, 4))
        rows, probes = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        asking = Ranks.of(self.of, targets, which, asked["device"])
        wanted, times = np.ones(count, dtype=bool), times_by_rank(self, asking, asked)
        for rank in range(asking.most):
            there, turned = asking.at(rank)
            # what a machine that is more alike answered needs no other
            wanted &= there & ~(turned & (weight > 0.0))
            at = np.flatnonzero(wanted)
            if not len(at):
                break
            pairs, far = asking.pairs(rank, at)
            one = self._through(pairs, times(rank, at))
            known = one.known
            at, far = at[known], far[known]
            share = one.deviation[known] ** -2.0
            weight[at] += share
            mean[at] += share * one.log_seconds[known]
            spread[at] += 1.0  # each donor's variance times its weight
            squares[at] += np.where(far == 0, share**2, np.inf)
            parts[at] += share[:, None] * one.parts[known]
            rows[at] = np.maximum(rows[at], one.n[known])
            probes[at] = np.maximum(probes[at], one.probes[known])
        with np.errstate(divide="ignore", invalid="ignore"):
            log_seconds = mean / weight
            # of machines of one type, half of a difference is the donor's: it averages out
            alone = np.minimum(1.0, squares / weight**2)
            deviation = np.sqrt(0.5 * (1.0 + alone) * spread / weight)
            parts = parts * (np.exp(log_seconds) / parts.sum(axis=1))[:, None]
        return Answers(log_seconds, deviation, parts, rows, probes)

    def _through(self, pairs: Pairs, times: ScaledTimes) -> Answers:
        """The answers of one donor for each row, shifted by what the target's cells tell."""
        known = np.isfinite(times.log_seconds)
        mean, variance = np.zeros(len(pairs)), np.zeros(len(pairs))
        count = np.zeros(len(pairs), dtype=np.int64)
        posteriors = {id(found): found for found in (self.posterior(*p) for p in pairs.pairs)}
        of = pairs.each(lambda target, donor: id(self.posterior(target, donor)), np.int64)
        for number, posterior in posteriors.items():
            rows = np.flatnonzero(of == number)
            count[rows] = posterior.n
            rows = rows[known[rows]]
            if len(rows):
                columns = _design(times.table.iloc[rows], times.parts[rows])
                mean[rows], variance[rows] = posterior.shift(columns)
        total = np.sqrt(variance + times.deviation**2)
        return Answers(times.log_seconds + mean, total, times.parts, times.rows, count)

    def posterior(self, target: MachineFacts, donor: MachineFacts) -> Posterior:
        """What the target's cells tell of its difference from a donor."""
        if donor.machine_id == PUBLISHED:
            kinds: tuple[Relation, Relation] = ("other", "other")
        else:
            kinds = relation(target, donor, "cuda"), relation(target, donor, "cpu")
        # where a target has no cells of its own, only the relation matters
        names = (target.machine_id, donor.machine_id) if target.cells else ("", "")
        key = (*names, *kinds)
        if key not in self._posteriors:
            seen, ratio, noise = self._ratios(target, donor)
            chips = [self.deviations[kind] for kind in kinds]
            self._posteriors[key] = infer(seen, ratio, noise, combined(*chips))
        return self._posteriors[key]

    def _ratios(
        self,
        target: MachineFacts,
        donor: MachineFacts,
        *,
        measured_only: bool = False,
        most: int = _MOST_CELLS,
    ) -> tuple[Design, Array, Array]:
        """Columns, log ratios and their noise of the target's measured cells.

        ``measured_only``: of those that the donor measured, too. Of more than ``most``, evenly
        spaced ones.
        """
        machine = self.cells.measured["machine_id"].to_numpy() == target.machine_id
        mine = np.flatnonzero(machine)
        if measured_only:
            asked = self.cells.measured.iloc[mine]
            mine = mine[measured_by(self, Pairs.one(target, donor, len(mine)), asked)]
        if measured_only and len(mine) > most:
            mine = mine[np.linspace(0, len(mine) - 1, most).astype(int)]
        table = self.cells.described(mine)
        pairs = Pairs.one(target, donor, len(mine))
        times = scaled_times(self, pairs, table, "measured" if measured_only else "compare")
        rows = np.flatnonzero(np.isfinite(times.log_seconds))
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
        ratio = table["log_seconds"].to_numpy(dtype=float) - times.log_seconds
        columns = _design(times.table.iloc[rows], times.parts[rows])
        return columns, ratio[rows], times.deviation[rows]

    @cached_property
    def deviations(self) -> Mapping[Relation, Deviations]:
        """Deviations of effects between machines of one type, of one family, and between others."""
        if self.model.known_differences is not None:
            return self.model.known_differences.deviations
        pairs: dict[Relation, list[tuple[Design, Array, Array]]] = {
            "same": [],
            "family": [],
            "maker": [],
            "other": [],
        }
        machines = [m for m in self.facts.values() if sum(m.cells.values()) > 0]
        machines.sort(key=lambda m: (-sum(m.cells.values()), m.machine_id))
        for one, two in list(combinations(machines, 2))[:_MOST_PAIRS]:
            ratios = self._ratios(two, one, measured_only=True, most=_CELLS_OF_PAIR)
            for device in ("cpu", "cuda"):
                if min(one.cells.get(device, 0), two.cells.get(device, 0)) > FEW_CELLS:
                    on = np.flatnonzero([str(k).startswith(device) for k in ratios[0].cell_kind])
                    part = (ratios[0].take(on), ratios[1][on], ratios[2][on])
                    pairs[relation(two, one, device)].append(part)
        same = estimate(pairs["same"], "same")
        family = wider(same, FAMILY)
        return {
            "same": same,
            "family": estimate(pairs["family"], "family", family),
            "maker": estimate(pairs["maker"], "maker", wider(family, MAKER)),
            "other": estimate(pairs["other"], "other"),
        }


def _design(cells: pd.DataFrame, parts: Array) -> Design:
    seconds = np.maximum(parts.sum(axis=1), 1e-300)
    return design(cells, parts / seconds[:, None], seconds)
