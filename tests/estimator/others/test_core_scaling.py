"""A CPU's times on another CPU, and on other numbers of cores."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.catalogue.cpus import ARCHITECTURES, has_instructions, peak_memory_bytes_per_s
from estimator.catalogue.hardware import match_cpu, shipped_hardware
from estimator.catalogue.hardware_specs import MATRIX_WORKLOADS, CpuSpec
from estimator.others.facts import MachineFacts, distance, facts_of_name, relation
from estimator.others.pairs import Pairs
from estimator.others.scaling import (
    clock_ratio,
    code_doubt,
    core_doubt,
    core_ratios,
    memory_exponent,
    sustained_memory_bytes_per_s,
)

GENOA = match_cpu("", 25, 17)  # a host that hides its model
EMERALD = match_cpu("", 6, 207)
CPUS = [
    spec
    for spec in shipped_hardware()
    if isinstance(spec, CpuSpec) and spec.architecture in ARCHITECTURES and spec.clock_ghz
]
counts = st.integers(1, 128)
BIG = 1e9  # bytes, beyond any cache


def machine(cpu, cores, **facts):
    return MachineFacts("m", "m", cpu=cpu, cpu_model=cpu.name, physical_cores=cores, **facts)


DONOR = machine(GENOA, 2, ran_at_ghz=3.7, memory_bytes_per_s={1: 3e10, 2: 4e10})


def questions(threads, workloads, dtypes, footprint=BIG):
    """A row for each workload, with the element type beside it."""
    rest = {"threads": threads, "busy": 1.0, "footprint": footprint}
    return pd.DataFrame({"workload": workloads, "operation": workloads, "dtype": dtypes, **rest})


def ratios(
    threads,
    known,
    seconds=1.0,
    donor=DONOR,
    target=None,
    workload="elementwise",
    dtype="float32",
    footprint=BIG,
):
    asked, put = (questions(n, [workload], [dtype], footprint) for n in (threads, known))
    target = target or facts_of_name(f"AWS c7a m7a (EPYC 9R14), {threads} cores")
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
    assert not vague.is_fixed("cpu")
    assert DONOR.is_fixed("cpu")


def test_families_are_nearest_then_makers_with_the_same_instruction_sets():
    names = (
        "GCP c3d (EPYC 9B14)",  # Zen 4
        "GCP c4d (EPYC 9B45)",  # Zen 5, AVX-512 as Zen 4
        "GCP n2d (EPYC 7B13)",  # Zen 3, without AVX-512
        "GCP c3 (Xeon 8481C)",
    )
    far = [distance(facts_of_name(f"{name}, 4 cores"), DONOR, "cpu") for name in names]
    assert far == [1, 2, 3, 4]
    assert distance(DONOR, DONOR, "cpu") == 0


@given(counts, counts, st.floats(1e-6, 10.0), st.sampled_from([1e3, BIG]))
def test_more_cores_are_never_slower_and_never_better_than_in_proportion(
    one, other, seconds, footprint
):
    low, high = sorted((one, other))
    few = ratios(low, low, seconds, footprint=footprint)
    many = ratios(high, low, seconds, footprint=footprint)
    assert many[3] == few[3] == 1.0
    assert low / high * (1.0 - 1e-12) <= many[1] / few[1] <= 1.0 + 1e-12
    # the core that opens another L3 slice brings that one's link
    assert 0.5 * low / high <= many[2] / few[2] <= 1.0 + 1e-12


@given(counts, st.floats(1e-6, 10.0))
def test_the_measured_machine_takes_the_measured_time(threads, seconds):
    assert list(ratios(threads, threads, seconds, target=DONOR)) == [1.0] * 4


def test_short_operations_gain_less_and_long_ones_all():
    gains = [1.0 / ratios(64, 1, seconds)[1] for seconds in (1e-5, 1e-3, 1e-1, 100.0)]
    assert gains == sorted(gains)
    assert gains[0] < 2.0
    assert gains[-1] == pytest.approx(64.0, rel=0.03)


def test_what_a_donor_ran_at_counts_and_not_what_its_host_reports():
    """9R14: 3.7 GHz by its sheet; the donor's host reports 2.6 GHz and ran at 3.7."""
    reports = replace(DONOR, clock_ghz=2.6)
    assert ratios(2, 2, donor=reports, workload="python_loop")[0] == pytest.approx(1.0)
    # where neither sheet nor products tell a clock, reports are compared with reports
    mute = machine(GENOA, 2, clock_ghz=2.6)
    assert clock_ratio(replace(mute, clock_ghz=1.3), mute) == pytest.approx(2.0)
    assert clock_ratio(mute, reports) == pytest.approx(1.0)


def test_products_follow_clock_and_the_root_of_the_width():
    """Zen 5 does 64 FLOP per cycle where Zen 4 does 32; both at their sheets' clocks."""
    target = facts_of_name("AWS c8a (EPYC 9R45), 2 cores")
    assert ratios(2, 2, target=target, workload="matmul")[1] == pytest.approx(3.7 / 4.5 / 2.0**0.5)


def test_a_product_whose_type_only_one_cpu_has_instructions_for_has_no_answer():
    """int8 without VNNI is 280 times off through a machine that has it."""
    milan = facts_of_name("GCP n2d (EPYC 7B13), 2 cores")
    assert np.isnan(ratios(2, 2, target=milan, workload="matmul", dtype="int8")[1])
    assert np.isfinite(ratios(2, 2, target=milan, workload="elementwise", dtype="int8")).all()
    assert np.isfinite(ratios(2, 2, workload="matmul", dtype="int8")).all()


def test_cores_of_one_l3_slice_read_the_same_and_of_more_slices_more():
    """Measured on a c8a: 56 GB/s with 8 cores, 1050 with 192; c6a.large: 31 with one."""
    turin, milan = match_cpu("EPYC 9R45"), match_cpu("EPYC 7R13")
    rates = [sustained_memory_bytes_per_s(turin, cores) / 1e9 for cores in (4, 8, 16, 192)]
    assert rates[0] == pytest.approx(rates[1])
    assert rates[1] == pytest.approx(56.0, rel=0.2)
    assert rates[2] == pytest.approx(2.0 * rates[1], rel=0.05)
    assert rates[3] == pytest.approx(1050.0, rel=0.25)
    assert sustained_memory_bytes_per_s(milan, 1) / 1e9 == pytest.approx(31.0, rel=0.2)


@given(st.sampled_from(CPUS), counts, counts)
def test_memory_reads_faster_with_more_cores_and_never_above_the_sheet(cpu, one, other):
    few, many = sorted((one, other))
    slow, fast = (sustained_memory_bytes_per_s(cpu, cores) for cores in (few, many))
    assert 0.0 < slow <= fast * (1.0 + 1e-12)
    if cpu.memory_bandwidth_gb_per_s is not None:
        assert fast <= peak_memory_bytes_per_s(cpu, many)


def test_an_architecture_that_is_not_known_has_no_memory_rate():
    with pytest.raises(EstimateError, match="memory rate of Cray"):
        sustained_memory_bytes_per_s(replace(GENOA, architecture="Cray"), 4)


def test_a_newer_or_faster_clocked_part_of_one_maker_is_never_slower():
    """All pairs of the catalogue's CPUs, unless the sheet itself gives the newer one less."""
    compared = 0
    for old, new in permutations(CPUS, 2):
        of, to = (ARCHITECTURES[cpu.architecture] for cpu in (old, new))
        clocks = [(cpu.clock_ghz, cpu.boost_clock_ghz or cpu.clock_ghz) for cpu in (old, new)]
        if (
            of.maker != to.maker
            or to.generation < of.generation
            or clocks[1][0] < clocks[0][0]
            or clocks[1][1] < clocks[0][1]
            or new.fp32_flop_per_cycle < old.fp32_flop_per_cycle
        ):
            continue
        compared += 1
        asked = [
            (workload, dtype)
            for workload in ("python_loop", "matmul", "sort")
            for dtype in ("float32", "float64", "bfloat16", "int8")
            if workload not in MATRIX_WORKLOADS
            or has_instructions(old, dtype) == has_instructions(new, dtype)
        ]
        cells = questions(8, [workload for workload, _ in asked], [dtype for _, dtype in asked])
        pairs = Pairs.one(machine(new, 8), machine(old, 8), len(asked))
        found = core_ratios(pairs, cells, cells, np.ones(len(asked)))
        for question, slower in zip(asked, found[:, :2].max(axis=1), strict=True):
            assert slower <= 1.0 + 1e-12, (old.name, new.name, *question)
    assert compared > 50


def test_a_newer_amd_part_reads_memory_no_slower():
    for cores in (1, 2, 8, 16, 48):
        rates = [
            sustained_memory_bytes_per_s(match_cpu(f"EPYC {name}"), cores)
            for name in ("7R32", "7R13", "9R14", "9R45")
        ]
        assert rates == sorted(rates)


def test_other_instruction_sets_are_in_doubt_most_where_code_is_chosen_by_them():
    milan = facts_of_name("GCP n2d (EPYC 7B13), 4 cores")
    turin = facts_of_name("GCP c4d (EPYC 9B45), 4 cores")
    workloads = pd.Series(["sort", "fft"])
    assert list(code_doubt(Pairs.one(turin, DONOR, 2), workloads)) == [0.0, 0.0]
    sort, other = code_doubt(Pairs.one(milan, DONOR, 2), workloads)
    # NumPy's sort: 6.9 ms on Zen 3, 27 to 34 through Zen 4
    assert np.exp(1.645 * sort) > 4.0
    assert 0.0 < other < sort


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


def test_a_sort_of_one_array_stays_on_one_core():
    few, many = (ratios(threads, 2, workload="sort") for threads in (2, 32))
    assert many[1:3] == pytest.approx(few[1:3])
