"""Ratios by which the parts of a time change from one machine to another, from data sheets.

    GPU    compute: peak rates for the element type, memory: bandwidths, each times the share of it
           that published kernels reach on that GPU (``gpu_profiles``) where both are known
    bus    nominal host links
    host   the cost of launching from the host: what one core does (``core_scaling``, which also
           has the parts of a CPU's times)

A ratio is 1 where a figure of either machine is not known: the prior of its effect is wide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.core_scaling import clock_ratio
from estimator.donor_pairs import Pairs
from estimator.gpu_profiles import efficiency_ratio, operation_of
from estimator.hardware_specs import MATRIX_WORKLOADS
from estimator.kernel_model import Array
from estimator.machine_facts import MachineFacts

_HOST_MODES = ("resident", "end_to_end")


def part_ratios(pairs: Pairs, asked: pd.DataFrame) -> Array:
    """target / donor for launch, compute, memory and transfer of cells on a GPU, (n, 4).

    ``asked`` has workload, case, dtype, math_mode and answer_mode.
    """
    keys = asked[["workload", "case", "dtype", "math_mode", "answer_mode"]]
    keys = keys.assign(pair=pairs.code)
    codes = keys.groupby(list(keys.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    rows = []
    for row in keys.iloc[first].itertuples(index=False, name=None):
        workload, case, dtype, math_mode, mode, pair = row
        target, donor = pairs.pairs[pair]
        rows.append(_cuda_ratios(target, donor, workload, case, dtype, math_mode, mode))
    table = np.array(rows, dtype=float).reshape(-1, 4)
    result: Array = table[codes]
    return result


def _cuda_ratios(
    target: MachineFacts,
    donor: MachineFacts,
    workload: str,
    case: str,
    dtype: str,
    math_mode: str,
    mode: str,
) -> tuple[float, float, float, float]:
    launch = clock_ratio(target, donor) if mode in _HOST_MODES else 1.0
    new, old = target.gpu, donor.gpu
    if new is None or old is None or new.name == old.name:
        return launch, 1.0, 1.0, 1.0
    matrix = workload in MATRIX_WORKLOADS
    compute = _ratio(
        lambda: old.peak_flop_per_s(dtype, math_mode, matrix),
        lambda: new.peak_flop_per_s(dtype, math_mode, matrix),
    )
    memory = _ratio(lambda: old.memory_bytes_per_s, lambda: new.memory_bytes_per_s)
    transfer = _ratio(lambda: old.h2d_bytes_per_s, lambda: new.h2d_bytes_per_s)
    operation = operation_of(workload, case, matrix)
    compute *= efficiency_ratio(old, new, "compute", operation)
    memory *= efficiency_ratio(old, new, "memory", operation)
    return launch, compute, memory, transfer


def _ratio(
    reference: Callable[[], float], target: Callable[[], float], otherwise: float = 1.0
) -> float:
    try:
        return reference() / target()
    except EstimateError:
        return otherwise
