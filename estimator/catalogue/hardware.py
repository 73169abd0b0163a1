"""The hardware catalogue: what a data sheet says of each GPU and CPU.

``data/hardware.csv`` holds one row per GPU model and one per CPU of a cloud family. Each row
names the documents that its figures come from, and what they were checked against on which day; a
field that could not be established is empty. A row whose figures contradict each other is refused.

Reading is the only input/output here; matching is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from collector.errors import CatalogueError
from collector.shipped import shipped
from estimator.catalogue.csv_files import parse_number, read_rows
from estimator.catalogue.hardware_specs import (
    CLOCK_KINDS,
    Band,
    CpuSpec,
    GpuSpec,
    HardwareSpec,
    bands,
    disagreement,
)

HARDWARE_PATH = shipped("hardware.csv")

_KINDS: Mapping[str, type[HardwareSpec]] = {"gpu": GpuSpec, "cpu": CpuSpec}
_COLUMNS = {kind: tuple(field.name for field in fields(spec)) for kind, spec in _KINDS.items()}
HARDWARE_COLUMNS = ("kind", *dict.fromkeys(_COLUMNS["gpu"] + _COLUMNS["cpu"]))


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
    if row["kind"] not in _KINDS:
        raise CatalogueError(f"{where}: kind is {row['kind']!r}; use gpu or cpu")
    if (row["clock_ghz"] == "") != (row["clock_kind"] == ""):
        raise CatalogueError(f"{where}: clock_ghz and clock_kind must be given together")
    if row["clock_kind"] not in ("", *CLOCK_KINDS):
        raise CatalogueError(
            f"{where}: clock_kind is {row['clock_kind']!r}; use one of {', '.join(CLOCK_KINDS)}"
        )
    for column in HARDWARE_COLUMNS[1:]:
        if row[column] and column not in _COLUMNS[row["kind"]]:
            raise CatalogueError(f"{where}: {column} is given, but not for a {row['kind']}")
    _check_date(where, row)
    kind = _KINDS[row["kind"]]
    values: dict[str, Any] = {column: row[column] for column in _COLUMNS[row["kind"]]}
    values |= {column: _figure(where, row, column, band) for column, band in bands(kind).items()}
    values["aliases"] = tuple(a.strip() for a in row["aliases"].split(";") if a.strip())
    spec = kind(**values)
    reason = disagreement(spec)
    if reason is not None:
        raise CatalogueError(f"{where}: {spec.name}: {reason}; correct one, or leave one empty")
    return spec


def _figure(where: str, row: Mapping[str, str], column: str, band: Band) -> float | int | None:
    value = parse_number(where, row, column, band.low, band.high)
    if value is None or not band.whole:
        return value
    if value != round(value):
        raise CatalogueError(f"{where}: {column} is {row[column]}; it must be a whole number")
    return round(value)


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
    cpu_family: float | None = None,
    cpu_model_number: float | None = None,
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
