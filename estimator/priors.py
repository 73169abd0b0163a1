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
from typing import Any

import numpy as np
import pandas as pd

from estimator.kernel_model import KERNEL_PARAMETERS, Array
from estimator.transfer_model import TRANSFER_PARAMETERS

Names = np.ndarray[tuple[int], np.dtype[np.object_]]

LEVELS = ("place", "family", "dtype", "case", "group")
BUS_LEVELS = ("place", "family", "case")

#: Spread expected between formula and measurement, in log units, added to the row's own noise.
MODEL_SIGMA = 0.03

#: Families at the limit of arithmetic (products), and those that take elements one by one. In
#: all others memory is the likelier limit, so the best rate seen tells little of arithmetic's.
_PRODUCTS = (
    *("matmul", "conv2d", "dense_layer", "attention"),
    *("training_step", "inference_step"),
)
_STEPPING = ("sort", "gather", "scatter_add", "spmm", "random", "depthwise")
_LOOPING = ("python", "numba")  # libraries that run a loop as it is written, point by point
_COMPUTE_ROOM = 1.2  # times the best rate of the family
_SHEET_SHARE = 0.75  # of the data sheet's peak, by products of GPUs
#: Times a data sheet's rate that a fitted one may reach: sheets round by up to 4 %
#: (``hardware_checks``). Estimates are held to the sheet itself (``bounds``).
_SHEET_MARGIN = 1.02
_SHEET_ROOM = 1.05  # times the best rate where the peak is known
_PRODUCT_SHARE = 0.6  # of the best rate of any family on the place in that precision, at least
_OTHER_SHARE = 0.25  # the same, of families that do not multiply
_STEP_ROOM = 1.5  # times the best rate, where memory may well have been the limit

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
#: sizes and the cost of a dispatch are absolute.
KERNEL_PRIORS: dict[str, Prior] = {
    # only the chain of the launch family tells a cost per call from one per kernel
    "call_s": Prior(log(1e-6), (_FIXED,) * 5),
    "launch_s": Prior(log(1.0), (0.5, 0.6, 0.1, 0.4, 0.25), high=log(1e3)),
    "dispatch_s": Prior(log(5e-6), (1.0, 0.5, 0.1, 0.2, 0.1), high=log(1e-2)),
    "overlap_q": Prior(log(1.5), (0.3, 0.2, 0.1, 0.2, 0.1), low=0.0, high=log(8.0)),
    "compute_flop_per_s": Prior(0.0, (0.5, 0.4, 0.3, 0.4, 0.1)),
    "algorithm_factor": Prior(0.0, (0.5, 0.4, 0.3, 0.2, 0.05), low=log(0.1), high=log(50.0)),
    # GPU products without a data sheet: 132 multiprocessors with a tile of 128 x 128 each
    "width_half": Prior(log(132 * 128**2), (1.0, 0.7, 0.3, 0.3, 0.1)),
    "tile_half": Prior(log(32.0), (0.7, 0.5, 0.4, 0.15, 0.05), high=log(1e3)),
    "area_half": Prior(log(2048.0), (0.7, 0.5, 0.6, 0.2, 0.05), high=log(1e6)),
    "depth_half": Prior(log(32.0), (0.7, 0.6, 0.8, 0.3, 0.1)),
    "memory_bytes_per_s": Prior(log(0.5), (0.5, 0.2, 0.1, 0.25, 0.1)),
    "cache_gain": Prior(log(2.0), (0.5, 0.2, 0.1, 0.2, 0.1), low=0.0, high=log(50.0)),
    "cache_bytes": Prior(log(5e7), (0.5, 0.1, 0.05, 0.1, 0.03), low=log(1e5), high=log(2e9)),
    "inner_cache_gain": Prior(log(3.0), (0.5, 0.2, 0.1, 0.2, 0.1), low=0.0, high=log(50.0)),
    "inner_cache_bytes": Prior(log(1e6), (0.5, 0.1, 0.05, 0.1, 0.03), low=log(1e4), high=log(1e9)),
    "cache_steepness": Prior(log(8.0), (0.4, 0.1, 0.05, 0.1, 0.05), low=0.0, high=log(40.0)),
    "fault_bytes_per_s": Prior(log(4e9), (0.5, 0.3, 0.1, 0.2, 0.1)),
    "fault_block_bytes": Prior(log(_MAPPED_BYTES), (0.3, 0.1, 0.05, 0.1, 0.02)),
    "exponent_p": Prior(log(2.0), (0.3, 0.15, 0.05, 0.1, 0.02), low=0.0, high=log(8.0)),
    "awkward_factor": Prior(log(2.0), (0.7, 0.5, 0.6, 0.3, 0.05), low=log(0.5), high=log(50.0)),
}

#: Spreads below the first level of families whose time memory seldom limits: what streams
#: through memory on the place tells of it. Families that do not go through memory in order
#: have a rate of their own.
#: Efficiencies of plain products over a data sheet's peak differ little.
_SHEET_SPREADS: tuple[float, ...] = (0.12, 0.08, 0.1, 0.05)
_PLAIN = ("matmul", "dense_layer")
_SCATTERED = ("gather", "scatter_add", "spmm", "fft")
_SCATTERED_SPREAD = 0.5
_PRODUCT_SPREADS: dict[str, tuple[float, ...]] = {
    "memory_bytes_per_s": (0.15, 0.1, 0.15, 0.05),
    "cache_gain": (0.1, 0.05, 0.1, 0.05),
    "cache_bytes": (0.05, 0.03, 0.05, 0.02),
    "inner_cache_gain": (0.1, 0.05, 0.1, 0.05),
    "inner_cache_bytes": (0.05, 0.03, 0.05, 0.02),
}

_MEMORY = ("memory_bytes_per_s", "cache_gain", "cache_bytes")
_FACTORS = ("algorithm_factor", "awkward_factor", "exponent_p")
_INNER = ("inner_cache_gain", "inner_cache_bytes", "cache_steepness")
_FAULTS = ("fault_bytes_per_s", "fault_block_bytes")
_WORKING = ("launch_s", "compute_flop_per_s", "width_half", *_MEMORY, *_FACTORS)

#: What the rows of each block of groups tell of; all else keeps its prior (``blocks``).
BLOCKS: dict[str, tuple[str, ...]] = {
    "host": ("call_s", "launch_s", "dispatch_s"),
    "cpu": (*_WORKING, "dispatch_s", "depth_half", *_INNER, *_FAULTS),
    "gpu": (*_WORKING, "dispatch_s", "overlap_q", "cache_steepness"),
    "gpu product": (*_WORKING, "dispatch_s", "overlap_q", "tile_half", "area_half", "depth_half"),
}
TRANSFER_PRIORS: dict[str, Prior] = {
    "transfer_call_s": Prior(log(2e-5), (1.5, 0.5, 0.3)),
    "h2d_bytes_per_s": Prior(log(1.0), (1.0, 0.2, 0.15)),
    "d2h_bytes_per_s": Prior(log(1.0), (1.0, 0.3, 0.2)),
    "h2d_slow_factor": Prior(log(1.5), (0.7, 0.2, 0.2), low=0.0, high=log(50.0)),
    "h2d_slow_bytes": Prior(log(2e8), (0.7, 0.2, 0.1), low=log(1e6), high=log(1e10)),
    "d2h_slow_factor": Prior(log(1.5), (1.0, 0.3, 0.3), low=0.0, high=log(50.0)),
    # a constant of the allocator: one outlier near it must not move the step
    "d2h_slow_bytes": Prior(
        log(_MAPPED_BYTES),
        (0.02, 0.01, 0.01),
        low=log(0.95 * _MAPPED_BYTES),
        high=log(1.05 * _MAPPED_BYTES),
    ),
}

#: Family level of copies over a bus, centre and spread: copies are relative to their own
#: best rate, and only those of more than the host's caches hold are slower.
_COPIES = {
    "memory_bytes_per_s": (log(1.0), 0.3),
    "cache_gain": (log(1.1), 0.3),
    "cache_bytes": (log(1e8), 0.7),
}
#: Rows that keep a GPU busy: two blocks for each of 132 multiprocessors.
_ROWS_OF_A_FULL_GPU = 264.0
#: cuFFT streams slower than copies do, and hardly faster from a cache (a choice, from an H200).
_TRANSFORM_SHARE, _TRANSFORM_GAIN = 0.65, 1.2
_CPU_WIDTH = 600.0  # root of m n k from which a thread more pays
_CPU_DEPTH = 8.0  # mean thickness of which packing the operands takes as long as the product
_CORE_CACHE_BYTES = 1e6  # L2 of one core: 1 MB (Zen 4) to 2 MB (Sapphire Rapids)
_SHARED_CACHE_BYTES = 3e7  # where the machine does not tell its last-level cache
_STREAMED_SHARE, _SHEET_SPREAD = 0.9, 0.15  # of a data sheet's memory rate, by large copies
_KEPT_SHARE = 0.7  # of a GPU's L2 before a stream starts to push out what it will need again
_CALL_SPREADS = {"family": 1.5, "dtype": 0.5, "case": 0.5, "group": 0.3}
#: Of what a dispatch costs on a GPU's host: an operation of a library may be one call or many.
_DISPATCH_SPREADS = {"family": 1.0, "dtype": 0.2, "case": 0.6, "group": 0.4}


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
    _set(rows.centre, "width_half", cpu, np.log(_CPU_WIDTH * threads))
    _set(rows.centre, "cache_bytes", cpu, np.log(shared.to_numpy()))
    _set(rows.centre, "inner_cache_bytes", cpu, np.log(_CORE_CACHE_BYTES * threads))
    _set(rows.centre, "overlap_q", cpu, np.zeros(len(groups)))
    _set(rows.centre, "depth_half", cpu, np.full(len(groups), log(_CPU_DEPTH)))
    peak = groups["sheet_memory_bytes_per_s"].astype(float) / groups["byte_rate"].astype(float)
    known = ~cpu & (peak > 0.0).to_numpy()
    _set(rows.centre, "memory_bytes_per_s", known, np.log(_STREAMED_SHARE * peak.to_numpy()))
    _set(rows.spread, "memory_bytes_per_s", known, np.full(len(groups), _SHEET_SPREAD))
    sheet_cache = groups["sheet_cache_bytes"].astype(float).to_numpy()
    kept = np.log(_KEPT_SHARE * sheet_cache)
    _set(rows.centre, "cache_bytes", known & (sheet_cache > 0.0), kept)
    # on a GPU one level of cache lies between memory and the multiprocessors' own
    _set(rows.centre, "inner_cache_gain", ~cpu, np.zeros(len(groups)))
    return _within_sheet(rows, groups, LEVELS[0])


def next_level(groups: pd.DataFrame, parent_theta: Array, level: str) -> PriorRows:
    """Priors of a level below: the parent's fit as centre. ``level`` is one of ``LEVELS``.

    ``groups`` has one row per group with ``device``, ``backend``, ``workload``, ``family``
    and ``best_share``: the best rate of the family in units of what rates are relative to.
    """
    rows = _rows(KERNEL_PRIORS, KERNEL_PARAMETERS, len(groups), LEVELS.index(level))
    centre = parent_theta.copy()
    if level == "family":
        for name in _FACTORS:  # what streams tells nothing of how others overlap
            general = np.full(len(groups), KERNEL_PRIORS[name].centre)
            _set(centre, name, np.ones(len(groups), dtype=bool), general)
        alone = takes_steps(groups).to_numpy()
        products = groups["family"].isin(_PRODUCTS).to_numpy()
        best = groups["best_share"].to_numpy(dtype=float)
        sheet = has_sheet(groups).to_numpy()
        share = np.where(products, _PRODUCT_SHARE, _OTHER_SHARE)
        share = np.where(sheet, _SHEET_SHARE, share)
        beyond = np.where(sheet, _SHEET_ROOM, np.where(alone, _STEP_ROOM, _COMPUTE_ROOM))
        room = np.maximum(beyond * best, np.where(alone, 0.0, share))
        _set(centre, "compute_flop_per_s", room > 0.0, np.log(np.maximum(room, 1e-30)))
        _set(centre, "call_s", (groups["workload"] == "launch").to_numpy(), np.zeros(len(groups)))
        scattered = groups["family"].isin(_SCATTERED).to_numpy()
        wide = np.full(len(groups), _SCATTERED_SPREAD)
        _set(rows.spread, "memory_bytes_per_s", scattered, wide)
        by_rows = ((groups["family"] == "reduction") & (groups["device"] == "cuda")).to_numpy()
        _set(centre, "width_half", by_rows, np.full(len(groups), log(_ROWS_OF_A_FULL_GPU)))
        transforms = ((groups["family"] == "fft") & (groups["device"] == "cuda")).to_numpy()
        slower = centre[:, KERNEL_PARAMETERS.index("memory_bytes_per_s")] + log(_TRANSFORM_SHARE)
        _set(centre, "memory_bytes_per_s", transforms, slower)
        _set(centre, "cache_gain", transforms, np.full(len(groups), log(_TRANSFORM_GAIN)))
        copies = (groups["family"] == "bus").to_numpy()
        for name, (middle, spread) in _COPIES.items():
            _set(centre, name, copies, np.full(len(groups), middle))
            _set(rows.spread, name, copies, np.full(len(groups), spread))
    products = groups["family"].isin(_PRODUCTS).to_numpy()
    for name, spreads in _PRODUCT_SPREADS.items():
        _set(rows.spread, name, products, np.full(len(groups), spreads[LEVELS.index(level) - 1]))
    plain = (has_sheet(groups) & groups["family"].isin(_PLAIN)).to_numpy()
    sheet_spread = _SHEET_SPREADS[LEVELS.index(level) - 1]
    _set(rows.spread, "compute_flop_per_s", plain, np.full(len(groups), sheet_spread))
    on_gpu = (groups["device"] == "cuda").to_numpy()
    _set(rows.spread, "dispatch_s", on_gpu, np.full(len(groups), _DISPATCH_SPREADS[level]))
    chains = (groups["workload"] == "launch").to_numpy()
    _set(rows.spread, "call_s", chains, np.full(len(groups), _CALL_SPREADS[level]))
    rows = _within_sheet(rows, groups, level)
    return PriorRows(np.clip(centre, rows.low, rows.high), rows.spread, rows.low, rows.high)


def _within_sheet(rows: PriorRows, groups: pd.DataFrame, level: str) -> PriorRows:
    """With fitted rates of GPUs bounded by their data sheets.

    Memory's, but for copies over the bus, which are no memory's; and from the level of element
    types on arithmetic's, where the work is counted in FLOP.
    """
    sheet, unit = (groups[name].astype(float) for name in ("sheet_memory_bytes_per_s", "byte_rate"))
    of_memory = (groups["device"] == "cuda") & (sheet > 0.0)
    if level != LEVELS[0]:
        of_memory &= groups["family"] != "bus"
    _set(
        rows.high, "memory_bytes_per_s", of_memory.to_numpy(), np.log(_SHEET_MARGIN * sheet / unit)
    )
    if level in LEVELS[:2] or "sheet_flop_per_s" not in groups:
        return rows
    peak, unit = (groups[name].astype(float) for name in ("sheet_flop_per_s", "flop_rate"))
    of_arithmetic = (groups["device"] == "cuda") & (peak > 0.0) & ~takes_steps(groups)
    _set(
        rows.high,
        "compute_flop_per_s",
        of_arithmetic.to_numpy(),
        np.log(_SHEET_MARGIN * peak / unit),
    )
    return rows


def blocks(groups: pd.DataFrame) -> Names:
    """The block of each group, (g,), by ``device``, ``family`` and ``product_batch``."""
    names = np.where(groups["product_batch"] > 0.0, "gpu product", "gpu").astype(object)
    names[(groups["device"] == "cpu").to_numpy()] = "cpu"
    names[(groups["family"] == "launch").to_numpy()] = "host"
    return names


def has_sheet(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows' rates are relative to the peak of a GPU's data sheet."""
    known = table.get("sheet_flop_per_s", pd.Series(np.nan, table.index)).astype(float) > 0.0
    return known & (table["device"] == "cuda") & table["family"].isin(_PRODUCTS)


def takes_steps(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows' FLOP are steps of their own kind: no rate of products tells theirs."""
    loops = (table["workload"] == "python_loop") & table["backend"].isin(_LOOPING)
    return loops | table["family"].isin(_STEPPING)


def transfer_level(count: int, level: str, parent_theta: Array | None = None) -> PriorRows:
    """Priors of the transfer formula; the first level's centres are the general ones."""
    rows = _rows(TRANSFER_PRIORS, TRANSFER_PARAMETERS, count, BUS_LEVELS.index(level))
    centre = rows.centre if parent_theta is None else parent_theta.copy()
    return PriorRows(centre, rows.spread, rows.low, rows.high)


def _set(
    values: Array, name: str, rows: np.ndarray[tuple[int], np.dtype[np.bool_]], to: Any
) -> None:
    values[rows, KERNEL_PARAMETERS.index(name)] = np.asarray(to, dtype=float)[rows]


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
