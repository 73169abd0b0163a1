"""What a data sheet says of one GPU or one CPU, and the peak rates that follow from it.

A figure that could not be established is None; an answer that needs it is refused with a reason
instead of guessed. Each figure is declared once, with the band that it must lie in: the columns of
the catalogue and its checks are made from these declarations.

The figures of a row agree with each other: a peak rate follows from units, width and clock, a
bandwidth from width and rate. Each rule that a row has the figures for is checked, so that a slip
(a rate with sparsity, a figure twice as large, a bus in bytes) is refused with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

from collector.errors import EstimateError, UnknownFigureError
from collector.workloads import Limit, limited_by
from estimator.catalogue.gpu_units import Unit, has_matrix_units, unit_of

# Data sheets round (H200: 4.8 TB/s for 4.917; P4: 5.5 TFLOP/s for 5.7), so figures agree within
# this much; a slip by a factor, or with sparsity for dense, is far outside.
_ROUNDING = 0.04

# Matrix units at full load run below the boost clock on data-centre parts: the sheet's dense rate
# is up to 13 % below units x boost (H100 NVL). It is never above.
_MATRIX_CLOCK = 0.15


@dataclass(frozen=True, slots=True)
class _Generation:
    """How the rates of a generation's chips relate; several ratios where its chips differ.

    FP64 per FP32, and FP64 of the matrix units per that of the others: CUDA C++ Programming Guide,
    throughput of native arithmetic instructions; Blackwell Ultra: NVIDIA HGX page; CDNA 3: AMD
    Instinct MI300X data sheet. Products of INT8 per FP16: NVIDIA white papers (four times where
    GeForce halves sums in float32; Blackwell Ultra: NVIDIA HGX page), or per FP32 by dot products
    of four (DP4A).
    """

    fp64_per_fp32: tuple[float, ...] = ()
    fp64_matrix: float | None = None
    int8_per_fp16: tuple[float, ...] = ()
    int8_per_fp32: float | None = None


_GENERATIONS: Mapping[str, _Generation] = {
    "Pascal": _Generation((1 / 2, 1 / 32), int8_per_fp32=4.0),
    "Volta": _Generation((1 / 2,), int8_per_fp32=4.0),
    "Turing": _Generation((1 / 32,), None, (2.0,)),
    "Ampere": _Generation((1 / 2, 1 / 64), 2.0, (2.0,)),
    "Ada": _Generation((1 / 64,), None, (2.0, 4.0)),
    "Hopper": _Generation((1 / 2,), 2.0, (2.0,)),
    "Blackwell": _Generation((1 / 2, 1 / 64), 1.0, (2.0, 4.0)),
    "Blackwell Ultra": _Generation((1 / 60,), 1.0, (1 / 15,)),
    "CDNA 3": _Generation((1 / 2,), 2.0, (2.0,)),
}

# GB/s in one direction: lanes x GT/s / 8, x 128/130 up to PCIe 5.0; NVLink-C2C: half of 900 GB/s.
_LINK_GB_PER_S: Mapping[str, float] = {
    "PCIe 3.0 x16": 15.75,
    "PCIe 4.0 x16": 31.5,
    "PCIe 5.0 x16": 63.0,
    "PCIe 6.0 x16": 128.0,
    "NVLink-C2C": 450.0,
}

# FP64 operations a cycle: FMA units x lanes x 2. Vendors' software optimisation guides: AMD two
# 256-bit units, from Zen 5 (server) two of 512; Intel Xeon two of 512; Arm V1 2 x 256, V2 4 x 128,
# N2 2 x 128.
_FP64_PER_CYCLE: Mapping[str, float] = {
    **dict.fromkeys(("Zen 2", "Zen 3", "Zen 4"), 16.0),
    "Zen 5": 32.0,
    **dict.fromkeys(("Skylake", "Cascade Lake", "Ice Lake"), 32.0),
    **dict.fromkeys(("Sapphire Rapids", "Emerald Rapids", "Granite Rapids"), 32.0),
    "Neoverse N2": 8.0,
    **dict.fromkeys(("Neoverse V1", "Neoverse V2"), 16.0),
}


def disagreement(spec: HardwareSpec) -> str | None:
    """The first rule that the figures break, in words with both numbers; None if they agree."""
    found = _gpu(spec) if isinstance(spec, GpuSpec) else _cpu(spec)
    return next(found, None)


def _gpu(spec: GpuSpec) -> Iterator[str]:
    lanes = _product(spec.sm_count, spec.fp32_lanes_per_sm, spec.boost_clock_ghz, 2e-3)
    yield from _near(spec, "fp32_tflops", lanes, "SMs x FP32 lanes x 2 x boost clock")
    matrix = _product(spec.sm_count, spec.fp16_flop_per_clock_per_sm, spec.boost_clock_ghz, 1e-3)
    rule = "SMs x FP16 FLOP per clock x boost clock"
    yield from _near(spec, "fp16_tflops", matrix, rule, below=_MATRIX_CLOCK)
    yield from _near(spec, "bf16_tflops", spec.fp16_tflops, "fp16_tflops")
    yield from _near(spec, "tf32_tflops", _product(spec.fp16_tflops, 0.5), "half of fp16_tflops")
    generation = _GENERATIONS.get(spec.architecture, _Generation())
    yield from _int8(spec, generation)
    for column, kind in (("bf16_tflops", "bfloat16"), ("tf32_tflops", "tf32")):
        if getattr(spec, column) is not None and not has_matrix_units(spec, kind):
            yield f"{column} is given, but {spec.architecture} has no such units"
    yield from _fp64(spec, generation)
    rate = _product(spec.memory_bus_bits, spec.memory_gbit_per_s_per_pin, 1 / 8)
    yield from _near(spec, "memory_bandwidth_gb_per_s", rate, "bus width x rate of a pin / 8")
    if spec.host_link and spec.host_link not in _LINK_GB_PER_S:
        yield f"host_link is {spec.host_link!r}; use one of {', '.join(_LINK_GB_PER_S)}"
    link = _LINK_GB_PER_S.get(spec.host_link)
    yield from _near(spec, "h2d_gb_per_s", link, f"the rate of {spec.host_link}")


def _int8(spec: GpuSpec, generation: _Generation) -> Iterator[str]:
    int8, fp16, ratios = spec.int8_tops, spec.fp16_tflops, generation.int8_per_fp16
    if int8 is not None and fp16 is not None and ratios:
        ratio = min(ratios, key=lambda r: abs(r * fp16 - int8))
        rule = f"{ratio:g} x fp16_tflops of {spec.architecture}"
        yield from _near(spec, "int8_tops", ratio * fp16, rule)
    four = _product(spec.fp32_tflops, generation.int8_per_fp32)
    yield from _near(spec, "int8_tops", four, f"4 x fp32_tflops of {spec.architecture}")


def _fp64(spec: GpuSpec, generation: _Generation) -> Iterator[str]:
    fp32, fp64, ratios = spec.fp32_tflops, spec.fp64_tflops, generation.fp64_per_fp32
    if fp32 is not None and fp64 is not None and ratios:
        rates = [ratio * fp32 for ratio in ratios]
        expected = min(rates, key=lambda rate: max(rate / fp64, fp64 / rate))
        rule = f"fp32_tflops / {fp32 / expected:g} of {spec.architecture}"
        yield from _near(spec, "fp64_tflops", expected, rule)
    times = generation.fp64_matrix
    if times is None and spec.fp64_tensor_tflops is not None:
        yield f"fp64_tensor_tflops is given, but {spec.architecture} is not known to have any"
    rule = f"{times or 0.0:g} x fp64_tflops of {spec.architecture}"
    yield from _near(spec, "fp64_tensor_tflops", _product(fp64, times), rule)


def _cpu(spec: CpuSpec) -> Iterator[str]:
    rate = _product(spec.memory_channels, spec.memory_mt_per_s, 8e-3)
    yield from _near(spec, "memory_bandwidth_gb_per_s", rate, "channels x MT/s x 8 B")
    expected = _FP64_PER_CYCLE.get(spec.architecture)
    rule = f"the FMA units of {spec.architecture}"
    yield from _near(spec, "fp64_flop_per_cycle", expected, rule)
    twice = _product(spec.fp64_flop_per_cycle, 2.0)
    yield from _near(spec, "fp32_flop_per_cycle", twice, "twice that of FP64")
    if spec.boost_clock_ghz is not None and spec.boost_clock_ghz < (spec.clock_ghz or 0.0):
        yield f"boost_clock_ghz is {spec.boost_clock_ghz:g}, below clock_ghz {spec.clock_ghz:g}"


def _near(
    spec: HardwareSpec, column: str, expected: float | None, rule: str, below: float = _ROUNDING
) -> Iterator[str]:
    """The reason if a figure is not from ``below`` under to the rounding above ``expected``."""
    value: float | None = getattr(spec, column)
    if value is None or expected is None:
        return
    if not expected * (1.0 - below) <= value <= expected * (1.0 + _ROUNDING):
        yield f"{column} is {value:g}, but {rule} gives {expected:g}"


def _product(*factors: float | None) -> float | None:
    """The product, None where a factor is not known."""
    known = [factor for factor in factors if factor is not None]
    return math.prod(known) if len(known) == len(factors) else None


# Families whose operations run on matrix (tensor) units where the GPU has them for the dtype.
MATRIX_WORKLOADS = frozenset(limited_by(Limit.PRODUCTS))

CLOCK_KINDS = ("all_core", "fixed", "max")


@dataclass(frozen=True, slots=True)
class Band:
    """Widest band that a figure of a real part can lie in: it catches slips of units.

    ``whole``: the figure counts something.
    """

    low: float
    high: float
    whole: bool = False


def _figure(low: float, high: float) -> Any:
    return field(default=None, metadata={"band": Band(low, high)})


def _count(low: float, high: float) -> Any:
    return field(default=None, metadata={"band": Band(low, high, whole=True)})


def bands(kind: type[HardwareSpec]) -> dict[str, Band]:
    """The figures of a GPU or a CPU by name, each with its band."""
    return {f.name: f.metadata["band"] for f in fields(kind) if "band" in f.metadata}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """What the data sheets of GPUs and CPUs share. ``None``: not established.

    ``checked_against`` names what the figures were read in or compared with on ``checked_on``
    (ISO date), and what could not be.
    """

    name: str
    aliases: tuple[str, ...]
    architecture: str
    source: str
    checked_against: str = ""
    checked_on: str = ""
    memory_bandwidth_gb_per_s: float | None = _figure(20.0, 50_000.0)
    last_level_cache_mib: float | None = _figure(1.0, 2000.0)
    boost_clock_ghz: float | None = _figure(0.5, 6.0)

    @property
    def memory_bytes_per_s(self) -> float:
        """Memory bandwidth (a CPU's: of the socket) in B/s; EstimateError if it is not known."""
        return 1e9 * _known(self.memory_bandwidth_gb_per_s, self.name, "memory bandwidth")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec(_Sheet):
    """One GPU model by its data sheet. ``None``: not established, or the GPU has no such units.

    Rates are dense (without sparsity) peaks in TFLOP/s; ``fp16``, ``bf16`` and ``tf32`` are those
    of the matrix units with float32 accumulation, ``int8_tops`` with int32 accumulation.
    ``h2d_gb_per_s`` is the nominal rate of the host link in one direction. Cards of one ``chip``
    differ in what of it is switched on, in clocks, power and memory.

    What the rates follow from: SMs (compute units on AMD), FP32 lanes of one (fused multiply-adds
    per clock), dense FP16 FLOP per clock of its matrix units, the boost clock in GHz, the memory's
    width in bits and Gbit/s per pin.
    """

    device: ClassVar[str] = "cuda"

    chip: str = ""
    host_link: str = ""
    memory_gib: float | None = _figure(1.0, 2000.0)
    fp64_tflops: float | None = _figure(0.01, 2000.0)
    fp64_tensor_tflops: float | None = _figure(0.1, 2000.0)
    fp32_tflops: float | None = _figure(0.5, 2000.0)
    tf32_tflops: float | None = _figure(1.0, 20_000.0)
    fp16_tflops: float | None = _figure(1.0, 20_000.0)
    bf16_tflops: float | None = _figure(1.0, 20_000.0)
    int8_tops: float | None = _figure(1.0, 40_000.0)
    sm_count: int | None = _count(1, 2000)
    h2d_gb_per_s: float | None = _figure(1.0, 2000.0)
    tdp_w: float | None = _figure(10.0, 5000.0)
    fp32_lanes_per_sm: int | None = _count(32, 512)
    fp16_flop_per_clock_per_sm: int | None = _count(64, 65_536)
    memory_bus_bits: int | None = _count(64, 16_384)
    memory_gbit_per_s_per_pin: float | None = _figure(1.0, 64.0)

    def unit_for(self, dtype: str, math_mode: str = "ieee", matrix: bool = True) -> Unit:
        """The unit that really does an operation, with its dense peak (see ``gpu_units``).

        ``matrix=False`` is for operations that are no products. Raises NoSuchUnitError where the
        GPU cannot do it, UnknownFigureError where the catalogue does not say the unit's rate.
        """
        return unit_of(self, dtype, math_mode, matrix)

    def peak_flop_per_s(self, dtype: str, math_mode: str = "ieee", matrix: bool = True) -> float:
        """Dense peak in FLOP/s of ``unit_for``; raises as it does."""
        return self.unit_for(dtype, math_mode, matrix).flop_per_s

    @property
    def h2d_bytes_per_s(self) -> float:
        """Nominal rate of the host link in B/s, one direction; EstimateError if not known."""
        return 1e9 * _known(self.h2d_gb_per_s, self.name, "host link")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSpec(_Sheet):
    """One CPU of a cloud family, or of a host that hides its model, by its data sheet.

    ``clock_kind`` says what ``clock_ghz`` is: ``all_core`` (sustained with all cores busy),
    ``fixed``, or ``max`` (an upper limit: no sustained clock is published);
    ``boost_clock_ghz`` is the highest that a core reaches, where published.
    ``cores_per_socket`` counts the cores that the family's largest shape offers per socket;
    bandwidth and last-level cache are of the whole socket. ``vcpus_per_core`` is 2 where a
    vCPU is a hardware thread, 1 where it is a core. FLOP per cycle are of all fused multiply-add
    units of a core, at full vector width. ``memory_channels`` x ``memory_mt_per_s`` x 8 B is the
    bandwidth.
    """

    device: ClassVar[str] = "cpu"

    clock_kind: str = ""
    cpu_family: int | None = _count(1, 1000)
    cpu_model_number: int | None = _count(0, 1000)
    clock_ghz: float | None = _figure(1.5, 6.0)
    fp64_flop_per_cycle: float | None = _figure(1.0, 256.0)
    fp32_flop_per_cycle: float | None = _figure(1.0, 512.0)
    cores_per_socket: int | None = _count(1, 1024)
    vcpus_per_core: int | None = _count(1, 8)
    memory_channels: int | None = _count(1, 32)
    memory_mt_per_s: float | None = _figure(800.0, 20_000.0)

    def core_flop_per_s(self, dtype: str, clock_ghz: float | None = None) -> float:
        """Peak rate of one core in FLOP/s, at the given clock or else the catalogue's.

        Raises EstimateError for a dtype without a known rate, or where no clock is known.
        """
        if dtype in ("float64", "complex128"):
            per_cycle = self.fp64_flop_per_cycle
        elif dtype in ("float32", "complex64"):
            per_cycle = self.fp32_flop_per_cycle
        else:
            raise EstimateError(f"{self.name}: no peak rate for {dtype} is known on CPUs")
        clock = clock_ghz if clock_ghz is not None else self.clock_ghz
        return (
            1e9
            * _known(clock, self.name, "clock (pass the measured one)")
            * _known(per_cycle, self.name, f"FLOP per cycle for {dtype}")
        )


HardwareSpec: TypeAlias = GpuSpec | CpuSpec


def _known(value: float | None, name: str, what: str) -> float:
    if value is None:
        raise UnknownFigureError(
            f"{name}: the catalogue has no {what}; it cannot be scaled from specs"
        )
    return value
