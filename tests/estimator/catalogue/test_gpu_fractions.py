"""Parts of a GPU that are sold as if whole: named, and refused by every importer."""

from __future__ import annotations

from fractions import Fraction

import pytest

from collector.errors import CatalogueError
from estimator.catalogue.importers import import_catalogue
from estimator.catalogue.instances import part_of_gpu, read_instances


@pytest.mark.parametrize(
    ("instance", "gpu", "part"),
    [
        ("Standard_NV6ads_A10_v5", "A10", Fraction(1, 6)),
        ("Standard_NV12ads_A10_v5", "A10", Fraction(1, 3)),
        ("NV18ads_A10_v5", "A10", Fraction(1, 2)),
        ("Standard_NV36ads_A10_v5", "A10", Fraction(1)),
        ("Standard_NV72ads_A10_v5", "A10", Fraction(1)),
        ("g6f.xlarge", "L4", Fraction(1, 8)),
        ("g6.xlarge", "L4", Fraction(1)),
        ("g4-standard-24", "RTX PRO 6000", Fraction(1, 2)),
        ("g4-standard-48", "RTX PRO 6000", Fraction(1)),
        ("any", "A100 MIG 3g.40gb", Fraction(3, 7)),
        ("any", "A100 MIG 7g.80gb", Fraction(1)),
    ],
)
def test_families_that_rent_out_parts_are_known_by_name(instance, gpu, part):
    assert part_of_gpu(instance, gpu) == part


def test_no_shipped_instance_has_a_part():
    assert all(part_of_gpu(item.instance, item.gpu) == 1 for item in read_instances())


SKYPILOT = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region
Standard_NV36ads_A10_v5,A10,1.0,36.0,440,A10,3.2,0.8,r
Standard_NV12ads_A10_v5,A10,1,12.0,110,A10,1.09,0.2725,r
"""
PLAIN = """instance,region,vcpu,memory_gib,on_demand_usd_per_h,gpu,gpu_count
Standard_NV36ads_A10_v5,r,36,440,3.2,A10,1
Standard_NV12ads_A10_v5,r,12,110,1.09,A10,1
"""


@pytest.mark.parametrize("text", [SKYPILOT, PLAIN])
def test_a_third_of_a_gpu_is_left_out_with_the_reason_and_the_whole_one_kept(text):
    found = import_catalogue(text.encode(), "l.csv", "azure", "2026-11-01", "a list")
    assert [item.instance for item in found.instances] == ["Standard_NV36ads_A10_v5"]
    (refused,) = found.refused
    assert "rents out 1/3 of a GPU (A10)" in refused.reason


def test_memory_far_below_the_sheets_is_refused_as_a_part():
    text = PLAIN.replace("gpu,gpu_count", "gpu,gpu_count,gpu_memory_gib")
    text = text.replace("NV12ads_A10_v5", "NVnext").replace("A10,1", "A10,1,8")
    found = import_catalogue(text.encode(), "l.csv", "azure", "2026-11-01", "a list")
    assert "gpu_memory_gib is 8 but A10 has 24; a part of one?" in found.refused[0].reason
    with pytest.raises(CatalogueError, match=r"no columns|its columns"):
        import_catalogue(b"a,b\n1,2\n", "l.csv", "azure", "2026-11-01", "a list")
