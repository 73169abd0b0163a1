"""What share of its data sheet a GPU reaches: data/gpu_profiles.csv, and a formula that reads it.

The profiles were derived by ``benchmarks/derive_gpu_profiles.py`` from the kernel times published
with NeuSight (github.com/sitar-lab/NeuSight, commit 6945927, MIT licence, (c) 2025 Georgia
Institute of Technology and Microsoft): float32 operations of PyTorch 2.1 on P4, P100, V100, T4,
A100 and H100. Only those few numbers are here, none of the published rows.

    t   = launch + (t_c^p + t_m^p)^(1/p),  p = 3
    t_c = flop / (compute_share F) * min over tiles of waves (1 + h / side) * (1 + d / k)
    t_m = bytes / (memory_share W) * (m + (1 - m) / gain),  m = 1 / (1 + (L2 / bytes)^4)

``F`` and ``W`` are the data sheet's peak rate for the element type and its memory bandwidth.
``waves`` is the work of a product cut into square tiles on the GPU's multiprocessors, over the
useful work. A GPU without a row has the mean (in logarithms) of the others, weighted by how many
generations of architecture lie between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard

import numpy as np

from collector.errors import CatalogueError
from estimator.catalogue_csv import parse_number, read_rows
from estimator.hardware_specs import GpuSpec
from estimator.kernel_model import Array

PROFILES_PATH = Path(__file__).resolve().parent.parent / "data" / "gpu_profiles.csv"
NUMBERS = ("compute_share", "memory_share", "cache_gain", "tile_half", "depth_half", "launch_s")
PROFILE_COLUMNS = ("gpu", "architecture", "operation", *NUMBERS, "median_error", "rows", "source")
EXPONENT = 3.0
TILE_SIDES = (32.0, 64.0, 128.0, 256.0)
_STEEPNESS = 4.0

#: Generations of NVIDIA GPUs in their order; the distance between two weighs their profiles.
GENERATIONS = ("Pascal", "Volta", "Turing", "Ampere", "Ada", "Hopper", "Blackwell")

#: Workload -> operation of the profiles that stands for it; for the others, products are
#: answered by "linear" and all else by "elementwise".
_OPERATIONS: Mapping[str, str] = {
    "matmul": "bmm",
    "conv2d": "conv2d",
    "dense_layer": "linear",
    "elementwise": "elementwise",
    "reduction": "softmax",
}


@dataclass(frozen=True)
class Profile:
    """Numbers of one GPU and operation; shares are of the data sheet's rates."""

    compute_share: float
    memory_share: float
    cache_gain: float
    tile_half: float
    depth_half: float
    launch_s: float


@dataclass(frozen=True)
class Kernels:
    """Operands of the formula, (n,) each. ``m`` is 0 where the operation is no product."""

    flop: Array
    bytes: Array
    batch: Array
    m: Array
    n: Array
    k: Array

    def __len__(self) -> int:
        return len(self.flop)


@dataclass(frozen=True)
class Sheet:
    """Data-sheet figures in SI units; the peak rate may differ from cell to cell."""

    flop_per_s: Array | float
    bytes_per_s: float
    units: float
    cache_bytes: float


@lru_cache(maxsize=1)
def shipped_profiles() -> dict[tuple[str, str], tuple[str, Profile]]:
    """(GPU, operation) -> architecture and profile of the shipped file."""
    return read_profiles(PROFILES_PATH)


def read_profiles(path: Path) -> dict[tuple[str, str], tuple[str, Profile]]:
    """Read and check a file of profiles. Raises CatalogueError with file, row and reason."""
    found = {}
    for where, row in read_rows(path, PROFILE_COLUMNS):
        values = {name: parse_number(where, row, name, 1e-9, 1e6) for name in NUMBERS}
        empty = [name for name, value in values.items() if value is None]
        if empty:
            raise CatalogueError(f"{where}: {empty[0]} is empty; a profile needs all its numbers")
        if row["architecture"] not in GENERATIONS:
            raise CatalogueError(f"{where}: architecture {row['architecture']!r} is not known")
        profile = Profile(**{name: float(value or 0.0) for name, value in values.items()})
        found[row["gpu"], row["operation"]] = (row["architecture"], profile)
    return found


def profile_of(gpu: GpuSpec, operation: str) -> Profile | None:
    """The profile of a GPU's operation: its own row, else one made of other GPUs'.

    None for a GPU of another vendor, and where no GPU has the operation.
    """
    if not has_profiles(gpu):
        return None
    known = shipped_profiles()
    if (gpu.name, operation) in known:
        return known[gpu.name, operation][1]
    place = GENERATIONS.index(gpu.architecture.removesuffix(" Ultra"))
    rows = [pair for (_, name), pair in known.items() if name == operation]
    if not rows:
        return None
    gaps = [abs(GENERATIONS.index(architecture) - place) for architecture, _ in rows]
    if operation == "conv2d" and min(gaps) > 1:
        # published up to Turing, where float32 convolutions take short cuts (Winograd) that
        # later libraries leave for matrix units: there an implicit product stands for them
        return profile_of(gpu, "linear")
    weights = np.exp(-np.array(gaps, dtype=float))
    logs = np.log([[getattr(profile, name) for name in NUMBERS] for _, profile in rows])
    mean = np.exp(weights @ logs / weights.sum())
    return Profile(*(float(value) for value in mean))


def has_profiles(gpu: GpuSpec | None) -> TypeGuard[GpuSpec]:
    """Whether published profiles say anything of a GPU: those of its vendor's generations do."""
    return gpu is not None and gpu.architecture.removesuffix(" Ultra") in GENERATIONS


def operation_of(workload: str, case: str, matrix: bool) -> str:
    """The operation of the profiles that stands for a case."""
    if case == "layer_norm":
        return "layer_norm"
    return _OPERATIONS.get(workload, "linear" if matrix else "elementwise")


def efficiency_ratio(old: GpuSpec, new: GpuSpec, part: str, operation: str) -> float:
    """old / new of the shares of the data sheet that two GPUs reach; 1 where one is not known.

    ``part``: "compute" or "memory". Only GPUs with a row of their own, or whose architecture
    has one, count as known.
    """
    if not (_has_kin(old, operation) and _has_kin(new, operation)):
        return 1.0
    profiles = profile_of(old, operation), profile_of(new, operation)
    assert profiles[0] is not None
    assert profiles[1] is not None
    shares = [getattr(profile, f"{part}_share") for profile in profiles]
    return float(shares[0] / shares[1])


def _has_kin(gpu: GpuSpec, operation: str) -> bool:
    return any(
        name == operation and architecture == gpu.architecture
        for (_, name), (architecture, _) in shipped_profiles().items()
    )


def kernel_parts(profile: Profile, sheet: Sheet, work: Kernels) -> Array:
    """Seconds of launch, compute and memory, (n, 3), which add up to the time."""
    theta = np.log([getattr(profile, name) for name in NUMBERS])
    launch, compute, memory = parts_of(theta, sheet, work)
    return np.stack([launch, compute, memory], axis=1)


def parts_of(theta: Array, sheet: Sheet, work: Kernels) -> tuple[Array, Array, Array]:
    """The formula for the logarithms ``theta`` (6,) of ``NUMBERS``."""
    compute_share, memory_share, gain, tile_half, depth_half, launch = np.exp(theta)
    product = work.m > 0.0
    m, n = np.where(product, work.m, 1.0), np.where(product, work.n, 1.0)
    batch = np.where(product, work.batch, 1.0)
    best = np.full(len(work), np.inf)
    for side in TILE_SIDES:
        tiles = batch * np.ceil(m / side) * np.ceil(n / side)
        padded = np.ceil(tiles / sheet.units) * sheet.units * side * side
        best = np.minimum(best, padded / (batch * m * n) * (1.0 + tile_half / side))
    inflated = np.where(product, best * (1.0 + depth_half / np.maximum(work.k, 1.0)), 1.0)
    compute = work.flop / (compute_share * sheet.flop_per_s) * inflated
    size = np.maximum(work.bytes, 1.0)
    miss = 1.0 / (1.0 + (sheet.cache_bytes / size) ** _STEEPNESS)
    memory = work.bytes / (memory_share * sheet.bytes_per_s) * (miss + (1.0 - miss) / gain)
    tiny = 1e-30
    larger = np.maximum(np.maximum(compute, memory), tiny)
    tc, tm = (compute / larger) ** EXPONENT, (memory / larger) ** EXPONENT
    body = larger * (tc + tm) ** (1.0 / EXPONENT)
    share = tc / np.maximum(tc + tm, tiny)
    return np.full(len(work), launch), body * share, body * (1.0 - share)
