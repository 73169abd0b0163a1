"""How far machines differ: deviations of the effects, estimated from a dataset's pairs of machines.

Expectation-maximisation for random effects (Dempster, Laird and Rubin 1977; Laird and Ware 1982),
with the figures of ``effects.PRIORS`` weighing as much as ``PRIOR_COUNT`` effects, so that a kind
of which a dataset shows one effect stays near what is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from estimator.effects import (
    KINDS,
    PRIOR_COUNT,
    Design,
    Deviations,
    assumed,
    kinds_of,
    matrix_of,
    solve_effects,
    spreads,
    vocabulary,
)
from estimator.intervals import NORMAL_95
from estimator.kernel_model import Array
from estimator.machine_facts import Relation
from estimator.spread import Spread


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
