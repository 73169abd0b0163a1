"""Which CPU an instance has, by its family."""

import pytest

from estimator.catalogue.cpus import is_fixed
from estimator.catalogue.csv_files import read_rows
from estimator.catalogue.hardware import match_cpu, shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec
from estimator.catalogue.instance_families import (
    INSTANCE_CPU_COLUMNS,
    INSTANCE_CPUS_PATH,
    cpu_hardware,
    vcpus_per_core,
    why_unknown,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("aws", "c6i.2xlarge"), ("aws", "m6i.2xlarge")),  # Xeon 8375C
        (("aws", "r7a.large"), ("aws", "c7a.large")),
        (("aws", "m8a.large"), ("aws", "c8a.large")),
        (("azure", "Standard_E8as_v6"), ("azure", "Standard_D8as_v6")),
        (("gcp", "c2d-standard-8"), ("gcp", "n2d-standard-8")),
        (("gcp", "n4d-standard-8"), ("gcp", "c4d-standard-8")),
    ],
)
def test_families_of_one_cpu_have_one_row(one, other):
    assert cpu_hardware(*one) == cpu_hardware(*other) != ""


@pytest.mark.parametrize(
    ("provider", "instance", "words"),
    [
        ("aws", "m5.large", "8175M; INTEL XEON PLATINUM 8259CL"),
        ("aws", "t3.large", "does not say which processor"),  # shared cores
        ("azure", "Standard_E8s_v5", "does not say which processor"),
    ],
)
def test_a_family_with_several_cpus_has_none_and_says_which_were_seen(provider, instance, words):
    assert cpu_hardware(provider, instance) == ""
    assert words in why_unknown(provider, instance)


def test_families_of_one_cpu_may_differ_in_threads_of_a_core():
    genoa = match_cpu("EPYC 9V74")
    assert vcpus_per_core("azure", "Standard_D8as_v6", genoa) == 2
    assert vcpus_per_core("azure", "Standard_F8as_v6", genoa) == 1
    assert vcpus_per_core("nobody", "x", match_cpu("EPYC 9R14")) == 1


def test_every_derived_row_names_a_fixed_cpu():
    cpus = [spec for spec in shipped_hardware() if isinstance(spec, CpuSpec)]
    fixed = {spec.name for spec in cpus if is_fixed(spec.architecture)}
    rows = [row for _, row in read_rows(INSTANCE_CPUS_PATH, INSTANCE_CPU_COLUMNS)]
    named = [row for row in rows if row["hardware"]]
    assert len(named) > 100
    for row in named:
        assert row["hardware"] in fixed
        assert row["vcpus_per_core"] in ("1", "2")
