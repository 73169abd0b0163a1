"""Ratios of the parts of a time between machines, from their data sheets."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.catalogue.hardware import match_cpu, match_gpu, shipped_hardware
from estimator.catalogue.hardware_specs import GpuSpec
from estimator.formula.kernel import KERNEL_PARAMETERS
from estimator.others.facts import MachineFacts, cpu_name, facts_of_name, relation
from estimator.others.pairs import Pairs
from estimator.others.scaling import joined, part_ratios

H100, T4 = match_gpu("H100-SXM"), match_gpu("T4")


def gpu_machine(gpu, **facts):
    return MachineFacts(gpu.name, gpu.name, gpu=gpu, gpu_model=gpu.name, **facts)


def cell(**changes):
    asked = {
        "device": "cuda",
        "workload": "sort",
        "case": "sort",
        "dtype": "float32",
        "math_mode": "ieee",
        "answer_mode": "hot",
        "threads": 1,
    }
    return pd.DataFrame([{**asked, **changes}])


def ratios(target, donor, **changes):
    return part_ratios(Pairs.one(target, donor, 1), cell(**changes))[0][0]


def doubts(target, donor, **changes):
    return part_ratios(Pairs.one(target, donor, 1), cell(**changes))[1][0]


def test_a_gpus_parts_follow_their_own_figures():
    launch, compute, memory, transfer = ratios(gpu_machine(T4), gpu_machine(H100), workload="fft")
    assert launch == 1.0
    assert transfer == pytest.approx(63.0 / 15.75)
    # rates of the data sheets, but for the shares that published kernels reach of them
    assert compute == pytest.approx(67.0 / 8.1)
    assert memory == pytest.approx(3350.0 / 320.0, rel=0.6)


def test_there_and_back_is_where_it_was():
    there = ratios(gpu_machine(T4), gpu_machine(H100), workload="matmul")
    back = ratios(gpu_machine(H100), gpu_machine(T4), workload="matmul")
    assert there * back == pytest.approx(np.ones(4))


def test_the_same_gpu_scales_by_nothing():
    assert list(ratios(gpu_machine(T4), gpu_machine(T4))) == [1.0] * 4


def test_what_no_catalogue_has_is_not_the_donors_unless_its_own_cells_tell():
    unknown = MachineFacts("x", "x", gpu_model="a GPU of next year")
    assert np.isnan(ratios(unknown, gpu_machine(T4))[1:]).all()
    measured = replace(unknown, cells={"cuda": 12})
    assert list(ratios(measured, gpu_machine(T4))) == [1.0] * 4
    assert min(doubts(measured, gpu_machine(T4))[1:]) > 1.0


@pytest.mark.parametrize(
    ("column", "part", "asked"),
    [
        ("bf16_tflops", 1, {"workload": "matmul", "dtype": "bfloat16"}),
        ("fp32_tflops", 1, {"workload": "matmul"}),
        ("memory_bandwidth_gb_per_s", 2, {"workload": "elementwise", "case": "add"}),
        ("h2d_gb_per_s", 3, {"workload": "elementwise", "case": "add"}),
    ],
)
def test_a_rate_that_the_sheet_does_not_give_is_never_the_donors(column, part, asked):
    target = gpu_machine(replace(match_gpu("A100"), **{column: None}))
    found = ratios(target, gpu_machine(H100), **asked)
    assert np.isnan(found[part])
    assert np.isfinite(np.delete(found, part)).all()


@pytest.mark.parametrize(("column", "part"), [("last_level_cache_mib", 2), ("sm_count", 1)])
def test_a_size_that_the_sheet_does_not_give_widens(column, part):
    whole = gpu_machine(match_gpu("A100"))
    blank = gpu_machine(replace(whole.gpu, **{column: None}))
    known, wide = (doubts(to, gpu_machine(H100), workload="matmul") for to in (whole, blank))
    assert wide[part] > known[part] + 0.1


def test_an_emulated_type_runs_at_the_rate_of_the_unit_that_does_it_and_is_in_doubt():
    plain = ratios(gpu_machine(T4), gpu_machine(H100), workload="matmul")
    bf16 = {"workload": "matmul", "dtype": "bfloat16"}
    found = ratios(gpu_machine(T4), gpu_machine(H100), **bf16)
    assert found[1] / plain[1] == pytest.approx(989.5 / 67.0)
    assert doubts(gpu_machine(T4), gpu_machine(H100), **bf16)[1] > 0.3


def test_a_card_of_the_same_chip_with_less_power_is_no_faster():
    donor = gpu_machine(match_gpu("H200"))
    for operation in ({"workload": "matmul"}, {"workload": "conv2d"}, {"workload": "elementwise"}):
        pcie, sxm = (
            ratios(gpu_machine(match_gpu(name)), donor, **operation)
            for name in ("A100-PCIe", "A100-40GB-SXM")
        )
        assert (pcie >= sxm).all()


GPUS = [spec for spec in shipped_hardware() if isinstance(spec, GpuSpec)]
FIGURES = (
    *("fp64_tflops", "fp64_tensor_tflops", "fp32_tflops", "tf32_tflops", "fp16_tflops"),
    *("bf16_tflops", "int8_tops", "memory_bandwidth_gb_per_s", "h2d_gb_per_s", "tdp_w"),
)


def no_better(one, two):
    """Whether the first card of a chip is nowhere above the second by its data sheet."""
    pairs = [(getattr(one, name) or 0.0, getattr(two, name) or 0.0) for name in FIGURES]
    return one.chip == two.chip and one != two and all(a <= b for a, b in pairs)


SISTERS = [(one, two) for one in GPUS for two in GPUS if no_better(one, two)]


@given(
    st.sampled_from(SISTERS),
    st.sampled_from(GPUS),
    st.sampled_from(("matmul", "dense_layer", "conv2d", "elementwise", "reduction", "fft")),
    st.sampled_from(("float64", "float32", "float16", "bfloat16", "int8", "complex64")),
    st.sampled_from(("ieee", "tf32")),
)
def test_no_part_is_faster_on_a_card_that_its_sheet_puts_below_its_sister(
    sisters, donor, workload, dtype, math_mode
):
    asked = {"workload": workload, "case": "x", "dtype": dtype, "math_mode": math_mode}
    less, more = (ratios(gpu_machine(to), gpu_machine(donor), **asked) for to in sisters)
    assert (np.isnan(less) == np.isnan(more)).all()
    assert (np.nan_to_num(less) >= np.nan_to_num(more) * (1.0 - 1e-9)).all()


cells = st.tuples(*[st.floats(0.0, 1.0)] * 4).filter(lambda parts: sum(parts) > 1e-3)


def taken_apart(parts, ratio, exponents=(2.0, 3.0)):
    theta = np.zeros((1, len(KERNEL_PARAMETERS)))
    for name, value in zip(("overlap_q", "exponent_p"), exponents, strict=True):
        theta[0, KERNEL_PARAMETERS.index(name)] = np.log(value)
    return joined(np.array([parts]), np.array([ratio]), np.full((1, 4), 0.3), theta, np.zeros(1))


@given(cells, st.floats(0.01, 100.0))
def test_parts_that_all_scale_alike_stay_as_they_are(parts, ratio):
    found, doubt = taken_apart(parts, (ratio,) * 4)
    assert found[0] == pytest.approx(ratio * np.array(parts), rel=1e-6, abs=1e-9)
    assert 0.0 < doubt[0] <= 0.3 + 1e-9


@given(cells, st.tuples(*[st.floats(0.01, 100.0)] * 4), st.integers(0, 3))
def test_a_slower_part_makes_nothing_faster(parts, ratio, which):
    slower = [2.0 * value if i == which else value for i, value in enumerate(ratio)]
    before, after = taken_apart(parts, ratio)[0].sum(), taken_apart(parts, slower)[0].sum()
    assert before * (1.0 - 1e-9) <= after <= 2.0 * before * (1.0 + 1e-9)


def test_memory_that_hid_behind_arithmetic_limits_a_gpu_with_slow_memory():
    """3 and 1 in a norm of 3: 27/28 and 1/28 of the time; memory 16 times as slow is 16."""
    total = 28.0 ** (1.0 / 3.0)
    found, _ = taken_apart((0.0, total * 27.0 / 28.0, total / 28.0, 0.0), (1.0, 2.0, 16.0, 1.0))
    assert found.sum() == pytest.approx((6.0**3 + 16.0**3) ** (1.0 / 3.0))


def test_an_unknown_part_leaves_no_answer_unless_it_is_too_small_to_matter():
    unknown = (1.0, np.nan, 1.0, 1.0)
    assert np.isnan(taken_apart((0.2, 0.5, 0.3, 0.0), unknown)[0].sum())
    assert np.isfinite(taken_apart((0.0, 0.01, 0.99, 0.0), unknown)[0].sum())


def test_a_host_launches_by_its_clock():
    slow, fast = (gpu_machine(T4, clock_ghz=clock) for clock in (2.0, 3.0))
    assert ratios(slow, fast, answer_mode="resident")[0] == pytest.approx(1.5)
    assert ratios(slow, fast, answer_mode="hot")[0] == 1.0


def test_names_of_the_catalogue_have_facts():
    assert facts_of_name("NVIDIA H100 80GB HBM3").gpu == H100
    spec = match_cpu("AMD EPYC 9R14")
    assert facts_of_name("EPYC 9R14").physical_cores == spec.cores_per_socket
    assert facts_of_name(cpu_name(spec, 8)).physical_cores == 8
    assert facts_of_name("EPYC 9R14, 1 core").physical_cores == 1
    assert facts_of_name("EPYC 9R14, 0 cores") is None
    assert facts_of_name("a slide rule") is None


def test_machines_are_related_by_their_parts():
    one = MachineFacts("a", "a", machine_type_id="t", cpu_model="X", physical_cores=4)
    assert relation(one, MachineFacts("b", "b", machine_type_id="t"), "cuda") == "same"
    assert relation(one, MachineFacts("b", "b", cpu_model="x", physical_cores=4), "cpu") == "same"
    assert relation(one, MachineFacts("b", "b", cpu_model="x", physical_cores=8), "cpu") == "other"
    assert relation(gpu_machine(T4), gpu_machine(T4), "cuda") == "same"
    assert relation(gpu_machine(T4), gpu_machine(H100), "cuda") == "other"
