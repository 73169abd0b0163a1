"""The quantities of ceilings.py: which cells show each, what work counts, what data sheets say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec

Row = Mapping[str, Any]
#: data sheets of the GPU and the processor, physical cores -> FLOP/s or B/s, NaN if not known
Specified = Callable[[GpuSpec | None, CpuSpec | None, int], float]


@dataclass(frozen=True)
class Ceiling:
    """One quantity: which cells show it, what work counts, what the data sheet says."""

    name: str
    unit: str
    scale: float
    device: str
    workload: str
    case: str
    mode: str
    work: tuple[str, ...]
    specified: Specified
    dtype: str = "float32"
    math_mode: str = "ieee"
    n: int | None = None

    def shown_by(self, row: Row) -> bool:
        """Whether a row is a measurement of this quantity."""
        wanted = (self.workload, self.case, self.mode, self.device, self.dtype, self.math_mode)
        names = ("workload", "case", "mode", "device", "dtype", "math_mode")
        same = wanted == tuple(row[name] for name in names)
        return same and (self.n is None or dict(row["params"])["n"] == self.n)

    def rate(self, row: Row) -> float:
        """Work per second, in FLOP/s or B/s."""
        return float(sum(row[name] for name in self.work) / row["median_s"])


def _flops(dtype: str, math_mode: str = "ieee") -> Specified:
    return lambda gpu, cpu, cores: (
        math.nan if gpu is None else gpu.peak_flop_per_s(dtype, math_mode)
    )


def _core_flops(dtype: str) -> Specified:
    return lambda gpu, cpu, cores: math.nan if cpu is None else cores * cpu.core_flop_per_s(dtype)


def _gpu_memory(gpu: GpuSpec | None, cpu: CpuSpec | None, cores: int) -> float:
    return math.nan if gpu is None else gpu.memory_bytes_per_s


def _link(gpu: GpuSpec | None, cpu: CpuSpec | None, cores: int) -> float:
    return math.nan if gpu is None else gpu.h2d_bytes_per_s


def _cpu_memory(gpu: GpuSpec | None, cpu: CpuSpec | None, cores: int) -> float:
    return math.nan if cpu is None else cpu.memory_bytes_per_s


FLOP = ("flop_count",)
MOVED = ("bytes_read", "bytes_written")


def _product(name: str, dtype: str, math_mode: str = "ieee", n: int | None = None) -> Ceiling:
    return Ceiling(
        *(f"GPU {name}", "TFLOP/s", 1e12, "cuda", "matmul", "square", "hot", FLOP),
        *(_flops(dtype, math_mode), dtype, math_mode, n),
    )


def _copy(name: str, case: str, mode: str, work: tuple[str, ...], specified: Specified) -> Ceiling:
    return Ceiling(f"GPU {name}", "GB/s", 1e9, "cuda", "transfer", case, mode, work, specified)


def _cpu(
    name: str,
    unit: str,
    workload: str,
    case: str,
    work: tuple[str, ...],
    spec: Specified,
    dtype: str,
) -> Ceiling:
    return Ceiling(f"CPU {name}", unit, 1e9, "cpu", workload, case, "hot", work, spec, dtype)


CEILINGS = (
    _product("bfloat16 product 8192^3", "bfloat16", n=8192),
    _product("bfloat16 product", "bfloat16"),
    _product("float16 product", "float16"),
    _product("tf32 product", "float32", "tf32"),
    _product("float32 product", "float32"),
    _product("float64 product", "float64"),
    _copy("copy, read + write", "d2d", "hot", MOVED, _gpu_memory),
    _copy("host to device, pinned", "h2d_pinned", "resident", ("h2d_bytes",), _link),
    _copy("device to host, pinned", "d2h_pinned", "resident", ("d2h_bytes",), _link),
    _cpu("float32 product", "GFLOP/s", "matmul", "square", FLOP, _core_flops("float32"), "float32"),
    _cpu("float64 product", "GFLOP/s", "matmul", "square", FLOP, _core_flops("float64"), "float64"),
    _cpu("triad", "GB/s", "elementwise", "triad", MOVED, _cpu_memory, "float32"),
)
