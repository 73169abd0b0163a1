"""What so many cores of a CPU can do at most: hard limits, for bounds of estimates. Pure.

A limit is at the highest clock that the catalogue's row names (``boost_clock_ghz``, else
``clock_ghz``), or at ``clock_ghz`` where given: the measured hosts report 2.1 and 2.6 GHz and ran
at 3.3 GHz and more (``machine_facts``). What usually is reached stands in ``core_scaling``.
"""

from __future__ import annotations

import math

from collector.errors import EstimateError
from estimator.cpu_architectures import ARCHITECTURES, is_fixed
from estimator.hardware_specs import CpuSpec

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
