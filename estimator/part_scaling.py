"""Ratios by which the parts of a time change from one machine to another, from data sheets.

GPU    compute, memory and bus: ``gpu_scaling``
host   the cost of launching from the host: what one core does (``core_scaling``, which also
       has the parts of a CPU's times)
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimator.core_scaling import clock_ratio
from estimator.donor_pairs import Pairs
from estimator.gpu_scaling import gpu_ratios
from estimator.kernel_model import Array
from estimator.operations import HOST_MODES


def part_ratios(pairs: Pairs, asked: pd.DataFrame) -> tuple[Array, Array]:
    """target / donor for launch, compute, memory and transfer of cells on a GPU, (n, 4).

    And the deviations of their logarithms for what the data sheets leave open, (n, 4). A ratio
    is NaN where a figure that it takes is not known.

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
        launch = clock_ratio(target, donor) if mode in HOST_MODES else 1.0
        of_gpu = gpu_ratios(target, donor, workload, case, dtype, math_mode)
        rows.append([(launch, *of_gpu.ratios), (0.0, *of_gpu.deviations)])
    table = np.array(rows, dtype=float).reshape(-1, 2, 4)[codes]
    return table[:, 0], table[:, 1]
