"""A machine of one's own: as an instance with a price per hour, and as a purchase.

The price of its used hour and its purchase line are those of :mod:`estimator.cost.ownership`.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.errors import SelectionError
from estimator.catalogue.hardware import match_cpu, match_gpu
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec
from estimator.catalogue.instances import Instance
from estimator.checks import check_number
from estimator.cost.ownership import CostLine, own_machine, own_machine_usd_per_h, purchase_line

_EXAMPLE = "'RTX 4090,purchase=2500,years=3,utilisation=0.3,watts=500,usd_per_kwh=0.30'"
_NUMBERS = ("purchase", "years", "utilisation", "watts", "usd_per_kwh")
_ANY_MEMORY_GIB = 65536.0  # more than any job needs: not judged
_OPTIONAL = ("idle_watts", "gpus", "vcpu", "memory_gib")


@dataclass(frozen=True, slots=True)
class OwnMachine:
    """What a machine of one's own costs. ``hardware`` names a row of data/hardware.csv.

    ``utilisation`` is the share of all hours in which it works. ``watts`` is the whole machine
    at work, ``idle_watts`` at rest. A machine without a GPU needs its ``vcpu``; without
    ``memory_gib`` every job is taken to fit its host.
    """

    hardware: str
    purchase_usd: float
    years: float
    utilisation: float
    watts: float
    usd_per_kwh: float
    idle_watts: float = 0.0
    name: str = ""
    gpus: int = 1
    vcpu: int | None = None
    memory_gib: float | None = None

    def __post_init__(self) -> None:
        check_number("gpus", self.gpus, 1, 64)
        check_number("vcpu", self.vcpu or 1, 1, 4096)
        check_number("memory_gib", self.memory_gib or _ANY_MEMORY_GIB, 0.5, _ANY_MEMORY_GIB)
        if self.usd_per_h <= 0.0:
            raise SelectionError(f"{self.hardware}: a machine that costs nothing has no price")

    @property
    def usd_per_h(self) -> float:
        """Price of one used hour, electricity included."""
        return own_machine_usd_per_h(
            self.purchase_usd,
            self.years,
            self.utilisation,
            self.watts,
            self.usd_per_kwh,
            self.idle_watts,
        )

    def instance(self, as_of: str) -> Instance:
        """The machine as a row of the catalogue, of the provider "own".

        Raises SelectionError for hardware that data/hardware.csv does not have, and for a CPU of
        which nobody says how many logical cores it has.
        """
        hardware = _hardware(self.hardware)
        if isinstance(hardware, CpuSpec) and self.vcpu is None:
            raise SelectionError(f"{self.hardware}: give its logical cores, such as vcpu=16")
        return own_machine(
            self.name or self.hardware,
            hardware,
            self.usd_per_h,
            as_of,
            self.gpus,
            self.vcpu or 1,
            self.memory_gib or _ANY_MEMORY_GIB,
        )

    def purchase_line(self, seconds_per_job: float) -> CostLine:
        """The purchase once, then the energy of each job: what buying means to a count of jobs."""
        return purchase_line(self.purchase_usd, self.watts, self.usd_per_kwh, seconds_per_job)


def _hardware(name: str) -> GpuSpec | CpuSpec:
    found = match_gpu(name) or match_cpu(name)
    if found is None:
        raise SelectionError(
            f"{name!r}: no row of data/hardware.csv has this name; use a GPU's such as RTX 4090, "
            "or a CPU's"
        )
    return found


def parse_own_machine(text: str) -> OwnMachine:
    """HARDWARE,purchase=USD,years=N,utilisation=SHARE,watts=W,usd_per_kwh=USD and options.

    Options: idle_watts, gpus, vcpu, memory_gib, name. Raises SelectionError.
    """
    hardware, *settings = (part.strip() for part in text.split(","))
    given: dict[str, str] = {}
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not equals or name not in (*_NUMBERS, *_OPTIONAL, "name") or name in given:
            raise SelectionError(f"--own {setting!r}: write for example {_EXAMPLE}")
        given[name] = value
    missing = [name for name in _NUMBERS if name not in given]
    if missing or not hardware:
        raise SelectionError(
            f"--own {hardware or text!r} lacks {', '.join(missing) or 'its hardware'}; write for "
            f"example {_EXAMPLE}"
        )
    numbers = {name: _number(name, value) for name, value in given.items() if name != "name"}
    for name in ("gpus", "vcpu"):
        if numbers.get(name, 1.0) != int(numbers.get(name, 1.0)):
            raise SelectionError(f"--own: {name} is {given[name]}; it must be a whole number")
    return OwnMachine(
        hardware=hardware,
        purchase_usd=numbers["purchase"],
        years=numbers["years"],
        utilisation=numbers["utilisation"],
        watts=numbers["watts"],
        usd_per_kwh=numbers["usd_per_kwh"],
        idle_watts=numbers.get("idle_watts", 0.0),
        name=given.get("name", ""),
        gpus=int(numbers.get("gpus", 1)),
        vcpu=int(numbers["vcpu"]) if "vcpu" in numbers else None,
        memory_gib=numbers.get("memory_gib"),
    )


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise SelectionError(f"--own: {name} is {text!r}; it must be a number") from None
    check_number(name, value, 0.0, 1e12)
    return value
