"""Whether the figures of one catalogue row agree with each other.

A peak rate follows from units, width and clock, a bandwidth from width and rate. Each rule that
a row has the figures for is checked, so that a slip (a rate with sparsity, a figure twice as
large, a bus in bytes) is refused with its reason. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from estimator.catalogue.gpu_units import has_matrix_units
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec

# Data sheets round (H200: 4.8 TB/s for 4.917; P4: 5.5 TFLOP/s for 5.7), so figures agree within
# this much; a slip by a factor, or with sparsity for dense, is far outside.
_ROUNDING = 0.04

# Matrix units at full load run below the boost clock on data-centre parts: the sheet's dense rate
# is up to 13 % below units x boost (H100 NVL). It is never above.
_MATRIX_CLOCK = 0.15

# FP64 per FP32 rate of the generation's chips: CUDA C++ Programming Guide, throughput of native
# arithmetic instructions (data-centre chip, then the others); Blackwell Ultra: NVIDIA HGX page;
# CDNA 3: AMD Instinct MI300X data sheet.
_FP64_PER_FP32: Mapping[str, tuple[float, ...]] = {
    "Pascal": (1 / 2, 1 / 32),
    "Volta": (1 / 2,),
    "Turing": (1 / 32,),
    "Ampere": (1 / 2, 1 / 64),
    "Ada": (1 / 64,),
    "Hopper": (1 / 2,),
    "Blackwell": (1 / 2, 1 / 64),
    "Blackwell Ultra": (1 / 60,),
    "CDNA 3": (1 / 2,),
}

# FP64 rate of the matrix units per that of the others (same documents).
_FP64_MATRIX: Mapping[str, float] = {
    "Ampere": 2.0,
    "Hopper": 2.0,
    "Blackwell": 1.0,
    "Blackwell Ultra": 1.0,
    "CDNA 3": 2.0,
}

# INT8 products: rate per that of FP16 (NVIDIA white papers; four times where GeForce halves sums in
# float32; Blackwell Ultra: NVIDIA HGX page), or per FP32 by dot products of four (DP4A).
_INT8_PER_FP16: Mapping[str, tuple[float, ...]] = {
    "Turing": (2.0,),
    "Ampere": (2.0,),
    "Ada": (2.0, 4.0),
    "Hopper": (2.0,),
    "Blackwell": (2.0, 4.0),
    "Blackwell Ultra": (1 / 15,),
    "CDNA 3": (2.0,),
}
_INT8_PER_FP32: Mapping[str, float] = {"Pascal": 4.0, "Volta": 4.0}

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
    "Zen 2": 16.0,
    "Zen 3": 16.0,
    "Zen 4": 16.0,
    "Zen 5": 32.0,
    "Skylake": 32.0,
    "Cascade Lake": 32.0,
    "Ice Lake": 32.0,
    "Sapphire Rapids": 32.0,
    "Emerald Rapids": 32.0,
    "Granite Rapids": 32.0,
    "Neoverse N2": 8.0,
    "Neoverse V1": 16.0,
    "Neoverse V2": 16.0,
}


def disagreement(spec: GpuSpec | CpuSpec) -> str | None:
    """The first rule that the figures break, in words with both numbers; None if they agree."""
    found = _gpu(spec) if isinstance(spec, GpuSpec) else _cpu(spec)
    return next(found, None)


def _gpu(spec: GpuSpec) -> Iterator[str]:
    lanes = _product(spec.sm_count, spec.fp32_lanes_per_sm, spec.boost_clock_ghz, 2e-3)
    yield from _near("fp32_tflops", spec.fp32_tflops, lanes, "SMs x FP32 lanes x 2 x boost clock")
    matrix = _product(spec.sm_count, spec.fp16_flop_per_clock_per_sm, spec.boost_clock_ghz, 1e-3)
    rule = "SMs x FP16 FLOP per clock x boost clock"
    yield from _near("fp16_tflops", spec.fp16_tflops, matrix, rule, below=_MATRIX_CLOCK)
    yield from _near("bf16_tflops", spec.bf16_tflops, spec.fp16_tflops, "fp16_tflops")
    half = _product(spec.fp16_tflops, 0.5)
    yield from _near("tf32_tflops", spec.tf32_tflops, half, "half of fp16_tflops")
    yield from _int8(spec)
    yield from _missing_units(spec)
    yield from _fp64(spec)
    rate = _product(spec.memory_bus_bits, spec.memory_gbit_per_s_per_pin, 1 / 8)
    rule = "bus width x rate of a pin / 8"
    yield from _near("memory_bandwidth_gb_per_s", spec.memory_bandwidth_gb_per_s, rate, rule)
    if spec.host_link and spec.host_link not in _LINK_GB_PER_S:
        yield f"host_link is {spec.host_link!r}; use one of {', '.join(_LINK_GB_PER_S)}"
    link = _LINK_GB_PER_S.get(spec.host_link)
    yield from _near("h2d_gb_per_s", spec.h2d_gb_per_s, link, f"the rate of {spec.host_link}")


def _int8(spec: GpuSpec) -> Iterator[str]:
    int8, fp16 = spec.int8_tops, spec.fp16_tflops
    ratios = _INT8_PER_FP16.get(spec.architecture)
    if int8 is not None and fp16 is not None and ratios is not None:
        ratio = min(ratios, key=lambda r: abs(r * fp16 - int8))
        rule = f"{ratio:g} x fp16_tflops of {spec.architecture}"
        yield from _near("int8_tops", int8, ratio * fp16, rule)
    four = _product(spec.fp32_tflops, _INT8_PER_FP32.get(spec.architecture))
    rule = f"4 x fp32_tflops of {spec.architecture}"
    yield from _near("int8_tops", int8, four, rule)


def _missing_units(spec: GpuSpec) -> Iterator[str]:
    given = {"bfloat16": spec.bf16_tflops, "tf32": spec.tf32_tflops}
    for kind, rate in given.items():
        if rate is not None and not has_matrix_units(spec, kind):
            column = "bf16_tflops" if kind == "bfloat16" else "tf32_tflops"
            yield f"{column} is given, but {spec.architecture} has no such units"


def _fp64(spec: GpuSpec) -> Iterator[str]:
    fp32, fp64 = spec.fp32_tflops, spec.fp64_tflops
    ratios = _FP64_PER_FP32.get(spec.architecture)
    if fp32 is not None and fp64 is not None and ratios is not None:
        rates = [ratio * fp32 for ratio in ratios]
        expected = min(rates, key=lambda rate: max(rate / fp64, fp64 / rate))
        rule = f"fp32_tflops / {fp32 / expected:g} of {spec.architecture}"
        yield from _near("fp64_tflops", fp64, expected, rule)
    times = _FP64_MATRIX.get(spec.architecture)
    if times is None and spec.fp64_tensor_tflops is not None:
        yield f"fp64_tensor_tflops is given, but {spec.architecture} is not known to have any"
    rule = f"{times or 0.0:g} x fp64_tflops of {spec.architecture}"
    yield from _near("fp64_tensor_tflops", spec.fp64_tensor_tflops, _product(fp64, times), rule)


def _cpu(spec: CpuSpec) -> Iterator[str]:
    rate = _product(spec.memory_channels, spec.memory_mt_per_s, 8e-3)
    rule = "channels x MT/s x 8 B"
    yield from _near("memory_bandwidth_gb_per_s", spec.memory_bandwidth_gb_per_s, rate, rule)
    expected = _FP64_PER_CYCLE.get(spec.architecture)
    rule = f"the FMA units of {spec.architecture}"
    yield from _near("fp64_flop_per_cycle", spec.fp64_flop_per_cycle, expected, rule)
    twice = _product(spec.fp64_flop_per_cycle, 2.0)
    yield from _near("fp32_flop_per_cycle", spec.fp32_flop_per_cycle, twice, "twice that of FP64")
    if spec.boost_clock_ghz is not None and spec.boost_clock_ghz < (spec.clock_ghz or 0.0):
        yield f"boost_clock_ghz is {spec.boost_clock_ghz:g}, below clock_ghz {spec.clock_ghz:g}"


def _near(
    column: str, value: float | None, expected: float | None, rule: str, below: float = _ROUNDING
) -> Iterator[str]:
    """The reason if ``value`` is not from ``below`` under to the rounding above ``expected``."""
    if value is None or expected is None:
        return
    if not expected * (1.0 - below) <= value <= expected * (1.0 + _ROUNDING):
        yield f"{column} is {value:g}, but {rule} gives {expected:g}"


def _product(*factors: float | None) -> float | None:
    """The product, None where a factor is not known."""
    total = 1.0
    for factor in factors:
        if factor is None:
            return None
        total *= factor
    return total
