"""Times on a GPU that was barely measured, as a Gaussian process around what other GPUs say.

    log t(x) = mean(x) + error(x),   error ~ GP(0, K)
    K = offset^2 + sum over spans s:  a_s^2 S_s(x) . S_s(x') / rows of S_s
        + line^2 Z(x) . Z(x') / f  +  bump^2 exp(-|(Z(x) - Z(x')) / lengths|^2 / 2)  +  noise^2

Spans are functions of the shape which the error is likely to be a weighted sum of: how each
known GPU departs from the mean, what would change if the library always took one tile, and what
the known GPUs did at the very same shape beyond their formulas. Z are logs of sizes. The
amplitudes, lengths and noise are those under which the errors on the *known* GPUs, each predicted
from the rest, are most probable (Rasmussen and Williams, Gaussian Processes for Machine Learning,
2006, chapters 2 and 5). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize

from estimator.arrays import Array

_LARGEST_ERROR = 1.5  # in logs: a wilder error says nothing of the others
_PRIOR_SPREAD = 1.0  # of the logarithm of each amplitude and length about its start
# where the search starts, and the centre of the amplitudes' and lengths' prior (stated choices)
_OFFSET, _LINE, _BUMP, _NOISE, _LENGTH, _SPAN = 0.2, 0.1, 0.15, 0.1, 3.0, 0.4


@dataclass(frozen=True)
class View:
    """Some cells on a GPU as the known GPUs see them."""

    mean: Array  # (n,), log seconds before any measurement of that GPU
    spans: tuple[Array, ...]  # of (rows, n)
    features: Array  # (n, f), standardised

    def __len__(self) -> int:
        return len(self.mean)

    def take(self, index: Any) -> Self:
        spans = tuple(span[:, index] for span in self.spans)
        return type(self)(self.mean[index], spans, self.features[index])


@dataclass(frozen=True)
class Process:
    """The covariance of a GPU's errors. ``log_amplitudes``: offset, line, bump, then the spans."""

    log_amplitudes: Array
    log_lengths: Array
    log_noise: float

    @property
    def noise_variance(self) -> float:
        return float(np.exp(2.0 * self.log_noise))

    def parts(self, a: View, b: View) -> list[Array]:
        """The terms of K without noise, (n_a, n_b) each."""
        left, right = a.features / np.exp(self.log_lengths), b.features / np.exp(self.log_lengths)
        squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2.0 * left @ right.T
        shapes = [
            np.ones((len(a), len(b))),
            a.features @ b.features.T / a.features.shape[1],
            np.exp(-0.5 * np.maximum(squared, 0.0)),
            *(x.T @ y / len(x) for x, y in zip(a.spans, b.spans, strict=True)),
        ]
        scales = np.exp(2.0 * self.log_amplitudes)
        return [scale * shape for scale, shape in zip(scales, shapes, strict=True)]

    def covariance(self, a: View, b: View) -> Array:
        total: Array = np.sum(self.parts(a, b), axis=0)
        return total

    def posterior(self, seen: View, log_times: Array, asked: View) -> tuple[Array, Array]:
        """Mean and standard deviation (n,) of the log times ``asked``, noise included."""
        variance = np.diagonal(self.covariance(asked, asked)) + self.noise_variance
        if not len(seen):
            return asked.mean, np.sqrt(variance)
        known = self.covariance(seen, seen) + self.noise_variance * np.eye(len(seen))
        across = self.covariance(asked, seen)
        weights = np.linalg.solve(known, across.T)
        mean = asked.mean + weights.T @ (log_times - seen.mean)
        variance = variance - (across.T * weights).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, self.noise_variance))

    def choose(self, offered: View, count: int) -> list[int]:
        """Cells to measure: each leaves the least mean variance over all offered. Reads no time."""
        among = self.covariance(offered, offered)
        across = among.copy()
        chosen: list[int] = []
        for _ in range(count):
            variance = np.diagonal(among) + self.noise_variance
            gain = (across**2).mean(axis=0) / variance
            gain[chosen] = -1.0
            best = int(gain.argmax())
            chosen.append(best)
            step = among[best] / variance[best]
            across = across - np.outer(across[:, best], step)
            among = among - np.outer(among[:, best], step)
        return chosen


def fit_process(views: Sequence[View], log_times: Sequence[Array]) -> Process:
    """The process under which the errors of ``views`` (one per known GPU) are most probable."""
    features, spans = views[0].features.shape[1], len(views[0].spans)
    start = np.log(
        [_OFFSET, _LINE, _BUMP, *[_SPAN] * spans, *[_LENGTH] * features, _NOISE], dtype=float
    )
    errors = [
        np.clip(times - view.mean, -_LARGEST_ERROR, _LARGEST_ERROR)
        for view, times in zip(views, log_times, strict=True)
    ]

    def loss(values: Array) -> tuple[float, Array]:
        process = _unpack(values, spans)
        total = 0.5 * float((((values - start) / _PRIOR_SPREAD) ** 2).sum())
        slope = (values - start) / _PRIOR_SPREAD**2
        for view, error in zip(views, errors, strict=True):
            value, more = evidence(process, view, error)
            total, slope = total + value, slope + more
        return total, slope

    bounds = [(value - 3.0, value + 3.0) for value in start]
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}
    )
    return _unpack(found.x, spans)


def _unpack(values: Array, spans: int) -> Process:
    return Process(values[: 3 + spans], values[3 + spans : -1], float(values[-1]))


def evidence(process: Process, view: View, error: Array) -> tuple[float, Array]:
    """Negative log likelihood of ``error`` (n,) and its slopes by all log parameters."""
    parts = process.parts(view, view)
    total = np.sum(parts, axis=0) + process.noise_variance * np.eye(len(view))
    lower = np.linalg.cholesky(total)
    inverse = np.linalg.inv(total)
    pull = inverse @ error
    value = 0.5 * float(error @ pull) + float(np.log(np.diagonal(lower)).sum())
    by_covariance = 0.5 * (inverse - np.outer(pull, pull))  # d value / d K
    amplitudes = [2.0 * float((by_covariance * part).sum()) for part in parts]
    bump = by_covariance * parts[2]
    scaled = view.features / np.exp(process.log_lengths)
    # sum_ij bump_ij (z_i - z_j)^2 of each feature
    lengths = 2.0 * ((scaled**2).T @ bump.sum(axis=1)) - 2.0 * (scaled * (bump @ scaled)).sum(
        axis=0
    )
    noise = 2.0 * process.noise_variance * float(np.trace(by_covariance))
    return value, np.array([*amplitudes, *lengths, noise])
