"""What the fit assumes of a parameter before it sees the rows of a group, and relative to what.

A group's fit starts from a centre and may leave it at a price (see ``solver``). At the first
level the centre comes from the machine's own measurements (its fastest launch, its highest
rates) or, where those say nothing, from the construction of processors in general; at the
next levels it is the parent group's fit. The spreads are choices of the model, in units of
natural logarithms: 0.7 means that a factor of two either way is no surprise. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, log
from typing import Any

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from collector.workloads import FAMILIES, Limit, limited_by
from estimator.arrays import Array, Names
from estimator.cells.features import kernel_work
from estimator.cells.questions import HOST_MODES
from estimator.cells.work import KernelWork
from estimator.formula.copies import TRANSFER_PARAMETERS
from estimator.formula.kernel import KERNEL_PARAMETERS

LEVELS = ("place", "family", "dtype", "case", "group")
BUS_LEVELS = ("place", "family", "case")

#: Spread expected between formula and measurement, in log units, added to the row's own noise.
MODEL_SIGMA = 0.03

#: Families at the limit of arithmetic (products), and those that take elements one by one. In
#: all others memory is the likelier limit, so the best rate seen tells little of arithmetic's.
_PRODUCTS = limited_by(Limit.PRODUCTS)
_STEPPING = limited_by(Limit.STEPPING)
_LOOPING = ("python", "numba")  # libraries that run a loop as it is written, point by point
_LOOPS = limited_by(Limit.LOOPING)
_CALLS = limited_by(Limit.CALLS)
_COMPUTE_ROOM = 1.2  # times the best rate of the family
_SHEET_SHARE = 0.75  # of the data sheet's peak, by products of GPUs
#: Times a data sheet's rate that a fitted one may reach: sheets round by up to 4 %
#: (``hardware_specs``). Estimates are held to the sheet itself (``bounds``).
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
_PLAIN = limited_by(Limit.PLAIN_PRODUCTS)
_SCATTERED = limited_by(Limit.SCATTERED)
_ROWS = limited_by(Limit.ROWS)
_TRANSFORMS = limited_by(Limit.TRANSFORMS)
_BUS = limited_by(Limit.BUS)
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
        _set(centre, "call_s", groups["workload"].isin(_CALLS).to_numpy(), np.zeros(len(groups)))
        scattered = groups["family"].isin(_SCATTERED).to_numpy()
        wide = np.full(len(groups), _SCATTERED_SPREAD)
        _set(rows.spread, "memory_bytes_per_s", scattered, wide)
        by_rows = (groups["family"].isin(_ROWS) & (groups["device"] == "cuda")).to_numpy()
        _set(centre, "width_half", by_rows, np.full(len(groups), log(_ROWS_OF_A_FULL_GPU)))
        transforms = (groups["family"].isin(_TRANSFORMS) & (groups["device"] == "cuda")).to_numpy()
        slower = centre[:, KERNEL_PARAMETERS.index("memory_bytes_per_s")] + log(_TRANSFORM_SHARE)
        _set(centre, "memory_bytes_per_s", transforms, slower)
        _set(centre, "cache_gain", transforms, np.full(len(groups), log(_TRANSFORM_GAIN)))
        copies = groups["family"].isin(_BUS).to_numpy()
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
    chains = groups["workload"].isin(_CALLS).to_numpy()
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
        of_memory &= ~groups["family"].isin(_BUS)
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
    names[groups["family"].isin(_CALLS).to_numpy()] = "host"
    return names


def has_sheet(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows' rates are relative to the peak of a GPU's data sheet."""
    known = table.get("sheet_flop_per_s", pd.Series(np.nan, table.index)).astype(float) > 0.0
    return known & (table["device"] == "cuda") & table["family"].isin(_PRODUCTS)


def takes_steps(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows' FLOP are steps of their own kind: no rate of products tells theirs."""
    loops = table["workload"].isin(_LOOPS) & table["backend"].isin(_LOOPING)
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


PLACE = ("replica", "machine_id", "device", "threads")
LIBRARY = (*PLACE, "backend")
MODE = (*LIBRARY, "answer_mode")
FAMILY = (*PLACE, "backend", "family")
DTYPE = (*FAMILY, "dtype", "math_mode")
CASE = (*DTYPE, "operation")
GROUP = (*CASE, "answer_mode")
BUS = ("replica", "machine_id", "backend", "threads")
BUS_FAMILY = (*BUS, "workload")
BUS_CASE = (*BUS_FAMILY, "dtype", "math_mode", "operation")

TYPE = ("replica", "kind", "device", "threads")
TYPE_FAMILY = (*TYPE, "library", "family")
TYPE_DTYPE = (*TYPE_FAMILY, "dtype", "math_mode")
TYPE_CASE = (*TYPE_DTYPE, "operation")
STEPS = (TYPE, TYPE_FAMILY, TYPE_DTYPE, TYPE_CASE, GROUP)

#: Families that only stream through memory, from which a place's caches are known.
STREAMING = limited_by(Limit.STREAMING)

#: Cases of those families with much arithmetic, which read intermediate results from a cache.
REREADING = frozenset().union(*(family.rereading for family in FAMILIES.values()))

#: Element types whose arithmetic, outside of matrix units, is that of another.
_PRECISIONS = {"complex64": "float32", "complex128": "float64"}
_MATRIX_UNITS = {"bfloat16": "float16", "int8": "float16"}  # on a GPU

_HOT = "hot"  # the mode to which others add
#: Operations that tell what a mode adds: one kernel, so short that its own time hides little of it.
_SHORT_S = 5e-5
_FEWEST_PAIRS = 3
#: Share of what the quickest operations take longer by the host's clock that is the wait for the
#: device; the rest is their dispatch, which each operation has of its own. A choice.
_WAIT_SHARE, _QUICKEST = 0.5, 0.1

_SISTERS_ROOM = 1.5  # times the smallest launch on any machine of the type
_LEAST_NET = 0.5  # of a time is work, where its rate is told without its starts


def with_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Add the type of the machine: itself where it is not known."""
    bad = ~np.isfinite(table[["log_seconds", "sigma"]].to_numpy(dtype=float)).all(axis=1)
    if bad.any():
        row = table.iloc[int(np.flatnonzero(bad)[0])]
        raise EstimateError(
            f"{row['workload']} {row['case']} on {row['machine_id']}: the measured time is not a "
            f"number ({int(bad.sum())} rows); leave those rows out"
        )
    machine = table["machine_id"].astype(str)
    kind = table.get("machine_type_id", machine)
    return table.assign(kind=kind.where(kind.notna(), machine).astype(str))


def with_references(table: pd.DataFrame) -> pd.DataFrame:
    """Add the rates and the launch cost that the fit is relative to.

    Copies over a bus have nothing to do with the rate of a device's memory: each is relative
    to its own best.
    """
    is_copy = table["family"] == "bus"
    seconds = np.exp(table["log_seconds"])
    scaled = table.assign(_launch=seconds / table["launches"])
    # a start that is no kernel (a view) says nothing of what a kernel's costs
    plain = scaled["_launch"].where(scaled["starts"] == 0.0)
    by_device = ~scaled["answer_mode"].isin(HOST_MODES)
    # on a CPU emptied caches are no cost of the call: what is cold says nothing of the rest
    own_mode = scaled["answer_mode"].where(scaled["device"] == "cpu", "")
    library = [*(scaled[name] for name in LIBRARY), own_mode]
    floor = plain.where(by_device).groupby(library).transform("min")
    floor = floor.fillna(plain.groupby(library).transform("min"))
    floor = floor.fillna(scaled["_launch"].groupby(library).transform("min"))
    # a machine of few rows may have measured nothing that is short
    sisters = [*(scaled[name] for name in (*TYPE, "backend")), own_mode]
    floor = floor.clip(upper=_SISTERS_ROOM * floor.groupby(sisters).transform("min"))
    added = _added_by_mode(scaled.assign(_seconds=seconds))
    # what is left of a time without its starts, where they do not take most of it
    starts = table["launches"] * floor + added
    net = seconds - starts.where(starts < _LEAST_NET * seconds, 0.0)
    scaled["_flop_rate"], scaled["_byte_rate"] = table["flop"] / net, table["bytes"] / net
    place = [scaled[name] for name in TYPE]
    streamed = scaled["_byte_rate"].where(is_streaming(table)).groupby(place).transform("max")
    byte_rate = streamed.fillna(
        scaled["_byte_rate"].where(~is_copy).groupby(place).transform("max")
    )
    own = scaled.groupby(list(TYPE_CASE))["_byte_rate"].transform("max")
    byte_rate = own.where(is_copy | byte_rate.isna(), byte_rate).clip(lower=1.0)
    flop_rate, share = _compute_references(scaled)
    return table.assign(
        launch_floor_s=floor,
        added_s=added,
        flop_rate=flop_rate,
        byte_rate=byte_rate,
        best_share=share,
    )


def _added_by_mode(scaled: pd.DataFrame) -> pd.Series[float]:
    """Seconds that each row's mode adds to a call on a GPU; 0 for the plainest mode of a library.

    From short operations of one kernel that a machine measured in both modes (``_more_than_hot``):
    with the caches emptied the median of what they take longer, by the host's clock the wait alone
    (``_WAIT_SHARE``). Told by the type of machine and library, else by the type, else by all.
    """
    added = pd.Series(0.0, scaled.index)
    gpu = scaled[scaled["device"] == "cuda"]
    if gpu.empty:
        return added
    more = _more_than_hot(gpu)
    library = [*TYPE, "backend"]
    able = set(gpu.loc[gpu["answer_mode"] == _HOT, library].itertuples(index=False, name=None))
    for key, group in gpu.groupby([*library, "answer_mode"]):
        mode = key[-1]
        if mode == _HOT or key[:-1] not in able:
            continue
        same = more[(more["replica"] == key[0]) & (more["answer_mode"] == mode)]
        of_type = same[same["kind"] == key[1]]
        own = of_type[of_type["backend"] == key[-2]]
        told = next((of for of in (own, of_type) if len(of) >= _FEWEST_PAIRS), same)["more_s"]
        if len(told):
            of_host = mode in HOST_MODES
            cost = _WAIT_SHARE * told.quantile(_QUICKEST) if of_host else told.median()
            added.loc[group.index] = float(cost)
    return added


def modes_of_places(table: pd.DataFrame) -> pd.DataFrame:
    """``MODE`` and ``added_s``: the modes that machines of its type measured, of each place.

    ``table`` comes from ``with_references``.
    """
    library = [*TYPE, "backend"]
    places = table[[*LIBRARY, "kind"]].drop_duplicates()
    modes = table[[*library, "answer_mode", "added_s"]].drop_duplicates([*library, "answer_mode"])
    return places.merge(modes, on=library)[[*MODE, "added_s"]]


def _more_than_hot(gpu: pd.DataFrame) -> pd.DataFrame:
    """What short operations of one kernel take longer in other modes: ``more_s`` of each pair."""
    keys = ["replica", "kind", "machine_id", "threads", "backend", "workload", "operation"]
    keys += ["dtype", "math_mode", "params_key"]
    rows = gpu.loc[gpu["launches"] == 1.0, [*keys, "answer_mode", "_seconds"]]
    hot = rows[(rows["answer_mode"] == _HOT) & (rows["_seconds"] < _SHORT_S)]
    hot = hot.drop_duplicates(keys).drop(columns="answer_mode")
    pairs = rows[rows["answer_mode"] != _HOT].merge(hot, on=keys, suffixes=("", "_hot"))
    return pairs.assign(more_s=(pairs["_seconds"] - pairs["_seconds_hot"]).clip(lower=0.0))


def _compute_references(scaled: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    """FLOP/s that rates are relative to, and the best rate of the family in those units.

    For products on a GPU the peak of its data sheet, else the best of the place in that
    precision, as efficiencies carry over between element types; where work is counted in steps
    that are no FLOP, the best of the family.
    """
    precision = scaled["dtype"].map(_PRECISIONS).fillna(scaled["dtype"])
    units = precision.map(_MATRIX_UNITS).where(scaled["device"] == "cuda")
    precision = units.fillna(precision)
    alone = takes_steps(scaled)
    family = [scaled[name] for name in TYPE_FAMILY]
    place = [*(scaled[name] for name in TYPE), precision, scaled["math_mode"], alone]
    rate = scaled["_flop_rate"].groupby(place).transform("max")
    rate = rate.where(~alone, scaled["_flop_rate"].groupby(family).transform("max"))
    rate = rate.where(~has_sheet(scaled), scaled.get("sheet_flop_per_s", rate)).clip(lower=1.0)
    best = (scaled["_flop_rate"] / rate).groupby(family).transform("max")
    return rate, best


def is_streaming(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows only stream through memory."""
    return table["family"].isin(STREAMING) & ~table["operation"].isin(REREADING)


def relative_work(table: pd.DataFrame) -> KernelWork:
    """Work in units of what the references do in one second.

    The cost per call and per launch is scaled through ``launches``: with a time of 1 s scaled
    to the floor's, a launch of the floor's cost has the relative cost 1.
    """
    work = kernel_work(table)
    floor = table["launch_floor_s"].to_numpy()
    byte_unit = table["byte_rate"].to_numpy() * floor
    return replace(
        work,
        flop=work.flop / (table["flop_rate"].to_numpy() * floor),
        bytes=work.bytes / byte_unit,
        fresh=work.fresh / floor,
        forks=work.forks / floor,
        added=work.added / floor,
        byte_unit=byte_unit,
    )
