"""A CPU's times on other numbers of cores of one architecture."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.core_scaling import core_doubt, core_ratios, memory_exponent
from estimator.donor_pairs import Pairs
from estimator.hardware import match_cpu
from estimator.machine_facts import MachineFacts, distance, facts_of_name, relation

GENOA = match_cpu("", 25, 17)  # a host that hides its model
counts = st.integers(1, 128)


def machine(cpu, cores, **facts):
    return MachineFacts("m", "m", cpu=cpu, cpu_model=cpu.name, physical_cores=cores, **facts)


DONOR = machine(GENOA, 2, memory_bytes_per_s={1: 3e10, 2: 4e10})


def ratios(threads, known, seconds=1.0, donor=DONOR):
    asked, put = (pd.DataFrame({"threads": [n], "busy": [1.0]}) for n in (threads, known))
    target = facts_of_name(f"AWS c7a m7a (EPYC 9R14), {threads} cores")
    return core_ratios(Pairs.one(target, donor, 1), asked, put, np.array([seconds]))[0]


def test_names_of_one_architecture_are_of_one_family():
    for name in ("AWS c7a m7a (EPYC 9R14)", "GCP c3d (EPYC 9B14)", "Azure Dasv6 (EPYC 9V74)"):
        target = facts_of_name(f"{name}, 8 cores")
        assert relation(target, DONOR, "cpu") == "family"
        assert relation(target, DONOR, "cuda") == "other"


def test_the_same_cpu_with_more_cores_is_of_the_family_not_the_same():
    assert relation(DONOR, DONOR, "cpu") == "same"
    assert relation(replace(DONOR, physical_cores=4), DONOR, "cpu") == "family"


def test_cpus_that_a_provider_does_not_fix_are_of_no_family():
    vague = facts_of_name("GCP e2 (CPU not fixed), 4 cores")
    assert relation(vague, machine(vague.cpu, 2), "cpu") == "other"


def test_makers_are_nearer_than_others_and_families_nearest():
    names = ("GCP c3d (EPYC 9B14)", "GCP n2d (EPYC 7B13)", "GCP c3 (Xeon 8481C)")
    far = [distance(facts_of_name(f"{name}, 4 cores"), DONOR, "cpu") for name in names]
    assert far == [1, 2, 3]
    assert distance(DONOR, DONOR, "cpu") == 0


@given(counts, counts, st.floats(1e-6, 10.0))
def test_more_cores_are_never_slower_and_never_better_than_in_proportion(one, other, seconds):
    low, high = sorted((one, other))
    launch, compute, memory, transfer = ratios(high, low, seconds)
    assert launch == transfer == 1.0
    for part in (compute, memory):
        assert low / high - 1e-12 <= part <= 1.0


@given(counts, st.floats(1e-6, 10.0))
def test_the_measured_number_of_cores_takes_the_measured_time(threads, seconds):
    assert list(ratios(threads, threads, seconds)) == [1.0] * 4


def test_short_operations_gain_less():
    assert ratios(8, 2, 1e-6)[1] > ratios(8, 2, 1e-3)[1] > ratios(8, 2, 1.0)[1]


def test_the_exponent_of_memory_leans_on_the_donors_own():
    steep = replace(DONOR, memory_bytes_per_s={1: 1e10, 16: 16e10})
    flat = replace(DONOR, memory_bytes_per_s={1: 1e10, 16: 1e10})
    unknown = replace(DONOR, memory_bytes_per_s={})
    assert memory_exponent(flat) < memory_exponent(unknown) < memory_exponent(steep) <= 1.0


@given(counts, counts)
def test_doubt_is_none_where_measured_and_grows_with_the_distance(measured, threads):
    def doubt(asked, below, above):
        return core_doubt(*(np.array([float(n)]) for n in (asked, below, above)))[0]

    assert doubt(measured, measured, measured) == 0.0
    once = doubt(threads, measured, measured)
    low, high = sorted((threads, measured))
    assert doubt(2 * high, low, low) >= once
    # between two measured numbers it is less than beyond one of them
    assert doubt(threads, 1, 256) <= doubt(threads, 1, 1) + 1e-12


def test_four_times_the_cores_double_the_deviation_of_twice():
    one, four = (core_doubt(*(np.array([float(n)]) for n in (t, 2, 2)))[0] for t in (4, 32))
    assert four == pytest.approx(2.0 * one)
