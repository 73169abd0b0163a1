"""What is known of a machine besides its times: catalogue rows, clock, cores, memory rates.

A machine is a row of ``Fitted.machines``, or a name of data/hardware.csv: a GPU on a host of which
nothing is known, or a CPU whose cores are rented in any number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from collector.errors import EstimateError, SelectionError
from estimator.catalogue.cpus import (
    ARCHITECTURES,
    CpuArchitecture,
    flop_per_cycle,
    is_fixed,
    peak_flop_per_s,
)
from estimator.catalogue.hardware import match_cpu, match_gpu, normalise, shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec
from estimator.catalogue.instances import shipped_instances
from estimator.catalogue.names import instance_named, near
from estimator.checks import known_number
from estimator.fitting.priors import STREAMING
from estimator.formula.kernel import KERNEL_PARAMETERS

if TYPE_CHECKING:
    from estimator.fitting.fitted import Fitted

_CORES = re.compile(r"(.+), (\d{1,4}) cores?")

#: On a device with at most so many cells of its own, a machine's fits are of one row each, and
#: its donors answer for all that it did not measure.
FEW_CELLS = 40

#: How two machines are related on a device: the same parts by name; CPUs of one architecture
#: (other names, or other numbers of cores); CPUs of one maker; or different parts.
Relation = Literal["same", "family", "maker", "other"]

#: Share of one core's peak that its best product reaches: what OpenBLAS and MKL get of large ones.
_BEST_SHARE = 0.9


@dataclass(frozen=True)
class MachineFacts:
    """A machine as its data sheets and its fingerprint describe it; None: not known.

    ``clock_ghz`` is what the host reports, often a base clock; ``ran_at_ghz`` is what its best
    products on one core need (the best of the machines of its type). ``memory_bytes_per_s`` maps
    a number of threads to the rate at which the host's memory streams, as fitted; ``cells`` maps
    a device to the count of cells measured on it.
    """

    machine_id: str
    label: str
    machine_type_id: str = ""
    gpu: GpuSpec | None = None
    gpu_model: str = ""
    cpu: CpuSpec | None = None
    cpu_model: str = ""
    clock_ghz: float | None = None
    ran_at_ghz: float | None = None
    physical_cores: int | None = None
    cache_bytes: float | None = None
    memory_bytes_per_s: Mapping[int, float] = field(default_factory=dict)
    cells: Mapping[str, int] = field(default_factory=dict)

    def has(self, device: str) -> bool:
        """Whether the machine has that device, as far as is known."""
        if device == "cpu":
            return self.cpu is not None or bool(self.cpu_model) or self.cells.get("cpu", 0) > 0
        return self.gpu is not None or bool(self.gpu_model) or self.cells.get("cuda", 0) > 0

    def is_fixed(self, device: str) -> bool:
        """Whether it is known which processor the device is: some providers do not fix a CPU."""
        measured = self.cells.get(device, 0) > 0
        return device != "cpu" or self.cpu is None or measured or is_fixed(self.cpu.architecture)

    def last_level_cache(self, device: str) -> float | None:
        """Bytes of the last cache before memory, of the GPU or of the host."""
        spec = self.gpu if device == "cuda" else self.cpu
        if device == "cpu" and self.cache_bytes is not None:
            return self.cache_bytes
        mib = None if spec is None else spec.last_level_cache_mib
        if mib is not None and isinstance(spec, CpuSpec):
            mib *= self._share_of_cache(spec)
        return None if mib is None else 2.0**20 * mib

    def _share_of_cache(self, cpu: CpuSpec) -> float:
        """Of a socket's L3 that these cores have: whole slices, or all where it is one."""
        unit, cores, all_cores = self.architecture, self.physical_cores, cpu.cores_per_socket
        if unit is None or unit.slice_cores is None or cores is None or all_cores is None:
            return 1.0
        return min(1.0, math.ceil(cores / unit.slice_cores) * unit.slice_cores / all_cores)

    @property
    def architecture(self) -> CpuArchitecture | None:
        """Of its CPU; None where that is not known or not fixed."""
        return None if self.cpu is None else ARCHITECTURES.get(self.cpu.architecture)


def facts_of(fitted: Fitted) -> dict[str, MachineFacts]:
    """machine_id -> facts, for every machine of ``Fitted.machines``."""
    rates = _memory_rates(fitted)
    cells = _cell_counts(fitted.measured)
    found: dict[str, MachineFacts] = {}
    for machine in sorted(set(cells) - set(fitted.machines["machine_id"])):
        found[machine] = MachineFacts(machine, machine, cells=cells[machine])
    for row in fitted.machines.to_dict("records"):
        machine = str(row["machine_id"])
        gpu_model, cpu_model = _text(row["gpu_model"]), _text(row["cpu_model"])
        clock, cores = known_number(row["cpu_mhz"]), known_number(row["physical_cores"])
        family, number = known_number(row["cpu_family"]), known_number(row["cpu_model_number"])
        found[machine] = MachineFacts(
            machine_id=machine,
            label=str(row["label"]),
            machine_type_id=_text(row["machine_type_id"]),
            gpu=match_gpu(gpu_model) if gpu_model else None,
            gpu_model=gpu_model,
            cpu=match_cpu(cpu_model, family, number),
            cpu_model=cpu_model,
            clock_ghz=None if clock is None else clock / 1000.0,
            physical_cores=None if cores is None else int(cores),
            cache_bytes=known_number(row["last_level_cache_bytes"]),
            memory_bytes_per_s=rates.get(machine, {}),
            cells=cells.get(machine, {}),
        )
    return with_clocks(found, fitted.measured)


def with_clocks(
    machines: Mapping[str, MachineFacts], measured: pd.DataFrame
) -> dict[str, MachineFacts]:
    """The same with the clocks that they ran at: machines of one type have one."""
    products = measured[
        (measured["device"] == "cpu")
        & (measured["threads"] == 1)
        & (measured["workload"] == "matmul")
        & (measured["case"] == "square")
        & measured["dtype"].isin(["float32", "float64"])
    ]
    flop = [2.0 * math.prod(dict(key).values()) for key in products["params_key"]]
    rates = products.assign(rate=np.array(flop, dtype=float) / products["median_s"])
    best: dict[str, float] = {}
    for (machine, dtype), group in rates.groupby(["machine_id", "dtype"]):
        facts = machines.get(str(machine))
        if facts is not None and facts.cpu is not None:
            clock = _clock_of(facts.cpu, str(dtype), float(group["rate"].max()))
            kind = facts.machine_type_id or facts.machine_id
            best[kind] = max(clock, best.get(kind, 0.0))
    return {
        name: replace(facts, ran_at_ghz=best.get(facts.machine_type_id or facts.machine_id) or None)
        for name, facts in machines.items()
    }


def _clock_of(cpu: CpuSpec, dtype: str, flop_per_s: float) -> float:
    """The clock in GHz that a core's best product needs; 0 where its sheet says too little."""
    try:
        most = peak_flop_per_s(cpu, 1.0, dtype) / 1e9
        per_cycle = flop_per_cycle(cpu, dtype)
    except EstimateError:
        return 0.0
    return min(flop_per_s / 1e9 / per_cycle / _BEST_SHARE, most / per_cycle)


def facts_of_name(name: str) -> MachineFacts | None:
    """The facts of a name in data/hardware.csv, or None: a GPU first, then a CPU.

    A CPU's name may be followed by a number of cores ("EPYC 9R14, 8 cores"; default: all that
    its family offers of a socket). The name of an instance ("aws/g5.xlarge") stands for its GPU
    or, without one, its CPU's cores. SelectionError for one whose processor is not known, or a
    name of several.
    """
    gpu = match_gpu(name)
    if gpu is not None:
        return MachineFacts(name, gpu.name, gpu=gpu, gpu_model=gpu.name)
    for spec in shipped_hardware():
        if isinstance(spec, CpuSpec):
            cores = _cores_in(name, spec)
            if cores is not None:
                return MachineFacts(
                    name,
                    spec.name if cores == 0 else cpu_name(spec, cores),
                    cpu=spec,
                    cpu_model=spec.name,
                    clock_ghz=spec.clock_ghz,
                    physical_cores=cores or spec.cores_per_socket,
                )
    return _facts_of_instance(name)


def _facts_of_instance(name: str) -> MachineFacts | None:
    item = instance_named(name, shipped_instances())
    if item is None:
        return None
    machine = f"{item.provider}/{item.instance}"
    spec = next((spec for spec in shipped_hardware() if spec.name == item.hardware), None)
    if spec is None:
        raise SelectionError(f"{machine}: its processor is not known, so nothing answers for it")
    if isinstance(spec, GpuSpec):
        return MachineFacts(name, f"{machine} ({spec.name})", gpu=spec, gpu_model=spec.name)
    cores = max(1, item.vcpu // (spec.vcpus_per_core or 1))
    return MachineFacts(
        name,
        f"{machine} ({cpu_name(spec, cores)})",
        cpu=spec,
        cpu_model=spec.name,
        clock_ghz=spec.clock_ghz,
        physical_cores=cores,
    )


def find_machine(labels: Mapping[str, str], name: str) -> str:
    """machine_id of an id, or of the only one whose id starts so or whose label has it in it.

    ``labels``: machine_id -> label. Raises SelectionError, which lists the machines.
    """
    found = machines_like(labels, name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise SelectionError(unknown_machine(name, labels))
    listed = ", ".join(f"{machine} ({labels[machine]})" for machine in found)
    raise SelectionError(f"machine {name!r} fits several machines; choose one of {listed}")


def machines_like(labels: Mapping[str, str], name: str) -> list[str]:
    """Machines whose id is or starts with a name, or whose label has it in it."""
    if name in labels:
        return [name]
    return [
        machine
        for machine, label in labels.items()
        if name and (machine.startswith(name) or name.lower() in label.lower())
    ]


def unknown_machine(name: str, measured: Mapping[str, str]) -> str:
    """One line on a name that is no machine's, with near matches. ``measured``: id -> label."""
    known = [*measured, *measured.values()]
    for spec in shipped_hardware():
        known += [spec.name, *spec.aliases]
    known += [f"{item.provider}/{item.instance}" for item in shipped_instances()]
    known += [item.instance for item in shipped_instances()]
    listed = ", ".join(f"{machine} ({label})" for machine, label in measured.items())
    guesses = near(name, known)
    hint = f"did you mean {', '.join(guesses)}? " if guesses else ""
    return (
        f"machine {name!r} is not measured; {hint}choose one of {listed}, or a GPU or CPU of "
        "data/hardware.csv, or an instance of data/instances.csv"
    )


def cpu_name(spec: CpuSpec, cores: int) -> str:
    """The name of so many cores of a CPU of the catalogue, for ``Model.predict``."""
    return f"{spec.name}, {cores} core{'s' if cores != 1 else ''}"


def _cores_in(name: str, spec: CpuSpec) -> int | None:
    """Cores that a name asks of a CPU (0: not said); None where it is not this CPU."""
    names = {normalise(known) for known in (spec.name, *spec.aliases)}
    if normalise(name) in names:
        return 0
    asked = _CORES.match(name)
    return int(asked[2]) if asked and normalise(asked[1]) in names and int(asked[2]) else None


def relation(target: MachineFacts, donor: MachineFacts, device: str) -> Relation:
    """Whether the device (a GPU, or a CPU with its cores) is the same in both machines.

    Equal machine types are the same in all; else names decide, and for a CPU also its CPUID
    family (through the catalogue's row) and its cores. CPUs that are not the same are of one
    family where their rows have one architecture, and else of one maker where both are.
    """
    if target.machine_type_id and target.machine_type_id == donor.machine_type_id:
        return "same"
    if device == "cuda":
        if target.gpu is not None and donor.gpu is not None:
            return "same" if target.gpu.name == donor.gpu.name else "other"
        both = normalise(target.gpu_model), normalise(donor.gpu_model)
        return "same" if both[0] and both[0] == both[1] else "other"
    both = normalise(target.cpu_model), normalise(donor.cpu_model)
    alike = bool(both[0]) and both[0] == both[1] and target.cpu == donor.cpu
    if alike and target.physical_cores == donor.physical_cores:
        return "same"
    new, old = target.architecture, donor.architecture
    if new is None or old is None:
        return "other"
    return "family" if new == old else "maker" if new.maker == old.maker else "other"


def distance(target: MachineFacts, donor: MachineFacts, device: str) -> int:
    """How unlike two machines are: 0 the same parts, 1 of one family, then CPUs of one maker.

    Of those 2 with the same instruction sets, 3 with others; 4 is all else. Of the nearest donors
    the answers come; others are asked for what those have none of.
    """
    kind = relation(target, donor, device)
    if kind == "maker":
        new, old = target.architecture, donor.architecture
        alike = new is None or old is None or new.instruction_sets == old.instruction_sets
        return 2 if alike else 3
    return {"same": 0, "family": 1}.get(kind, 4)


def comparable(target: MachineFacts, donor: MachineFacts, device: str) -> bool:
    """Whether libraries run the same kind of code on both: one GPU vendor, x86 or ARM.

    What is not in the catalogue counts as comparable.
    """
    if device == "cuda":
        return _is_amd(target.gpu) == _is_amd(donor.gpu)
    return _is_arm(target.cpu) == _is_arm(donor.cpu)


def _is_amd(gpu: GpuSpec | None) -> bool:
    return gpu is not None and gpu.architecture.startswith("CDNA")


def _is_arm(cpu: CpuSpec | None) -> bool:
    return cpu is not None and cpu.architecture.startswith("Neoverse")


def _memory_rates(fitted: Fitted) -> dict[str, dict[int, float]]:
    """machine_id -> threads -> median fitted rate of the streaming families, in B/s."""
    index = fitted.fit.group.index
    chosen = ((index["device"] == "cpu") & index["workload"].isin(STREAMING)).to_numpy()
    column = KERNEL_PARAMETERS.index("memory_bytes_per_s")
    rates = np.exp(fitted.fit.group.theta[chosen, column])
    rows = index.loc[chosen, ["machine_id", "threads"]].assign(rate=rates)
    found: dict[str, dict[int, float]] = {}
    for (machine, threads), group in rows.groupby(["machine_id", "threads"])["rate"]:
        found.setdefault(str(machine), {})[int(str(threads))] = float(group.median())
    return found


def _cell_counts(measured: pd.DataFrame) -> dict[str, dict[str, int]]:
    """machine_id -> device -> count of measured cells."""
    found: dict[str, dict[str, int]] = {}
    for (machine, device), group in measured.groupby(["machine_id", "device"]):
        found.setdefault(str(machine), {})[str(device)] = len(group)
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
