"""What share of its data sheet a GPU reaches: data/gpu_profiles.csv, and a formula that reads it.

The profiles were derived by ``benchmarks/derive_gpu_profiles.py`` from the kernel times published
with NeuSight (github.com/sitar-lab/NeuSight, commit 6945927, MIT licence, (c) 2025 Georgia
Institute of Technology and Microsoft): float32 operations of PyTorch 2.1 on P4, P100, V100, T4,
A100 and H100; and from this project's own measurements of the same operations. Only those few
numbers are here, none of the published rows.

    t   = launch + (t_c^p + t_m^p)^(1/p),  p = 3
    t_c = flop / (compute_share F) * min over tiles of waves (1 + h / side) * (1 + d / k)
    t_m = bytes / (memory_share W) * (m + (1 - m) / gain),  m = 1 / (1 + (L2 / bytes)^4)

``F`` and ``W`` are the data sheet's peak rate for the element type and its memory bandwidth.
``waves`` is the work of a product cut into square tiles on the GPU's multiprocessors, over the
useful work. The cards of one chip have the mean (in logarithms) of the chip's rows; a chip without
a row has that of the others, weighted by how many generations of architecture lie between.

A card with little power for its peak cannot sustain it in products on its FP32 units: ``sustained``
says what lies between what is certain and what is usual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard

import numpy as np

from collector.errors import CatalogueError
from collector.shipped import shipped
from estimator.answer import NORMAL_95
from estimator.arrays import Array
from estimator.catalogue.csv_files import parse_number, read_rows
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import GpuSpec

PROFILES_PATH = shipped("gpu_profiles.csv")
NUMBERS = ("compute_share", "memory_share", "cache_gain", "tile_half", "depth_half", "launch_s")
PROFILE_COLUMNS = ("gpu", "architecture", "operation", *NUMBERS, "median_error", "rows", "source")
EXPONENT = 3.0
TILE_SIDES = (32.0, 64.0, 128.0, 256.0)
_STEEPNESS = 4.0
#: A share is at most 1, but for the compute share of convolutions: Winograd's F(2x2, 3x3)
#: multiplies 2.25 times less than their definition counts (Lavin and Gray, CVPR 2016).
CONVOLUTION_SHARE = 2.25
#: Seconds that a kernel takes at least in a row of kernels (modes hot and cold): a stated choice
#: of the model (the middle of 1.5 to 4.5 us), as published times have the host's part in them.
#: What the host adds is the profile's launch time.
SHORTEST_KERNEL_S = 2.6e-6

#: Generations of NVIDIA GPUs in their order; the distance between two weighs their profiles.
GENERATIONS = ("Pascal", "Volta", "Turing", "Ampere", "Ada", "Hopper", "Blackwell")

#: Workload -> operation of the profiles that stands for it; for the others, products are
#: answered by "linear" and all else by "elementwise".
_OPERATIONS: Mapping[str, str] = {
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

    @property
    def sustained_share(self) -> float:
        """Of large, deep products, whose tiles have the largest side."""
        return self.compute_share / (1.0 + self.tile_half / TILE_SIDES[-1])


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
        most = CONVOLUTION_SHARE if row["operation"] == "conv2d" else 1.0
        if profile.compute_share > most or profile.memory_share > 1.0:
            raise CatalogueError(f"{where}: a share is above what the hardware can do ({most:g})")
        found[row["gpu"], row["operation"]] = (row["architecture"], profile)
    return found


def profile_of(gpu: GpuSpec, operation: str) -> Profile | None:
    """The profile of a GPU's operation: that of its chip, else one made of other chips'.

    None for a GPU of another vendor, and where no GPU has the operation.
    """
    rows = _rows(operation)
    if not has_profiles(gpu) or not rows:
        return None
    kin = [row for row in rows if row.chip == gpu.chip]
    if not kin:
        # what a card reaches at its power limit is its own
        kin = [row for row in rows if _power_share(row.gpu) >= 1.0] or rows
    gaps = [_gap(row.gpu, gpu) if row.chip != gpu.chip else 0 for row in kin]
    weights = np.exp(-np.array(gaps, dtype=float))
    logs = np.log([[getattr(row.profile, name) for name in NUMBERS] for row in kin])
    mean = np.exp(weights @ logs / weights.sum())
    return Profile(*(float(value) for value in mean))


@dataclass(frozen=True)
class _Row:
    """A shipped profile and the card that it is of."""

    gpu: GpuSpec
    profile: Profile

    @property
    def chip(self) -> str:
        return self.gpu.chip


@lru_cache(maxsize=32)
def _rows(operation: str) -> list[_Row]:
    specs = {spec.name: spec for spec in shipped_hardware() if isinstance(spec, GpuSpec)}
    return [
        _Row(specs[name], profile)
        for (name, of), (_, profile) in shipped_profiles().items()
        if of == operation
    ]


def _place(gpu: GpuSpec) -> int:
    return GENERATIONS.index(gpu.architecture.removesuffix(" Ultra"))


def _gap(one: GpuSpec, two: GpuSpec) -> int:
    return abs(_place(one) - _place(two))


def has_profiles(gpu: GpuSpec | None) -> TypeGuard[GpuSpec]:
    """Whether published profiles say anything of a GPU: those of its vendor's generations do."""
    return gpu is not None and gpu.architecture.removesuffix(" Ultra") in GENERATIONS


def operation_of(workload: str, case: str, matrix: bool) -> str:
    """The operation of the profiles that stands for a case."""
    if case in ("layer_norm", "batched"):
        return "bmm" if case == "batched" else case
    return _OPERATIONS.get(workload, "linear" if matrix else "elementwise")


@dataclass(frozen=True)
class Share:
    """A share of a data sheet's rate, and the deviation of its logarithm from a power limit."""

    share: float
    deviation: float = 0.0


def memory_share(gpu: GpuSpec, operation: str) -> float | None:
    """Share of its memory's rate that a GPU reaches where nothing stays in cache; None: unknown."""
    profile = profile_of(gpu, operation)
    return None if profile is None else profile.memory_share


def sustained(gpu: GpuSpec, operation: str) -> Share | None:
    """Share of its FP32 peak that a GPU sustains in large products; None: unknown.

    What a chip usually reaches may be more than a card of it has the power for. The least energy
    of a FLOP that a profiled card of this or an older generation was seen to need bounds what the
    power certainly pays for; the estimate is the geometric mean of the two, its deviation that of
    a bracket that holds nine tenths. A card with a row of its own is as it was measured.
    """
    profile = profile_of(gpu, operation)
    if profile is None:
        return None
    if any(row.gpu.name == gpu.name for row in _rows(operation)):
        return Share(profile.sustained_share)
    certain = min(1.0, _power_share(gpu))
    return Share(profile.sustained_share * certain**0.5, -math.log(certain) / (2.0 * NORMAL_95))


@lru_cache(maxsize=256)
def _power_share(gpu: GpuSpec) -> float:
    """What the power certainly pays for, over what GPUs usually sustain of the FP32 peak."""
    if gpu.tdp_w is None or gpu.fp32_tflops is None:
        return 1.0
    usual = float(np.median([row.profile.sustained_share for row in _rows("linear")]))
    needs = [
        row.gpu.tdp_w / (row.profile.sustained_share * row.gpu.fp32_tflops)
        for operation in ("linear", "bmm")
        for row in _rows(operation)
        if row.gpu.tdp_w and row.gpu.fp32_tflops and _place(row.gpu) <= _place(gpu)
    ]
    return gpu.tdp_w / (min(needs) * usual * gpu.fp32_tflops)


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
