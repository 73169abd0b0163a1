"""Price lists of other tools, and plain CSV files, as a catalogue of instances.

Known by their headings: SkyPilot's ``vms.csv`` of one provider, gpuhunt's CSV of one provider,
Breakeven's own columns. Any other CSV file is read with a mapping of its columns. A GPU is matched
by its name to data/hardware.csv, a CPU by the instance's family; a GPU that no row has is refused
and named, never guessed, and a CPU that is not known stays empty.

Sources of the formats: skypilot-org/skypilot-catalog (catalogs/v7), dstackai/gpuhunt
(``CatalogItem``: one line per instance, location and market; memory per GPU).

Offers are brought together to one row a region. In SkyPilot's files
(catalogs/v*/<provider>/vms.csv) a line is a machine in one zone. Google's lines name the machine
and its GPUs apart: the machine types that carry GPUs have no accelerator and the price of the bare
host, and lines without a machine type price so many accelerators; the two are added here, zone by
zone. Taken as they stand they would be CPU machines at a fraction of their price. Checked on v7: in
us-central1, a2-highgpu-1g 0.73948 + one A100 2.93391 = 3.67339 USD/h, which is Google's own list
price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from collector.errors import CatalogueError
from estimator.catalogue import importers as catalogue_skypilot
from estimator.catalogue.csv_files import (
    Row,
    check_columns,
    parse_number,
    parse_rows,
    read_bytes,
    shown,
)
from estimator.catalogue.hardware import normalise
from estimator.catalogue.instance_families import cpu_hardware, gpu_hardware
from estimator.catalogue.instances import INSTANCE_COLUMNS, REQUIRED_COLUMNS, UNDATED
from estimator.catalogue.local import Catalogue, Draft, RefusedRow, collect, parse_catalogue

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


#: Also read where they are: GpuInfo, AvailabilityZone.
COLUMNS = (
    "InstanceType",
    "AcceleratorName",
    "AcceleratorCount",
    "vCPUs",
    "MemoryGiB",
    "Price",
    "SpotPrice",
    "Region",
)

_MIB = re.compile(r"SizeInMiB['\"]?\s*:\s*(\d{1,9})\b", re.ASCII)

# Google Compute Engine, "GPU machine types": the accelerator of each accelerator-optimised series
# as SkyPilot spells it; its count is the N of "-Ng", or goes by the number of vCPUs.
_GCP_SERIES = {
    "a2-highgpu": "A100",
    "a2-megagpu": "A100",
    "a2-ultragpu": "A100-80GB",
    "a3-highgpu": "H100",
    "a3-edgegpu": "H100",
    "a3-megagpu": "H100-MEGA",
    "a3-ultragpu": "H200",
    "a4-highgpu": "B200",
    "g2-standard": "L4",
    "g4-standard": "RTXPRO6000",
}
_COUNT_BY_VCPU = {
    "g2-standard": {4: 1, 8: 1, 12: 1, 16: 1, 32: 1, 24: 2, 48: 4, 96: 8},
    "g4-standard": {48: 1, 96: 2, 192: 4, 384: 8},
}

_Key = tuple[str, int, str]
_Price = tuple[float | None, float | None]


def offers(
    rows: Iterable[Row], origin: Origin, refused: list[RefusedRow], notes: list[str]
) -> list[Offer]:
    """The offers of the file; lines that cannot be used are added to ``refused``, with reasons."""
    found: list[Offer] = []
    accelerators: dict[_Key, _Price] = {}
    apart = 0
    for row in rows:
        where = f"row {row.line}"
        try:
            if row.problem:
                raise CatalogueError(f"{where}: {row.problem}")
            offer = _offer(where, row)
        except CatalogueError as error:
            reason = str(error).removeprefix(f"{where}: ")
            refused.append(RefusedRow(row.line, _name(origin, row.fields), reason))
            continue
        if offer.instance:
            found.append(offer)
        else:
            apart += 1
            key = (normalise(offer.gpu), offer.gpu_count, offer.zone)
            accelerators[key] = (offer.on_demand, offer.spot)
    if origin.provider.casefold() == "gcp":
        found = _with_gpus(found, accelerators, origin, refused)
    if apart:
        lines = "1 line prices" if apart == 1 else f"{apart:,} lines price"
        verb = "it counts" if apart == 1 else "they count"
        notes.append(f"{lines} accelerators alone; {verb} where a machine type carries them")
    return found


def _offer(where: str, row: Row) -> Offer:
    fields = row.fields
    gpu = fields["AcceleratorName"]
    gpu_count = count(where, fields, "AcceleratorCount")
    if gpu and not gpu_count:
        raise CatalogueError(f"{where}: AcceleratorCount is empty but there is a {shown(gpu)}")
    size = _MIB.search(fields.get("GpuInfo", ""))
    return Offer(
        row=row.line,
        instance=fields["InstanceType"],
        region=fields["Region"],
        zone=fields.get("AvailabilityZone", ""),
        vcpu=fields["vCPUs"],
        memory_gib=fields["MemoryGiB"],
        gpu=gpu,
        gpu_count=gpu_count if gpu else 0,
        gpu_memory_gib=int(size[1]) / 1024.0 if size else None,
        on_demand=price(where, fields, "Price"),
        spot=price(where, fields, "SpotPrice"),
    )


def _with_gpus(
    found: Iterable[Offer],
    accelerators: Mapping[_Key, _Price],
    origin: Origin,
    refused: list[RefusedRow],
) -> list[Offer]:
    """Google's machine types with the price of the GPUs that they carry."""
    complete: list[Offer] = []
    for offer in found:
        carried = None if offer.gpu_count else _carried(offer)
        if carried is None:
            complete.append(offer)
            continue
        gpu, number = carried
        prices = accelerators.get((normalise(gpu), number, offer.zone))
        if prices is None:
            name = shown(f"{origin.provider}/{offer.instance}/{offer.region}", 120)
            where = shown(offer.zone or offer.region)
            reason = f"this file has no price in {where} of the {number or '?'} x {gpu} that it has"
            refused.append(RefusedRow(offer.row, name, reason))
            continue
        complete.append(
            replace(
                offer,
                gpu=gpu,
                gpu_count=number,
                on_demand=_sum(offer.on_demand, prices[0]),
                spot=_sum(offer.spot, prices[1]),
                note=f"machine and {number} x {gpu} priced apart, added",
            )
        )
    return complete


def _carried(offer: Offer) -> tuple[str, int] | None:
    """(accelerator, how many; 0: not known) of a Google machine type that carries GPUs, or None."""
    series = "-".join(offer.instance.split("-")[:2])
    gpu = _GCP_SERIES.get(series)
    if gpu is None:
        return None
    number = re.search(r"-(\d{1,2})g\b", offer.instance, re.ASCII)
    if number:
        return gpu, int(number[1])
    size = re.search(r"-(\d{1,3})$", offer.instance, re.ASCII)
    return gpu, _COUNT_BY_VCPU.get(series, {}).get(int(size[1]) if size else 0, 0)


def _sum(host: float | None, gpus: float | None) -> float | None:
    return None if host is None or gpus is None else host + gpus


def _name(origin: Origin, fields: Mapping[str, str]) -> str:
    parts = (origin.provider, fields.get("InstanceType", ""), fields.get("Region", ""))
    return shown("/".join(parts), 120)


FORMATS = ("auto", "breakeven", "skypilot", "gpuhunt", "plain")

#: gpuhunt writes more (disk_size, gpu_vendor, flags, cpu_arch, provider_data); these are used.
GPUHUNT_COLUMNS = (
    "instance_name",
    "location",
    "price",
    "cpu",
    "memory",
    "gpu_count",
    "gpu_name",
    "gpu_memory",
    "spot",
)
#: What a plain file must have under these or mapped names; the rest has defaults.
PLAIN_COLUMNS = ("instance", "region", "vcpu", "memory_gib", "on_demand_usd_per_h")

_GCP_ZONE = re.compile(r"(.+-.+\d)-[a-z]")


def import_file(
    path: str | Path,
    provider: str = "",
    as_of: str = UNDATED,
    source: str = "",
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
) -> Catalogue:
    """As ``import_catalogue``, for a file."""
    data = read_bytes(path)
    return import_catalogue(data, Path(path).name, provider, as_of, source, format, columns)


def import_catalogue(
    data: bytes,
    name: str,
    provider: str = "",
    as_of: str = UNDATED,
    source: str = "",
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
) -> Catalogue:
    """The instances of a price list, and each line that was refused with its reason.

    ``provider``, ``as_of`` (an ISO date or "undated") and ``source`` go into every row; a file in
    Breakeven's columns has its own. ``columns`` maps Breakeven's columns to those of a plain
    file, {"on_demand_usd_per_h": "Price"}. Lines of one machine in several zones become one row:
    the median price, its range in the source.
    Raises CatalogueError for a file that is no such list, and for a missing provider or source.
    """
    mapping = dict(columns or {})
    header, rows = parse_rows(data, name)
    chosen = detect(header, mapping) if format == "auto" else format
    if chosen == "breakeven":
        return parse_catalogue(data, name)
    if not chosen:
        raise CatalogueError(
            f"{name}: its columns are not those of Breakeven, SkyPilot or gpuhunt; name them with "
            f"--column, such as --column on_demand_usd_per_h=PRICE (needed: "
            f"{', '.join(PLAIN_COLUMNS)})"
        )
    if chosen not in FORMATS:
        raise CatalogueError(f"unknown format {shown(chosen)!r}; use one of {', '.join(FORMATS)}")
    own = {*header, *mapping} if chosen == "plain" else set()
    for column, value, hint in (
        ("provider", provider, "--provider aws"),
        ("as_of", as_of, f"--as-of 2026-11-01, or {UNDATED}"),
        ("source", source, "--source TEXT"),
    ):
        if column not in own and not value.strip():
            raise CatalogueError(f"{name}: it has no {column}; say it ({hint})")
    origin = Origin(provider, as_of, source)
    refused: list[RefusedRow] = []
    notes: list[str] = []
    drafts: Iterable[Draft]
    if chosen == "skypilot":
        check_columns(name, header, catalogue_skypilot.COLUMNS)
        offers = catalogue_skypilot.offers(rows, origin, refused, notes)
        drafts = combine(offers, origin, refused)
    elif chosen == "gpuhunt":
        check_columns(name, header, GPUHUNT_COLUMNS)
        drafts = combine(_gpuhunt(rows, origin, refused), origin, refused)
    else:
        drafts = _plain(name, header, rows, origin, mapping, refused)
    return collect(list(drafts), refused, chosen, notes)


def detect(header: Iterable[str], columns: Mapping[str, str] | None = None) -> str:
    """The format whose columns a heading has; "plain" with a mapping; "" if none fits."""
    present = set(header)
    if columns:
        return "plain"
    if present.issuperset(REQUIRED_COLUMNS):
        return "breakeven"
    if present.issuperset(catalogue_skypilot.COLUMNS):
        return "skypilot"
    if present.issuperset(GPUHUNT_COLUMNS):
        return "gpuhunt"
    return "plain" if present.issuperset(PLAIN_COLUMNS) else ""


def _gpuhunt(rows: Iterable[Row], origin: Origin, refused: list[RefusedRow]) -> Iterator[Offer]:
    """gpuhunt's lines as offers: one line gives one market's price."""
    for row in rows:
        where = f"row {row.line}"
        fields = row.fields
        try:
            if row.problem:
                raise CatalogueError(f"{where}: {row.problem}")
            spot = fields["spot"].casefold()
            if spot not in ("true", "false"):
                raise CatalogueError(f"{where}: spot is {shown(spot)!r}; it must be True or False")
            paid = price(where, fields, "price")
            if paid is None:
                raise CatalogueError(f"{where}: price is empty; it must be a number")
            gpu_count = count(where, fields, "gpu_count")
            memory = price(where, fields, "gpu_memory") if gpu_count else None
        except CatalogueError as error:
            parts = (origin.provider, fields.get("instance_name", ""), fields.get("location", ""))
            reason = str(error).removeprefix(f"{where}: ")
            refused.append(RefusedRow(row.line, shown("/".join(parts), 120), reason))
            continue
        place = fields["location"]
        zone = _GCP_ZONE.fullmatch(place) if origin.provider.casefold() == "gcp" else None
        yield Offer(
            row=row.line,
            instance=fields["instance_name"],
            region=zone[1] if zone else place,
            zone=place if zone else "",
            vcpu=fields["cpu"],
            memory_gib=fields["memory"],
            gpu=fields["gpu_name"] if gpu_count else "",
            gpu_count=gpu_count,
            gpu_memory_gib=memory,
            on_demand=paid if spot == "false" else None,
            spot=paid if spot == "true" else None,
        )


def _plain(
    name: str,
    header: tuple[str, ...],
    rows: Iterable[Row],
    origin: Origin,
    mapping: Mapping[str, str],
    refused: list[RefusedRow],
) -> Iterator[Draft]:
    """Lines of a plain file as drafts; Raises CatalogueError for a mapping that does not fit."""
    for column, theirs in mapping.items():
        if column not in INSTANCE_COLUMNS:
            raise CatalogueError(
                f"{shown(column)!r} is no column of a catalogue; use one of "
                f"{', '.join(INSTANCE_COLUMNS)}"
            )
        if theirs not in header:
            raise CatalogueError(
                f"{name}: it has no column {shown(theirs)!r}; it has "
                f"{shown(', '.join(header), 300)}"
            )
    names = {column: mapping.get(column, column) for column in INSTANCE_COLUMNS}
    check_columns(name, header, (names[column] for column in PLAIN_COLUMNS))
    for row in rows:
        if row.problem:
            refused.append(RefusedRow(row.line, "", row.problem))
            continue
        fields = {column: row.fields.get(names[column], "") for column in INSTANCE_COLUMNS}
        fields["provider"] = fields["provider"] or origin.provider
        fields["as_of"] = fields["as_of"] or origin.as_of
        fields["source"] = fields["source"] or origin.source
        yield Draft(row.line, _with_hardware(fields))


def _with_hardware(fields: dict[str, str]) -> dict[str, str]:
    """Empty fields about hardware filled with what the GPU's name or the family says."""
    gpu = fields["gpu"]
    if not gpu:
        fields["gpu_count"] = fields["gpu_count"] or "0"
        if fields["gpu_count"] == "0" and not fields["hardware"]:
            fields["hardware"] = cpu_hardware(fields["provider"], fields["instance"])
        return fields
    fields["gpu_count"] = fields["gpu_count"] or "1"
    try:
        memory = float(fields["gpu_memory_gib"]) if fields["gpu_memory_gib"] else None
    except ValueError:
        return fields  # the row's own check names it
    spec = gpu_hardware(fields["provider"], fields["instance"], gpu, memory)
    if spec is not None:
        fields["hardware"] = fields["hardware"] or spec.name
        if memory is None and spec.memory_gib is not None:
            fields["gpu_memory_gib"] = f"{spec.memory_gib:g}"
    return fields
