"""Times on an NVIDIA GPU where no GPU at all was measured: published profiles and data sheets.

Operations that were published (products, convolutions, elementwise, softmax, layer norm; float32)
are answered by their own profile, all others by that of the nearest kind, with the work counts of
the family; their interval is wide.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from collector.errors import EstimateError
from estimator.gpu_profiles import (
    SHORTEST_KERNEL_S,
    Kernels,
    Share,
    Sheet,
    kernel_parts,
    operation_of,
    profile_of,
    sustained,
)
from estimator.gpu_scaling import EMULATED_DEVIATION
from estimator.hardware_specs import MATRIX_WORKLOADS, GpuSpec
from estimator.kernel_model import Array

#: Share of a host link's nominal rate that copies reach: the median over the published rates of
#: ``benchmarks/derive_specs_interval.py`` (nvbandwidth on seven cloud GPUs).
_LINK_SHARE = 0.44
_LINK_CALL_S = 1e-5  # a stated choice: a copy is started and waited for
_HOST_MODES = ("resident", "end_to_end")

#: Deviation of a cell's log time: of published operations that of a GPU left out from specs (a
#: mean error of 17 to 26 % in docs/published_kernels.md, so up to 0.35), of others that of a
#: plain roofline (``intervals.UNCALIBRATED`` over 1.645).
_PUBLISHED_DEVIATION, _OTHER_DEVIATION = 0.35, 0.51
#: Factor on the arithmetic and memory time of operations that nobody published: profiles of
#: others are no better than a plain roofline for them, which is 28 to 44 % off on published times
#: and nearly always too fast (NeuSight, ASPLOS 2025): 1 / (1 - 0.36).
_OPTIMISM = 1.56
#: What stands for a size that a data sheet does not give, and the deviation that this adds: the
#: middle of data/hardware.csv's GPUs, and a stated choice (an interval wider by a factor of 2).
_MIDDLE_UNITS, _MIDDLE_CACHE_MIB, _BLANK_DEVIATION = 100, 40.0, 0.42
PUBLISHED_WORKLOADS = frozenset({"matmul", "dense_layer", "elementwise", "reduction", "conv2d"})


def profile_parts(gpu: GpuSpec, cells: pd.DataFrame) -> tuple[Array, Array]:
    """Seconds of launch, compute, memory and transfer (n, 4), and deviations (n,); NaN: unknown.

    ``cells`` are described questions on device cuda (``Donors.table``).
    """
    count = len(cells)
    parts, deviation = np.full((count, 4), np.nan), np.full(count, np.nan)
    codes = cells.groupby(["workload", "case", "dtype", "math_mode"], sort=False).ngroup()
    for code in sorted(set(codes)):
        rows = np.flatnonzero((codes == code).to_numpy())
        part = cells.iloc[rows]
        first = part.iloc[0]
        workload, matrix = str(first["workload"]), first["workload"] in MATRIX_WORKLOADS
        operation = operation_of(workload, str(first["case"]), bool(matrix))
        profile = profile_of(gpu, operation)
        if profile is None:
            continue
        try:
            unit = gpu.unit_for(str(first["dtype"]), str(first["math_mode"]), bool(matrix))
            memory, link = gpu.memory_bytes_per_s, gpu.h2d_bytes_per_s
        except EstimateError:
            continue
        limit = sustained(gpu, operation) if matrix and unit.name == "FP32 units" else None
        limited = Share(1.0) if limit is None else limit
        rate = unit.flop_per_s * limited.share / (profile.sustained_share if limit else 1.0)
        sheet = Sheet(
            rate,
            memory,
            float(gpu.sm_count or _MIDDLE_UNITS),
            2.0**20 * float(gpu.last_level_cache_mib or _MIDDLE_CACHE_MIB),
        )
        kernel = kernel_parts(profile, sheet, _kernels(part))
        kernel = kernel * (1.0 if workload in PUBLISHED_WORKLOADS else _OPTIMISM)
        host = part["answer_mode"].isin(_HOST_MODES).to_numpy()
        launches = part["launches"].to_numpy(dtype=float)
        start = np.where(host, profile.launch_s, SHORTEST_KERNEL_S) * launches
        moved = (part["h2d_bytes"] + part["d2h_bytes"]).to_numpy(dtype=float)
        # a copy over the bus is the operation itself in the transfer family
        bus = (moved > 0.0) & (workload == "transfer")
        copied = (part["answer_mode"] == "end_to_end").to_numpy() | bus
        copies = copied * (_LINK_CALL_S + moved / (_LINK_SHARE * link))
        parts[rows] = np.stack([start, kernel[:, 1], kernel[:, 2] * ~bus, copies], axis=1)
        published = workload in PUBLISHED_WORKLOADS and first["dtype"] == "float32"
        blank = _BLANK_DEVIATION * (None in (gpu.sm_count, gpu.last_level_cache_mib))
        own = _PUBLISHED_DEVIATION if published else _OTHER_DEVIATION
        emulated = EMULATED_DEVIATION * unit.emulated
        deviation[rows] = np.linalg.norm([own, limited.deviation, blank, emulated])
    return parts, deviation


def _kernels(cells: pd.DataFrame) -> Kernels:
    def column(name: str) -> Array:
        values: Array = np.nan_to_num(cells[name].to_numpy(dtype=float))
        return values

    depth = cells["depth"].to_numpy(dtype=float)
    return Kernels(
        flop=column("flop"),
        bytes=column("bytes"),
        batch=column("product_batch"),
        m=np.where(column("product_batch") > 0.0, column("product_m"), 0.0),
        n=column("product_n"),
        k=np.where(np.isfinite(depth), depth, 1e9),
    )
