"""What a data sheet says of one GPU or one CPU, and the peak rates that follow from it.

A figure that could not be established is None; an answer that needs it is refused with a reason
instead of guessed. Each figure is declared once, with the band that it must lie in: the columns of
the catalogue and its checks are made from these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

from collector.errors import EstimateError, UnknownFigureError
from collector.workloads import Limit, limited_by
from estimator.catalogue.gpu_units import Unit, unit_of

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
