"""How one machine's times differ from another's: a Bayesian linear model of log ratios.

The deviations of the effects are estimated from a dataset's pairs of machines by
expectation-maximisation for random effects (Dempster, Laird and Rubin 1977; Laird and Ware 1982),
with the figures of ``effects.PRIORS`` weighing as much as ``PRIOR_COUNT`` effects, so that a kind
of which a dataset shows one effect stays near what is assumed.

    log t_target - log t_donor = sum over effects of (column x effect) + error of the cell

The columns of a cell are the shares of its time's parts (an effect on "memory" counts as far as the
time is memory's), and indicators of its family, its library, its element type, its case and the
decade of its time: short calls differ otherwise between machines than long ones. One effect is
common to all that a host's processor does, on either device. Effects are normal about 0 with a
deviation for each kind (``PRIORS``), cells err by more than a normal distribution would have it
(Student's t with 4 degrees of freedom, by reweighting).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from estimator.answer import NORMAL_95
from estimator.arrays import Array
from estimator.others.facts import Relation
from estimator.others.spread import Spread

#: Deviation of each kind of effect in log units, (machines of the same type, other machines):
#: what is assumed before a dataset has a say. Stated choices of the model, in keeping with what
#: is known of whole times: GPU kernels of two machines of one name repeat within 1 to 4 % and
#: what hosts do within 30 %. Between different GPUs the kinds that act on a time that is all
#: launch, compute, memory or transfer add up to 0.37, 0.45, 0.21 and 0.44 (the 95 % factors that
#: benchmarks/derive_specs_interval.py derives from published times, in logarithms over 1.645);
#: between different CPUs the figures are choices, for what is left where clocks, widths and memory
#: rates are compared (``scaling``, which has the doubt of other numbers of threads): with them
#: the intervals of a CPU of which nothing was measured hold about 19 of 20 cells of data/runs.
PRIORS: dict[str, tuple[float, float]] = {
    "cuda launch": (0.03, 0.30),
    "cuda compute": (0.03, 0.35),
    "cuda memory": (0.03, 0.12),
    "cuda cached": (0.03, 0.12),
    "cuda awkward": (0.02, 0.10),
    "cuda transfer": (0.10, 0.44),
    "cuda host": (0.10, 0.37),
    "cuda decade": (0.02, 0.10),
    "cuda family": (0.02, 0.12),
    "cuda library": (0.02, 0.10),
    "cuda type": (0.02, 0.15),
    "cuda case": (0.03, 0.12),
    "cuda cell": (0.02, 0.10),
    "cuda host cell": (0.10, 0.20),
    "cpu launch": (0.05, 0.30),
    "cpu compute": (0.05, 0.20),
    "cpu memory": (0.08, 0.20),
    "cpu threads": (0.05, 0.05),
    "cpu cached": (0.05, 0.30),
    "cpu awkward": (0.03, 0.20),
    "cpu decade": (0.03, 0.20),
    "cpu family": (0.05, 0.20),
    "cpu library": (0.03, 0.20),
    "cpu type": (0.03, 0.20),
    "cpu case": (0.05, 0.35),
    "cpu cell": (0.20, 0.35),
    "host": (0.08, 0.30),
}
KINDS = tuple(PRIORS)
#: The figures of ``PRIORS`` weigh as much as so many estimated effects, and a machine is believed
#: to differ as little as expected until so many cells have told.
PRIOR_COUNT = 4.0
_FREEDOM = 4.0  # of Student's t
_REWEIGHTINGS = 4
_HOST_MODES = ("resident", "end_to_end")
_CACHE_BYTES = (4e7, 3e7)  # a GPU's L2 (40 MiB on A100, 50 on H100), a host's share of an L3


@dataclass(frozen=True)
class Design:
    """Columns of cells: ``values`` (n, k) at the effects ``names`` (n, k), k per cell.

    A name is (kind, ...); its deviation is that of its kind. ``cell_kind`` (n,) says whose
    deviation a cell's own error has.
    """

    values: Array
    names: np.ndarray[Any, np.dtype[np.object_]]
    kinds: np.ndarray[Any, np.dtype[np.object_]]
    cell_kind: np.ndarray[Any, np.dtype[np.object_]]

    def take(self, rows: Any) -> Design:
        return Design(self.values[rows], self.names[rows], self.kinds[rows], self.cell_kind[rows])

    def __len__(self) -> int:
        return len(self.values)


def design(cells: pd.DataFrame, shares: Array, seconds: Array) -> Design:
    """Columns of cells with the keys device, threads, backend, workload, operation, dtype,
    math_mode and answer_mode, ``footprint`` and ``awkward``; ``shares`` (n, 4) of ``PARTS``
    add up to 1. ``seconds`` (n,) is about how long each takes.
    """
    count = len(cells)
    cuda = (cells["device"] == "cuda").to_numpy()
    many = (cells["threads"].to_numpy(dtype=float) > 1.0) & ~cuda
    host = cells["answer_mode"].isin(_HOST_MODES).to_numpy() & cuda
    launch, compute, memory, transfer = shares.T
    device = np.where(cuda, "cuda", "cpu").astype(object)
    one = np.ones(count)

    def text(*columns: str) -> np.ndarray[Any, np.dtype[np.object_]]:
        joined = cells[columns[0]].astype(str)
        for name in columns[1:]:
            joined = joined + "|" + cells[name].astype(str)
        return joined.to_numpy(dtype=object)

    decade = np.floor(np.log10(np.maximum(seconds, 1e-9))).astype(int).astype(str).astype(object)
    mode = np.where(host, "host", np.where(many, "many", "one")).astype(object)
    nothing = np.full(count, "", dtype=object)
    blocks: list[tuple[Any, Any, Array]] = [
        (device + " launch", nothing, launch * ~host),
        (np.full(count, "cuda host", dtype=object), nothing, launch * host),
        (device + " compute", nothing, compute),
        (device + " memory", nothing, memory),
        (np.full(count, "cuda transfer", dtype=object), nothing, transfer),
        (np.full(count, "host", dtype=object), nothing, np.where(cuda, launch * host, one)),
        (np.full(count, "cpu threads", dtype=object), _part(many, "compute"), compute * many),
        (np.full(count, "cpu threads", dtype=object), _part(many, "memory"), memory * many),
        (device + " cached", nothing, memory * _cached(cells, cuda)),
        (device + " awkward", text("workload"), cells["awkward"].to_numpy(dtype=float)),
        (device + " decade", decade + "|" + mode, one),
        (device + " family", text("workload"), one),
        (device + " library", text("backend") + "|" + mode, one),
        (device + " type", text("dtype", "math_mode"), compute),
        (device + " case", text("backend", "workload", "operation", "dtype", "math_mode"), one),
    ]
    kinds = np.stack([kind for kind, _, _ in blocks], axis=1)
    names = np.stack([kind + ":" + level for kind, level, _ in blocks], axis=1)
    values = np.stack([value for _, _, value in blocks], axis=1).astype(float)
    cell_kind = np.where(cuda, np.where(host, "cuda host cell", "cuda cell"), "cpu cell")
    return Design(values, names, kinds, cell_kind.astype(object))


def _cached(cells: pd.DataFrame, cuda: Any) -> Array:
    """1 for cells whose operands stay in the last cache of most processors."""
    footprint = cells["footprint"].to_numpy(dtype=float)
    inside: Array = (footprint < np.where(cuda, *_CACHE_BYTES)).astype(float)
    return inside


def _part(many: Any, name: str) -> np.ndarray[Any, np.dtype[np.object_]]:
    return np.full(len(many), name, dtype=object)


@dataclass(frozen=True)
class Deviations:
    """Deviation of each kind of effect for one relation, and how many effects told it.

    ``scales``: by kind of cell, the factor on the deviation of an answer that makes nine tenths
    of the pairs' cells lie within 1.645 of it (1 where too few pairs tell).
    """

    values: dict[str, float]
    counts: dict[str, int]
    scales: dict[str, float] = field(default_factory=dict)

    def scale(self, kinds: np.ndarray[Any, np.dtype[np.object_]]) -> Array:
        """The factor of each cell, (n,)."""
        factors = np.ones(len(kinds))
        for kind, factor in self.scales.items():
            factors[kinds == kind] = factor
        return factors

    def of(self, kinds: np.ndarray[Any, np.dtype[np.object_]]) -> Array:
        codes, unique = pd.factorize(kinds.ravel())
        table = np.array([self.values[str(kind)] for kind in unique], dtype=float)
        result: Array = table[codes].reshape(kinds.shape)
        return result


def assumed(relation: str) -> Deviations:
    """``PRIORS`` alone."""
    column = 0 if relation == "same" else 1
    return Deviations(
        {kind: pair[column] for kind, pair in PRIORS.items()}, dict.fromkeys(KINDS, 0)
    )


def combined(gpu: Deviations, host: Deviations) -> Deviations:
    """Deviations of two machines whose GPUs and hosts may be related differently."""
    of = {kind: host if _of_host(kind) else gpu for kind in KINDS}
    return Deviations(
        {kind: of[kind].values[kind] for kind in KINDS},
        {kind: of[kind].counts[kind] for kind in KINDS},
        {kind: of[kind].scales[kind] for kind in KINDS if kind in of[kind].scales},
    )


def _of_host(kind: str) -> bool:
    return kind.startswith(("cpu", "host", "cuda host", "cuda transfer"))


@dataclass(frozen=True)
class Posterior:
    """What measured cells tell of the effects: means (p,), covariance (p, p), and the rest."""

    names: dict[str, int]
    mean: Array
    covariance: Array
    deviations: Deviations
    inflation: float
    n: int

    def shift(self, asked: Design) -> tuple[Array, Array]:
        """Expected log ratio of each cell and its variance, both (n,).

        The variance has the cell's own error in it and that of effects nobody has seen.
        """
        rows, unseen = matrix_of(asked, self.names)
        deviation = self.deviations.of(asked.kinds)
        new = ((deviation * asked.values) ** 2 * unseen).sum(axis=1)
        mean = rows @ self.mean
        known = ((rows @ self.covariance) * rows).sum(axis=1)
        cell = self.deviations.of(asked.cell_kind) ** 2
        variance = (np.maximum(known, 0.0) + new + cell) * self.inflation
        return mean, variance * self.deviations.scale(asked.cell_kind) ** 2


def columns_of(cells: Design, deviations: Deviations) -> tuple[Array, Array]:
    """Dense columns (n, p) of all effects of cells, and the deviations (p,) of the effects."""
    names = vocabulary(cells)
    return matrix_of(cells, names)[0], spreads(names, deviations)


def infer(seen: Design, ratio: Array, noise: Array, deviations: Deviations) -> Posterior:
    """Effects behind the log ``ratio`` (n,) of cells; ``noise`` (n,) are further deviations."""
    names = vocabulary(seen)
    matrix, _ = matrix_of(seen, names)
    spread = spreads(names, deviations)
    variance = noise**2 + deviations.of(seen.cell_kind) ** 2
    mean, covariance, weight = solve_effects(matrix, ratio, variance, spread)
    if not len(ratio):
        return Posterior(names, mean, covariance, deviations, 1.0, 0)
    # cells that contradict each other by more than they should widen every answer
    residual = ratio - matrix @ mean
    spread_of_rows = ((matrix @ covariance) * matrix).sum(axis=1) + variance
    surprise = float((weight * residual**2 / spread_of_rows).sum() / weight.sum())
    trust = len(ratio) / (len(ratio) + PRIOR_COUNT)
    inflation = max(1.0, 1.0 + trust * (surprise - 1.0))
    return Posterior(names, mean, covariance, deviations, inflation, len(ratio))


def vocabulary(seen: Design) -> dict[str, int]:
    used = seen.names[np.abs(seen.values) > 0.0]
    return {str(name): i for i, name in enumerate(sorted(set(used.tolist())))}


def kinds_of(names: dict[str, int]) -> list[str]:
    return [name.partition(":")[0] for name in names]


def matrix_of(cells: Design, names: dict[str, int]) -> tuple[Array, Array]:
    """Dense columns (n, p) of the known effects, and which entries (n, k) are of unknown ones."""
    codes, unique = pd.factorize(cells.names.ravel())
    at = np.array([names.get(str(name), -1) for name in unique], dtype=np.intp)
    column = (
        at[codes].reshape(cells.names.shape) if len(codes) else np.empty(cells.names.shape, int)
    )
    matrix = np.zeros((len(cells), len(names) + 1))
    row = np.arange(len(cells))[:, None]
    # no two columns of a cell have one name, so that plain assignment does
    matrix[row, column] = cells.values
    return matrix[:, :-1], (column < 0).astype(float)


def spreads(names: dict[str, int], deviations: Deviations) -> Array:
    return np.array([deviations.values[kind] for kind in kinds_of(names)], dtype=float)


def solve_effects(
    matrix: Array, ratio: Array, variance: Array, spread: Array, rounds: int = _REWEIGHTINGS
) -> tuple[Array, Array, Array]:
    """Posterior mean (p,), covariance (p, p) and the weights (n,) of Student's t."""
    weight: Array = np.ones(len(ratio))
    mean, covariance = np.zeros(matrix.shape[1]), np.diag(spread**2)
    if not len(ratio):
        return mean, covariance, weight
    for _ in range(rounds):
        scaled = matrix * (weight / variance)[:, None]
        precision = scaled.T @ matrix + np.diag(spread**-2.0)
        covariance = np.asarray(np.linalg.inv(precision), dtype=float)
        mean = covariance @ (scaled.T @ ratio)
        residual = (ratio - matrix @ mean) ** 2 / variance
        weight = (_FREEDOM + 1.0) / (_FREEDOM + residual)
    return mean, covariance, weight


@dataclass(frozen=True)
class Differences:
    """How machines differ, as a dataset tells: by their relation, and layer by layer."""

    deviations: Mapping[Relation, Deviations]
    spread: Spread


_CELL_KINDS = ("cuda cell", "cuda host cell", "cpu cell")
_ROUNDS = 6
_FEWEST = 50  # cells of a kind below which their coverage is not corrected
_SCALES = (0.1, 4.0)  # bounds of the factor on a variance
_LEAST = 0.003  # no deviation is estimated below this: a clock repeats no better


#: What CPUs of one architecture differ by beyond what two machines of one type do: the deviation
#: of the sustained clocks of one architecture's rows in data/hardware.csv (0.11 over 8
#: architectures), and for what depends on the socket and its other tenants stated choices.
FAMILY = {"host": 0.11, "cpu memory": 0.20, "cpu cached": 0.10, "cpu launch": 0.10}


#: What CPUs of one maker and different architectures differ by beyond those of one. Products of
#: 8192 and adds of 2^26 on 829 cloud types agree with what others measured within factors of 1.4
#: to 1.5 and 1.3 to 1.4 in nine of ten (``benchmarks.outside_cpus``, one maker at a time): 0.23
#: and 0.19 in deviations. What one operation differs by from another is a stated choice.
MAKER = {
    "host": 0.12,
    "cpu compute": 0.23,
    "cpu memory": 0.19,
    "cpu cached": 0.19,
    "cpu launch": 0.12,
    "cpu family": 0.10,
    "cpu type": 0.10,
    "cpu case": 0.15,
    "cpu cell": 0.15,
}


def wider(known: Deviations, beyond: Mapping[str, float]) -> Deviations:
    """Deviations between less alike machines: those of more alike ones, and what is beyond."""
    values = {
        kind: float(np.hypot(value, beyond.get(kind, 0.0))) for kind, value in known.values.items()
    }
    return Deviations(values, dict.fromkeys(KINDS, 0), dict(known.scales))


def estimate(
    pairs: Sequence[tuple[Design, Array, Array]], relation: str, prior: Deviations | None = None
) -> Deviations:
    """Deviations of each kind from pairs of machines: (columns, log ratios, noise) of each.

    ``prior``: what is assumed before (by default what ``effects.assumed`` says of the relation).
    """
    current = prior or assumed(relation)
    pairs = [pair for pair in pairs if len(pair[1])]
    if not pairs:
        return current
    prepared = []
    for seen, ratio, noise in pairs:
        names = vocabulary(seen)
        prepared.append((seen, ratio, noise, names, matrix_of(seen, names)[0], kinds_of(names)))
    counts = dict.fromkeys(KINDS, 0)
    for _, _, _, _, _, kinds in prepared:
        for kind in kinds:
            counts[kind] += 1
    for seen, *_ in prepared:
        for kind in seen.cell_kind:
            counts[str(kind)] += 1
    before = current.values
    for _ in range(_ROUNDS):
        total = {kind: PRIOR_COUNT * before[kind] ** 2 for kind in KINDS}
        weight_of = dict.fromkeys(KINDS, PRIOR_COUNT)
        for seen, ratio, noise, names, matrix, kinds in prepared:
            spread = spreads(names, current)
            own = current.of(seen.cell_kind) ** 2
            mean, covariance, weight = solve_effects(
                matrix, ratio, noise**2 + own, spread, rounds=2
            )
            second = mean**2 + np.diagonal(covariance)
            for kind, value in zip(kinds, second, strict=True):
                total[kind] += value
                weight_of[kind] += 1.0
            residual = ratio - matrix @ mean
            missed = residual**2 + ((matrix @ covariance) * matrix).sum(axis=1)
            share = own / (own + noise**2)
            cells = weight * share**2 * missed + own * (1.0 - share)
            for kind in _CELL_KINDS:
                chosen = seen.cell_kind == kind
                total[kind] += float(cells[chosen].sum())
                weight_of[kind] += float(chosen.sum())
        values = {kind: max(_LEAST, (total[kind] / weight_of[kind]) ** 0.5) for kind in KINDS}
        current = Deviations(values, counts)
    return Deviations(current.values, counts, _scales(pairs, current))


def _scales(
    pairs: Sequence[tuple[Design, Array, Array]], deviations: Deviations
) -> dict[str, float]:
    """Factors that make the deviations of answers without any probe cover nine tenths."""
    scales = {}
    for kind in _CELL_KINDS:
        differences, variances, noises = [], [], []
        for seen, ratio, noise in pairs:
            rows = np.flatnonzero(seen.cell_kind == kind)
            part = seen.take(rows)
            effects = ((deviations.of(part.kinds) * part.values) ** 2).sum(axis=1)
            differences.append(np.abs(ratio[rows]))
            variances.append(effects + deviations.values[kind] ** 2)
            noises.append(noise[rows] ** 2)
        difference = np.concatenate(differences)
        if len(difference) < _FEWEST:
            continue
        wanted = (np.quantile(difference, 0.9) / NORMAL_95) ** 2 - np.mean(np.concatenate(noises))
        ratio_of = wanted / np.mean(np.concatenate(variances))
        scales[kind] = float(np.sqrt(np.clip(ratio_of, *_SCALES)))
    return scales
