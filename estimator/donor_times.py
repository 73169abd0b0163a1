"""A donor's times of cells, scaled to another machine by the data sheets of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from estimator.answers import Answers, Counts, Flags
from estimator.core_scaling import code_doubt, core_doubt, core_ratios, cpu_rows
from estimator.donor_cells import deviation_of
from estimator.donor_pairs import Indices, Pairs
from estimator.donor_ranks import Ranks
from estimator.effects import PARTS
from estimator.gpu_scaling import joined
from estimator.hardware_specs import GpuSpec
from estimator.kernel_model import Array
from estimator.levels import Fit
from estimator.machine_facts import MachineFacts, relation
from estimator.part_scaling import part_ratios
from estimator.predict import kernel_parameters, predict_points, with_added
from estimator.profile_answers import PUBLISHED_WORKLOADS, profile_parts

if TYPE_CHECKING:
    from estimator.donors import Donors

#: What times are for: an answer to a question; to compare with what the target measured itself;
#: or the latter, where the donor measured that very cell too (NaN elsewhere).
Use = Literal["answer", "compare", "measured"]

#: Stands for published profiles (``profile_answers``) where no GPU was measured.
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
    fit = donors.model.fit
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
    estimate = donors.model.own_estimates(asked, as_fitted=True, alone=use == "compare")
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
    known = table["workload"].isin([*PUBLISHED_WORKLOADS, *donors.model.measured["workload"]])
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
