"""A GPU that was not measured: what the others say of it, and what a few probes add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.published_form import FORMULA_SIGMA, Form, Operands, joined, operands
from benchmarks.published_kernels import Gpu, log_times
from estimator.kernel_model import Array

#: Generations that share the float32 kernels of a library.
_KIN = {"Turing": "Volta", "Hopper": "Ampere"}


@dataclass(frozen=True)
class Pool:
    """What several measured GPUs say of one that is not among them."""

    form: Form
    gpus: tuple[str, ...]
    common: Array  # (p,), one set of parameters for all
    own: Array  # (gpus, p)
    between: Array  # (p,), spread of a GPU's parameters about the common ones
    sigma: float  # spread of a GPU's times about its own formula

    def related(self, gpu: Gpu, gpus: Mapping[str, Gpu]) -> list[int]:
        kin = _KIN.get(gpu.architecture, gpu.architecture)
        return [
            i
            for i, name in enumerate(self.gpus)
            if _KIN.get(gpus[name].architecture, gpus[name].architecture) == kin
        ]


def pool(form: Form, cells: Mapping[str, pd.DataFrame], gpus: Mapping[str, Gpu], rows: int) -> Pool:
    """Pool ``rows`` cells of each GPU: first as if all were one machine, then each its own."""
    names = tuple(cells)
    parts = [cells[name][:rows] for name in names]
    operand = joined([operands(p, gpus[name]) for p, name in zip(parts, names, strict=True)])
    times = np.concatenate([log_times(part) for part in parts])
    group = np.repeat(np.arange(len(names)), [len(part) for part in parts])
    centre, spread = form.priors("centre"), form.priors("spread")
    common = form.fit(operand, times, centre, spread, 2.0 * FORMULA_SIGMA, iterations=25).theta[0]
    between = form.priors("between")
    own = form.fit(operand, times, common, between, FORMULA_SIGMA, group=group, iterations=15).theta
    about = np.sqrt(((own - common) ** 2).mean(axis=0) + 0.03**2)
    residual = times - form.log_seconds(own[group], operand)
    sigma = float(np.sqrt(np.mean(np.clip(residual, -0.5, 0.5) ** 2)))
    return Pool(form, names, common, own, about, sigma)


def from_specs(pooled: Pool, rows: Operands, gpu: Gpu, gpus: Mapping[str, Gpu]) -> Array:
    """log t from the data sheet: the common parameters, half way to those of related GPUs."""
    common = pooled.form.predict(pooled.common, rows)
    kin = pooled.related(gpu, gpus)
    if not kin:
        return common
    theirs = np.mean([pooled.form.predict(pooled.own[i], rows) for i in kin], axis=0)
    result: Array = 0.5 * (common + theirs)
    return result


def choose_probes(pooled: Pool, candidates: Operands, count: int) -> list[int]:
    """Cells to measure on a new GPU: each leaves the least mean variance of the predictions.

    Linear Gaussian design about the common parameters; reads no time of the new GPU.
    """
    theta = np.broadcast_to(pooled.common, (len(candidates), len(pooled.common)))
    slopes = pooled.form.with_slopes(theta, candidates)[1]
    away = pooled.own - pooled.common
    covariance = 0.5 * away.T @ away / len(away) + 0.5 * np.diag(pooled.between**2)
    chosen: list[int] = []
    for _ in range(count):
        seen = slopes @ covariance
        variance = (seen * slopes).sum(axis=1) + pooled.sigma**2
        gain = ((seen @ slopes.T) ** 2).mean(axis=0) / variance
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        covariance = covariance - np.outer(seen[best], seen[best]) / variance[best]
    return chosen


def with_probes(
    pooled: Pool, probes: Operands, times: Array, rows: Operands, kin: Sequence[int]
) -> Array:
    """log t (n,) of ``rows`` after measuring ``probes``.

    Starts from several centres (the common parameters; those of each known GPU, held tighter)
    and averages the predictions with the weights exp(-cost / 2).
    """
    centres, spreads = [pooled.common, *pooled.own], [pooled.between]
    spreads += [0.5 * pooled.between] * len(pooled.own)
    if kin:
        centres.append(0.5 * (pooled.common + pooled.own[list(kin)].mean(axis=0)))
        spreads.append(0.7 * pooled.between)
    starts = len(centres)
    group = np.repeat(np.arange(starts), len(probes))
    solution = pooled.form.fit(
        joined([probes] * starts),
        np.tile(times, starts),
        np.array(centres),
        np.array(spreads),
        pooled.sigma,
        group=group,
        iterations=25,
    )
    weight = np.exp(-0.5 * (solution.cost - solution.cost.min()))
    predicted = np.stack([pooled.form.predict(theta, rows) for theta in solution.theta])
    result: Array = weight / weight.sum() @ predicted
    return result
