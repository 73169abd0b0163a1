"""SkyPilot's catalogue of one provider (catalogs/v*/<provider>/vms.csv) as offers.

A line is a machine in one zone. Google's lines name the machine and its GPUs apart: the machine
types that carry GPUs have no accelerator and the price of the bare host, and lines without a
machine type price so many accelerators; the two are added here, zone by zone. Taken as they stand
they would be CPU machines at a fraction of their price. Checked on v7: in us-central1,
a2-highgpu-1g 0.73948 + one A100 2.93391 = 3.67339 USD/h, which is Google's own list price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from collector.errors import CatalogueError
from estimator.catalogue import RefusedRow
from estimator.catalogue_csv import Row, shown
from estimator.catalogue_offers import Offer, Origin, count, price
from estimator.hardware import normalise

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
