"""What is known of an instance by its name: its family, and the hardware of that family.

A price list from elsewhere calls a GPU "A100" and does not name a CPU. What the shipped catalogue
and the names of data/hardware.csv ("AWS c7i m7i r7i (Xeon 8488C)") say of a family is reused, and
what lscpu said on the sizes of others (data/instance_cpus.csv, of its own licence); what they do
not say stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from collector.shipped import shipped
from estimator.catalogue.csv_files import read_rows
from estimator.catalogue.hardware import match_gpu, shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec
from estimator.catalogue.instances import GPU_MEMORY_TOLERANCE, read_instances

INSTANCE_CPUS_PATH = shipped("instance_cpus.csv")
INSTANCE_CPU_COLUMNS = (
    *("provider", "family", "hardware", "vcpus_per_core"),
    *("types_seen", "cpus_seen"),
)

_LONGEST = 200  # characters of a name that is worth a look
_FORM_FACTORS = ("pcie", "nvl", "sxm")

# Sizes of a family with another CPU than its row in data/hardware.csv, by that row's source:
# N2 from 96 vCPUs on and the newer shapes of C4.
_OTHER_CPU = re.compile(r"n2-\w+-(96|128)|c4-\w+-(144|288).*|c4-.*(lssd|metal).*")


def family(provider: str, instance: str) -> str:
    """The part of an instance's name that does not say its size: what shares one hardware.

    "c7i.2xlarge" -> "c7i", "c3-standard-8" -> "c3", "Standard_D8as_v5" -> "Dasv5",
    "gpu_8x_h100_sxm5" -> "gpu_x_h100_sxm5".
    """
    provider, instance = provider.casefold(), instance.casefold()
    if provider == "aws":
        return instance.partition(".")[0]
    if provider == "gcp":
        return re.sub(r"-\d+g$", "", instance) if _gcp_gpu(instance) else instance.split("-")[0]
    if provider == "azure":
        plain = instance.removeprefix("standard_")
        return re.sub(r"^([a-z]+)\d+(-\d+)?", r"\1", plain).replace("_", "")
    return re.sub(r"\b\d+x|(?<=_)\d+x", "x", instance)


def _gcp_gpu(instance: str) -> bool:
    return re.match(r"[ag]\d-", instance) is not None


def cpu_hardware(provider: str, instance: str) -> str:
    """The row of data/hardware.csv for the CPU of an instance without a GPU; "" if not known."""
    if provider.casefold() == "gcp" and _OTHER_CPU.fullmatch(instance.casefold()):
        return ""
    known = _cpu_rows()
    return next((known[key] for key in _keys(provider, instance) if key in known), "")


def vcpus_per_core(provider: str, instance: str, spec: CpuSpec) -> int:
    """Threads of a core of this instance: families of one CPU may differ in them."""
    seen = next((row for key in _keys(provider, instance) if (row := _seen().get(key))), None)
    own = seen is not None and seen["hardware"] == spec.name
    return int(seen["vcpus_per_core"]) if seen and own else spec.vcpus_per_core or 1


def why_unknown(provider: str, instance: str) -> str:
    """Why ``cpu_hardware`` has no row for an instance, or one whose CPU is not fixed."""
    cpus = next(
        (_seen()[key]["cpus_seen"] for key in _keys(provider, instance) if key in _seen()), ""
    )
    seen = f" (seen: {cpus})" if ";" in cpus else ""
    return f"the provider does not say which processor it is{seen}"


def _keys(provider: str, instance: str) -> tuple[tuple[str, str], ...]:
    """(provider, family) of an instance, and of the family that a flex family is cut from."""
    name = family(provider, instance)
    return tuple((provider.casefold(), key) for key in (name, name.removesuffix("-flex")))


@lru_cache(maxsize=1)
def _seen() -> Mapping[tuple[str, str], Mapping[str, str]]:
    """(provider, family) -> its row of data/instance_cpus.csv."""
    rows = (row for _, row in read_rows(INSTANCE_CPUS_PATH, INSTANCE_CPU_COLUMNS))
    return {(row["provider"], row["family"]): row for row in rows}


@lru_cache(maxsize=1)
def _cpu_rows() -> Mapping[tuple[str, str], str]:
    """(provider, family) -> name of the CPU's row."""
    found = {key: row["hardware"] for key, row in _seen().items() if row["hardware"]}
    for spec in shipped_hardware():
        provider, _, rest = spec.name.partition(" ")
        if isinstance(spec, CpuSpec) and provider in ("AWS", "GCP", "Azure") and "(" in rest:
            for word in rest.partition("(")[0].replace(",", " ").split():
                found[provider.casefold(), word.casefold()] = spec.name
    for item in read_instances():
        if not item.gpu_count and item.hardware:
            found[item.provider.casefold(), family(item.provider, item.instance)] = item.hardware
    return found


@lru_cache(maxsize=1)
def _gpu_rows() -> Mapping[tuple[str, str], str]:
    """(provider, instance or family) -> name of the GPU's row, where the catalogue names one."""
    found: dict[tuple[str, str], set[str]] = {}
    for item in read_instances():
        if item.gpu_count:
            provider = item.provider.casefold()
            for key in {item.instance.casefold(), family(provider, item.instance)}:
                found.setdefault((provider, key), set()).add(item.hardware)
    return {key: next(iter(names)) for key, names in found.items() if len(names) == 1}


def gpu_hardware(
    provider: str, instance: str, name: str, memory_gib: float | None
) -> GpuSpec | None:
    """The GPU that a price list calls ``name`` on this instance; None if no row has the name.

    Where a name stands for several ("A100"), the instance in the shipped catalogue, the form
    factor in the instance's name and the stated memory decide, in that order.
    """
    if max(len(provider), len(instance), len(name)) > _LONGEST:
        return None
    return _gpu_hardware(provider, instance, name, memory_gib)


@lru_cache(maxsize=4096)
def _gpu_hardware(
    provider: str, instance: str, name: str, memory_gib: float | None
) -> GpuSpec | None:
    plain = match_gpu(name)
    named = _gpu_rows().get((provider.casefold(), instance.casefold())) or _gpu_rows().get(
        (provider.casefold(), family(provider, instance))
    )
    words = [word for word in _FORM_FACTORS if word in instance.casefold()]
    size = [] if memory_gib is None else [f"{memory_gib:.0f}GB"]
    candidates = [
        match_gpu(named) if named else None,
        *(match_gpu("-".join((name, *size, word))) for word in words),
        *(match_gpu(f"{name}-{word}") for word in words),
        *(match_gpu(f"{name}-{part}") for part in size),
        plain,
    ]
    for spec in candidates:
        if spec is not None and _may_be(spec, plain, memory_gib):
            return spec
    return plain


def _may_be(spec: GpuSpec, plain: GpuSpec | None, memory_gib: float | None) -> bool:
    """Whether a more exact row agrees with the plain name's architecture and the memory."""
    if plain is not None and spec.architecture != plain.architecture:
        return False
    if memory_gib is None or spec.memory_gib is None:
        return True
    return abs(memory_gib / spec.memory_gib - 1.0) <= GPU_MEMORY_TOLERANCE
