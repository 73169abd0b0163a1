"""A donor's times of cells, scaled to another machine by the data sheets of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from estimator.answers import Answers, Counts
from estimator.effects import PARTS
from estimator.hardware_specs import GpuSpec
from estimator.intervals import NORMAL_95
from estimator.kernel_model import KERNEL_PARAMETERS, Array
from estimator.levels import Fit, Level
from estimator.machine_facts import MachineFacts, relation
from estimator.part_scaling import part_ratios
from estimator.predict import predict_points
from estimator.profile_answers import PUBLISHED_WORKLOADS, profile_parts
from estimator.spread import kinds_of_cells

if TYPE_CHECKING:
    from estimator.donors import Donors
    from estimator.model import Model

#: Stands for published profiles (``profile_answers``) where no GPU was measured.
PUBLISHED = "published kernels"


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


def scaled_times(
    donors: Donors,
    target: MachineFacts,
    donor: MachineFacts,
    asked: pd.DataFrame,
    *,
    measured_only: bool = False,
) -> ScaledTimes:
    """The donor's times of cells scaled by data sheets. ``asked``: described questions.

    A number of threads between two of the donor's is answered by both, in logarithms.
    ``measured_only``: not by the donor's fit.
    """
    if donor.machine_id == PUBLISHED:
        return _by_profiles(donors, target, asked)
    below, above, weight = _threads_of(donors.model, donor, asked)
    one = _on_one(donors, target, donor, asked, below, measured_only)
    between = np.flatnonzero(weight > 0.0)
    if not len(between):
        return one
    two = _on_one(donors, target, donor, asked.iloc[between], above[between], measured_only)
    share = weight[between]
    log_seconds, deviation, parts = one.log_seconds, one.deviation, one.parts
    log_seconds[between] = (1.0 - share) * log_seconds[between] + share * two.log_seconds
    deviation[between] = (1.0 - share) * deviation[between] + share * two.deviation
    mixed = (1.0 - share)[:, None] * _shares(parts[between]) + share[:, None] * _shares(two.parts)
    parts[between] = mixed * np.exp(log_seconds[between])[:, None]
    return one


def _on_one(
    donors: Donors,
    target: MachineFacts,
    donor: MachineFacts,
    asked: pd.DataFrame,
    put: Array,
    measured_only: bool,
) -> ScaledTimes:
    """Times of the questions put to the donor with ``put`` (n,) threads."""
    table = donors.put_to(donor, asked, put)
    own = own_answers(donors, table, measured_only)
    here = table.assign(threads=asked["threads"].to_numpy())
    moved = _moved(donors.model.fit, target, donor, table, own.parts)
    parts = moved * part_ratios(target, donor, here, table["threads"].to_numpy(dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.log(parts.sum(axis=1) / own.parts.sum(axis=1))
    return ScaledTimes(own.log_seconds + scale, own.deviation, parts, own.n, here)


def own_answers(donors: Donors, table: pd.DataFrame, measured_only: bool = False) -> Answers:
    """What machines say of their own cells: the measurement of that very cell, else the fit.

    ``table``: described questions (``Donors.table``). ``measured_only``: NaN for the latter.
    """
    found = donors.measured_places.find(table)
    here, rest = found >= 0, np.flatnonzero(found < 0)
    known = donors.measured_answers
    answers = Answers(
        np.where(here, known.log_seconds[found], np.nan),
        np.where(here, known.deviation[found], np.nan),
        np.where(here[:, None], known.parts[found], np.nan),
        np.where(here, known.n[found], 0),
        np.zeros(len(table), dtype=np.int64),
    )
    if measured_only or not len(rest):
        return answers
    estimate = donors.model.own_estimates(table.iloc[rest].reset_index(drop=True))
    seconds = estimate["seconds_p50"].to_numpy(dtype=float)
    answers.log_seconds[rest] = np.log(seconds)
    answers.deviation[rest] = deviation_of(estimate)
    answers.parts[rest] = estimate[[f"{part}_s" for part in PARTS]].to_numpy(dtype=float)
    answers.n[rest] = estimate["n_fit"].to_numpy(dtype=np.int64)
    return answers


def measured_answers(model: Model, measured: pd.DataFrame) -> Answers:
    """The measured cells (``Donors.measured``) with parts as the fit splits them."""
    estimate = model.own_estimates(measured)
    seconds = estimate["seconds_p50"].to_numpy(dtype=float)
    parts = estimate[[f"{part}_s" for part in PARTS]].to_numpy(dtype=float)
    times = measured["log_seconds"].to_numpy(dtype=float)
    runs = model.spread.of("runs", kinds_of_cells(measured), measured["workload"])
    with np.errstate(invalid="ignore"):
        parts = parts * (np.exp(times) / seconds)[:, None]
    return Answers(
        times,
        np.fmin(deviation_of(estimate), runs),
        parts,
        estimate["n_fit"].to_numpy(dtype=np.int64),
        np.zeros(len(measured), dtype=np.int64),
    )


def deviation_of(estimate: pd.DataFrame) -> Array:
    """The deviation (n,) in log units behind the intervals of ``Model.predict``'s columns."""
    ends = [estimate[f"seconds_{end}"].to_numpy(dtype=float) for end in ("p95", "p50")]
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = np.log(ends[0] / ends[1]) / NORMAL_95
    return result


def _by_profiles(donors: Donors, target: MachineFacts, asked: pd.DataFrame) -> ScaledTimes:
    units = None if target.gpu is None else target.gpu.sm_count
    table = asked.reset_index(drop=True).assign(multiprocessors=float(units or np.nan))
    parts, deviation = np.full((len(asked), 4), np.nan), np.full(len(asked), np.nan)
    # a family that nobody measured anywhere has no answer, whatever its work counts say
    known = table["workload"].isin([*PUBLISHED_WORKLOADS, *donors.model.measured["workload"]])
    on = np.flatnonzero(((table["device"] == "cuda") & known).to_numpy())
    if target.gpu is not None and len(on):
        parts[on], deviation[on] = profile_parts(target.gpu, table.iloc[on])
    nothing = np.zeros(len(asked), dtype=np.int64)
    return ScaledTimes(np.log(parts.sum(axis=1)), deviation, parts, nothing, table)


def _moved(
    fit: Fit, target: MachineFacts, donor: MachineFacts, table: pd.DataFrame, parts: Array
) -> Array:
    """The donor's parts as they would be with the target's caches and multiprocessors."""
    factor = np.ones_like(parts)
    for device in sorted(set(table["device"])):
        rows = np.flatnonzero((table["device"] == device).to_numpy())
        caches = target.last_level_cache(device), donor.last_level_cache(device)
        units = None if target.gpu is None else target.gpu.sm_count
        if relation(target, donor, device) == "same" or (None in caches and not units):
            continue
        asked = table.iloc[rows]
        other = fit = replace(fit, corrections=type(fit.corrections)())
        before = predict_points(fit, asked)
        if caches[0] is not None and caches[1] is not None:
            other = _with_cache(fit, float(np.log(caches[0] / caches[1])))
        if device == "cuda" and units:
            asked = asked.assign(multiprocessors=float(units))
        after = predict_points(other, asked)
        for i, name in enumerate(PARTS):
            old, new = getattr(before, f"{name}_s"), getattr(after, f"{name}_s")
            with np.errstate(divide="ignore", invalid="ignore"):
                factor[rows, i] = np.where(old > 0.0, new / old, 1.0)
    return parts * factor


def _threads_of(
    model: Model, donor: MachineFacts, asked: pd.DataFrame
) -> tuple[Array, Array, Array]:
    """The donor's numbers of threads below and above those of each question, (n,) each.

    Also the weight (n,) of the one above, by the logarithms of the threads: 0 where the donor has
    that very number, or none on one side.
    """
    index = model.fit.group.index
    keys = ["device", "backend", "workload"]
    mine = index.loc[index["machine_id"] == donor.machine_id, [*keys, "threads"]]
    able_of: dict[tuple[str, ...], set[float]] = {}
    for *key, count in zip(*(mine[name].tolist() for name in mine), strict=True):
        able_of.setdefault(tuple(map(str, key)), set()).add(float(count))
    options = {key: np.array(sorted(counts)) for key, counts in able_of.items()}
    rows = asked[[*keys, "threads"]]
    codes = rows.groupby(list(rows.columns), sort=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    unique = np.ones((len(first), 3))
    for i, row in enumerate(rows.iloc[first].itertuples(index=False, name=None)):
        threads = max(float(row[3]), 1.0)
        able = options.get(tuple(map(str, row[:3])), np.array([threads]))
        low = float(able[able <= threads].max(initial=able.min()))
        high = float(able[able >= threads].min(initial=able.max()))
        weight = 0.0 if low >= high else np.log(threads / low) / np.log(high / low)
        unique[i] = low, high, np.clip(weight, 0.0, 1.0)
    below, above, weight = unique[codes].T
    return below, above, weight


def published(gpu: GpuSpec) -> MachineFacts:
    """The published profiles in the place of a donor: a machine with the target's own GPU."""
    return MachineFacts(PUBLISHED, "published kernel times", gpu=gpu)


def _with_cache(fit: Fit, shift: float) -> Fit:
    """The fit with caches of other sizes: ``shift`` is the log of new over old."""
    column = KERNEL_PARAMETERS.index("cache_bytes")

    def moved(level: Level) -> Level:
        theta = level.theta.copy()
        theta[:, column] += shift
        return replace(level, theta=theta)

    return replace(fit, dtype=moved(fit.dtype), case=moved(fit.case), group=moved(fit.group))


def _shares(parts: Array) -> Array:
    shares: Array = parts / np.maximum(parts.sum(axis=1), 1e-300)[:, None]
    return shares
