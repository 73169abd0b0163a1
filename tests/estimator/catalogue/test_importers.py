"""Importers of price lists in the forms of SkyPilot and gpuhunt, and of plain files.

All rows are made up, but for the prices that a docstring names.
"""

from __future__ import annotations

import csv
import io
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import CatalogueError
from estimator.catalogue.importers import detect, import_catalogue
from estimator.catalogue.instance_families import cpu_hardware, family, gpu_hardware
from estimator.catalogue.instances import INSTANCE_COLUMNS, read_instances
from estimator.catalogue.local import catalogue_text, parse_catalogue

SKYPILOT = (
    "InstanceType",
    "AcceleratorName",
    "AcceleratorCount",
    "vCPUs",
    "MemoryGiB",
    "GpuInfo",
    "Price",
    "SpotPrice",
    "Region",
    "AvailabilityZone",
)
GPUHUNT = (
    "instance_name",
    "location",
    "price",
    "cpu",
    "memory",
    "gpu_count",
    "gpu_name",
    "gpu_memory",
    "spot",
    "disk_size",
    "gpu_vendor",
    "flags",
    "cpu_arch",
    "provider_data",
)
H100 = {
    "InstanceType": "p5.48xlarge",
    "AcceleratorName": "H100",
    "AcceleratorCount": "8.0",
    "vCPUs": "192.0",
    "MemoryGiB": "2048.0",
    "GpuInfo": "{'Gpus': [{'Name': 'H100', 'MemoryInfo': {'SizeInMiB': 81920}}]}",
    "Price": "55.04",
    "SpotPrice": "18.0",
    "Region": "us-east-1",
    "AvailabilityZone": "use1-az1",
}
C7I = {
    "InstanceType": "c7i.2xlarge",
    "vCPUs": "8.0",
    "MemoryGiB": "16.0",
    "Price": "0.357",
    "SpotPrice": "0.15",
    "Region": "us-east-1",
    "AvailabilityZone": "use1-az1",
}
HUNT = {
    "instance_name": "g5.xlarge",
    "location": "us-east-1",
    "price": "1.006",
    "cpu": "4",
    "memory": "16.0",
    "gpu_count": "1",
    "gpu_name": "A10G",
    "gpu_memory": "24.0",
    "spot": "False",
    "gpu_vendor": "nvidia",
    "provider_data": "{}",
}


def table(columns: tuple[str, ...], *rows: dict[str, str]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def imported(data: bytes, provider: str = "aws", **options: Any):
    return import_catalogue(
        data, "vms.csv", provider, **{"as_of": "2026-11-01", "source": "a list", **options}
    )


def test_the_format_is_known_by_the_heading():
    assert detect(SKYPILOT) == "skypilot"
    assert detect(reversed(SKYPILOT)) == "skypilot"
    assert detect(GPUHUNT) == "gpuhunt"
    assert detect(INSTANCE_COLUMNS) == "breakeven"
    assert detect(["instance", "region", "vcpu", "memory_gib", "on_demand_usd_per_h"]) == "plain"
    assert detect(["a", "b"]) == ""
    assert detect(["a", "b"], {"instance": "a"}) == "plain"


def test_zones_become_one_row_a_region_with_the_median_spot_price_and_its_range():
    spots = ("0.1", "0.3", "0.15", "")
    rows = [C7I | {"AvailabilityZone": f"z{i}", "SpotPrice": s} for i, s in enumerate(spots)]
    found = imported(table(SKYPILOT, *rows, H100))
    assert found.format == "skypilot"
    cpu, gpu = found.instances
    assert (cpu.key, cpu.vcpu, cpu.memory_gib) == ("aws/c7i.2xlarge/us-east-1", 8, 16.0)
    assert (cpu.on_demand_usd_per_h, cpu.spot_usd_per_h) == (0.357, 0.15)
    assert cpu.source == "a list; spot: median of 3 zones, 0.1000-0.3000"
    assert cpu.hardware == "AWS c7i m7i r7i (Xeon 8488C)"
    assert (gpu.gpu, gpu.gpu_count, gpu.gpu_memory_gib, gpu.hardware) == ("H100", 8, 80, "H100 SXM")
    assert gpu.as_of == cpu.as_of == "2026-11-01"


def test_skypilots_known_accidents_and_unknown_accelerators_are_refused_with_row_and_reason():
    rows = (
        H100 | {"Price": "0"},
        H100
        | {"InstanceType": "p6-b200.48xlarge", "AcceleratorName": "B200", "GpuInfo": ""}
        | {"Price": "0.01", "SpotPrice": "0.01"},
        H100 | {"InstanceType": "trn1.32xlarge", "AcceleratorName": "Trainium"},
        H100 | {"InstanceType": "p5.x", "SpotPrice": "60"},
        C7I | {"Price": ""},
        C7I | {"InstanceType": "c7i.large", "vCPUs": "0.25"},
        C7I | {"InstanceType": "c7i.huge", "Price": "cheap"},
        C7I | {"InstanceType": "c7i.odd", "AcceleratorName": "H100"},
    )
    found = imported(table(SKYPILOT, *rows))
    assert found.instances == ()
    assert [(r.row, r.reason.split(";")[0]) for r in found.refused] == [
        (2, "Price is 0"),
        (
            3,
            "on_demand_usd_per_h 0.01 is 0.00125 USD per hour and GPU, outside the plausible "
            "0.54 to 90",
        ),
        (4, "unknown GPU 'Trainium'"),
        (5, "spot_usd_per_h 60 is above on_demand_usd_per_h 55.04"),
        (6, "no on-demand price"),
        (7, "vcpu is 0.25"),
        (8, "Price is 'cheap'"),
        (9, "AcceleratorCount is empty but there is a H100"),
    ]


def google(name: str = "a2-highgpu-1g", zone: str = "us-central1-a", **changes: str):
    row = {"InstanceType": name, "vCPUs": "12.0", "MemoryGiB": "85.0", "Price": "0.73948"}
    return (
        row | {"SpotPrice": "0.29576", "Region": "us-central1", "AvailabilityZone": zone} | changes
    )


def accelerator(gpu: str = "A100", count: int = 1, zone: str = "us-central1-a", **changes: str):
    row = {"AcceleratorName": gpu, "AcceleratorCount": str(count), "AvailabilityZone": zone}
    return row | {"Price": "2.93391", "SpotPrice": "1.1472", "Region": "us-central1"} | changes


def test_googles_machine_and_its_gpus_are_priced_apart_and_added_zone_by_zone():
    """0.73948 + 2.93391 = 3.67339 USD/h on demand, Google's list price; spot 0.29576 + 1.1472."""
    found = imported(table(SKYPILOT, google(), accelerator()), "gcp")
    (instance,) = found.instances
    assert instance.on_demand_usd_per_h == pytest.approx(3.67339)
    assert instance.spot_usd_per_h == pytest.approx(1.44296)
    assert (instance.gpu, instance.gpu_count, instance.hardware) == ("A100", 1, "A100 SXM4 40GB")
    shipped = next(i for i in read_instances() if i.key == "gcp/a2-highgpu-1g/us-central1")
    assert instance.on_demand_usd_per_h == pytest.approx(shipped.on_demand_usd_per_h, rel=1e-5)
    assert "1 x A100 priced apart" in instance.source
    assert found.notes == (
        "1 line prices accelerators alone; it counts where a machine type carries them",
    )


@pytest.mark.parametrize(
    ("machine", "gpus"),
    [
        (google(), accelerator(zone="us-central1-b")),
        (google("a2-highgpu-2g"), accelerator()),
        (google(), accelerator("A100-80GB")),
        (google("g2-standard-24"), accelerator("L4", 1)),
        (google("g2-standard-7"), accelerator("L4", 1)),
    ],
)
def test_a_google_machine_whose_gpus_have_no_price_is_never_a_cheap_cpu_machine(machine, gpus):
    found = imported(table(SKYPILOT, machine, gpus), "gcp")
    assert found.instances == ()
    assert "this file has no price in us-central1-a of the" in found.refused[0].reason


def test_gpuhunts_lines_of_both_markets_become_one_row():
    rows = (HUNT, HUNT | {"price": "0.44", "spot": "True"}, HUNT | {"location": "us-east-2"})
    found = imported(table(GPUHUNT, *rows))
    assert found.format == "gpuhunt"
    first, second = found.instances
    assert (first.on_demand_usd_per_h, first.spot_usd_per_h) == (1.006, 0.44)
    assert (first.hardware, first.gpu_memory_gib, first.source) == ("A10G", 24.0, "a list")
    assert (second.region, second.spot_usd_per_h) == ("us-east-2", None)


def test_gpuhunts_zones_of_google_are_brought_together():
    rows = [HUNT | {"location": f"us-central1-{zone}", "gpu_name": "L4"} for zone in "abc"]
    found = imported(table(GPUHUNT, *rows, rows[0] | {"spot": "True", "price": "0.4"}), "gcp")
    assert [i.region for i in found.instances] == ["us-central1"]
    assert found.instances[0].source == "a list; spot: median of 1 zone, 0.4000-0.4000"


def test_gpuhunts_bad_lines_are_refused_with_row_and_reason():
    rows = (
        HUNT | {"spot": "maybe"},
        HUNT | {"price": ""},
        HUNT | {"price": "0"},
        HUNT | {"gpu_name": "v5litepod-8"},
        HUNT | {"instance_name": "x", "spot": "True"},
        HUNT | {"instance_name": "y", "gpu_count": "1.5"},
    )
    found = imported(table(GPUHUNT, *rows))
    assert found.instances == ()
    assert [(r.row, r.reason.split(";")[0]) for r in found.refused] == [
        (2, "spot is 'maybe'"),
        (3, "price is empty"),
        (4, "price is 0"),
        (5, "unknown GPU 'v5litepod-8'"),
        (6, "no on-demand price"),
        (7, "gpu_count is 1.5"),
    ]


def test_a_plain_file_is_read_through_a_mapping_of_its_columns():
    columns = ("Type", "Zone", "Cores", "RAM", "Card", "Cost", "Note")
    row = dict(zip(columns, ("box-1", "here", "16", "64", "L40S", "1.5", "x"), strict=True))
    names = {
        "instance": "Type",
        "region": "Zone",
        "vcpu": "Cores",
        "memory_gib": "RAM",
        "gpu": "Card",
        "on_demand_usd_per_h": "Cost",
    }
    found = imported(table(columns, row), "mine", columns=names)
    assert found.format == "plain"
    (instance,) = found.instances
    assert instance.key == "mine/box-1/here"
    assert (instance.gpu_count, instance.gpu_memory_gib, instance.hardware) == (1, 48.0, "L40S")
    assert (instance.as_of, instance.source) == ("2026-11-01", "a list")


def test_a_plain_file_may_lack_what_has_a_default_and_bring_its_own_provider():
    columns = ("provider", "instance", "region", "vcpu", "memory_gib", "on_demand_usd_per_h")
    row = dict(zip(columns, ("aws", "c7a.xlarge", "eu-west-1", "4", "8", "0.2"), strict=True))
    (instance,) = imported(table(columns, row), "").instances
    assert (instance.provider, instance.device, instance.gpu) == ("aws", "cpu", "")
    assert instance.hardware == "AWS c7a m7a (EPYC 9R14)"


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (table(SKYPILOT, C7I), {"provider": ""}, "it has no provider; say it"),
        (table(SKYPILOT, C7I), {"as_of": ""}, "it has no as_of; say it"),
        (table(SKYPILOT, C7I), {"source": " "}, "it has no source; say it"),
        (table(("a", "b")), {}, "its columns are not those of Breakeven, SkyPilot or gpuhunt"),
        (table(("a", "b")), {"format": "excel"}, "unknown format 'excel'"),
        (table(("a", "b")), {"format": "skypilot"}, "missing columns: InstanceType"),
        (table(("a", "b")), {"format": "gpuhunt"}, "missing columns: instance_name"),
        (table(("a", "b")), {"columns": {"price": "a"}}, "'price' is no column of a catalogue"),
        (table(("a", "b")), {"columns": {"instance": "c"}}, "it has no column 'c'; it has a, b"),
        (table(("a", "b")), {"columns": {"instance": "a"}}, "missing columns: region, vcpu"),
    ],
)
def test_a_list_that_cannot_be_imported_is_refused_with_one_line(data, options, reason):
    with pytest.raises(CatalogueError) as refused:
        imported(data, **{"provider": "aws", **options})
    assert reason in str(refused.value)


def test_a_bad_date_refuses_every_row():
    found = imported(table(SKYPILOT, C7I), as_of="yesterday")
    assert found.instances == ()
    assert "as_of is 'yesterday'" in found.refused[0].reason


def test_breakevens_own_columns_need_no_provider():
    data = catalogue_text(read_instances()).encode()
    assert import_catalogue(data, "mine.csv").instances == read_instances()


@pytest.mark.parametrize(
    ("provider", "instance", "expected"),
    [
        ("aws", "c7i.2xlarge", "c7i"),
        ("aws", "c7i-flex.large", "c7i-flex"),
        ("gcp", "c3-standard-8", "c3"),
        ("gcp", "a2-highgpu-8g", "a2-highgpu"),
        ("azure", "Standard_D16as_v5", "dasv5"),
        ("azure", "Standard_NC24ads_A100_v4", "ncadsa100v4"),
        ("lambda", "gpu_8x_h100_sxm5", "gpu_x_h100_sxm5"),
        ("runpod", "2x_B200_SECURE", "x_b200_secure"),
    ],
)
def test_a_family_is_the_name_without_its_size(provider, instance, expected):
    assert family(provider, instance) == expected


@pytest.mark.parametrize(
    ("provider", "instance", "expected"),
    [
        ("aws", "c7i.48xlarge", "AWS c7i m7i r7i (Xeon 8488C)"),
        ("aws", "c7i-flex.large", "AWS c7i m7i r7i (Xeon 8488C)"),
        ("aws", "c7a.large", "AWS c7a m7a (EPYC 9R14)"),
        ("azure", "Standard_D96as_v6", "Azure Dasv6 (EPYC 9V74)"),
        ("gcp", "n2-standard-80", "GCP n2 (Xeon Gold 6268CL)"),
        ("gcp", "n2-standard-96", ""),  # Ice Lake from here on
        ("gcp", "c4-highmem-288", ""),  # a newer shape
        ("aws", "t3.micro", ""),
        ("elsewhere", "c7a.large", ""),
    ],
)
def test_a_cpu_is_named_by_its_family_or_not_at_all(provider, instance, expected):
    assert cpu_hardware(provider, instance) == expected


@pytest.mark.parametrize(
    ("provider", "instance", "name", "memory", "expected"),
    [
        ("aws", "x.large", "A100", 40.0, "A100 SXM4 40GB"),
        ("aws", "x.large", "A100", 80.0, "A100 SXM4 80GB"),
        ("azure", "Standard_NC48ads_A100_v4", "A100-80GB", 80.0, "A100 PCIe 80GB"),
        ("lambda", "gpu_4x_h100_pcie", "H100", 80.0, "H100 PCIe"),
        ("lambda", "gpu_1x_h100_sxm5", "H100", 80.0, "H100 SXM"),
        ("runpod", "4x_A100-80GB_SECURE", "A100-80GB", None, "A100 PCIe 80GB"),
        ("elsewhere", "box", "H100", None, "H100 SXM"),
        ("elsewhere", "box", "H999", 80.0, None),
        ("elsewhere", "box", "H" * 100_000, 80.0, None),
    ],
)
def test_a_gpu_is_told_by_its_name_the_instance_and_the_memory(
    provider, instance, name, memory, expected
):
    spec = gpu_hardware(provider, instance, name, memory)
    assert (None if spec is None else spec.name) == expected


def test_every_shipped_row_gets_its_own_hardware_from_name_family_and_memory():
    for i in read_instances():
        if i.gpu_count:
            spec = gpu_hardware(i.provider, i.instance, i.gpu, i.gpu_memory_gib)
            assert spec is not None
            assert spec.name == i.hardware
        else:
            assert cpu_hardware(i.provider, i.instance) == i.hardware


prices = st.floats(0.01, 0.4).map(lambda x: round(x, 4))
zones = st.lists(st.tuples(prices, st.none() | prices), min_size=1, max_size=6)


@given(machines=st.lists(zones, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_generated_skypilot_rows_give_one_row_a_machine_at_the_median_of_its_zones(machines):
    rows = []
    for number, offered in enumerate(machines):
        for zone, (price, spot) in enumerate(offered):
            place = {"InstanceType": f"m{number}.large", "AvailabilityZone": f"z{zone}"}
            prices = {
                "Price": f"{price * 8:.6f}",
                "SpotPrice": "" if spot is None else f"{spot * 8:.6f}",
            }
            rows.append(C7I | place | prices)
    found = imported(table(SKYPILOT, *rows))
    assert len(found.instances) + len(found.refused) == len(machines)
    by_name = {i.instance: i for i in found.instances}
    for number, offered in enumerate(machines):
        on_demand = median(price * 8 for price, _ in offered)
        spots = [spot * 8 for _, spot in offered if spot is not None]
        instance = by_name.get(f"m{number}.large")
        if instance is None:
            assert spots
            assert median(spots) > on_demand * (1 - 1e-5)
            continue
        assert instance.on_demand_usd_per_h == pytest.approx(on_demand, rel=1e-5)
        assert instance.spot_usd_per_h == (
            pytest.approx(median(spots), rel=1e-5) if spots else None
        )
    again = parse_catalogue(catalogue_text(found.instances).encode(), "mine.csv")
    assert again.instances == found.instances


cells = st.text(max_size=20) | st.sampled_from(
    ["0", "-1", "nan", "1e308", "=1+1", "H100", "x" * 2000]
)


@given(
    heading=st.sampled_from([SKYPILOT, GPUHUNT]),
    changes=st.dictionaries(st.integers(0, 13), cells, max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_any_text_in_a_price_list_is_imported_or_refused_never_a_crash(heading, changes):
    row = dict(H100 if heading is SKYPILOT else HUNT)
    row |= {heading[i]: text for i, text in changes.items() if i < len(heading)}
    found = imported(table(heading, row))
    assert len(found.instances) + len(found.refused) + len(found.notes) >= 1
    for refused in found.refused:
        assert (refused.name + refused.reason).isprintable()
        assert len(refused.reason) < 400
    assert parse_catalogue(catalogue_text(found.instances).encode(), "m").refused == ()
