"""The instance catalogue: what it ships, and every kind of row that it refuses."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from collector.errors import CatalogueError
from estimator.catalogue.hardware import shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec
from estimator.catalogue.instances import INSTANCE_COLUMNS, INSTANCES_PATH, read_instances

GPU_ROW = {
    "provider": "aws",
    "instance": "p5.48xlarge",
    "region": "us-east-1",
    "vcpu": "192",
    "memory_gib": "2048",
    "gpu": "H100",
    "gpu_count": "8",
    "gpu_memory_gib": "80",
    "on_demand_usd_per_h": "55.04",
    "spot_usd_per_h": "18.7089",
    "as_of": "2026-07-20",
    "source": "a price list",
    "hardware": "H100 SXM",
}
CPU_ROW = {
    "provider": "aws",
    "instance": "c7g.2xlarge",
    "region": "us-east-1",
    "vcpu": "8",
    "memory_gib": "16",
    "gpu_count": "0",
    "on_demand_usd_per_h": "0.29",
    "as_of": "undated",
    "source": "a price list",
    "hardware": "AWS c7g (Graviton3)",
}


def write(path: Path, *rows: dict[str, str], columns: tuple[str, ...] = INSTANCE_COLUMNS) -> Path:
    file = path / "prices.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_the_shipped_catalogue_is_valid_and_covers_five_providers():
    instances = read_instances()
    assert {i.provider for i in instances} == {"aws", "gcp", "azure", "lambda", "runpod"}
    assert {i.device for i in instances} == {"cpu", "cuda"}


def test_every_shipped_gpu_instance_points_to_a_gpu_row_and_every_named_cpu_to_a_cpu_row():
    kinds = {spec.name: type(spec) for spec in shipped_hardware()}
    for instance in read_instances():
        wanted = GpuSpec if instance.gpu_count else CpuSpec
        assert instance.hardware == "" or kinds[instance.hardware] is wanted
        assert instance.hardware or not instance.gpu_count


def test_every_shipped_price_is_dated_or_says_that_it_is_not():
    instances = read_instances()
    assert all(re.fullmatch(r"undated|\d{4}-\d{2}-\d{2}", i.as_of) for i in instances)
    assert any(i.dated for i in instances)
    assert any(not i.dated for i in instances)


def test_a_row_is_read_as_it_stands(tmp_path):
    gpu, cpu = read_instances(write(tmp_path, GPU_ROW, CPU_ROW))
    assert gpu.key == "aws/p5.48xlarge/us-east-1"
    assert (gpu.vcpu, gpu.gpu_count, gpu.gpu_memory_gib) == (192, 8, 80.0)
    assert (gpu.on_demand_usd_per_h, gpu.spot_usd_per_h) == (55.04, 18.7089)
    assert (cpu.device, cpu.spot_usd_per_h, cpu.gpu_memory_gib) == ("cpu", None, None)
    assert not cpu.dated


def test_a_users_file_may_leave_the_hardware_column_out(tmp_path):
    columns = tuple(column for column in INSTANCE_COLUMNS if column != "hardware")
    gpu, cpu = read_instances(write(tmp_path, GPU_ROW, CPU_ROW, columns=columns))
    assert gpu.hardware == "H100 SXM"
    assert cpu.hardware == ""


@pytest.mark.parametrize(
    ("row", "change", "reason"),
    [
        (GPU_ROW, {"on_demand_usd_per_h": "0"}, "on_demand_usd_per_h is 0; a price must be above"),
        (GPU_ROW, {"on_demand_usd_per_h": "-1"}, "on_demand_usd_per_h is -1"),
        (GPU_ROW, {"on_demand_usd_per_h": "0.01"}, "0.00125 USD per hour and GPU, outside"),
        (GPU_ROW, {"on_demand_usd_per_h": "5504"}, "688 USD per hour and GPU, outside"),
        (GPU_ROW, {"on_demand_usd_per_h": ""}, "on_demand_usd_per_h is empty"),
        (GPU_ROW, {"on_demand_usd_per_h": "cheap"}, "on_demand_usd_per_h is 'cheap'"),
        (GPU_ROW, {"on_demand_usd_per_h": "nan"}, "on_demand_usd_per_h is nan"),
        (GPU_ROW, {"on_demand_usd_per_h": "inf"}, "on_demand_usd_per_h is inf"),
        (GPU_ROW, {"spot_usd_per_h": "60"}, "spot_usd_per_h 60 is above on_demand_usd_per_h 55.04"),
        (GPU_ROW, {"spot_usd_per_h": "0"}, "spot_usd_per_h is 0; a price must be above 0"),
        (GPU_ROW, {"spot_usd_per_h": "0.5"}, "spot_usd_per_h 0.5 is 0.0625 USD per hour and GPU"),
        (GPU_ROW, {"gpu": "H999"}, "unknown GPU 'H999'"),
        (GPU_ROW, {"gpu": ""}, "gpu is '' but gpu_count is 8"),
        (GPU_ROW, {"gpu_count": "0"}, "gpu is 'H100' but gpu_count is 0"),
        (GPU_ROW, {"gpu_count": "1.5"}, "gpu_count is 1.5; it must be a whole number"),
        (GPU_ROW, {"gpu_memory_gib": ""}, "gpu_memory_gib is empty"),
        (GPU_ROW, {"gpu_memory_gib": "40"}, "gpu_memory_gib is 40 but H100 SXM has 80"),
        (GPU_ROW, {"hardware": "H999"}, "hardware 'H999' is no row"),
        (GPU_ROW, {"hardware": "T4"}, "gpu is 'H100' but hardware is 'T4', another GPU"),
        (GPU_ROW, {"hardware": "AWS c7g (Graviton3)"}, "is a CPU but gpu_count is 8"),
        (CPU_ROW, {"hardware": "T4"}, "is a GPU but gpu_count is 0"),
        (CPU_ROW, {"on_demand_usd_per_h": "0.001"}, "USD per hour and vCPU, outside"),
        (CPU_ROW, {"vcpu": "0"}, "vcpu is 0; it must lie from 1"),
        (CPU_ROW, {"vcpu": ""}, "vcpu is empty"),
        (CPU_ROW, {"memory_gib": "lots"}, "memory_gib is 'lots'"),
        (CPU_ROW, {"provider": ""}, "provider is empty"),
        (CPU_ROW, {"source": ""}, "source is empty"),
        (CPU_ROW, {"as_of": "last week"}, "as_of is 'last week'"),
        (CPU_ROW, {"as_of": "2026-02-30"}, "as_of is '2026-02-30'"),
        (CPU_ROW, {"as_of": ""}, "as_of is ''"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_row_and_reason(tmp_path, row, change, reason):
    file = write(tmp_path, {**row, **change})
    with pytest.raises(CatalogueError) as refused:
        read_instances(file)
    assert "prices.csv row 2: " in str(refused.value)
    assert reason in str(refused.value)


def test_a_repeated_row_is_refused_and_names_the_first(tmp_path):
    again = {**CPU_ROW, "on_demand_usd_per_h": "0.3"}
    with pytest.raises(
        CatalogueError, match=r"row 4: repeats aws/c7g.2xlarge/us-east-1 of prices.csv row 3"
    ):
        read_instances(write(tmp_path, GPU_ROW, CPU_ROW, again))


def test_the_same_instance_in_another_region_is_another_row(tmp_path):
    rows = read_instances(write(tmp_path, CPU_ROW, {**CPU_ROW, "region": "us-west-2"}))
    assert [row.region for row in rows] == ["us-east-1", "us-west-2"]


def test_missing_columns_are_named(tmp_path):
    columns = tuple(c for c in INSTANCE_COLUMNS if c not in ("as_of", "spot_usd_per_h"))
    with pytest.raises(CatalogueError, match="missing columns: spot_usd_per_h, as_of"):
        read_instances(write(tmp_path, CPU_ROW, columns=columns))


def test_a_price_edited_by_the_user_is_checked_like_one_that_is_read(tmp_path):
    (instance,) = read_instances(write(tmp_path, CPU_ROW))
    edited = instance.with_price(0.25, None, "2026-11-01", "typed in")
    assert (edited.on_demand_usd_per_h, edited.as_of) == (0.25, "2026-11-01")
    assert instance.on_demand_usd_per_h == 0.29
    with pytest.raises(CatalogueError, match="us-east-1: on_demand_usd_per_h is 0"):
        instance.with_price(0.0, None, "2026-11-01", "typed in")


# Which rows are from where, and of which day: no row may lose either.
SHIPPED_SOURCES = {
    ("skypilot-org/skypilot-catalog@2c3d7ea", "undated"): 40,
    ("aws/karpenter-provider-aws@1d92708", "2026-07-20"): 22,
    ("Cyclenerd/google-cloud-pricing-cost-calculator@fd66b26", "2026-07-30"): 26,
    ("Azure/karpenter-provider-azure@352646f", "2026-06-18"): 18,
    ("skypilot-org/skypilot-catalog@0f40703", "undated"): 3,
    ("skypilot-org/skypilot-catalog@46062ac", "undated"): 10,
    ("skypilot-org/skypilot-catalog@01acdfd", "undated"): 1,
}
REFERENCE = INSTANCES_PATH.parents[2] / "shared" / "reference" / "prices.csv"


def test_every_shipped_row_names_the_repository_and_commit_of_its_price_and_its_day():
    found = Counter((re.split("[ ;]", i.source)[0], i.as_of) for i in read_instances())
    assert found == SHIPPED_SOURCES


@pytest.mark.skipif(not REFERENCE.exists(), reason="the collected facts are not beside the code")
def test_the_shipped_rows_are_the_collected_facts_in_their_order():
    with REFERENCE.open(newline="") as file:
        facts = list(csv.DictReader(file))
    instances = read_instances()
    assert len(facts) == len(instances)
    for fact, instance in zip(facts, instances, strict=True):
        assert (fact["provider"], fact["instance"], fact["region"]) == (
            instance.provider,
            instance.instance,
            instance.region,
        )
        for column in ("vcpu", "memory_gib", "gpu_count", "gpu_memory_gib"):
            assert getattr(instance, column) == (float(fact[column]) if fact[column] else None)
        assert instance.on_demand_usd_per_h == float(fact["on_demand_usd_per_h"])
        spot = fact["spot_usd_per_h"]
        assert instance.spot_usd_per_h == (float(spot) if spot else None)
        assert instance.as_of == (fact["as_of"] if fact["as_of"][0].isdigit() else "undated")
        assert re.split("[:; ]", fact["source"])[0] in instance.source


def test_a_vcpu_is_a_thread_or_a_core_as_the_provider_says():
    per_core = {s.name: s.vcpus_per_core for s in shipped_hardware() if isinstance(s, CpuSpec)}
    whole_cores = {"c7a", "m7a", "c8a", "c7g", "c8g", "m8g", "t2d", "c4a", "Standard_D8ps_v6"}
    for instance in read_instances():
        if instance.gpu_count or not instance.hardware:
            continue
        family = re.split(r"[.]|-standard", instance.instance)[0]
        assert per_core[instance.hardware] == (1 if family in whole_cores else 2), instance.key


def test_only_clouds_that_do_not_say_their_processor_have_cpu_rows_without_one():
    unknown = [i.instance for i in read_instances() if not i.hardware]
    assert unknown == ["cpu_4x_general", "cpu5c-8-16", "cpu5g-8-32", "cpu5m-8-64"]


@pytest.mark.parametrize(
    ("architecture", "families"),
    [
        ("Zen 4", {"c7a", "m7a", "c3d-standard-8", "Standard_D8as_v6"}),
        ("Emerald Rapids", {"c4-standard-8", "Standard_D8s_v6"}),
    ],
)
def test_cpu_instances_of_the_measured_families_are_found_by_their_architecture(
    architecture, families
):
    rows = {s.name: s.architecture for s in shipped_hardware()}
    found = {
        i.instance.split(".")[0]
        for i in read_instances()
        if not i.gpu_count and rows.get(i.hardware) == architecture
    }
    assert found == families


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"on_demand_usd_per_h": "1e300"}, "outside the plausible"),
        ({"on_demand_usd_per_h": "1e999"}, "on_demand_usd_per_h is 1e999; it must lie"),
        ({"on_demand_usd_per_h": "55,04"}, "on_demand_usd_per_h is '55,04'; it must be a number"),
        ({"on_demand_usd_per_h": "1_000"}, "on_demand_usd_per_h is '1_000'; it must be a number"),
        ({"on_demand_usd_per_h": "$55"}, "on_demand_usd_per_h is '$55'; it must be a number"),
        ({"on_demand_usd_per_h": "\u0665\u0665"}, "it must be a number"),
        ({"spot_usd_per_h": "-Infinity"}, "spot_usd_per_h is -Infinity"),
        ({"instance": "=cmd|' /C calc'!A0"}, "which a spreadsheet would run as a formula"),
        ({"source": "@SUM(A1)"}, "which a spreadsheet would run as a formula"),
        ({"region": "us\x00east"}, "region has characters that cannot be printed"),
        ({"instance": "p5\u202exe"}, "instance has characters that cannot be printed"),
        ({"gpu": "H" * 5000}, "gpu has 5,000 characters; 200 at most"),
        ({"source": "s" * 1001}, "source has 1,001 characters; 1000 at most"),
        ({"as_of": "0001-01-01"}, "as_of is '0001-01-01'; give an ISO date"),
        ({"as_of": "20260720"}, "as_of is '20260720'; give an ISO date"),
    ],
)
def test_hostile_and_absurd_fields_are_refused(tmp_path, change, reason):
    file = write(tmp_path, {**GPU_ROW, **change})
    with pytest.raises(CatalogueError) as refused:
        read_instances(file)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


def test_the_known_accidents_of_another_catalogue_are_refused(tmp_path):
    b200 = {"instance": "p6-b200.48xlarge", "gpu": "B200", "hardware": "", "gpu_memory_gib": "179"}
    cheap = {**GPU_ROW, **b200, "on_demand_usd_per_h": "0.01", "spot_usd_per_h": "0.01"}
    free = {**GPU_ROW, "on_demand_usd_per_h": "0", "spot_usd_per_h": ""}
    with pytest.raises(CatalogueError, match="outside the plausible"):
        read_instances(write(tmp_path, cheap))
    with pytest.raises(CatalogueError, match="is 0; a price must be above 0"):
        read_instances(write(tmp_path, free))
