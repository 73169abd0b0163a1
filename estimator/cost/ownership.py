"""Machines of one's own: what they cost, when a fixed cost pays off, and measured energy.

Energy of one call is as a GPU's own counter measured it, without the host, of calls in a row, and
only for the very cell that was measured: where no machine with that GPU measured the cell with that
library, there is no energy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from collector.errors import EstimateError, SelectionError
from estimator.catalogue.hardware import match_cpu, match_gpu
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec
from estimator.catalogue.instances import Instance
from estimator.checks import check_number

if TYPE_CHECKING:
    import duckdb


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


HOURS_PER_YEAR = 8766.0  # 365.25 days

# Beyond this count of jobs the difference per job is rounding error, not a saving.
_MOST_JOBS = 1e12


class PaysOnceAndPerJob(Protocol):
    """What break-even counts compare: money paid once, and for each job after that, in USD."""

    @property
    def fixed_usd(self) -> float: ...

    @property
    def marginal_usd_per_job(self) -> float: ...


@dataclass(frozen=True, slots=True)
class CostLine:
    """Money paid once, and for each job after that, in USD."""

    fixed_usd: float
    marginal_usd_per_job: float

    def __post_init__(self) -> None:
        check_number("fixed_usd", self.fixed_usd)
        check_number("marginal_usd_per_job", self.marginal_usd_per_job)


def breakeven_jobs(a: PaysOnceAndPerJob, b: PaysOnceAndPerJob) -> int | None:
    """Number of jobs from which the one with the larger fixed cost is the cheaper; None if never.

    With equal fixed costs: 1 if one of them is cheaper per job, None if they cost the same.
    """
    dear, cheap = (a, b) if a.fixed_usd >= b.fixed_usd else (b, a)
    extra_usd = dear.fixed_usd - cheap.fixed_usd
    saved_usd = cheap.marginal_usd_per_job - dear.marginal_usd_per_job
    if extra_usd == 0.0:
        return 1 if saved_usd != 0.0 else None
    if saved_usd <= 0.0 or extra_usd / saved_usd > _MOST_JOBS:
        return None
    return math.floor(extra_usd / saved_usd) + 1


def own_machine_usd_per_h(
    purchase_usd: float,
    years: float,
    utilisation: float,
    watts: float,
    usd_per_kwh: float,
    idle_watts: float = 0.0,
) -> float:
    """Price of one used hour of a machine of one's own.

        purchase / (years x 8766 h x utilisation)
        + (watts + idle_watts x (1 - utilisation) / utilisation) / 1000 x USD per kWh

    ``utilisation`` is the share of all hours in which it works, above 0 and up to 1.
    """
    for name, value in (
        ("purchase_usd", purchase_usd),
        ("years", years),
        ("watts", watts),
        ("usd_per_kwh", usd_per_kwh),
        ("idle_watts", idle_watts),
    ):
        check_number(name, value)
    check_number("utilisation", utilisation, 0.0, 1.0)
    if years == 0.0 or utilisation == 0.0:
        raise EstimateError("years and utilisation must be above 0: an unused machine has no price")
    idle_w = idle_watts * (1.0 - utilisation) / utilisation
    purchase_usd_per_h = purchase_usd / (years * HOURS_PER_YEAR * utilisation)
    return purchase_usd_per_h + (watts + idle_w) / 1000.0 * usd_per_kwh


def own_machine(
    name: str,
    hardware: GpuSpec | CpuSpec,
    usd_per_h: float,
    as_of: str,
    gpu_count: int = 1,
    vcpu: int = 1,
    memory_gib: float = 1.0,
) -> Instance:
    """A machine of one's own as a row like any other, at the price of its used hour."""
    check_number("usd_per_h", usd_per_h)
    gpu = isinstance(hardware, GpuSpec)
    return Instance(
        provider="own",
        instance=name,
        region="here",
        vcpu=vcpu,
        memory_gib=memory_gib,
        gpu=hardware.name if gpu else "",
        gpu_count=gpu_count if gpu else 0,
        gpu_memory_gib=hardware.memory_gib if isinstance(hardware, GpuSpec) else None,
        on_demand_usd_per_h=usd_per_h,
        spot_usd_per_h=None,
        as_of=as_of,
        source="purchase price, years, utilisation, watts and USD per kWh as typed in",
        hardware=hardware.name,
    )


def purchase_line(
    purchase_usd: float, watts: float, usd_per_kwh: float, seconds_per_job: float
) -> CostLine:
    """A bought machine for break-even counts: the purchase once, then only energy per job."""
    for name, value in (
        ("watts", watts),
        ("usd_per_kwh", usd_per_kwh),
        ("seconds_per_job", seconds_per_job),
    ):
        check_number(name, value)
    return CostLine(purchase_usd, watts / 1000.0 * usd_per_kwh * seconds_per_job / 3600.0)


ENERGY_COLUMNS = ("gpu", "backend", "energy_j")

_QUERY = """
SELECT machines.gpu_model, cells.backend, cells.params, cells.energy_j
FROM cells JOIN machines USING (machine_id)
WHERE cells.device = 'cuda' AND cells.mode = 'hot' AND cells.energy_j IS NOT NULL
    AND cells.workload = ? AND cells."case" = ? AND cells.dtype = ?
    AND coalesce(cells.math_mode, 'ieee') = ?
LIMIT 100000
"""


def measured_energy(
    connection: duckdb.DuckDBPyConnection, question: Mapping[str, Any]
) -> pd.DataFrame:
    """The columns :data:`ENERGY_COLUMNS`: median joules of one call by GPU and library.

    ``connection`` has the tables ``cells`` and ``machines`` of ``dataset.index``; ``gpu`` is
    a name of data/hardware.csv. ``question``: workload, case, complete params, dtype, math_mode.
    """
    params = dict(question["params"])
    asked = [question["workload"], question["case"], question["dtype"], question["math_mode"]]
    with connection.cursor() as cursor:  # sessions share the connection
        cells = cursor.execute(_QUERY, asked).fetchall()
    rows = [
        (gpu.name, str(backend), float(joules))
        for model, backend, known, joules in cells
        if known == params and joules > 0.0 and (gpu := match_gpu(str(model))) is not None
    ]
    found = pd.DataFrame(rows, columns=[*ENERGY_COLUMNS])
    return found.groupby(["gpu", "backend"], as_index=False).median()


def with_energy(
    timings: pd.DataFrame, instances: Sequence[Instance], energy: pd.DataFrame
) -> pd.DataFrame:
    """``timings`` with ``energy_j``, joules of one call; NaN where it was not measured."""
    hardware = {instance.key: instance.hardware for instance in instances if instance.gpu_count}
    known = {(row["gpu"], row["backend"]): row["energy_j"] for row in energy.to_dict("records")}
    places = zip(timings["key"], timings["backend"], strict=True)
    joules = [known.get((hardware.get(key), backend), math.nan) for key, backend in places]
    return timings.assign(energy_j=pd.Series(joules, timings.index, dtype=float))
