"""Time on a machine known only by its data sheet, from the parts on a measured machine.

    compute   scales with the ratio of peak rates for the dtype and math mode
    memory    scales with the ratio of memory bandwidths
    transfer  scales with the ratio of nominal host-link rates
    launch    stays: no data sheet tells a host's launch cost

A CPU's peak is cores x clock x FLOP per cycle, its bandwidth the socket's share of the cores used.

The interval: each part has its own 5 % and 95 % factor of actual to scaled time, and the parts are
taken to err together (their low ends are added, as are their high ends). The factors were derived
by benchmarks/derive_specs_interval.py from the kernel times published with NeuSight (commit
6945927, MIT licence, (c) 2025 Georgia Institute of Technology and Microsoft), by scaling every one
of six NVIDIA GPUs (P4 to H100) to every other by data-sheet ratios; factors from pairs without a
GPU cover 89 % (compute, memory) and 91 % (launch) of that GPU's times. That data is float32 on
NVIDIA GPUs: for everything else the same factors are used, and ``calibrated`` is False.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from collector.errors import EstimateError
from estimator.checks import check_number
from estimator.hardware_specs import CpuSpec, GpuSpec

# Factors of actual to scaled time at 5 % and 95 %, from benchmarks/derive_specs_interval.py:
# 430,547 pairs of bmm and linear times; 202,124 launch-bound and 143,107 memory-bound pairs of
# elementwise, softmax and layer-norm times; host-to-device rates of 7 cloud GPUs (nvbandwidth).
LAUNCH_FACTORS = (0.576, 1.836)
COMPUTE_FACTORS = (0.475, 2.109)
MEMORY_FACTORS = (0.747, 1.403)
TRANSFER_FACTORS = (0.485, 2.063)

ARCHITECTURES_OF_OTHER_VENDORS = frozenset({"CDNA 3"})


@dataclass(frozen=True, slots=True)
class Parts:
    """The four parts of a predicted time, in seconds; they add up to it."""

    launch_s: float
    compute_s: float
    memory_s: float
    transfer_s: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            check_number(name, getattr(self, name))

    @property
    def seconds(self) -> float:
        return self.launch_s + self.compute_s + self.memory_s + self.transfer_s

    @property
    def bound(self) -> str:
        """The largest part: launch, compute, memory or transfer."""
        largest = max(self.__dataclass_fields__, key=lambda name: float(getattr(self, name)))
        return largest.removesuffix("_s")


@dataclass(frozen=True, slots=True)
class ScaledTime:
    """A time from data sheets: 90 % interval, parts of the median, what bounds it.

    ``calibrated`` is False where the interval's factors come from other hardware or dtypes than
    the question's; ``note`` then says so.
    """

    seconds_p5: float
    seconds_p50: float
    seconds_p95: float
    parts: Parts
    calibrated: bool
    note: str

    @property
    def bound(self) -> str:
        return self.parts.bound

    @property
    def basis(self) -> str:
        return "from_specs"


@dataclass(frozen=True, slots=True)
class CpuShare:
    """The physical cores of a CPU that a cell runs on.

    ``clock_ghz`` and ``memory_gb_per_s`` (of these cores together) are measured figures that take
    the catalogue's place: a host that hides its model has neither there.
    """

    spec: CpuSpec
    cores: float
    clock_ghz: float | None = None
    memory_gb_per_s: float | None = None

    def __post_init__(self) -> None:
        check_number("cores", self.cores)
        if self.cores == 0.0:
            raise EstimateError("cores is 0; a cell runs on at least part of a core")
        if self.clock_ghz is not None:
            check_number("clock_ghz", self.clock_ghz, 0.1, 10.0)
        if self.memory_gb_per_s is not None:
            check_number("memory_gb_per_s", self.memory_gb_per_s, 0.1, 10_000.0)

    def peak_flop_per_s(self, dtype: str) -> float:
        """Cores x clock x FLOP per cycle, in FLOP/s; EstimateError where one is not known."""
        return self.cores * self.spec.core_flop_per_s(dtype, self.clock_ghz)

    @property
    def memory_bytes_per_s(self) -> float:
        """The socket's bandwidth x the share of its cores, in B/s; EstimateError if not known."""
        if self.memory_gb_per_s is not None:
            return 1e9 * self.memory_gb_per_s
        per_socket = self.spec.cores_per_socket
        if per_socket is None:
            raise EstimateError(
                f"{self.spec.name}: the catalogue has no cores per socket, so no bandwidth share "
                "(pass the measured one)"
            )
        return self.spec.memory_bytes_per_s * self.cores / per_socket


def vcpu_share(spec: CpuSpec, vcpu: int) -> CpuShare:
    """All physical cores behind ``vcpu`` vCPUs; EstimateError where the catalogue cannot tell."""
    if spec.vcpus_per_core is None:
        raise EstimateError(f"{spec.name}: the catalogue does not say how many vCPUs a core has")
    return CpuShare(spec, vcpu / spec.vcpus_per_core)


def scale_gpu(
    parts: Parts,
    reference: GpuSpec,
    target: GpuSpec,
    dtype: str,
    math_mode: str = "ieee",
    matrix: bool = True,
    reference_factors: tuple[float, float] = (1.0, 1.0),
) -> ScaledTime:
    """The time on ``target`` of an operation whose parts on ``reference`` are known.

    ``matrix``: the operation runs on matrix units (``workload in MATRIX_WORKLOADS``).
    ``reference_factors`` are p5/p50 and p95/p50 of the parts themselves. Raises EstimateError
    where the catalogue lacks a figure that a part needs.
    """
    scaled = Parts(
        launch_s=parts.launch_s,
        compute_s=_ratio(
            parts.compute_s,
            lambda: reference.peak_flop_per_s(dtype, math_mode, matrix),
            lambda: target.peak_flop_per_s(dtype, math_mode, matrix),
        ),
        memory_s=_ratio(
            parts.memory_s,
            lambda: reference.memory_bytes_per_s,
            lambda: target.memory_bytes_per_s,
        ),
        transfer_s=_ratio(
            parts.transfer_s, lambda: reference.h2d_bytes_per_s, lambda: target.h2d_bytes_per_s
        ),
    )
    notes = [
        f"the interval was derived on NVIDIA GPUs, not on {spec.name}"
        for spec in (reference, target)
        if spec.architecture in ARCHITECTURES_OF_OTHER_VENDORS
    ]
    if parts.compute_s > 0.0 and (dtype, math_mode) != ("float32", "ieee"):
        notes.append(f"the interval was derived on float32, not on {dtype} ({math_mode})")
    return _with_interval(scaled, notes, reference_factors)


def scale_cpu(
    parts: Parts,
    reference: CpuShare,
    target: CpuShare,
    dtype: str,
    reference_factors: tuple[float, float] = (1.0, 1.0),
) -> ScaledTime:
    """The same from one CPU to another, for the cores used on each. Never calibrated."""
    scaled = Parts(
        launch_s=parts.launch_s,
        compute_s=_ratio(
            parts.compute_s,
            lambda: reference.peak_flop_per_s(dtype),
            lambda: target.peak_flop_per_s(dtype),
        ),
        memory_s=_ratio(
            parts.memory_s,
            lambda: reference.memory_bytes_per_s,
            lambda: target.memory_bytes_per_s,
        ),
        transfer_s=parts.transfer_s,
    )
    notes = ["the interval was derived on GPUs, not on CPUs"]
    notes += [
        f"the clock of {share.spec.name} is an upper limit"
        for share in (reference, target)
        if share.clock_ghz is None and share.spec.clock_kind == "max"
    ]
    return _with_interval(scaled, notes, reference_factors)


def _ratio(seconds: float, reference: Callable[[], float], target: Callable[[], float]) -> float:
    """``seconds`` x reference / target; a part of 0 s needs neither figure to be known."""
    return seconds * (reference() / target()) if seconds > 0.0 else 0.0


def _with_interval(
    parts: Parts, notes: list[str], reference_factors: tuple[float, float]
) -> ScaledTime:
    low, high = reference_factors
    check_number("the low reference factor", low, 0.0, 1.0)
    check_number("the high reference factor", high, 1.0)
    if low == 0.0:
        raise EstimateError("the low reference factor is 0; it must be above 0")
    ends = [_sum_of_ends(parts, end) for end in (0, 1)]
    median_s = parts.seconds
    if median_s == 0.0:
        return ScaledTime(0.0, 0.0, 0.0, parts, not notes, "; ".join(notes))
    # The errors of the reference and of the scaling are independent: their logs add in quadrature.
    below = math.hypot(math.log(ends[0] / median_s), math.log(low))
    above = math.hypot(math.log(ends[1] / median_s), math.log(high))
    return ScaledTime(
        seconds_p5=median_s * math.exp(-below),
        seconds_p50=median_s,
        seconds_p95=median_s * math.exp(above),
        parts=parts,
        calibrated=not notes,
        note="; ".join(notes),
    )


def _sum_of_ends(parts: Parts, end: int) -> float:
    return (
        parts.launch_s * LAUNCH_FACTORS[end]
        + parts.compute_s * COMPUTE_FACTORS[end]
        + parts.memory_s * MEMORY_FACTORS[end]
        + parts.transfer_s * TRANSFER_FACTORS[end]
    )
