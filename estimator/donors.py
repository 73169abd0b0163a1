"""Answers for a machine through other machines that were measured (its donors).

Each donor's time of a cell (measured if it measured that very cell, else by its fit) is scaled
part by part with the data sheets of both machines (``part_scaling``), then shifted by what the
target's own cells tell of the difference (``effects``). Several donors are averaged in logarithms
with the inverse of their variances as weights. The variance of the average is the average of the
variances, as donors err together where they err through the target; between machines of one type
that is half of it, and the other half averages out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from collector.workloads import FAMILIES
from estimator.answers import Answers
from estimator.dataset import CELL_COLUMNS
from estimator.donor_times import PUBLISHED, measured_answers, published, scaled_times
from estimator.effect_spread import estimate
from estimator.effects import (
    Design,
    Deviations,
    Posterior,
    combined,
    design,
    infer,
)
from estimator.features import describe
from estimator.gpu_profiles import has_profiles
from estimator.kernel_model import Array
from estimator.machine_facts import (
    FEW_CELLS,
    MachineFacts,
    Relation,
    comparable,
    facts_of,
    facts_of_name,
    relation,
)
from estimator.matching import Places
from estimator.shape import ParamsKey
from estimator.splits import ALL

if TYPE_CHECKING:
    from estimator.model import Model

#: Most donors that are averaged, the most alike first, then those of most cells.
MOST_DONORS = 4

PARAMS = "params_number"  # column of described questions: one for each map of parameters
_MOST_PAIRS = 6  # of machines, from which deviations are estimated
_CELLS_OF_PAIR = 600  # of one pair, for the same
_MOST_CELLS = 3000  # of a target that enter an inference


@dataclass
class Donors:
    """Donors of a model's machines. Everything is computed when first asked for."""

    model: Model
    _posteriors: dict[tuple[str, str], Posterior] = field(default_factory=dict)
    _params: dict[ParamsKey, int] = field(default_factory=dict)

    @cached_property
    def facts(self) -> dict[str, MachineFacts]:
        return facts_of(self.model)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """``Model.measured`` as questions with features and ``log_seconds``."""
        known = self.model.measured.reset_index(drop=True)
        params = pd.Series([dict(key) for key in known["params_key"]], dtype=object)
        asked = known[list(CELL_COLUMNS)].assign(params=params)
        return self.table(asked).assign(log_seconds=np.log(known["median_s"].to_numpy(float)))

    @cached_property
    def measured_places(self) -> Places:
        return Places(self.measured, [*CELL_COLUMNS, PARAMS])

    @cached_property
    def measured_answers(self) -> Answers:
        """The rows of ``measured`` with the parts of their times."""
        return measured_answers(self.model, self.measured)

    def table(self, asked: pd.DataFrame) -> pd.DataFrame:
        """Completed questions with their features, as ``predict_points`` takes them."""
        asked = asked.reset_index(drop=True)
        known = asked["machine_id"].map(self.units).astype(float)
        features = describe(asked.assign(multiprocessors=known))
        keys = asked[list(CELL_COLUMNS)]
        table = pd.concat([keys, features.drop(columns=["workload"])], axis=1)
        codes = [self._params.setdefault(key, len(self._params)) for key in features["params_key"]]
        return table.assign(replica=ALL, params=asked["params"], **{PARAMS: codes})

    def put_to(self, donor: MachineFacts, asked: pd.DataFrame, threads: Array) -> pd.DataFrame:
        """Described questions put to a donor with its ``threads`` (n,): described anew.

        Only threads and a GPU's multiprocessors change what is described.
        """
        table = asked.reset_index(drop=True)
        units = self.units.get(donor.machine_id, np.nan)
        same = (table["threads"].to_numpy() == threads) & (
            (table["device"] == "cpu").to_numpy() | (table["multiprocessors"] == units).to_numpy()
        )
        table = table.assign(machine_id=donor.machine_id, threads=threads.astype(int))
        if same.all():
            return table
        fresh = self.table(table.loc[~same, [*CELL_COLUMNS, "params"]])
        fresh.index = pd.Index(np.flatnonzero(~same))
        both: pd.DataFrame = pd.concat([table[same], fresh]).sort_index()
        return both

    @cached_property
    def units(self) -> dict[str, float]:
        """machine_id -> multiprocessors of its GPU, NaN where not known."""
        machines = self.model.machines
        counts = machines["multiprocessors"].astype(float)
        return dict(zip(machines["machine_id"].astype(str), counts, strict=True))

    def of(self, target: MachineFacts, device: str) -> list[MachineFacts]:
        """The machines that answer for a target on a device, the most alike first."""
        if not target.has(device):
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
                relation(target, machine, device) != "same",
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
        if self.of(target, device):
            return ""
        kind = "GPU" if device == "cuda" else "CPU"
        if any(machine.cells.get(device, 0) for machine in self.facts.values()):
            return f"no {kind} of its vendor or instruction set has been measured: libraries differ"
        return f"no machine with a {kind} has been measured, so none to scale from"

    def answers(self, target: MachineFacts, asked: pd.DataFrame) -> Answers:
        """Cells of one target (any devices). ``asked``: described questions (``table``)."""
        asked = asked.reset_index(drop=True)
        count = len(asked)
        weight, mean = np.zeros(count), np.zeros(count)
        spread, squares, parts = np.zeros(count), np.zeros(count), np.zeros((count, 4))
        rows, probes = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        for device in sorted(set(asked["device"])):
            chosen = np.flatnonzero((asked["device"] == device).to_numpy())
            alike = False
            for donor in self.of(target, device):
                kind = relation(target, donor, device)
                if kind == "other" and alike:
                    # what a machine of the same type answered needs no other
                    chosen, alike = chosen[weight[chosen] == 0.0], False
                alike |= kind == "same"
                if not len(chosen):
                    break
                one = self._through(target, donor, asked.iloc[chosen])
                at, known = chosen[one.known], one.known
                share = one.deviation[known] ** -2.0
                weight[at] += share
                mean[at] += share * one.log_seconds[known]
                spread[at] += 1.0  # each donor's variance times its weight
                squares[at] += share**2 if kind == "same" else np.inf
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

    def _through(self, target: MachineFacts, donor: MachineFacts, asked: pd.DataFrame) -> Answers:
        """The answers of one donor, scaled and shifted."""
        times = scaled_times(self, target, donor, asked)
        known = np.flatnonzero(np.isfinite(times.log_seconds))
        mean, variance = np.zeros(len(asked)), np.zeros(len(asked))
        posterior = self.posterior(target, donor)
        if len(known):
            columns = _design(times.table.iloc[known], times.parts[known])
            mean[known], variance[known] = posterior.shift(columns)
        total = np.sqrt(variance + times.deviation**2)
        count = np.full(len(asked), posterior.n, dtype=np.int64)
        return Answers(times.log_seconds + mean, total, times.parts, times.rows, count)

    def posterior(self, target: MachineFacts, donor: MachineFacts) -> Posterior:
        """What the target's cells tell of its difference from a donor."""
        key = (target.machine_id, donor.machine_id)
        if key not in self._posteriors:
            seen, ratio, noise = self._ratios(target, donor)
            if donor.machine_id == PUBLISHED:
                chips = [self.deviations["other"]] * 2
            else:
                chips = [self.deviations[relation(target, donor, on)] for on in ("cuda", "cpu")]
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
        mine = self.measured[self.measured["machine_id"] == target.machine_id]
        mine = mine.reset_index(drop=True)
        if mine.empty:
            empty = np.zeros(0)
            return _design(self.measured.iloc[:0], np.zeros((0, 4))), empty, empty
        times = scaled_times(self, target, donor, mine, measured_only=measured_only)
        rows = np.flatnonzero(np.isfinite(times.log_seconds))
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
        ratio = mine["log_seconds"].to_numpy(dtype=float) - times.log_seconds
        columns = _design(times.table.iloc[rows], times.parts[rows])
        return columns, ratio[rows], times.deviation[rows]

    @cached_property
    def deviations(self) -> dict[Relation, Deviations]:
        """Deviations of effects between machines of one type, and between others."""
        pairs: dict[Relation, list[tuple[Design, Array, Array]]] = {"same": [], "other": []}
        machines = [m for m in self.facts.values() if sum(m.cells.values()) > 0]
        machines.sort(key=lambda m: (-sum(m.cells.values()), m.machine_id))
        for one, two in list(combinations(machines, 2))[:_MOST_PAIRS]:
            ratios = self._ratios(two, one, measured_only=True, most=_CELLS_OF_PAIR)
            for device in ("cpu", "cuda"):
                if min(one.cells.get(device, 0), two.cells.get(device, 0)) > FEW_CELLS:
                    on = np.flatnonzero([str(k).startswith(device) for k in ratios[0].cell_kind])
                    part = (ratios[0].take(on), ratios[1][on], ratios[2][on])
                    pairs[relation(two, one, device)].append(part)
        return {
            "same": estimate(pairs["same"], "same"),
            "other": estimate(pairs["other"], "other"),
        }


def _design(cells: pd.DataFrame, parts: Array) -> Design:
    seconds = np.maximum(parts.sum(axis=1), 1e-300)
    return design(cells, parts / seconds[:, None], seconds)
