"""The hardware catalogue: what a data sheet says of each GPU and CPU.

``data/hardware.csv`` holds one row per GPU model and one per CPU of a cloud family. Each row
names the documents that its figures come from, and what they were checked against on which day; a
field that could not be established is empty. A row whose figures contradict each other is refused.

Reading is the only input/output here; matching is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

from collector.errors import CatalogueError
from collector.shipped import shipped
from estimator.catalogue.csv_files import parse_number, read_rows
from estimator.catalogue.hardware_checks import disagreement
from estimator.catalogue.hardware_specs import (
    CLOCK_KINDS,
    CpuSpec,
    GpuSpec,
    HardwareSpec,
)

HARDWARE_PATH = shipped("hardware.csv")

# Widest bands that a figure of a real part can lie in: they catch slips of units.
_SHARED_BANDS: Mapping[str, tuple[float, float]] = {
    "memory_bandwidth_gb_per_s": (20.0, 50_000.0),
    "last_level_cache_mib": (1.0, 2000.0),
    "boost_clock_ghz": (0.5, 6.0),
}
_GPU_BANDS: Mapping[str, tuple[float, float]] = {
    "memory_gib": (1.0, 2000.0),
    "fp64_tflops": (0.01, 2000.0),
    "fp64_tensor_tflops": (0.1, 2000.0),
    "fp32_tflops": (0.5, 2000.0),
    "tf32_tflops": (1.0, 20_000.0),
    "fp16_tflops": (1.0, 20_000.0),
    "bf16_tflops": (1.0, 20_000.0),
    "int8_tops": (1.0, 40_000.0),
    "sm_count": (1.0, 2000.0),
    "h2d_gb_per_s": (1.0, 2000.0),
    "tdp_w": (10.0, 5000.0),
    "fp32_lanes_per_sm": (32.0, 512.0),
    "fp16_flop_per_clock_per_sm": (64.0, 65_536.0),
    "memory_bus_bits": (64.0, 16_384.0),
    "memory_gbit_per_s_per_pin": (1.0, 64.0),
}
_CPU_BANDS: Mapping[str, tuple[float, float]] = {
    "cpu_family": (1.0, 1000.0),
    "cpu_model_number": (0.0, 1000.0),
    "clock_ghz": (1.5, 6.0),
    "fp64_flop_per_cycle": (1.0, 256.0),
    "fp32_flop_per_cycle": (1.0, 512.0),
    "cores_per_socket": (1.0, 1024.0),
    "vcpus_per_core": (1.0, 8.0),
    "memory_channels": (1.0, 32.0),
    "memory_mt_per_s": (800.0, 20_000.0),
}
_BANDS = {**_SHARED_BANDS, **_GPU_BANDS, **_CPU_BANDS}
_COUNTS = (
    "sm_count",
    "fp32_lanes_per_sm",
    "fp16_flop_per_clock_per_sm",
    "memory_bus_bits",
    "cpu_family",
    "cpu_model_number",
    "cores_per_socket",
    "vcpus_per_core",
    "memory_channels",
)
_ONLY_GPU = ("chip", "host_link", *_GPU_BANDS)
_ONLY_CPU = ("clock_kind", *_CPU_BANDS)
_TEXTS = (
    *("kind", "name", "aliases", "architecture", "chip"),
    *("host_link", "clock_kind", "source"),
)
_CHECKED = ("checked_against", "checked_on")
HARDWARE_COLUMNS = (*_TEXTS, *_CHECKED, *_BANDS)


@lru_cache(maxsize=4096)
def normalise(name: str) -> str:
    """A model name without case, punctuation and vendor words: what names are compared by."""
    words = re.sub(r"\((?:r|tm|c)\)", " ", name.casefold())
    words = re.sub(r"\b(?:nvidia|amd|intel|geforce|tesla|instinct|corporation)\b", " ", words)
    return re.sub(r"[^a-z0-9]", "", words)


def read_hardware(path: str | Path = HARDWARE_PATH) -> tuple[HardwareSpec, ...]:
    """Every row of the catalogue, validated. Raises CatalogueError with file, row and reason."""
    specs: list[HardwareSpec] = []
    seen: dict[str, str] = {}
    for where, row in read_rows(path, HARDWARE_COLUMNS):
        spec = _spec(where, row)
        for key in {normalise(name) for name in (spec.name, *spec.aliases)}:
            if key in seen:
                raise CatalogueError(
                    f"{where}: {spec.name!r} shares a name or alias with {seen[key]!r}; "
                    "a name must mean one row"
                )
            seen[key] = spec.name
        specs.append(spec)
    return tuple(specs)


def _spec(where: str, row: Mapping[str, str]) -> HardwareSpec:
    for column in ("name", "architecture", "source"):
        if not row[column]:
            raise CatalogueError(f"{where}: {column} is empty; every row needs one")
    if row["kind"] not in ("gpu", "cpu"):
        raise CatalogueError(f"{where}: kind is {row['kind']!r}; use gpu or cpu")
    if (row["clock_ghz"] == "") != (row["clock_kind"] == ""):
        raise CatalogueError(f"{where}: clock_ghz and clock_kind must be given together")
    if row["clock_kind"] not in ("", *CLOCK_KINDS):
        raise CatalogueError(
            f"{where}: clock_kind is {row['clock_kind']!r}; use one of {', '.join(CLOCK_KINDS)}"
        )
    for column in _ONLY_CPU if row["kind"] == "gpu" else _ONLY_GPU:
        if row[column]:
            raise CatalogueError(f"{where}: {column} is given, but not for a {row['kind']}")
    _check_date(where, row)
    figures = {column: parse_number(where, row, column, *band) for column, band in _BANDS.items()}
    for column in _COUNTS:
        value = figures[column]
        if value is not None and value != round(value):
            raise CatalogueError(f"{where}: {column} is {row[column]}; it must be a whole number")
    aliases = tuple(alias.strip() for alias in row["aliases"].split(";") if alias.strip())
    build = _gpu if row["kind"] == "gpu" else _cpu
    spec: HardwareSpec = build(row, aliases, figures)
    reason = disagreement(spec)
    if reason is not None:
        raise CatalogueError(f"{where}: {spec.name}: {reason}; correct one, or leave one empty")
    return spec


def _check_date(where: str, row: Mapping[str, str]) -> None:
    if (row["checked_against"] == "") != (row["checked_on"] == ""):
        raise CatalogueError(f"{where}: checked_against and checked_on must be given together")
    if row["checked_on"]:
        try:
            date.fromisoformat(row["checked_on"])
        except ValueError as error:
            raise CatalogueError(
                f"{where}: checked_on is {row['checked_on']!r}; it must be a date like 2026-11-21"
            ) from error


def _gpu(
    row: Mapping[str, str], aliases: tuple[str, ...], figures: Mapping[str, float | None]
) -> GpuSpec:
    return GpuSpec(
        name=row["name"],
        aliases=aliases,
        architecture=row["architecture"],
        memory_gib=figures["memory_gib"],
        memory_bandwidth_gb_per_s=figures["memory_bandwidth_gb_per_s"],
        fp64_tflops=figures["fp64_tflops"],
        fp64_tensor_tflops=figures["fp64_tensor_tflops"],
        fp32_tflops=figures["fp32_tflops"],
        tf32_tflops=figures["tf32_tflops"],
        fp16_tflops=figures["fp16_tflops"],
        bf16_tflops=figures["bf16_tflops"],
        int8_tops=figures["int8_tops"],
        last_level_cache_mib=figures["last_level_cache_mib"],
        sm_count=_whole(figures["sm_count"]),
        host_link=row["host_link"],
        h2d_gb_per_s=figures["h2d_gb_per_s"],
        tdp_w=figures["tdp_w"],
        source=row["source"],
        chip=row["chip"],
        boost_clock_ghz=figures["boost_clock_ghz"],
        fp32_lanes_per_sm=_whole(figures["fp32_lanes_per_sm"]),
        fp16_flop_per_clock_per_sm=_whole(figures["fp16_flop_per_clock_per_sm"]),
        memory_bus_bits=_whole(figures["memory_bus_bits"]),
        memory_gbit_per_s_per_pin=figures["memory_gbit_per_s_per_pin"],
        checked_against=row["checked_against"],
        checked_on=row["checked_on"],
    )


def _cpu(
    row: Mapping[str, str], aliases: tuple[str, ...], figures: Mapping[str, float | None]
) -> CpuSpec:
    return CpuSpec(
        name=row["name"],
        aliases=aliases,
        architecture=row["architecture"],
        cpu_family=_whole(figures["cpu_family"]),
        cpu_model_number=_whole(figures["cpu_model_number"]),
        clock_ghz=figures["clock_ghz"],
        clock_kind=row["clock_kind"],
        fp64_flop_per_cycle=figures["fp64_flop_per_cycle"],
        fp32_flop_per_cycle=figures["fp32_flop_per_cycle"],
        cores_per_socket=_whole(figures["cores_per_socket"]),
        vcpus_per_core=_whole(figures["vcpus_per_core"]),
        memory_bandwidth_gb_per_s=figures["memory_bandwidth_gb_per_s"],
        last_level_cache_mib=figures["last_level_cache_mib"],
        source=row["source"],
        memory_channels=_whole(figures["memory_channels"]),
        memory_mt_per_s=figures["memory_mt_per_s"],
        boost_clock_ghz=figures["boost_clock_ghz"],
        checked_against=row["checked_against"],
        checked_on=row["checked_on"],
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


@lru_cache(maxsize=1)
def shipped_hardware() -> tuple[HardwareSpec, ...]:
    """The catalogue that ships with Breakeven, read once."""
    return read_hardware()


def match_gpu(name: str, specs: Sequence[HardwareSpec] | None = None) -> GpuSpec | None:
    """The GPU that a driver ("NVIDIA H100 80GB HBM3") or a price list ("H100-SXM") calls so.

    Names are compared whole, without case, punctuation and vendor words; a slice of a GPU
    ("... MIG 1g.10gb") therefore matches nothing. None if no row has the name.
    """
    wanted = normalise(name)
    for spec in shipped_hardware() if specs is None else specs:
        names = (spec.name, *spec.aliases)
        if isinstance(spec, GpuSpec) and wanted in {normalise(known) for known in names}:
            return spec
    return None


def match_cpu(
    cpu_model: str,
    cpu_family: int | None = None,
    cpu_model_number: int | None = None,
    specs: Sequence[HardwareSpec] | None = None,
) -> CpuSpec | None:
    """The CPU row for a processor name, or for its CPUID family and model if the name is hidden.

    The row's own name matches whole; an alias matches anywhere in the processor's name
    ("AMD EPYC 9R14 96-Core Processor"), the longest alias first. None if nothing matches.
    """
    wanted = normalise(cpu_model)
    cpus = [s for s in (shipped_hardware() if specs is None else specs) if isinstance(s, CpuSpec)]
    named = [(len(cpu.name), cpu) for cpu in cpus if wanted and normalise(cpu.name) == wanted]
    for cpu in cpus:
        keys = [normalise(alias) for alias in cpu.aliases]
        named.extend((len(key), cpu) for key in keys if key and key in wanted)
    if named:
        return max(named, key=lambda pair: pair[0])[1]
    if cpu_family is None or cpu_model_number is None:
        return None
    hidden = (cpu_family, cpu_model_number)
    return next((c for c in cpus if (c.cpu_family, c.cpu_model_number) == hidden), None)
