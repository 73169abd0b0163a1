"""What the hardware can do for an operation at best: no estimate is faster, nor any of its ends.

    seconds >= max(flop / peak, bytes / rate) + bus bytes / link

``peak`` is the dense peak of the unit that really does the operation (``gpu_units``,
``cpus``), ``bytes`` the operands and the result, each moved once, and ``rate`` that of the
memory, or of the last-level cache where they fit it and lie in it already. A cell that was
measured is held to its measurement where that is faster: a library may do less arithmetic than is
counted (Winograd's convolutions), and a measurement outranks a data sheet. A figure that is not
known bounds nothing. No central estimate streams at more than ``SUSTAINED`` of a GPU's memory rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from collector.workloads import Limit, limited_by
from estimator.answer import PARTS
from estimator.arrays import Array
from estimator.catalogue.cpus import (
    peak_cache_bytes_per_s,
    peak_flop_per_s,
    peak_memory_bytes_per_s,
)
from estimator.catalogue.hardware_specs import MATRIX_WORKLOADS, GpuSpec
from estimator.fitting.intervals import NARROWEST
from estimator.others.facts import MachineFacts

#: Families whose counted bytes are more than must move: the rows that nothing is added to are
#: counted as read and written again, but only zeroed. And those whose work is host calls.
_COUNTED_MORE = limited_by(Limit.OVERCOUNTED)

#: Bytes that a last-level cache delivers per clock. Of the chip: NVIDIA A100 white paper (2020),
#: L2 cache read bandwidth of A100 and V100; else what its multiprocessors can take in, 64 bytes
#: each (Jia et al. 2018, "Dissecting the NVIDIA Volta GPU architecture", table 3.1).
_CACHE_BYTES_PER_CLOCK: Mapping[str, float] = {"GV100": 2048.0, "GA100": 5120.0}
_CACHE_BYTES_PER_CLOCK_PER_SM = 64.0

#: Of a GPU's nominal memory rate, by anything that is larger than its caches: refreshing and
#: turning the bus take the rest. The most of 4,000 kernels measured on H200s is 0.91; others state
#: 0.90 (H200), 0.88 (A100) and 0.86 (B200) for products of a matrix and a vector.
SUSTAINED = 0.93

_KEYS = ("machine_id", "device", "threads", "dtype", "math_mode")


@dataclass(frozen=True)
class Limits:
    """The most that a machine's device does, per second; infinite: not known.

    ``cache_bytes`` is the size up to which data may lie in the last-level cache (0: not known).
    """

    flop_per_s: float = inf
    bytes_per_s: float = inf
    cache_bytes: float = 0.0
    cache_bytes_per_s: float = inf
    link_bytes_per_s: float = inf


def limits_of(
    machine: MachineFacts, device: str, threads: float, dtype: str, math_mode: str, matrix: bool
) -> Limits:
    """Limits of one machine for an element type; ``matrix``: products."""
    if device == "cuda":
        return (
            Limits() if machine.gpu is None else _gpu_limits(machine.gpu, dtype, math_mode, matrix)
        )
    return _cpu_limits(machine, threads, dtype)


@dataclass(frozen=True)
class Least:
    """The least time of each cell in seconds, (n,): of any call, and of a usual one."""

    ever: Array
    usual: Array


def least_seconds(machines: Mapping[str, MachineFacts], cells: pd.DataFrame) -> Least:
    """The least time of each cell, in seconds; 0 where nothing is known.

    ``cells`` are described questions (``Donors.table``); ``machines`` has the facts of each
    ``machine_id``.
    """
    asked = cells[list(_KEYS)].assign(matrix=cells["workload"].isin(MATRIX_WORKLOADS))
    codes = asked.groupby(list(asked.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    found = [
        limits_of(
            machines[str(machine)], str(device), float(threads), str(dtype), str(mode), matrix
        )
        for machine, device, threads, dtype, mode, matrix in asked.iloc[first].itertuples(
            index=False, name=None
        )
    ]

    def limit(name: str) -> Array:
        values: Array = np.array([getattr(limits, name) for limits in found], dtype=float)[codes]
        return values

    flop, moved, bus = _work(cells)
    cold = (cells["answer_mode"] == "cold").to_numpy()
    fits = ~cold & (moved <= limit("cache_bytes"))
    rate = np.where(fits, limit("cache_bytes_per_s"), limit("bytes_per_s"))
    streams = (cells["device"] == "cuda").to_numpy() & ~fits
    compute, memory = flop / limit("flop_per_s"), moved / rate
    over_bus = bus / limit("link_bytes_per_s")
    usual = memory / np.where(streams, SUSTAINED, 1.0)
    return Least(np.fmax(compute, memory) + over_bus, np.fmax(compute, usual) + over_bus)


def bounded(answer: pd.DataFrame, least: Least) -> pd.DataFrame:
    """Answers (the columns of ``Model.predict``) of which none is faster than ``least``.

    The parts still add up to the central estimate; what lies below the bound is lifted to it.
    """
    measured = answer["measured_median_s"].to_numpy(dtype=float)
    floor, usual = np.fmin(least.ever, measured), np.fmin(least.usual, measured)
    low, middle, high = (
        answer[f"seconds_{end}"].to_numpy(dtype=float) for end in ("p5", "p50", "p95")
    )
    if not ((low < floor) | (middle < usual)).any():
        return answer
    lifted = np.fmax(middle, np.where(np.isfinite(middle), usual, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = lifted / middle
    return answer.assign(
        seconds_p5=np.where(np.isfinite(low), np.fmax(low, floor), low),
        seconds_p50=lifted,
        # an answer at the bound is not surer for it
        seconds_p95=np.where(lifted > middle, np.fmax(high, lifted * np.exp(NARROWEST)), high),
        **{f"{part}_s": answer[f"{part}_s"] * factor for part in PARTS},
    )


def _work(cells: pd.DataFrame) -> tuple[Array, Array, Array]:
    """FLOP, bytes between the device and its memory, and bytes over the bus, (n,) each."""
    counts = {
        name: cells[name].to_numpy(dtype=float)
        for name in ("flop_count", "bytes_read", "bytes_written", "h2d_bytes", "d2h_bytes")
    }
    bus = counts["h2d_bytes"] + counts["d2h_bytes"]
    copies = (cells["answer_mode"] == "end_to_end").to_numpy()
    over_bus = (cells["workload"] == "transfer").to_numpy() & (bus > 0.0)
    counted = ~cells["workload"].isin(_COUNTED_MORE).to_numpy() & ~over_bus
    moved = (counts["bytes_read"] + counts["bytes_written"]) * counted
    host_calls = (cells["workload"] == "launch").to_numpy()
    return counts["flop_count"] * ~host_calls, moved, bus * (copies | over_bus)


def _gpu_limits(gpu: GpuSpec, dtype: str, math_mode: str, matrix: bool) -> Limits:
    cache = 2.0**20 * (gpu.last_level_cache_mib or 0.0)
    memory = _known(lambda: gpu.memory_bytes_per_s)
    clock = None if gpu.boost_clock_ghz is None else 1e9 * gpu.boost_clock_ghz
    per_clock = _CACHE_BYTES_PER_CLOCK.get(
        gpu.chip, _CACHE_BYTES_PER_CLOCK_PER_SM * (gpu.sm_count or inf)
    )
    return Limits(
        flop_per_s=_known(lambda: gpu.peak_flop_per_s(dtype, math_mode, matrix)),
        bytes_per_s=memory,
        cache_bytes=cache,
        cache_bytes_per_s=inf if clock is None else max(memory, per_clock * clock),
        link_bytes_per_s=_known(lambda: gpu.h2d_bytes_per_s),
    )


def _cpu_limits(machine: MachineFacts, threads: float, dtype: str) -> Limits:
    """At the clock that a measured host ran at; else what the sheet says its cores sustain."""
    cpu = machine.cpu
    if cpu is None:
        return Limits()
    clock = machine.ran_at_ghz or cpu.clock_ghz
    memory = _known(lambda: peak_memory_bytes_per_s(cpu, threads))
    return Limits(
        flop_per_s=_known(lambda: peak_flop_per_s(cpu, threads, dtype, clock)),
        bytes_per_s=memory,
        cache_bytes=machine.last_level_cache("cpu") or 0.0,
        cache_bytes_per_s=_known(lambda: peak_cache_bytes_per_s(cpu, threads, clock)),
    )


def _known(rate: Callable[[], float]) -> float:
    """A rate, infinite where the catalogue does not know it."""
    try:
        return rate()
    except EstimateError:
        return inf
