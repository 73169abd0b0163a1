"""Who this machine is: models, counts, versions. No host name, user, serial number or address.

One ``read_*`` function per domain; each gives null where the machine does not tell.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

LIBRARIES = (
    *("numpy", "torch", "cupy", "numba", "numba-cuda", "jax", "jaxlib", "scipy"),
    *("threadpoolctl", "pyarrow"),
)
_CUPY_PACKAGES = ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy")


@dataclass(frozen=True)
class Cpu:
    """The processor as this process may use it; ``machine_cores`` whatever its affinity."""

    model: str
    family: int | None
    model_number: int | None
    physical_cores: int
    logical_cores: int
    machine_cores: int
    quota_cores: float | None
    last_level_cache_bytes: int | None
    governor: str | None


@dataclass(frozen=True)
class Gpu:
    """GPUs of one kind; more than one kind in a machine is told by ``other_models``."""

    model: str
    count: int
    memory_bytes: int
    driver: str
    cuda: str
    compute_capability: str
    power_limit_w: float | None
    pcie_generation: int | None
    pcie_width: int | None
    uuid_hash: str
    other_models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """The fingerprint that every row and file carries."""

    machine_id: str
    machine_type_id: str
    label: str
    instance_type: str | None
    cpu: Cpu
    memory_bytes: int
    gpu: Gpu | None
    system: str
    python: str
    library_versions: dict[str, str] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """Name of the machine's directory in a dataset."""
        return machine_slug(self.label, self.machine_id)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def machine_slug(label: str, machine_id: str) -> str:
    """Words of the label and the beginning of the identifier, fit for a directory's name."""
    words = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    return "-".join(filter(None, [words[:40].strip("-"), machine_id[:8]]))


def read_machine(label: str | None = None, instance_type: str | None = None) -> Machine:
    """Fingerprint of this machine; its DMI files are asked for an instance type not given."""
    cpu, gpu, memory_bytes = read_cpu(), read_gpu(), read_memory_bytes()
    kind = [
        cpu.model,
        str(cpu.family),
        str(cpu.model_number),
        str(cpu.machine_cores),
        str(round(memory_bytes / 2**30)),
        *([gpu.model, str(gpu.count)] if gpu else []),
    ]
    machine_type_id = _digest(kind)
    instance_type = instance_type or read_instance_type()
    return Machine(
        machine_id=_digest([machine_type_id, gpu.uuid_hash if gpu else read_box_id()]),
        machine_type_id=machine_type_id,
        label=label or instance_type or _default_label(cpu, gpu),
        instance_type=instance_type,
        cpu=cpu,
        memory_bytes=memory_bytes,
        gpu=gpu,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        library_versions=read_library_versions(),
    )


def read_cpu() -> Cpu:
    """Model from the kernel; cores within this process's affinity and cgroup quota."""
    text = _read("/proc/cpuinfo") or ""
    blocks = [
        {
            key.strip(): value.strip()
            for key, _, value in (line.partition(":") for line in block.splitlines())
        }
        for block in text.split("\n\n")
        if block.strip()
    ]
    first = blocks[0] if blocks else {}
    usable = (
        os.sched_getaffinity(0)
        if hasattr(os, "sched_getaffinity")
        else set(range(os.cpu_count() or 1))
    )
    cores = {
        (block.get("physical id", "0"), block.get("core id", block.get("processor")))
        for block in blocks
        if int(block.get("processor", -1)) in usable
    }
    quota = _cgroup_quota()
    limit = max(1, int(quota)) if quota else len(usable)
    model = first.get("model name") or first.get("Model") or platform.processor() or "unknown CPU"
    return Cpu(
        model=re.sub(r"\s+", " ", model),
        family=_integer(first.get("cpu family")),
        model_number=_integer(first.get("model")),
        physical_cores=min(len(cores) or len(usable), limit),
        logical_cores=min(len(usable), limit),
        machine_cores=min(len(blocks) or len(usable), limit if quota else len(blocks) or 1),
        quota_cores=quota,
        last_level_cache_bytes=_last_level_cache_bytes(),
        governor=(_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "").strip()
        or None,
    )


def read_gpu() -> Gpu | None:
    """GPUs as the driver lists them, None without a driver or its Python binding."""
    try:
        import pynvml as nvml

        nvml.nvmlInit()
    except Exception:  # noqa: BLE001 - no binding, no driver, no permission: no GPU to measure
        return None
    index = measured_gpu_index()
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        if index is None or index >= len(handles):
            return None
        handles.insert(0, handles.pop(index))
        names = [_text(nvml.nvmlDeviceGetName(handle)) for handle in handles]
        same = [handle for handle, name in zip(handles, names, strict=True) if name == names[0]]
        cuda = nvml.nvmlSystemGetCudaDriverVersion_v2()
        capability = nvml.nvmlDeviceGetCudaComputeCapability(same[0])
        uuids = sorted(_text(nvml.nvmlDeviceGetUUID(handle)) for handle in same)
        return Gpu(
            model=names[0],
            count=len(same),
            memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(same[0]).total),
            driver=_text(nvml.nvmlSystemGetDriverVersion()),
            cuda=f"{cuda // 1000}.{cuda % 1000 // 10}",
            compute_capability=".".join(str(part) for part in capability),
            power_limit_w=_query(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(same[0]) / 1000),
            pcie_generation=_query(lambda: nvml.nvmlDeviceGetMaxPcieLinkGeneration(same[0])),
            pcie_width=_query(lambda: nvml.nvmlDeviceGetMaxPcieLinkWidth(same[0])),
            uuid_hash=_digest(uuids),
            other_models=tuple(sorted(set(names) - {names[0]})),
        )
    finally:
        nvml.nvmlShutdown()


def measured_gpu_index() -> int | None:
    """NVML index of the GPU that workers see as their first; None if all GPUs are hidden.

    Workers count GPUs in bus order, as NVML does. A GPU hidden by UUID is not looked up: then
    the first one's facts are told.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return 0
    first = visible.split(",")[0].strip()
    if first in ("", "-1"):
        return None
    return int(first) if first.isdigit() else 0


def read_memory_bytes() -> int:
    """MemTotal, or the cgroup's limit where that is lower."""
    match = re.search(r"MemTotal:\s+(\d+) kB", _read("/proc/meminfo") or "")
    total = int(match[1]) * 1024 if match else 0
    limit = _integer(_read("/sys/fs/cgroup/memory.max"))
    return min(total, limit) if limit and total else total or limit or 0


def read_instance_type() -> str | None:
    """Cloud instance type where the DMI files tell (AWS: product_name like c7i.2xlarge)."""
    vendor = (_read("/sys/class/dmi/id/sys_vendor") or "").strip()
    product = (_read("/sys/class/dmi/id/product_name") or "").strip()
    if vendor == "Amazon EC2" and re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", product):
        return product
    return None


def read_box_id() -> str:
    """Hash of the machine-id file; empty where there is none, so boxes of a type look alike."""
    text = (_read("/etc/machine-id") or "").strip()
    return _digest([text]) if text else ""


def read_library_versions() -> dict[str, str]:
    """Versions of the measured libraries that are installed, without importing them."""
    versions = {}
    for library in LIBRARIES:
        for package in _CUPY_PACKAGES if library == "cupy" else (library,):
            try:
                versions[library] = importlib.metadata.version(package)
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return versions


@cache
def cpu_cache_bytes() -> int:
    """Last-level cache, 32 MiB where the kernel does not tell."""
    return _last_level_cache_bytes() or 32 * 2**20


def _last_level_cache_bytes() -> int | None:
    sizes = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        match = re.fullmatch(r"(\d+)([KMG])", (_read(index / "size") or "").strip())
        level = _integer(_read(index / "level"))
        if match and level is not None:
            sizes[level] = int(match[1]) * {"K": 2**10, "M": 2**20, "G": 2**30}[match[2]]
    return sizes[max(sizes)] if sizes else None


def _cgroup_quota() -> float | None:
    """CPU quota in cores (cgroup v2, then v1), None if unlimited."""
    words = (_read("/sys/fs/cgroup/cpu.max") or "").split()
    if len(words) == 2 and words[0] != "max":
        return int(words[0]) / int(words[1])
    quota = _integer(_read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
    period = _integer(_read("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
    return quota / period if quota and period and quota > 0 else None


def _default_label(cpu: Cpu, gpu: Gpu | None) -> str:
    brand = re.sub(r"\((R|TM)\)|\bProcessor\b|\bCPU\b|@.*", " ", cpu.model)
    brand = re.sub(r"\s+", " ", brand).strip()
    host = f"{brand} {cpu.physical_cores} cores"
    if gpu is None:
        return host
    count = f"{gpu.count}x " if gpu.count > 1 else ""
    return f"{count}{gpu.model}, {host}"


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _query(read: Any) -> Any:
    """A value that some drivers do not offer, else None."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - NVML raises one class per code; each means "not told"
        return None


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _integer(text: str | None) -> int | None:
    try:
        return int((text or "").strip())
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
