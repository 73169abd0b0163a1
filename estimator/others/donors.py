"""Answers for a machine through other machines that were measured (its donors).

Each donor's time of a cell (measured if it measured that very cell, else by its fit) is scaled part
by part with the data sheets of both machines (``scaling``), then shifted by what the target's own
cells tell of the difference (``effects``). Several donors are averaged in logarithms with the
inverse of their variances as weights. The variance of the average is the average of the variances,
as donors err together where they err through the target; between machines of one type that is half
of it, and the other half averages out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from collector.errors import SelectionError
from collector.workloads import FAMILIES
from estimator.answer import PARTS
from estimator.arrays import Array, Flags, Indices
from estimator.catalogue.hardware_specs import GpuSpec
from estimator.fitting.evaluate import kernel_parameters, predict_points, with_added
from estimator.fitting.fitted import Fitted
from estimator.fitting.levels import Fit
from estimator.others.donor_cells import Cells, deviation_of
from estimator.others.effects import (
    FAMILY,
    MAKER,
    Design,
    Deviations,
    Differences,
    Posterior,
    combined,
    design,
    estimate,
    infer,
    wider,
)
from estimator.others.facts import (
    FEW_CELLS,
    MachineFacts,
    Relation,
    comparable,
    distance,
    facts_of,
    facts_of_name,
    find_machine,
    relation,
)
from estimator.others.gpu_profiles import has_profiles
from estimator.others.pairs import Answers, Counts, Pairs, Ranks
from estimator.others.scaling import (
    PUBLISHED_WORKLOADS,
    code_doubt,
    core_doubt,
    core_ratios,
    cpu_rows,
    joined,
    part_ratios,
    profile_parts,
)
from estimator.others.spread import Spread, estimate_spread

#: What times are for: an answer to a question; to compare with what the target measured itself;
#: or the latter, where the donor measured that very cell too (NaN elsewhere).
Use = Literal["answer", "compare", "measured"]

#: Stands for published profiles (``scaling``) where no GPU was measured.
PUBLISHED = "published kernels"

_FEW = 2_000  # questions, of which all donors are asked at once


@dataclass(frozen=True)
class ScaledTimes:
    """A donor's times as they would be on the target, (n,) each but ``parts`` (n, 4).

    ``table``: the cells with their features and the target's threads. NaN where the donor has
    no answer.
    """

    log_seconds: Array
    deviation: Array
    parts: Array
    rows: Counts
    table: pd.DataFrame

    def take(self, rows: Indices | slice) -> ScaledTimes:
        """Those of some cells."""
        return ScaledTimes(
            self.log_seconds[rows],
            self.deviation[rows],
            self.parts[rows],
            self.rows[rows],
            self.table.iloc[rows],
        )


def scaled_times(
    donors: Donors, pairs: Pairs, asked: pd.DataFrame, use: Use = "answer"
) -> ScaledTimes:
    """Each donor's times of its target's cells, scaled by data sheets.

    ``asked``: described questions, a row for each of ``pairs``. A number of threads between two
    of the donor's is answered by both, in logarithms.
    """
    profiles = pairs.each(lambda _, donor: donor.machine_id == PUBLISHED, bool)
    if profiles.all():
        return _by_profiles(donors, pairs, asked)
    if profiles.any():
        return _both(donors, pairs, asked, profiles, use)
    below, above, weight = _threads_of(donors, pairs, asked)
    count, between = len(asked), np.flatnonzero(weight > 0.0)
    rows = np.append(np.arange(count), between)
    put = np.append(below, above[between])
    both = _put(donors, pairs.take(rows), asked.iloc[rows], put, use)
    one, two = both.take(slice(0, count)), both.take(slice(count, None))
    share = weight[between]
    log_seconds, deviation, parts = one.log_seconds, one.deviation, one.parts
    log_seconds[between] = (1.0 - share) * log_seconds[between] + share * two.log_seconds
    deviation[between] = (1.0 - share) * deviation[between] + share * two.deviation
    mixed = (1.0 - share)[:, None] * _shares(parts[between]) + share[:, None] * _shares(two.parts)
    parts[between] = mixed * np.exp(log_seconds[between])[:, None]
    return _doubted(one, pairs, below, above)


def times_by_rank(
    donors: Donors, ranks: Ranks, asked: pd.DataFrame
) -> Callable[[int, Indices], ScaledTimes]:
    """What the donors of a rank say of some rows of ``asked``, as a function of both.

    Of few questions all donors are asked at once: a table has its price whatever its length.
    """
    if len(asked) > _FEW:
        return lambda rank, at: scaled_times(donors, ranks.pairs(rank, at)[0], asked.iloc[at])
    rows = [np.flatnonzero(ranks.at(rank)[0]) for rank in range(ranks.most)]
    start = np.cumsum([0, *map(len, rows)])
    pairs = Pairs.joined([ranks.pairs(rank, at)[0] for rank, at in enumerate(rows)])
    every = np.concatenate([np.zeros(0, dtype=np.intp), *rows])
    times = scaled_times(donors, pairs, asked.iloc[every])
    return lambda rank, at: times.take(start[rank] + np.searchsorted(rows[rank], at))


def _doubted(times: ScaledTimes, pairs: Pairs, below: Array, above: Array) -> ScaledTimes:
    """With what other numbers of cores and other instruction sets of CPUs are in doubt by."""
    rows = np.flatnonzero(cpu_rows(times.table["device"]))
    threads = times.table["threads"].to_numpy(dtype=float)[rows]
    code = code_doubt(pairs.take(rows), times.table["workload"].iloc[rows])
    doubt = np.hypot(core_doubt(threads, below[rows], above[rows]), code)
    times.deviation[rows] = np.hypot(times.deviation[rows], doubt)
    return times


def _both(
    donors: Donors, pairs: Pairs, asked: pd.DataFrame, profiles: Flags, use: Use
) -> ScaledTimes:
    """Rows of which some are answered by published profiles and some by machines."""
    rows = [np.flatnonzero(profiles), np.flatnonzero(~profiles)]
    of = [scaled_times(donors, pairs.take(at), asked.iloc[at], use) for at in rows]
    back = np.argsort(np.concatenate(rows))
    log_seconds, deviation, parts, counts = (
        np.concatenate([getattr(times, name) for times in of])[back]
        for name in ("log_seconds", "deviation", "parts", "rows")
    )
    table = pd.concat([times.table for times in of]).iloc[back].reset_index(drop=True)
    return ScaledTimes(log_seconds, deviation, parts, counts, table)


def _put(
    donors: Donors,
    pairs: Pairs,
    asked: pd.DataFrame,
    put: Array,
    use: Use,
) -> ScaledTimes:
    """Times of the questions put to the donors with ``put`` (n,) threads."""
    table = donors.cells.put_to(pairs.donors, asked, put)
    # on other parts the fit is as good, and smooth from size to size
    unlike = np.where(
        cpu_rows(table["device"]),
        *(pairs.each(partial(_differs, device)) for device in ("cpu", "cuda")),
    )
    own = own_answers(donors, table, (unlike > 0.0) & (use == "answer"), use)
    here = table.assign(threads=asked["threads"].to_numpy())
    ratios, deviations = np.ones((len(table), 4)), np.zeros((len(table), 4))
    cpu = cpu_rows(table["device"])
    if not cpu.all():
        gpu = np.flatnonzero(~cpu)
        ratios[gpu], deviations[gpu] = part_ratios(pairs.take(gpu), here.iloc[gpu])
    if cpu.any():
        rows = np.flatnonzero(cpu)
        ratios[rows] = core_ratios(
            pairs.take(rows), asked.iloc[rows], table.iloc[rows], own.parts[rows].sum(axis=1)
        )
    fit = donors.fitted.fit
    moved = _moved(fit, pairs, table, own.parts)
    parts, doubt = moved * ratios, np.zeros(len(moved))
    on_gpu = np.flatnonzero((table["device"] == "cuda").to_numpy())
    if len(on_gpu):
        cells = table.iloc[on_gpu]
        theta = kernel_parameters(fit, cells)[0]
        added = np.nan_to_num(with_added(fit, cells)["added_s"].to_numpy(dtype=float))
        parts[on_gpu], doubt[on_gpu] = joined(
            moved[on_gpu], ratios[on_gpu], deviations[on_gpu], theta, added
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.log(parts.sum(axis=1) / own.parts.sum(axis=1))
    deviation = np.hypot(own.deviation, doubt)
    return ScaledTimes(own.log_seconds + scale, deviation, parts, own.n, here)


def own_answers(donors: Donors, table: pd.DataFrame, as_fitted: Flags, use: Use) -> Answers:
    """What machines say of their own cells: the measurement of that very cell, else the fit.

    ``table``: described questions (``Donors.table``). ``as_fitted`` (n,): the fit in any case.
    """
    found = np.where(as_fitted, -1, donors.cells.places.find(table))
    answers, rest = donors.cells.answers(found), np.flatnonzero(found < 0)
    if use == "measured" or not len(rest):
        return answers
    asked = table.iloc[rest].reset_index(drop=True)
    estimate = donors.fitted.own_estimates(asked, as_fitted=True, alone=use == "compare")
    seconds = estimate["seconds_p50"].to_numpy(dtype=float)
    answers.log_seconds[rest] = np.log(seconds)
    answers.deviation[rest] = deviation_of(estimate)
    answers.parts[rest] = estimate[[f"{part}_s" for part in PARTS]].to_numpy(dtype=float)
    answers.n[rest] = estimate["n_fit"].to_numpy(dtype=np.int64)
    return answers


def measured_by(donors: Donors, pairs: Pairs, cells: pd.DataFrame) -> Flags:
    """Which cells the donors measured, (n,): at all numbers of threads that would answer."""
    below, above, weight = _threads_of(donors, pairs, cells)
    found = [
        donors.cells.places.find(cells.assign(machine_id=pairs.donors, threads=threads.astype(int)))
        for threads in (below, above)
    ]
    known: Flags = (found[0] >= 0) & ((weight <= 0.0) | (found[1] >= 0))
    return known


def _by_profiles(donors: Donors, pairs: Pairs, asked: pd.DataFrame) -> ScaledTimes:
    units = pairs.each(lambda target, _: _multiprocessors(target) or np.nan)
    table = asked.reset_index(drop=True).assign(multiprocessors=units)
    parts, deviation = np.full((len(asked), 4), np.nan), np.full(len(asked), np.nan)
    # a family that nobody measured anywhere has no answer, whatever its work counts say
    known = table["workload"].isin([*PUBLISHED_WORKLOADS, *donors.fitted.measured["workload"]])
    able = ((table["device"] == "cuda") & known).to_numpy()
    for code in np.unique(pairs.code):
        on = np.flatnonzero(able & (pairs.code == code))
        gpu = pairs.pairs[code][0].gpu
        if gpu is not None and len(on):
            parts[on], deviation[on] = profile_parts(gpu, table.iloc[on])
    nothing = np.zeros(len(asked), dtype=np.int64)
    return ScaledTimes(np.log(parts.sum(axis=1)), deviation, parts, nothing, table)


def _multiprocessors(target: MachineFacts) -> float:
    """Of the target's GPU, 0 where they are not known."""
    return float((target.gpu.sm_count if target.gpu is not None else None) or 0.0)


def _moved(fit: Fit, pairs: Pairs, table: pd.DataFrame, parts: Array) -> Array:
    """The donors' parts as they would be with the targets' caches and multiprocessors."""
    factor = np.ones_like(parts)
    bare = replace(fit, corrections=type(fit.corrections)())
    on_gpu = (table["device"] == "cuda").to_numpy()
    units = pairs.each(lambda target, _: _multiprocessors(target))
    shift, other = (
        np.where(on_gpu, *(pairs.each(partial(value, device)) for device in ("cuda", "cpu")))
        for value in (_cache_shift, _differs)
    )
    rows = np.flatnonzero((other > 0.0) & (np.isfinite(shift) | (units > 0.0)))
    if not len(rows):
        return parts * factor
    asked = table.iloc[rows]
    before = predict_points(bare, asked)
    own = asked["multiprocessors"].to_numpy(dtype=float)
    new = np.where(on_gpu[rows] & (units[rows] > 0.0), units[rows], own)
    after = predict_points(
        bare, asked.assign(multiprocessors=new), cache_shift=np.nan_to_num(shift[rows])
    )
    for i, name in enumerate(PARTS):
        old, moved = getattr(before, f"{name}_s"), getattr(after, f"{name}_s")
        with np.errstate(divide="ignore", invalid="ignore"):
            factor[rows, i] = np.where(old > 0.0, moved / old, 1.0)
    return parts * factor


def _cache_shift(device: str, target: MachineFacts, donor: MachineFacts) -> float:
    """Logarithm of the target's last cache over the donor's, NaN where one is not known."""
    new, old = target.last_level_cache(device), donor.last_level_cache(device)
    return float(np.log(new / old)) if new is not None and old is not None else np.nan


def _differs(device: str, target: MachineFacts, donor: MachineFacts) -> float:
    return float(relation(target, donor, device) in ("maker", "other"))


def _threads_of(donors: Donors, pairs: Pairs, asked: pd.DataFrame) -> tuple[Array, Array, Array]:
    """The donors' numbers of threads below and above those of each question, (n,) each.

    Also the weight (n,) of the one above, by the logarithms of the threads: 0 where the donor has
    that very number, or none on one side.
    """
    rows = asked[["device", "backend", "workload", "threads"]].assign(machine=pairs.donors)
    codes = rows.groupby(list(rows.columns), sort=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    unique = np.ones((len(first), 3))
    for i, row in enumerate(rows.iloc[first].itertuples(index=False, name=None)):
        threads = max(float(row[3]), 1.0)
        key = (str(row[4]), *map(str, row[:3]))
        able = donors.cells.threads.get(key, np.array([threads]))
        low = float(able[able <= threads].max(initial=able.min()))
        high = float(able[able >= threads].min(initial=able.max()))
        weight = 0.0 if low >= high else np.log(threads / low) / np.log(high / low)
        unique[i] = low, high, np.clip(weight, 0.0, 1.0)
    below, above, weight = unique[codes].T
    return below, above, weight


def published(gpu: GpuSpec) -> MachineFacts:
    """The published profiles in the place of a donor: a machine with the target's own GPU."""
    return MachineFacts(PUBLISHED, "published kernel times", gpu=gpu)


def _shares(parts: Array) -> Array:
    shares: Array = parts / np.maximum(parts.sum(axis=1), 1e-300)[:, None]
    return shares


#: Most donors that are averaged, the most alike first, then those of most cells.
MOST_DONORS = 4

_MOST_PAIRS = 6  # of machines, from which deviations are estimated
_CELLS_OF_PAIR = 600  # of one pair, for the same
_MOST_CELLS = 3000  # of a target that enter an inference


@dataclass
class Donors:
    """Donors of a fit's machines. Everything is computed when first asked for.

    ``known`` differences come with a model that was read; else they are estimated.
    """

    fitted: Fitted
    known: Differences | None = None
    _posteriors: dict[tuple[str, ...], Posterior] = field(default_factory=dict)

    @cached_property
    def facts(self) -> dict[str, MachineFacts]:
        return facts_of(self.fitted)

    @cached_property
    def cells(self) -> Cells:
        """Questions and measured cells as donors read them."""
        return Cells(self.fitted, lambda: self.spread)

    @cached_property
    def spread(self) -> Spread:
        """Spread within runs, between runs and between machines of one type."""
        if self.known is not None:
            return self.known.spread
        return estimate_spread(self.fitted.measured, self.facts)

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
            machine = find_machine(self.fitted.labels, name)  # raises, and lists the machines
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
        if self.known is not None:
            return self.known.deviations
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
