"""What CPUs can do at most, and at which clock they demonstrably ran."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.catalogue.cpus import (
    ARCHITECTURES,
    flop_per_cycle,
    has_instructions,
    highest_clock_ghz,
    is_fixed,
    peak_cache_bytes_per_s,
    peak_flop_per_s,
    peak_memory_bytes_per_s,
)
from estimator.catalogue.hardware import match_cpu, shipped_hardware
from estimator.catalogue.hardware_specs import CpuSpec
from estimator.others.facts import MachineFacts, facts_of_name, with_clocks
from estimator.others.scaling import sustained_memory_bytes_per_s

CPUS = [spec for spec in shipped_hardware() if isinstance(spec, CpuSpec)]
FIXED = [spec for spec in CPUS if is_fixed(spec.architecture)]
GENOA, EMERALD = match_cpu("", 25, 17), match_cpu("", 6, 207)


def test_every_fixed_cpu_of_the_catalogue_has_its_architecture():
    for spec in FIXED:
        assert spec.architecture in ARCHITECTURES, spec.name


@given(st.sampled_from(FIXED), st.integers(1, 192), st.sampled_from(["float64", "float32"]))
def test_a_peak_is_cores_times_clock_times_width(cpu, cores, dtype):
    peak = peak_flop_per_s(cpu, cores, dtype, clock_ghz=2.0)
    width = cpu.fp64_flop_per_cycle if dtype == "float64" else cpu.fp32_flop_per_cycle
    assert peak == pytest.approx(cores * 2e9 * width)


def test_complex_types_count_real_operations():
    assert flop_per_cycle(EMERALD, "complex64") == flop_per_cycle(EMERALD, "float32") == 64.0
    assert flop_per_cycle(EMERALD, "complex128") == flop_per_cycle(EMERALD, "float64") == 32.0


@pytest.mark.parametrize(
    ("name", "dtype", "per_cycle"),
    [
        ("Xeon Platinum 8488C", "bfloat16", 1024.0),  # AMX
        ("Xeon Platinum 8488C", "int8", 2048.0),
        ("Xeon Platinum 8488C", "float16", 128.0),  # AVX-512 FP16
        ("Xeon 6975P-C", "float16", 1024.0),  # AMX-FP16
        ("Xeon Platinum 8375C", "int8", 256.0),  # VNNI
        ("Xeon Platinum 8375C", "bfloat16", 64.0),  # no such instructions: as float32
        ("EPYC 9R14", "bfloat16", 64.0),  # AVX-512 BF16
        ("EPYC 9R14", "int8", 128.0),
        ("EPYC 9R14", "float16", 32.0),
        ("EPYC 7R13", "int8", 64.0),
    ],
)
def test_short_types_run_at_the_rate_of_the_unit_that_does_them(name, dtype, per_cycle):
    assert flop_per_cycle(match_cpu(name), dtype) == per_cycle


def test_which_types_have_instructions():
    milan, genoa, sapphire = (
        match_cpu(name) for name in ("EPYC 7R13", "EPYC 9R14", "Xeon Platinum 8488C")
    )
    types = ("float32", "int8", "bfloat16", "float16")
    assert [has_instructions(milan, dtype) for dtype in types] == [True, False, False, False]
    assert [has_instructions(genoa, dtype) for dtype in types] == [True, True, True, False]
    assert all(has_instructions(sapphire, dtype) for dtype in types)


@pytest.mark.parametrize(
    ("cpu", "dtype", "message"),
    [
        (GENOA, "int64", "no peak rate for int64"),
        (match_cpu("Axion"), "float32", "no clock"),
        (next(c for c in CPUS if "e2" in c.name), "float32", "does not fix"),
    ],
)
def test_what_the_sheet_does_not_say_is_refused(cpu, dtype, message):
    with pytest.raises(EstimateError, match=message):
        peak_flop_per_s(cpu, 4, dtype)


@given(st.sampled_from([c for c in FIXED if c.memory_bandwidth_gb_per_s]), st.integers(1, 400))
def test_memory_is_the_sockets_and_doubles_beyond_one(cpu, cores):
    rate, socket = peak_memory_bytes_per_s(cpu, cores), cpu.cores_per_socket or cores
    assert rate == cpu.memory_bytes_per_s * -(-cores // socket)
    assert sustained_memory_bytes_per_s(cpu, cores) <= rate


def test_caches_are_faster_than_memory_and_follow_the_cores():
    cpu = match_cpu("EPYC 9R14")
    assert peak_cache_bytes_per_s(cpu, 8) == pytest.approx(8 * 3.7e9 * 96)
    assert peak_cache_bytes_per_s(cpu, 8) > peak_memory_bytes_per_s(cpu, 8)
    with pytest.raises(EstimateError, match="load width"):
        peak_cache_bytes_per_s(replace(cpu, architecture="Cray"), 8)


def products(machine, rates):
    rows = [
        {
            "machine_id": machine,
            "device": "cpu",
            "threads": threads,
            "workload": "matmul",
            "case": "square",
            "dtype": dtype,
            "params_key": (("batch", 1), ("k", 1000), ("m", 1000), ("n", 1000)),
            "median_s": 2e9 / rate,
        }
        for threads, dtype, rate in rates
    ]
    return pd.DataFrame(rows)


def test_a_machine_ran_at_the_clock_that_its_best_products_need():
    facts = {"a": MachineFacts("a", "a", cpu=GENOA, clock_ghz=2.6)}
    # 32 FLOP per cycle in float32, of which the best product reaches nine tenths
    rates = [(1, "float32", 0.9 * 32 * 3.5e9), (1, "float64", 1e10), (2, "float32", 1e12)]
    assert with_clocks(facts, products("a", rates))["a"].ran_at_ghz == pytest.approx(3.5)


def test_a_machine_never_ran_above_its_highest_clock():
    facts = {"a": MachineFacts("a", "a", cpu=GENOA)}
    found = with_clocks(facts, products("a", [(1, "float32", 1e12)]))
    assert found["a"].ran_at_ghz == highest_clock_ghz(GENOA)


def test_machines_of_one_type_ran_at_one_clock_and_others_are_not_known():
    facts = {
        name: MachineFacts(name, name, machine_type_id=kind, cpu=EMERALD)
        for name, kind in (("a", "t"), ("b", "t"), ("c", "u"))
    }
    found = with_clocks(facts, products("a", [(1, "float32", 1.8e11)]))
    assert found["a"].ran_at_ghz == found["b"].ran_at_ghz > 3.0
    assert found["c"].ran_at_ghz is None


def test_a_few_cores_have_their_slices_of_an_l3():
    def cache_mib(name):
        return facts_of_name(name).last_level_cache("cpu") / 2**20

    assert cache_mib("EPYC 9R14, 2 cores") == 32.0
    assert cache_mib("EPYC 9R14, 9 cores") == 64.0
    assert cache_mib("EPYC 9R14") == 384.0
    assert cache_mib("Xeon Platinum 8481C, 2 cores") == 105.0  # one L3 for all
