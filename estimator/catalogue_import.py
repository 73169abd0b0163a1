"""Price lists of other tools, and plain CSV files, as a catalogue of instances.

Known by their headings: SkyPilot's ``vms.csv`` of one provider, gpuhunt's CSV of one provider,
Breakeven's own columns. Any other CSV file is read with a mapping of its columns. A GPU is matched
by its name to data/hardware.csv, a CPU by the instance's family; a GPU that no row has is refused
and named, never guessed, and a CPU that is not known stays empty.

Sources of the formats: skypilot-org/skypilot-catalog (catalogs/v7), dstackai/gpuhunt
(``CatalogItem``: one line per instance, location and market; memory per GPU).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from collector.errors import CatalogueError
from estimator import catalogue_skypilot
from estimator.catalogue import Catalogue, Draft, RefusedRow, collect, parse_catalogue
from estimator.catalogue_csv import Row, check_columns, parse_rows, read_bytes, shown
from estimator.catalogue_offers import Offer, Origin, combine, count, price
from estimator.instance_families import cpu_hardware, gpu_hardware
from estimator.instances import INSTANCE_COLUMNS, REQUIRED_COLUMNS, UNDATED

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
