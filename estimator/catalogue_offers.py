"""Offers of a price list, one per zone or market, brought together to one row a region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from collector.errors import CatalogueError
from estimator.catalogue import Draft, RefusedRow
from estimator.catalogue_csv import parse_number, shown
from estimator.instance_families import cpu_hardware, gpu_hardware

_ANY = 1e12


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of a price list: a machine in a zone ("": the whole region) with its prices.

    ``vcpu`` and ``memory_gib`` are text as it stood; a price that the line does not give is None.
    ``gpu_memory_gib`` is None where the list does not state it.
    """

    row: int
    instance: str
    region: str
    zone: str
    vcpu: str
    memory_gib: str
    gpu: str
    gpu_count: int
    gpu_memory_gib: float | None
    on_demand: float | None
    spot: float | None
    note: str = ""

    @property
    def machine(self) -> tuple[str, ...]:
        """What all zones of one row share."""
        parts = (self.instance, self.region, self.vcpu, self.memory_gib, self.gpu)
        return (*parts, str(self.gpu_count), str(self.gpu_memory_gib))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a price list is from: it goes into every row."""

    provider: str
    as_of: str
    source: str


def price(where: str, row: Mapping[str, str], column: str) -> float | None:
    """A price of a price list, None if it is empty. CatalogueError for zero or no number."""
    value = parse_number(where, row, column, -_ANY, _ANY)
    if value is not None and value <= 0.0:
        raise CatalogueError(f"{where}: {column} is {value:g}; a price must be above 0")
    return value


def count(where: str, row: Mapping[str, str], column: str) -> int:
    """A count, 0 if it is empty. CatalogueError unless it is a whole number of 0 or more."""
    value = parse_number(where, row, column, 0.0, 1e6) or 0.0
    if value != int(value):
        raise CatalogueError(f"{where}: {column} is {value:g}; it must be a whole number")
    return int(value)


def combine(offers: Iterable[Offer], origin: Origin, refused: list[RefusedRow]) -> Iterator[Draft]:
    """One draft per machine and region: the median of its zones' prices.

    The zones and the range of their prices are told in the draft's source. A machine without an
    on-demand price anywhere is added to ``refused``.
    """
    groups: dict[tuple[str, ...], list[Offer]] = {}
    for offer in offers:
        groups.setdefault(offer.machine, []).append(offer)
    for group in groups.values():
        first = group[0]
        on_demand = [offer.on_demand for offer in group if offer.on_demand is not None]
        spot = [offer.spot for offer in group if offer.spot is not None]
        if not on_demand:
            name = shown(f"{origin.provider}/{first.instance}/{first.region}", 120)
            refused.append(RefusedRow(first.row, name, "no on-demand price"))
            continue
        remarks = [origin.source, *dict.fromkeys(offer.note for offer in group if offer.note)]
        places = "zone" if any(offer.zone for offer in group) else "offer"
        remarks.extend(_range("on-demand", on_demand, places, always=False))
        remarks.extend(_range("spot", spot, places, always=places == "zone"))
        yield Draft(first.row, _columns(first, origin, on_demand, spot, "; ".join(remarks)))


def _range(market: str, prices: list[float], place: str, always: bool) -> list[str]:
    if not prices or (len(set(prices)) == 1 and not always):
        return []
    places = f"{len(prices)} {place}{'s' if len(prices) != 1 else ''}"
    return [f"{market}: median of {places}, {min(prices):.4f}-{max(prices):.4f}"]


def _columns(
    offer: Offer, origin: Origin, on_demand: list[float], spot: list[float], source: str
) -> dict[str, str]:
    memory = offer.gpu_memory_gib
    if offer.gpu_count:
        spec = gpu_hardware(origin.provider, offer.instance, offer.gpu, memory)
        hardware = "" if spec is None else spec.name
        if memory is None and spec is not None:
            memory = spec.memory_gib
    else:
        hardware = cpu_hardware(origin.provider, offer.instance)
    return {
        "provider": origin.provider,
        "instance": offer.instance,
        "region": offer.region,
        "vcpu": offer.vcpu,
        "memory_gib": offer.memory_gib,
        "gpu": offer.gpu if offer.gpu_count else "",
        "gpu_count": str(offer.gpu_count),
        "gpu_memory_gib": "" if memory is None or not offer.gpu_count else f"{memory:.6g}",
        "on_demand_usd_per_h": f"{median(on_demand):.6g}",
        "spot_usd_per_h": f"{median(spot):.6g}" if spot else "",
        "as_of": origin.as_of,
        "source": source,
        "hardware": hardware,
    }
