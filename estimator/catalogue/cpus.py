"""What so many cores of a CPU can do at most: hard limits, for bounds of estimates. Pure.

A limit is at the highest clock that the catalogue's row names (``boost_clock_ghz``, else
``clock_ghz``), or at ``clock_ghz`` where given: the measured hosts report 2.1 and 2.6 GHz and ran
at 3.3 GHz and more (``facts``). What usually is reached stands in
``others.scaling``.

Instruction sets, load and store widths and fused multiply-adds: AMD Software Optimization Guides
for Zen 2 (56305), Zen 3 (56665), Zen 4 (57647) and Zen 5 (58455); Intel 64 and IA-32 Architectures
Optimization Reference Manual (248966) and, for AMX, Intel's AMX overview (1,024 bfloat16 and 2,048
int8 operations a cycle and core); Arm Neoverse Software Optimization Guides.

Work per clock against the generation before: AMD's launch figures (Zen 3 1.19, server Zen 4 1.14
and Zen 5 1.17), Intel's (Ice Lake 1.20 over Cascade Lake, Golden Cove 1.19; for Raptor Cove and
Redwood Cove no figure is published: 1.0) and Arm's (V1 1.5 and N2 1.4 of an N1, V2 1.13 of a V1).
Makers are joined where Zen 4 equals Golden Cove: Python loops of data/runs on a Zen 4 and on an
Emerald Rapids core take the same time within 10 % at about the same clock.

Memory rates, in GB/s, of one core and of one L3 slice (where cores share one, the slice has one
link to memory): rounded medians over the 1,400 AWS, Azure and GCP types of these architectures in
SpareCores/sc-inspector-data, bw_mem read (CC BY-SA 4.0; ``benchmarks.outside_cpus`` prints how well
they do). 16 to 19 for Emerald and 22 for Granite Rapids, 13 to 15 for older Xeons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from collector.errors import EstimateError
from estimator.catalogue.hardware_specs import CpuSpec


@dataclass(frozen=True, slots=True)
class CpuArchitecture:
    """One architecture's cores. Rates are per core and cycle unless named otherwise.

    ``instruction_sets`` are those that numeric libraries choose their code by.
    ``half_flop_per_fp32``: operations of a 16-bit or 8-bit product per float32 operation of the
    vector units, by element type, where there are such instructions; ``matrix_per_cycle``: of a
    matrix unit (AMX). ``l1_bytes_per_cycle``: loads and stores together. ``per_clock``: work per
    clock of code that is not vectorised, 1 for Zen 4. ``slice_cores`` share an L3 slice;
    ``domains`` is into how many a socket's channels are divided for one virtual machine.
    """

    maker: str
    generation: int
    instruction_sets: frozenset[str]
    per_clock: float
    l1_bytes_per_cycle: float
    one_core_gb_per_s: float
    half_flop_per_fp32: Mapping[str, float]
    matrix_per_cycle: Mapping[str, float]
    slice_cores: int | None = None
    slice_gb_per_s: float | None = None
    domain_cores: int | None = None
    domains: int = 1


_AVX2 = frozenset({"avx2"})
_AVX512 = _AVX2 | {"avx512"}
_VNNI = _AVX512 | {"vnni"}
_AMX = _VNNI | {"bf16", "fp16", "amx"}
_ZEN4 = _VNNI | {"bf16"}
_NEON = frozenset({"neon", "dotprod"})
_SVE = _NEON | {"sve", "bf16", "i8mm"}

_TWO_STEPS = {"int8": 2.0}  # vpmaddubsw and vpmaddwd: two instructions for four products
_DOT = {"int8": 4.0}
_DOT_BF16 = {"int8": 4.0, "bfloat16": 2.0}
_DOT_FP16 = {"int8": 4.0, "bfloat16": 2.0, "float16": 2.0}
_ARM = {"int8": 8.0, "bfloat16": 4.0, "float16": 2.0}
_TILES = {"int8": 2048.0, "bfloat16": 1024.0}
_TILES_FP16 = {**_TILES, "float16": 1024.0}

ARCHITECTURES: Mapping[str, CpuArchitecture] = {
    "Zen 2": CpuArchitecture("amd", 2, _AVX2, 0.74, 96.0, 25.0, _TWO_STEPS, {}, 8, 37.0),
    "Zen 3": CpuArchitecture("amd", 3, _AVX2, 0.88, 96.0, 33.0, _TWO_STEPS, {}, 8, 39.0),
    "Zen 4": CpuArchitecture("amd", 4, _ZEN4, 1.0, 96.0, 37.0, _DOT_BF16, {}, 8, 39.0),
    "Zen 5": CpuArchitecture("amd", 5, _ZEN4, 1.17, 192.0, 44.0, _DOT_BF16, {}, 8, 53.0),
    "Skylake": CpuArchitecture("intel", 1, _AVX512, 0.70, 192.0, 14.0, _TWO_STEPS, {}),
    "Cascade Lake": CpuArchitecture("intel", 2, _VNNI, 0.70, 192.0, 14.0, _DOT, {}),
    "Ice Lake": CpuArchitecture("intel", 3, _VNNI, 0.84, 192.0, 14.0, _DOT, {}),
    "Sapphire Rapids": CpuArchitecture("intel", 4, _AMX, 1.0, 192.0, 14.0, _DOT_FP16, _TILES),
    "Emerald Rapids": CpuArchitecture("intel", 5, _AMX, 1.0, 192.0, 19.0, _DOT_FP16, _TILES),
    # three dies of 32 cores to rent and a third of the channels each
    "Granite Rapids": CpuArchitecture(
        *("intel", 6, _AMX, 1.0, 192.0, 22.0, _DOT_FP16, _TILES_FP16),
        domain_cores=32,
        domains=3,
    ),
    "Neoverse N2": CpuArchitecture("arm", 2, _SVE, 0.70, 80.0, 22.0, _ARM, {}),
    "Neoverse V1": CpuArchitecture("arm", 3, _SVE, 0.75, 96.0, 28.0, _ARM, {}),
    "Neoverse V2": CpuArchitecture("arm", 4, _SVE, 0.85, 80.0, 30.0, _ARM, {}),
}

#: Words in the ``architecture`` of a row whose CPU the provider does not fix.
_VAGUE = ("mixed", "or newer")


def is_fixed(architecture: str) -> bool:
    """Whether the provider says which CPU it is."""
    return not any(word in architecture for word in _VAGUE)


_DOUBLE = ("float64", "complex128")
_SINGLE = ("float32", "complex64")
_SHORT = ("float16", "bfloat16", "int8")


def highest_clock_ghz(cpu: CpuSpec, clock_ghz: float | None = None) -> float:
    """The clock that a limit is taken at. EstimateError where neither is known."""
    if not is_fixed(cpu.architecture):
        raise EstimateError(f"{cpu.name}: the provider does not fix which processor it is")
    known = clock_ghz or cpu.boost_clock_ghz or cpu.clock_ghz
    if known is None:
        raise EstimateError(f"{cpu.name}: the catalogue has no clock; pass the measured one")
    return known


def flop_per_cycle(cpu: CpuSpec, dtype: str) -> float:
    """Dense operations per cycle and core of the unit that does products of a type.

    Complex types are counted in real operations. 16-bit types and int8 run on the matrix unit
    (AMX) where there is one for them, else on dot products of the vector units (VNNI, AVX-512
    BF16 and FP16, Arm's matrix instructions); where there is neither, 16-bit types are converted
    to float32 and int8 takes two instructions of 16 bits. EstimateError for other types and
    where the row does not say.
    """
    if not is_fixed(cpu.architecture):
        raise EstimateError(f"{cpu.name}: the provider does not fix which processor it is")
    single = cpu.fp32_flop_per_cycle
    found = cpu.fp64_flop_per_cycle if dtype in _DOUBLE else single if dtype in _SINGLE else None
    if dtype in _SHORT and single is not None:
        unit = ARCHITECTURES.get(cpu.architecture)
        if unit is not None:
            times = unit.half_flop_per_fp32.get(dtype, 1.0)
            found = unit.matrix_per_cycle.get(dtype, times * single)
    if found is None:
        raise EstimateError(f"{cpu.name}: no peak rate for {dtype} is known on CPUs")
    return found


def has_instructions(cpu: CpuSpec, dtype: str) -> bool:
    """Whether the cores have instructions for products of that type (float32: always)."""
    unit = ARCHITECTURES.get(cpu.architecture)
    if dtype not in _SHORT or unit is None:
        return True
    if dtype == "int8":
        return bool(unit.instruction_sets & {"vnni", "dotprod"})
    return dtype in unit.half_flop_per_fp32 or dtype in unit.matrix_per_cycle


def no_instructions(dtype: str) -> str:
    """Why a product of that type is not answered through CPUs that have them."""
    return (
        f"its cores have no instructions for products of {dtype}: libraries take other code, "
        "which no machine without them has measured"
    )


def peak_flop_per_s(
    cpu: CpuSpec, cores: float, dtype: str, clock_ghz: float | None = None
) -> float:
    """Dense peak of so many cores in FLOP/s (real operations; int8: operations).

    Raises EstimateError where the catalogue does not say.
    """
    return 1e9 * cores * highest_clock_ghz(cpu, clock_ghz) * flop_per_cycle(cpu, dtype)


def peak_memory_bytes_per_s(cpu: CpuSpec, cores: float) -> float:
    """Rate of memory in B/s: the socket's, of as many sockets as the cores need.

    Raises EstimateError where the catalogue does not say.
    """
    return cpu.memory_bytes_per_s * sockets(cpu, cores)


def peak_cache_bytes_per_s(cpu: CpuSpec, cores: float, clock_ghz: float | None = None) -> float:
    """Rate in B/s of data that fits the caches: what the cores load from and store to their L1.

    Data that fits the last cache may lie in a core's own, and none is faster than that one's
    ports. Raises EstimateError where the architecture or its clock is not known.
    """
    clock = highest_clock_ghz(cpu, clock_ghz)
    unit = ARCHITECTURES.get(cpu.architecture)
    if unit is None:
        raise EstimateError(f"{cpu.name}: the load width of {cpu.architecture} is not known")
    return 1e9 * cores * clock * unit.l1_bytes_per_cycle


def sockets(cpu: CpuSpec, cores: float) -> int:
    """How many sockets so many cores need, by what the family offers of one."""
    return 1 if cpu.cores_per_socket is None else max(1, math.ceil(cores / cpu.cores_per_socket))
