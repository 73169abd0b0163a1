"""What the fit assumes of a parameter before it sees the rows of a group.

A group's fit starts from a centre and may leave it at a price (see ``solver``). At the first
level the centre comes from the machine's own measurements (its fastest launch, its highest
rates) or, where those say nothing, from the construction of processors in general; at the
next levels it is the parent group's fit. The spreads are choices of the model, in units of
natural logarithms: 0.7 means that a factor of two either way is no surprise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import numpy as np
import pandas as pd

from estimator.kernel_model import KERNEL_PARAMETERS, Array
from estimator.transfer_model import TRANSFER_PARAMETERS

LEVELS = ("place", "family", "dtype", "case", "mode")
BUS_LEVELS = ("place", "family", "case")

#: Spread expected between formula and measurement, in log units, added to the row's own noise.
MODEL_SIGMA = 0.03

#: The fastest matrix product, a plain Python loop, and what takes its elements one by one run at
#: the limit of arithmetic. In other families memory is the likelier limit, so the best rate seen
#: tells little of arithmetic's.
_COMPUTING = ("matmul", "sort", "gather", "scatter_add", "spmm", "random")
_LOOPING = ("python", "numba")  # libraries that run a loop as it is written, point by point
_COMPUTE_ROOM = 1.2  # times the best rate of the family
_OTHER_SHARE = 0.25  # of the best rate of any family on the place in that precision

_FIXED = 1e-3  # a spread that holds a parameter where it is


@dataclass(frozen=True)
class Prior:
    """Centre at the first level and spread at each level of one log parameter."""

    centre: float
    spreads: tuple[float, ...]
    low: float = -inf
    high: float = inf


#: glibc maps blocks of more than 32 MiB anew for each use (malloc, DEFAULT_MMAP_THRESHOLD_MAX;
#: smaller ones too until it has seen one freed), so that their pages must be faulted in.
_MAPPED_BYTES = 32 * 2**20

#: Rates are relative to the best rate seen, launch costs to the smallest (see ``levels``);
#: sizes and the cost of a fork are absolute.
KERNEL_PRIORS: dict[str, Prior] = {
    # only the chain of the launch family tells a cost per call from one per kernel
    "call_s": Prior(log(1e-6), (_FIXED,) * 5),
    "launch_s": Prior(log(1.0), (1.0, 1.0, 0.3, 0.5, 0.3), high=log(1e3)),
    "fork_s": Prior(log(5e-6), (1.5, 1.0, 0.3, 0.3, 0.1), high=log(1e-2)),
    "compute_flop_per_s": Prior(log(_COMPUTE_ROOM), (1.0, 1.0, 0.6, 0.7, 0.1)),
    # GPU products without a data sheet: 132 multiprocessors with a tile of 128 x 128 each
    "width_half": Prior(log(132 * 128**2), (1.5, 1.5, 0.7, 0.5, 0.1)),
    "tile_half": Prior(log(32.0), (1.0, 1.0, 0.7, 0.3, 0.1), high=log(1e3)),
    "depth_half": Prior(log(32.0), (1.5, 1.5, 0.7, 0.5, 0.2)),
    "memory_bytes_per_s": Prior(log(0.3), (1.0, 0.3, 0.2, 0.4, 0.15)),
    "cache_gain": Prior(log(2.0), (0.7, 0.4, 0.2, 0.4, 0.7), low=0.0, high=log(50.0)),
    "cache_bytes": Prior(log(5e7), (0.7, 0.15, 0.1, 0.15, 0.05), low=log(1e5), high=log(2e9)),
    "inner_cache_gain": Prior(log(3.0), (0.7, 0.3, 0.2, 0.4, 0.2), low=0.0, high=log(50.0)),
    "inner_cache_bytes": Prior(log(1e6), (0.7, 0.15, 0.1, 0.15, 0.05), low=log(1e4), high=log(1e9)),
    "cache_steepness": Prior(log(8.0), (0.4, 0.2, 0.1, 0.2, 0.1), low=0.0, high=log(40.0)),
    "fault_bytes_per_s": Prior(log(4e9), (0.7, 0.5, 0.3, 0.4, 0.1)),
    "fault_block_bytes": Prior(log(_MAPPED_BYTES), (0.7, 0.5, 0.2, 0.3, 0.1)),
    "exponent_p": Prior(log(2.0), (0.5, 0.5, 0.2, 0.2, 0.1), low=0.0, high=log(8.0)),
    "awkward_factor": Prior(log(2.0), (0.7, 0.7, 0.8, 0.4, 0.1), low=log(0.5), high=log(50.0)),
}
TRANSFER_PRIORS: dict[str, Prior] = {
    "transfer_call_s": Prior(log(2e-5), (1.5, 0.5, 0.3)),
    "h2d_bytes_per_s": Prior(log(1.0), (1.0, 0.2, 0.15)),
    "d2h_bytes_per_s": Prior(log(1.0), (1.0, 0.3, 0.2)),
    "h2d_slow_factor": Prior(log(1.5), (0.7, 0.2, 0.2), low=0.0, high=log(50.0)),
    "h2d_slow_bytes": Prior(log(2e8), (0.7, 0.2, 0.1), low=log(1e6), high=log(1e10)),
    "d2h_slow_factor": Prior(log(1.5), (1.0, 0.3, 0.3), low=0.0, high=log(50.0)),
    "d2h_slow_bytes": Prior(log(_MAPPED_BYTES), (0.05, 0.02, 0.02), low=log(1e6), high=log(1e10)),
}

#: Family level of copies over a bus, centre and spread: copies are relative to their own
#: best rate, and only those of more than the host's caches hold are slower.
_COPIES = {
    "memory_bytes_per_s": (log(1.0), 0.3),
    "cache_gain": (log(1.1), 0.3),
    "cache_bytes": (log(1e8), 0.7),
}
_CPU_WIDTH = 1e3  # root of m n k from which one more thread pays
_CORE_CACHE_BYTES = 1e6  # L2 of one core: 1 MB (Zen 4) to 2 MB (Sapphire Rapids)
_SHARED_CACHE_BYTES = 3e7  # where the machine does not tell its last-level cache
_STREAMED_SHARE, _SHEET_SPREAD = 0.9, 0.15  # of a data sheet's memory rate, by large copies
_KEPT_SHARE = 0.7  # of a GPU's L2 before a stream starts to push out what it will need again
_CALL_SPREADS = {"family": 1.5, "dtype": 0.5, "case": 0.5, "mode": 0.3}


@dataclass(frozen=True)
class PriorRows:
    """Centres, spreads and bounds of a batch of groups, each (g, p)."""

    centre: Array
    spread: Array
    low: Array
    high: Array


def first_level(groups: pd.DataFrame) -> PriorRows:
    """Priors of the kernel formula for places (machine, device, threads).

    ``groups`` has one row per place with ``device``, ``threads``, ``byte_rate`` (what memory
    rates are relative to) and, NaN where unknown, ``last_level_cache_bytes`` of a CPU and
    ``sheet_memory_bytes_per_s`` and ``sheet_cache_bytes`` of a GPU.
    """
    rows = _rows(KERNEL_PRIORS, KERNEL_PARAMETERS, len(groups), 0)
    cpu = (groups["device"] == "cpu").to_numpy()
    threads = groups["threads"].to_numpy(dtype=float)
    shared = groups["last_level_cache_bytes"].astype(float).fillna(_SHARED_CACHE_BYTES)
    _set(rows.centre, "width_half", cpu, np.full(len(groups), log(_CPU_WIDTH)))
    _set(rows.centre, "cache_bytes", cpu, np.log(shared.to_numpy()))
    _set(rows.centre, "inner_cache_bytes", cpu, np.log(_CORE_CACHE_BYTES * threads))
    peak = groups["sheet_memory_bytes_per_s"].astype(float) / groups["byte_rate"].astype(float)
    known = ~cpu & (peak > 0.0).to_numpy()
    _set(rows.centre, "memory_bytes_per_s", known, np.log(_STREAMED_SHARE * peak.to_numpy()))
    _set(rows.spread, "memory_bytes_per_s", known, np.full(len(groups), _SHEET_SPREAD))
    sheet_cache = groups["sheet_cache_bytes"].astype(float).to_numpy()
    kept = np.log(_KEPT_SHARE * sheet_cache)
    _set(rows.centre, "cache_bytes", known & (sheet_cache > 0.0), kept)
    # on a GPU one level of cache lies between memory and the multiprocessors' own
    _set(rows.centre, "inner_cache_gain", ~cpu, np.full(len(groups), 0.0))
    _set(rows.spread, "inner_cache_gain", ~cpu, np.full(len(groups), _FIXED))
    return rows


def next_level(groups: pd.DataFrame, parent_theta: Array, level: str) -> PriorRows:
    """Priors of a level below: the parent's fit as centre. ``level`` is one of ``LEVELS``.

    ``groups`` has one row per group with ``device``, ``backend``, ``workload``, ``family``,
    and FLOP/s: ``flop_rate`` that rates are relative to, ``place_flop_rate`` the best of any.
    """
    rows = _rows(KERNEL_PRIORS, KERNEL_PARAMETERS, len(groups), LEVELS.index(level))
    centre = parent_theta.copy()
    if level == "family":
        loops = (groups["workload"] == "python_loop") & groups["backend"].isin(_LOOPING)
        compute = (loops | groups["workload"].isin(_COMPUTING)).to_numpy()
        beyond = groups["place_flop_rate"].to_numpy() / groups["flop_rate"].to_numpy()
        room = np.where(compute, _COMPUTE_ROOM, np.maximum(_COMPUTE_ROOM, _OTHER_SHARE * beyond))
        _set(centre, "compute_flop_per_s", np.ones(len(groups), dtype=bool), np.log(room))
        _set(centre, "call_s", (groups["workload"] == "launch").to_numpy(), np.zeros(len(groups)))
        copies = (groups["family"] == "bus").to_numpy()
        for name, (middle, spread) in _COPIES.items():
            _set(centre, name, copies, np.full(len(groups), middle))
            _set(rows.spread, name, copies, np.full(len(groups), spread))
    cuda = (groups["device"] == "cuda").to_numpy()
    _set(rows.spread, "inner_cache_gain", cuda, np.full(len(groups), _FIXED))
    chains = (groups["workload"] == "launch").to_numpy()
    _set(rows.spread, "call_s", chains, np.full(len(groups), _CALL_SPREADS[level]))
    return PriorRows(np.clip(centre, rows.low, rows.high), rows.spread, rows.low, rows.high)


def transfer_level(count: int, level: str, parent_theta: Array | None = None) -> PriorRows:
    """Priors of the transfer formula; the first level's centres are the general ones."""
    rows = _rows(TRANSFER_PRIORS, TRANSFER_PARAMETERS, count, BUS_LEVELS.index(level))
    centre = rows.centre if parent_theta is None else parent_theta.copy()
    return PriorRows(centre, rows.spread, rows.low, rows.high)


def _set(
    values: Array, name: str, rows: np.ndarray[tuple[int], np.dtype[np.bool_]], to: Array
) -> None:
    values[rows, KERNEL_PARAMETERS.index(name)] = to[rows]


def _rows(priors: dict[str, Prior], names: tuple[str, ...], count: int, level: int) -> PriorRows:
    def tiled(values: list[float]) -> Array:
        return np.tile(np.array(values, dtype=float), (count, 1))

    chosen = [priors[name] for name in names]
    return PriorRows(
        tiled([prior.centre for prior in chosen]),
        tiled([prior.spreads[level] for prior in chosen]),
        tiled([prior.low for prior in chosen]),
        tiled([prior.high for prior in chosen]),
    )
