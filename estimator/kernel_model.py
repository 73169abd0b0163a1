"""The formula of one operation's time, its parts and its derivatives. Pure, vectorised.

    t = call + launches * (launch + fork) + factor^awkward * (t_c^p + t_m^p)^(1/p)

    t_c = flop / R / share * min over tiles of (waves * (1 + h0 / h)) * (1 + d0 / depth)
    share = f + (1 - f) / (1 + w0 / width)
    t_m = bytes / W * (m + (1 - m) / gain * (i + (1 - i) / inner_gain)) + fresh / F * v
    m = 1 / (1 + (C / footprint)^s),   i = 1 / (1 + (C_inner / footprint)^s)
    v = 1 / (1 + (V / block)^6)

The p-norm of compute and memory time is a roofline with a rounded knee (p -> infinity is the
plain roofline, Williams, Waterman and Patterson 2009; p = 1 is no overlap at all). The share is
how far the threads of a CPU are busy: ``f`` (one of them) at worst. Waves: a GPU's product is
cut into tiles of the result, and the last round of tiles leaves multiprocessors idle; ``h`` is
a tile's harmonic mean side, as small tiles read their operands more often. The depth term is
the start-up of each serial piece (the prologue of a product's inner loop on a GPU, its packed
edges on a CPU). The miss rates are logistic functions of the logarithm of the footprint: two
levels of cache between registers and memory. Large blocks of fresh memory come from the system
page by page, each faulted in when it is first written.

Parameters are natural logarithms of positive quantities in the units of their names, so a
parameter array holds ``log(launch_s)`` in the column of ``launch_s``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

KERNEL_PARAMETERS = (
    "call_s",
    "launch_s",
    "fork_s",
    "compute_flop_per_s",
    "width_half",
    "tile_half",
    "depth_half",
    "memory_bytes_per_s",
    "cache_gain",
    "cache_bytes",
    "inner_cache_gain",
    "inner_cache_bytes",
    "cache_steepness",
    "fault_bytes_per_s",
    "fault_block_bytes",
    "exponent_p",
    "awkward_factor",
)
SMALLEST_S = 1e-12  # below any clock: keeps a time positive when every part is zero

_TINY = 1e-300
_FAULT_STEEPNESS = 6.0


@dataclass(frozen=True)
class KernelWork:
    """What the kernel formula reads of each cell, each an array of shape (n,) but the tiles'.

    ``fresh`` are bytes written to memory that the call allocates, in blocks of ``block`` bytes.
    ``share_floor`` is the share of the threads that is busy at worst. ``width`` and ``depth``
    are infinite where a family has no such limit. ``forks`` is 1 where threads are started and
    joined, ``awkward`` 0 to 1: how far a shape is from what the library serves best. ``waves``
    (n, k) is the work of each tiling over the useful work, ``tile`` (n, k) its harmonic mean
    side (infinite where nothing is tiled).
    """

    flop: Array
    bytes: Array
    footprint: Array
    fresh: Array
    block: Array
    launches: Array
    forks: Array
    share_floor: Array
    width: Array
    depth: Array
    awkward: Array
    waves: Array
    tile: Array

    def __len__(self) -> int:
        return len(self.flop)

    def take(self, index: Any) -> KernelWork:
        return KernelWork(**{name: values[index] for name, values in vars(self).items()})


@dataclass(frozen=True)
class KernelParts:
    """Seconds of each part, (n,); ``launch + compute + memory`` is the predicted time."""

    launch_s: Array
    compute_s: Array
    memory_s: Array


@dataclass(frozen=True)
class _Terms:
    """Times, and derivatives of the logarithms of compute and memory time by parameter."""

    overhead: Array
    compute: Array
    memory: Array
    kernel: Array
    compute_share: Array
    compute_slopes: dict[str, Array]
    memory_slopes: dict[str, Array]


def _columns(theta: Array) -> dict[str, Array]:
    return dict(zip(KERNEL_PARAMETERS, theta.T, strict=True))


def logistic(log_ratio: Array) -> Array:
    """1 / (1 + exp(-log_ratio)), without overflow."""
    result: Array = 1.0 / (1.0 + np.exp(np.clip(-log_ratio, -60.0, 60.0)))
    return result


def _compute(log: dict[str, Array], work: KernelWork) -> tuple[Array, dict[str, Array]]:
    full = logistic(np.log(work.width) - log["width_half"])
    share = work.share_floor + (1.0 - work.share_floor) * full
    penalty = np.exp(log["tile_half"])[:, None] / work.tile
    inflated = work.waves * (1.0 + penalty)
    best = inflated.argmin(axis=1)
    rows = np.arange(len(best))
    chosen = penalty[rows, best]
    depth = np.exp(log["depth_half"]) / work.depth
    seconds = work.flop * np.exp(-log["compute_flop_per_s"]) / share
    seconds = seconds * inflated[rows, best] * (1.0 + depth)
    slopes = {
        "compute_flop_per_s": -np.ones(len(seconds)),
        "width_half": (1.0 - work.share_floor) * full * (1.0 - full) / share,
        "tile_half": chosen / (1.0 + chosen),
        "depth_half": depth / (1.0 + depth),
    }
    return seconds, slopes


def _memory(log: dict[str, Array], work: KernelWork) -> tuple[Array, dict[str, Array]]:
    steepness = np.exp(log["cache_steepness"])
    footprint = np.log(np.maximum(work.footprint, 1.0))
    far, near = footprint - log["cache_bytes"], footprint - log["inner_cache_bytes"]
    miss, inner_miss = logistic(steepness * far), logistic(steepness * near)
    gain, inner_gain = np.exp(-log["cache_gain"]), np.exp(-log["inner_cache_gain"])
    inner = inner_miss + (1.0 - inner_miss) * inner_gain
    cached = (1.0 - miss) * gain
    per_byte = miss + cached * inner
    moved = work.bytes * np.exp(-log["memory_bytes_per_s"]) * per_byte
    size = np.log(np.maximum(work.block, 1.0)) - log["fault_block_bytes"]
    mapped = logistic(_FAULT_STEEPNESS * size)
    faults = work.fresh * np.exp(-log["fault_bytes_per_s"]) * mapped
    seconds = moved + faults
    share = moved / np.maximum(seconds, _TINY)
    by_far = miss * (1.0 - miss) * (1.0 - gain * inner) / per_byte
    by_near = cached * inner_miss * (1.0 - inner_miss) * (1.0 - inner_gain) / per_byte
    slopes = {
        "memory_bytes_per_s": -share,
        "cache_gain": -share * cached * inner / per_byte,
        "cache_bytes": -share * steepness * by_far,
        "inner_cache_gain": -share * cached * (1.0 - inner_miss) * inner_gain / per_byte,
        "inner_cache_bytes": -share * steepness * by_near,
        "cache_steepness": share * steepness * (by_far * far + by_near * near),
        "fault_bytes_per_s": share - 1.0,
        "fault_block_bytes": (share - 1.0) * _FAULT_STEEPNESS * (1.0 - mapped),
    }
    return seconds, slopes


def _terms(theta: Array, work: KernelWork) -> _Terms:
    """``theta`` is (n, 17), one row of log parameters per cell."""
    log = _columns(theta)
    compute, compute_slopes = _compute(log, work)
    memory, memory_slopes = _memory(log, work)
    p = np.exp(log["exponent_p"])
    larger = np.maximum(np.maximum(compute, memory), _TINY)
    tc, tm = (compute / larger) ** p, (memory / larger) ** p
    total = np.maximum(tc + tm, _TINY)
    factor = np.exp(log["awkward_factor"] * work.awkward)
    kernel = factor * larger * total ** (1.0 / p)
    kernel = np.where(np.maximum(compute, memory) > 0.0, kernel, 0.0)
    per_launch = np.exp(log["launch_s"]) + work.forks * np.exp(log["fork_s"])
    return _Terms(
        overhead=np.exp(log["call_s"]) + work.launches * per_launch,
        compute=compute * factor,
        memory=memory * factor,
        kernel=kernel,
        compute_share=tc / total,
        compute_slopes=compute_slopes,
        memory_slopes=memory_slopes,
    )


def kernel_seconds(theta: Array, work: KernelWork) -> Array:
    """Predicted seconds, (n,), for log parameters ``theta`` (n, 17). Positive and finite."""
    terms = _terms(theta, work)
    return np.maximum(terms.overhead + terms.kernel, SMALLEST_S)


def kernel_parts(theta: Array, work: KernelWork) -> KernelParts:
    """The predicted seconds split into launch, compute and memory.

    Compute and memory overlap in the formula; each gets its share of the joint time in
    proportion to ``t_c^p`` and ``t_m^p``, so that the three add up to the prediction.
    """
    terms = _terms(theta, work)
    seconds = np.maximum(terms.overhead + terms.kernel, SMALLEST_S)
    compute = terms.kernel * terms.compute_share
    memory = terms.kernel * (1.0 - terms.compute_share)
    return KernelParts(seconds - compute - memory, compute, memory)


def kernel_log_seconds(theta: Array, work: KernelWork) -> tuple[Array, Array]:
    """log t, (n,), and its derivatives with respect to each log parameter, (n, 17)."""
    terms = _terms(theta, work)
    log = _columns(theta)
    seconds = np.maximum(terms.overhead + terms.kernel, SMALLEST_S)
    share = terms.kernel / seconds
    by_compute, by_memory = share * terms.compute_share, share * (1.0 - terms.compute_share)
    slopes = {
        "call_s": np.exp(log["call_s"]) / seconds,
        "launch_s": work.launches * np.exp(log["launch_s"]) / seconds,
        "fork_s": work.launches * work.forks * np.exp(log["fork_s"]) / seconds,
        "exponent_p": by_compute * _log_ratio(terms.compute, terms.kernel)
        + by_memory * _log_ratio(terms.memory, terms.kernel),
        "awkward_factor": share * work.awkward,
    }
    slopes |= {name: by_compute * slope for name, slope in terms.compute_slopes.items()}
    slopes |= {name: by_memory * slope for name, slope in terms.memory_slopes.items()}
    return np.log(seconds), np.stack([slopes[name] for name in KERNEL_PARAMETERS], axis=1)


def _log_ratio(part: Array, whole: Array) -> Array:
    """log(part / whole), 0 where the part is absent (its weight is 0 there too)."""
    present = (part > _TINY) & (whole > _TINY)
    return np.log(np.where(present, part, 1.0)) - np.log(np.where(present, whole, 1.0))
