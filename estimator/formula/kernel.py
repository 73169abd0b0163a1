"""The formula of one operation's time, its parts and its derivatives. Pure, vectorised.

    t = added + (host^q + body^q)^(1/q)
    host = call + launches * (launch + dispatch)
    body = (t_c^p + t_m^p)^(1/p)

    t_c = a * flop / R / share * (1 + d0 / depth)
    share = f + (1 - f) / (1 + w0 / width)
    a = algorithm^special * awkward_factor^awkward
    or, the sum over a GPU's products of the least over the ways to compute each:
    t_c = a * flop / R * (waves + a0 / area) * (k + d0 / depth) * (1 + (h0 / h)^2)
          + extra / W + next * launch

    t_m = bytes / W * (m + (1 - m) / gain * (i + (1 - i) / inner_gain)) + fresh / F * v
    m = 1 / (1 + (C / footprint)^s),   i = 1 / (1 + (C_inner / footprint)^s)
    v = 1 / (1 + (V / block)^6)

What a mode adds to a call (emptying the caches, waiting for the device) is ``added`` and hides
behind nothing. ``dispatch`` is what each launch costs the host: starting and joining threads on
a CPU, and where the clock is the host's the call that puts a kernel into a GPU's queue.
Host and body add on a CPU (q = 1); the start of a GPU's kernel may hide behind what ran before
it (q > 1). The p-norm of compute and memory time is a roofline with a rounded knee (p -> infinity
is the plain roofline, Williams, Waterman and Patterson 2009; p = 1 is no overlap at all). The
share is how far the threads of a CPU are busy: ``f`` (one of them) at worst.

A GPU's product is cut into tiles of the result, and the last round of tiles (wave) leaves
multiprocessors idle; ``h`` is a tile's harmonic mean side: each tile takes a time of its own
beside its work. A multiprocessor needs ``a0`` elements of the result to be busy, of which each
has ``area``. ``k`` is the share of the depth that a tile goes through, where the depth is cut
into pieces or Winograd's algorithm takes the kernel's elements apart, and ``extra`` the bytes of
partial results, of images in another layout and of Winograd's transforms, moved by kernels of
their own (``next`` of a launch each, as the device starts them while the one before ends). The
depth term is the start-up of each serial piece (the prologue of a product's inner loop on a GPU,
its packed edges on a CPU).

The miss rates are logistic functions of the logarithm of the footprint: two levels of cache
between registers and memory. Large blocks of fresh memory come from the system page by page,
each faulted in when it is first written. Awkward shapes of what is no product take longer in
memory by the same factor.

Parameters are natural logarithms of positive quantities in the units of their names, so a
parameter array holds ``log(launch_s)`` in the column of ``launch_s``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from estimator.arrays import Array, Indices
from estimator.cells.work import KernelWork

#: Parameters that the time of a GPU's products depends on.
OF_PRODUCTS = (
    *("compute_flop_per_s", "algorithm_factor", "depth_half", "tile_half", "area_half"),
    *("memory_bytes_per_s", "launch_s"),
)

_TINY = 1e-300
_NEXT_KERNEL = 0.5  # of a launch: a kernel behind another (stated choice)


def product_seconds(
    log: dict[str, Array], plain: Array, work: KernelWork, rows: Indices
) -> tuple[Array, dict[str, Array]]:
    """Seconds of the products of some rows, and the slopes of their logarithm.

    ``rows`` (c,) have products, ``log`` their parameters, (c,) each, and ``plain`` (c,) the
    seconds of their useful FLOP. Slopes are of ``OF_PRODUCTS``.
    """
    seconds = np.zeros(len(rows))
    slopes = {name: np.zeros(len(rows)) for name in OF_PRODUCTS}
    for column in range(work.product.shape[1]):
        there = np.flatnonzero(work.product[rows, column] >= 0)
        if not len(there):
            break
        here, of = rows[there], {name: log[name][there] for name in OF_PRODUCTS}
        useful = plain[there] * work.part[here, column]
        found, by = _fastest_way(of, useful, work.product[here, column], work, here)
        seconds[there] += found
        for name in OF_PRODUCTS:
            slopes[name][there] += by[name] * found
    whole = np.maximum(seconds, _TINY)
    return seconds, {name: slope / whole for name, slope in slopes.items()}


def _fastest_way(
    log: dict[str, Array], plain: Array, of: Indices, work: KernelWork, rows: Indices
) -> tuple[Array, dict[str, Array]]:
    """Seconds of the fastest way, (c,), of ``plain`` seconds of useful FLOP; slopes of the log.

    ``of`` (c,) are the products in ``work.tilings``, ``rows`` (c,) their rows of ``work``.
    """
    ways, every = work.tilings, np.arange(len(rows))
    start = np.exp(log["depth_half"]) / ways.depth[of]
    idle = np.exp(log["area_half"]) / ways.area[of]
    side = 1.0 + (np.exp(log["tile_half"])[:, None] / ways.side) ** 2
    tiles = ways.waves[of]
    tiles += idle[:, None, None]
    tiles *= side[:, None, :]
    best_tiles = tiles.argmin(axis=2)
    area = np.take_along_axis(tiles, best_tiles[:, :, None], axis=2)[:, :, 0]
    depth = ways.depth_share + start[:, None]
    algorithm = np.where(ways.special > 0.0, np.exp(log["algorithm_factor"])[:, None], 1.0)
    product = plain[:, None] * area * depth * algorithm
    per_byte = np.exp(-log["memory_bytes_per_s"]) / work.byte_unit[rows]
    total = product + ways.extra[of] * per_byte[:, None]
    next_kernel = _NEXT_KERNEL * np.exp(log["launch_s"])
    total += next_kernel[:, None] * ways.kernels
    way = total.argmin(axis=1)
    seconds = total[every, way]
    tile_side = side[every, best_tiles[every, way]]
    share = product[every, way] / np.maximum(seconds, _TINY)
    slopes = {
        "compute_flop_per_s": -share,
        "algorithm_factor": share * (ways.special[way] + work.special[rows]),
        "depth_half": share * start / depth[every, way],
        "tile_half": 2.0 * share * (1.0 - 1.0 / tile_side),
        "area_half": share * idle * tile_side / area[every, way],
        "launch_s": next_kernel * ways.kernels[way] / np.maximum(seconds, _TINY),
    }
    slopes["memory_bytes_per_s"] = share + slopes["launch_s"] - 1.0
    return seconds, slopes


KERNEL_PARAMETERS = (
    "call_s",
    "launch_s",
    "dispatch_s",
    "overlap_q",
    "compute_flop_per_s",
    "algorithm_factor",
    "width_half",
    "tile_half",
    "area_half",
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

_FAULT_STEEPNESS = 6.0


@dataclass(frozen=True)
class KernelParts:
    """Seconds of each part, (n,); ``launch + compute + memory`` is the predicted time."""

    launch_s: Array
    compute_s: Array
    memory_s: Array


@dataclass(frozen=True)
class _Terms:
    """Times (n,), shares of them, and slopes of log compute and memory time by parameter."""

    host: Array
    body: Array
    joint: Array
    seconds: Array
    host_share: Array
    compute: Array
    memory: Array
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
    start = np.exp(log["depth_half"]) / work.depth
    rate = np.exp(log["compute_flop_per_s"] - log["algorithm_factor"] * work.special)
    plain = work.flop / rate / share
    seconds = plain * (1.0 + start)
    slopes = {
        "compute_flop_per_s": np.full(len(share), -1.0),
        "algorithm_factor": work.special.copy(),
        "width_half": (1.0 - work.share_floor) * full * (1.0 - full) / share,
        "depth_half": start / (1.0 + start),
        "tile_half": np.zeros(len(share)),
        "area_half": np.zeros(len(share)),
        "memory_bytes_per_s": np.zeros(len(share)),
        "launch_s": np.zeros(len(share)),
    }
    rows = np.flatnonzero(work.product[:, 0] >= 0)
    if len(rows):
        here = {name: values[rows] for name, values in log.items()}
        seconds[rows], of_products = product_seconds(here, plain[rows], work, rows)
        for name, slope in of_products.items():
            slopes[name][rows] = slope
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


def norm(a: Array, b: Array, p: Array) -> tuple[Array, Array]:
    """(a^p + b^p)^(1/p) and a's share of the sum, (n,) each, for a and b of at least 0."""
    larger = np.maximum(np.maximum(a, b), _TINY)
    with np.errstate(under="ignore"):
        pa, pb = (a / larger) ** p, (b / larger) ** p
    total = np.maximum(pa + pb, _TINY)
    return np.where(np.maximum(a, b) > 0.0, larger * total ** (1.0 / p), 0.0), pa / total


def _terms(theta: Array, work: KernelWork) -> _Terms:
    """``theta`` is (n, 20), one row of log parameters per cell."""
    log = _columns(theta)
    compute, compute_slopes = _compute(log, work)
    memory, memory_slopes = _memory(log, work)
    compute = compute * np.exp(log["awkward_factor"] * work.awkward)
    memory = memory * np.exp(log["awkward_factor"] * work.awkward_memory)
    body, compute_share = norm(compute, memory, np.exp(log["exponent_p"]))
    per_launch = np.exp(log["launch_s"]) + work.forks * np.exp(log["dispatch_s"])
    host = np.exp(log["call_s"]) + work.launches * per_launch
    joint, host_share = norm(host, body, np.exp(log["overlap_q"]))
    joint = np.maximum(joint, SMALLEST_S)
    return _Terms(
        host,
        body,
        joint,
        joint + work.added,
        host_share,
        compute,
        memory,
        compute_share,
        compute_slopes,
        memory_slopes,
    )


def kernel_seconds(theta: Array, work: KernelWork) -> Array:
    """Predicted seconds, (n,), for log parameters ``theta`` (n, 20). Positive and finite."""
    return _terms(theta, work).seconds


def kernel_parts(theta: Array, work: KernelWork) -> KernelParts:
    """The predicted seconds split into launch, compute and memory.

    The parts overlap in the formula; each gets its share of the joint time in proportion to its
    power in the norm, so that the three add up to the prediction.
    """
    terms = _terms(theta, work)
    launch = terms.joint * terms.host_share
    rest = terms.joint - launch
    compute = rest * terms.compute_share
    return KernelParts(launch + work.added, compute, rest - compute)


def kernel_log_seconds(
    theta: Array, work: KernelWork, names: Sequence[str] = KERNEL_PARAMETERS
) -> tuple[Array, Array]:
    """log t, (n,), and its slopes by the log parameters in ``names``, (n, len(names))."""
    terms = _terms(theta, work)
    log = _columns(theta)
    kept = terms.joint / terms.seconds  # what the mode adds does not depend on a parameter
    by_host, by_body = kept * terms.host_share, kept * (1.0 - terms.host_share)
    per_host = by_host / np.maximum(terms.host, _TINY)
    by_compute = by_body * terms.compute_share
    by_memory = by_body - by_compute
    slopes = {
        "call_s": per_host * np.exp(log["call_s"]),
        "launch_s": per_host * work.launches * np.exp(log["launch_s"]),
        "dispatch_s": per_host * work.launches * work.forks * np.exp(log["dispatch_s"]),
        "overlap_q": by_host * _log_ratio(terms.host, terms.joint)
        + by_body * _log_ratio(terms.body, terms.joint),
        "exponent_p": by_compute * _log_ratio(terms.compute, terms.body)
        + by_memory * _log_ratio(terms.memory, terms.body),
        "awkward_factor": by_compute * work.awkward + by_memory * work.awkward_memory,
    }
    for by_part, part in (
        (by_compute, terms.compute_slopes),
        (by_memory, terms.memory_slopes),
    ):
        for name, slope in part.items():
            slopes[name] = slopes.get(name, 0.0) + by_part * slope
    return np.log(terms.seconds), np.stack([slopes[name] for name in names], axis=1)


def _log_ratio(part: Array, whole: Array) -> Array:
    """log(part / whole), 0 where the part is absent (its weight is 0 there too)."""
    present = (part > _TINY) & (whole > _TINY)
    return np.log(np.where(present, part, 1.0)) - np.log(np.where(present, whole, 1.0))
