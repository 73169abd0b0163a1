"""The instance catalogue: what a provider rents, at a dated price.

``data/instances.csv`` holds one row per provider, instance and region. Reading refuses what users
of other catalogues were hurt by (a GPU at 0 or 0.01 USD per hour, a spot price above on-demand,
an unknown GPU) and names file, row and reason.

Reading is the only input/output here.

Instances that rent out a part of a GPU are known by their names. A price list may call a third of
an A10 "A10, 1". Sources: Microsoft azure-compute-docs (series NVadsA10 v5, NVads V710 v5, NVv4),
AWS EC2 G6f and Gr6f pages (2025), Google Compute Engine G4 page (fractional shapes, 2025), NVIDIA
MIG user guide (names of slices).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from collector.errors import CatalogueError
from collector.shipped import shipped
from estimator.catalogue.csv_files import check_text, parse_number, read_rows, shown
from estimator.catalogue.hardware import match_gpu, shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec, HardwareSpec

#: Family and size -> what part of one GPU a size is.
_AZURE = (
    # vCPUs of the shape that has the whole GPU: 36, 24 and 32
    (re.compile(r"(?:standard_)?nv(\d+)(?:ads|adms)_a10_v5"), 36),
    (re.compile(r"(?:standard_)?nv(\d+)ads_v710_v5"), 24),
    (re.compile(r"(?:standard_)?nv(\d+)as_v4"), 32),
)
_AWS = {
    "g6f.large": Fraction(1, 8),
    "g6f.xlarge": Fraction(1, 8),
    "g6f.2xlarge": Fraction(1, 4),
    "g6f.4xlarge": Fraction(1, 2),
    "gr6f.4xlarge": Fraction(1, 2),
}
_GCP = {
    "g4-standard-6": Fraction(1, 8),
    "g4-standard-12": Fraction(1, 4),
    "g4-standard-24": Fraction(1, 2),
}
_SLICE = re.compile(r"(?<![0-9a-z])([1-7])g\.\d+gb")  # of MIG, by its compute slices of 7


def part_of_gpu(instance: str, gpu: str = "") -> Fraction:
    """What part of one GPU an instance has, by its own name or the GPU's; 1 where it is whole."""
    name = instance.casefold().strip()
    for table in (_AWS, _GCP):
        if name in table:
            return table[name]
    for pattern, whole in _AZURE:
        found = pattern.fullmatch(name)
        if found and int(found[1]) < whole:
            return Fraction(int(found[1]), whole)
    found = _SLICE.search(f"{name} {gpu.casefold()}")
    return Fraction(int(found[1]), 7) if found and int(found[1]) < 7 else Fraction(1)


INSTANCES_PATH = shipped("instances.csv")
UNDATED = "undated"

# Plausible prices, on-demand and spot. The prices that ship with Breakeven lie from 0.0074 to 0.19
# USD per hour and GiB of GPU memory (B300 spot, V100 on demand), and from 0.010 to 0.066 USD per
# hour and vCPU without a GPU; the bands are about twice as wide at each end or more.
GPU_USD_PER_H_PER_GIB = (0.003, 0.5)
CPU_USD_PER_H_PER_VCPU = (0.002, 0.5)

# A GPU memory that differs by more from its data sheet (reserved memory, GB against GiB) means
# that the row names the wrong GPU.
GPU_MEMORY_TOLERANCE = 0.15

REQUIRED_COLUMNS = (
    "provider",
    "instance",
    "region",
    "vcpu",
    "memory_gib",
    "gpu",
    "gpu_count",
    "gpu_memory_gib",
    "on_demand_usd_per_h",
    "spot_usd_per_h",
    "as_of",
    "source",
)
# Columns of text, and how many characters they may have.
_TEXTS = {
    "provider": 200,
    "instance": 200,
    "region": 200,
    "gpu": 200,
    "hardware": 200,
    "as_of": 20,
    "source": 1000,
}

_FIRST_YEAR, _LAST_YEAR = 2000, 2100

# ``hardware`` may be left out of a user's own file: a GPU is then found by its catalogue name.
INSTANCE_COLUMNS = (*REQUIRED_COLUMNS, "hardware")


@dataclass(frozen=True, slots=True)
class Instance:
    """One rentable machine in one region at a dated price.

    ``hardware`` names the row of data/hardware.csv for the GPU, or for the CPU of an instance
    without one; it is empty where the provider does not say which CPU it is. ``as_of`` is an
    ISO date, or "undated" where the source does not give one.
    """

    provider: str
    instance: str
    region: str
    vcpu: int
    memory_gib: float
    gpu: str
    gpu_count: int
    gpu_memory_gib: float | None
    on_demand_usd_per_h: float
    spot_usd_per_h: float | None
    as_of: str
    source: str
    hardware: str

    @property
    def key(self) -> str:
        """What tells it from every other row: "provider/instance/region"."""
        return f"{self.provider}/{self.instance}/{self.region}"

    @property
    def device(self) -> str:
        return "cuda" if self.gpu_count else "cpu"

    @property
    def dated(self) -> bool:
        return self.as_of != UNDATED

    def with_price(
        self, on_demand_usd_per_h: float, spot_usd_per_h: float | None, as_of: str, source: str
    ) -> Instance:
        """The same machine at another price; CatalogueError unless the price is plausible."""
        changed = replace(
            self,
            on_demand_usd_per_h=on_demand_usd_per_h,
            spot_usd_per_h=spot_usd_per_h,
            as_of=as_of,
            source=source,
        )
        check_instance(self.key, changed)
        return changed


def read_instances(
    path: str | Path = INSTANCES_PATH, specs: Sequence[HardwareSpec] | None = None
) -> tuple[Instance, ...]:
    """Every row of an instance catalogue, validated against the hardware catalogue.

    Raises CatalogueError, naming file, row and reason, for: a file that cannot be read, a missing
    column, an empty name or source, something that is not a number, a zero or negative or
    implausible price, a spot price above on-demand, an unknown GPU or hardware row, a date that
    is neither ISO nor "undated", and a row that repeats provider, instance and region.
    """
    hardware = shipped_hardware() if specs is None else tuple(specs)
    instances: list[Instance] = []
    seen: dict[str, str] = {}
    for where, row in read_rows(path, REQUIRED_COLUMNS):
        instance = parse_instance(where, row, hardware)
        key = instance.key.casefold()
        if key in seen:
            raise CatalogueError(f"{where}: repeats {instance.key} of {seen[key]}; keep one price")
        seen[key] = where
        instances.append(instance)
    return tuple(instances)


@lru_cache(maxsize=1)
def shipped_instances() -> tuple[Instance, ...]:
    """The catalogue that ships with Breakeven, read once."""
    return read_instances()


def parse_instance(
    where: str, row: Mapping[str, str], hardware: Sequence[HardwareSpec]
) -> Instance:
    """One row of text as an instance; ``where`` begins the CatalogueError of a row that is bad.

    ``row`` has every column of INSTANCE_COLUMNS but ``hardware``, which may be missing.
    """
    for column, most in _TEXTS.items():
        check_text(where, column, row.get(column, ""), most)
    for column in ("provider", "instance", "region", "source"):
        if not row[column]:
            raise CatalogueError(f"{where}: {column} is empty; every row needs one")
    gpu_count = _count(where, row, "gpu_count", 0, 64)
    part = part_of_gpu(row["instance"], row["gpu"]) if gpu_count else 1
    if part < 1:
        raise CatalogueError(
            f"{where}: {shown(row['instance'])} rents out {part} of a GPU ({shown(row['gpu'])}), "
            "whose times are not known; name an instance with a whole one"
        )
    instance = Instance(
        provider=row["provider"],
        instance=row["instance"],
        region=row["region"],
        vcpu=_count(where, row, "vcpu", 1, 4096),
        memory_gib=_number(where, row, "memory_gib", 0.5, 65536.0),
        gpu=row["gpu"],
        gpu_count=gpu_count,
        gpu_memory_gib=parse_number(where, row, "gpu_memory_gib", 1.0, 2000.0),
        on_demand_usd_per_h=_number(where, row, "on_demand_usd_per_h", -math.inf, math.inf),
        spot_usd_per_h=parse_number(where, row, "spot_usd_per_h", -math.inf, math.inf),
        as_of=row["as_of"],
        source=row["source"],
        hardware=_hardware_name(where, row, gpu_count, hardware),
    )
    _check_price(where, instance)
    return instance


def check_instance(where: str, instance: Instance) -> None:
    """CatalogueError for texts that no catalogue may carry, or an implausible price or date."""
    for column, most in _TEXTS.items():
        check_text(where, column, str(getattr(instance, column)), most)
    _check_price(where, instance)


def _hardware_name(
    where: str, row: Mapping[str, str], gpu_count: int, hardware: Sequence[HardwareSpec]
) -> str:
    gpu, name = row["gpu"], row.get("hardware", "")
    if (gpu_count == 0) != (gpu == ""):
        raise CatalogueError(f"{where}: gpu is {shown(gpu)!r} but gpu_count is {gpu_count}")
    named = next((spec for spec in hardware if spec.name == name), None)
    if name and named is None:
        raise CatalogueError(f"{where}: hardware {shown(name)!r} is no row of data/hardware.csv")
    if gpu_count == 0:
        if isinstance(named, GpuSpec):
            raise CatalogueError(f"{where}: hardware {name!r} is a GPU but gpu_count is 0")
        return name
    matched = match_gpu(gpu, hardware)
    if matched is None:
        raise CatalogueError(
            f"{where}: unknown GPU {shown(gpu)!r}; add it, or an alias, to data/hardware.csv"
        )
    if isinstance(named, CpuSpec):
        raise CatalogueError(f"{where}: hardware {name!r} is a CPU but gpu_count is {gpu_count}")
    spec = named if isinstance(named, GpuSpec) else matched
    if spec.architecture != matched.architecture:
        raise CatalogueError(f"{where}: gpu is {gpu!r} but hardware is {name!r}, another GPU")
    _check_memory(where, row, spec)
    return spec.name


def _check_memory(where: str, row: Mapping[str, str], spec: GpuSpec) -> None:
    stated = parse_number(where, row, "gpu_memory_gib", 1.0, 2000.0)
    if stated is None or spec.memory_gib is None:
        return
    if abs(stated / spec.memory_gib - 1.0) > GPU_MEMORY_TOLERANCE:
        what = "; a part of one?" if stated < spec.memory_gib else ""
        raise CatalogueError(
            f"{where}: gpu_memory_gib is {stated:g} but {spec.name} has {spec.memory_gib:g}{what}"
        )


def _check_price(where: str, instance: Instance) -> None:
    on_demand, spot = instance.on_demand_usd_per_h, instance.spot_usd_per_h
    prices = {"on_demand_usd_per_h": on_demand, "spot_usd_per_h": spot}
    for column, price in prices.items():
        if price is None:
            continue
        if not price > 0.0:
            raise CatalogueError(f"{where}: {column} is {price:g}; a price must be above 0")
        _check_band(where, column, price, instance)
    if spot is not None and spot > on_demand:
        raise CatalogueError(
            f"{where}: spot_usd_per_h {spot:g} is above on_demand_usd_per_h {on_demand:g}"
        )
    if instance.as_of != UNDATED and not _is_iso_date(instance.as_of):
        raise CatalogueError(
            f"{where}: as_of is {shown(instance.as_of)!r}; "
            f"give an ISO date (2026-07-30) or {UNDATED!r}"
        )


def _check_band(where: str, column: str, price: float, instance: Instance) -> None:
    if instance.gpu_count:
        low, high = GPU_USD_PER_H_PER_GIB
        gib = instance.gpu_memory_gib
        if gib is None:
            raise CatalogueError(f"{where}: gpu_memory_gib is empty; a GPU instance needs it")
        unit, units = "GPU", instance.gpu_count
        low, high = low * gib, high * gib
    else:
        low, high = CPU_USD_PER_H_PER_VCPU
        unit, units = "vCPU", instance.vcpu
    if not low <= price / units <= high:
        raise CatalogueError(
            f"{where}: {column} {price:g} is {price / units:.3g} USD per hour and {unit}, outside "
            f"the plausible {low:.3g} to {high:.3g}; check the price"
        )


def _is_iso_date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        return _FIRST_YEAR <= date.fromisoformat(text).year <= _LAST_YEAR
    except ValueError:
        return False


def _number(where: str, row: Mapping[str, str], column: str, low: float, high: float) -> float:
    value = parse_number(where, row, column, low, high)
    if value is None:
        raise CatalogueError(f"{where}: {column} is empty; it must be a number")
    return value


def _count(where: str, row: Mapping[str, str], column: str, low: int, high: int) -> int:
    value = _number(where, row, column, low, high)
    if value != int(value):
        raise CatalogueError(f"{where}: {column} is {value:g}; it must be a whole number")
    return int(value)
