"""Ratios by which the parts of a time change from one machine to another, from data sheets.

    GPU    compute, memory and bus: ``gpu_scaling``
    host   the cost of launching from the host, and a CPU's of calling: clocks
    CPU    compute: cores used x clock x FLOP per cycle for products, cores used x clock for the
           rest; memory: the rate at that number of threads, at most the share of the socket

A CPU's ratio is 1 where a figure of either machine is not known: its effect's prior is wide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.donor_pairs import Pairs
from estimator.gpu_scaling import gpu_ratios
from estimator.hardware_specs import MATRIX_WORKLOADS, CpuSpec
from estimator.kernel_model import Array
from estimator.machine_facts import FEW_CELLS, MachineFacts

_HOST_MODES = ("resident", "end_to_end")


def part_ratios(pairs: Pairs, asked: pd.DataFrame, donor_threads: Array) -> tuple[Array, Array]:
    """target / donor for launch, compute, memory and transfer of each cell, (n, 4).

    And the deviations of their logarithms for what the data sheets leave open, (n, 4). A ratio
    is NaN where a figure that it takes is not known.

    ``asked`` has device, workload, case, dtype, math_mode, answer_mode and threads on the target;
    ``donor_threads`` (n,) are those of the donor's cells.
    """
    keys = asked[["device", "workload", "case", "dtype", "math_mode", "answer_mode", "threads"]]
    keys = keys.assign(donor_threads=donor_threads, pair=pairs.code)
    codes = keys.groupby(list(keys.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    rows = []
    for row in keys.iloc[first].itertuples(index=False, name=None):
        device, workload, case, dtype, math_mode, mode, threads, known, pair = row
        target, donor = pairs.pairs[pair]
        if device == "cuda":
            launch = _clock_ratio(target, donor) if mode in _HOST_MODES else 1.0
            of_gpu = gpu_ratios(target, donor, workload, case, dtype, math_mode)
            rows.append([(launch, *of_gpu.ratios), (0.0, *of_gpu.deviations)])
        else:
            rows.append([_cpu_ratios(target, donor, workload, dtype, threads, known), (0.0,) * 4])
    table = np.array(rows, dtype=float).reshape(-1, 2, 4)[codes]
    return table[:, 0], table[:, 1]


def _cpu_ratios(
    target: MachineFacts,
    donor: MachineFacts,
    workload: str,
    dtype: str,
    threads: float,
    donor_threads: float,
) -> tuple[float, float, float, float]:
    clock = _clock_ratio(target, donor)
    if workload in MATRIX_WORKLOADS:
        compute = _ratio(lambda: _core(donor, dtype), lambda: _core(target, dtype), clock)
    else:
        compute = clock
    memory = _memory_rate(donor, donor, donor_threads) / _memory_rate(target, donor, threads)
    return clock, compute * donor_threads / threads, memory, 1.0


def _core(machine: MachineFacts, dtype: str) -> float:
    if machine.cpu is None:
        raise EstimateError(f"{machine.label}: its CPU is not in data/hardware.csv")
    # 16-bit types follow float32: no catalogue says more of CPUs
    known = dtype if dtype in ("float64", "float32", "complex64", "complex128") else "float32"
    return machine.cpu.core_flop_per_s(known, machine.clock_ghz)


def _clock_ratio(target: MachineFacts, donor: MachineFacts) -> float:
    """donor's clock over target's: how much longer what one core does takes on the target."""
    clocks = [machine.clock_ghz or _sheet_clock(machine.cpu) for machine in (donor, target)]
    old, new = clocks
    return old / new if old and new else 1.0


def _sheet_clock(cpu: CpuSpec | None) -> float | None:
    return None if cpu is None else cpu.clock_ghz


def _memory_rate(machine: MachineFacts, donor: MachineFacts, threads: float) -> float:
    """Rate of a host's memory with so many threads, in B/s.

    Measured rates of the donor stand in for the target's, per thread, up to the share of its
    socket's bandwidth that the target's cores have by the data sheet.
    """
    # fits of a few probes tell no rate, and one number of threads nothing of others
    several = len(machine.memory_bytes_per_s) > 1 and machine.cells.get("cpu", 0) > FEW_CELLS
    own = machine.memory_bytes_per_s if several else donor.memory_bytes_per_s
    if not own:
        return 1.0
    known = sorted(own)
    rate = float(np.exp(np.interp(np.log(threads), np.log(known), np.log([own[t] for t in known]))))
    cpu, cores = machine.cpu, machine.physical_cores
    if machine is donor or several or cpu is None or cores is None:
        return rate
    if cpu.cores_per_socket is None or cpu.memory_bandwidth_gb_per_s is None:
        return rate
    share = min(1.0, cores / cpu.cores_per_socket)
    return min(rate, 1e9 * cpu.memory_bandwidth_gb_per_s * share)


def _ratio(
    reference: Callable[[], float], target: Callable[[], float], otherwise: float = 1.0
) -> float:
    try:
        return reference() / target()
    except EstimateError:
        return otherwise
