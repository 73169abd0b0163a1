"""A GPU that was not measured: the parameters of those that were, and what probes change.

``pool`` fits several GPUs at once; ``with_probes`` moves their parameters to a few times of
another one. What the formula then leaves is left to ``published_transfer``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.published_form import FORMULA_SIGMA, Form, Operands, joined, operands
from benchmarks.published_kernels import Gpu, log_times
from estimator.arrays import Array

#: Generations that share the float32 products of a library.
_KIN = {"Turing": "Volta", "Hopper": "Ampere"}
_LEAST_SIGMA = 0.01  # no formula is closer than that, even where it met few rows exactly


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
        """Positions of the GPUs that run the same library products as ``gpu``.

        Without tiles (memory operations) the kernels are PyTorch's own, the same on all GPUs.
        """
        if self.form.tile_slopes is None:
            return []
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
    sigma = max(float(np.sqrt(np.mean(np.clip(residual, -0.5, 0.5) ** 2))), _LEAST_SIGMA)
    return Pool(form, names, common, own, about, sigma)


def from_specs(pooled: Pool, rows: Operands, kin: Sequence[int]) -> Array:
    """log t from the data sheet: the common parameters, half way to those of related GPUs."""
    common = pooled.form.predict(pooled.common, rows)
    if not kin:
        return common
    theirs = np.mean([pooled.form.predict(pooled.own[i], rows) for i in kin], axis=0)
    result: Array = 0.5 * (common + theirs)
    return result


def with_probes(pooled: Pool, probes: Operands, times: Array, rows: Operands) -> Array:
    """log t (n,) of ``rows`` by parameters that are moved to the times of ``probes``.

    Starts from several centres (the common parameters; those of each known GPU, held tighter)
    and averages the predictions with the weights exp(-cost / 2).
    """
    centres = [pooled.common, *pooled.own]
    spreads = [pooled.between] + [0.5 * pooled.between] * len(pooled.own)
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
