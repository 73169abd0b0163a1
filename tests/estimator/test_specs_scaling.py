"""Times from data sheets: each part follows its own ratio, the interval its own factors."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.hardware import CpuSpec, GpuSpec, match_cpu, match_gpu, shipped_hardware
from estimator.specs_scaling import (
    COMPUTE_FACTORS,
    LAUNCH_FACTORS,
    MEMORY_FACTORS,
    TRANSFER_FACTORS,
    CpuShare,
    Parts,
    scale_cpu,
    scale_gpu,
    vcpu_share,
)

GPUS = [spec for spec in shipped_hardware() if isinstance(spec, GpuSpec)]
seconds = st.floats(min_value=1e-9, max_value=1e4)
parts = st.builds(Parts, seconds, seconds, seconds, seconds)
gpus = st.sampled_from(GPUS)


def gpu(name: str) -> GpuSpec:
    spec = match_gpu(name)
    assert spec is not None
    return spec


def cpu(name: str) -> CpuSpec:
    spec = match_cpu(name)
    assert spec is not None
    return spec


def test_each_part_scales_with_its_own_data_sheet_ratio():
    """H100 SXM to T4: FP32 67 -> 8.1 TFLOP/s, 3350 -> 320 GB/s, link 63 -> 15.75 GB/s."""
    scaled = scale_gpu(Parts(1e-5, 1e-3, 2e-3, 3e-3), gpu("H100-SXM"), gpu("T4"), "float32")
    assert scaled.parts.launch_s == 1e-5
    assert scaled.parts.compute_s == pytest.approx(1e-3 * 67 / 8.1)
    assert scaled.parts.memory_s == pytest.approx(2e-3 * 3350 / 320)
    assert scaled.parts.transfer_s == pytest.approx(3e-3 * 4)
    assert scaled.seconds_p50 == pytest.approx(scaled.parts.seconds)
    assert scaled.bound == "memory"
    assert scaled.basis == "from_specs"
    assert scaled.calibrated
    assert scaled.note == ""


@pytest.mark.parametrize(
    ("part", "factors"),
    [
        ("launch_s", LAUNCH_FACTORS),
        ("compute_s", COMPUTE_FACTORS),
        ("memory_s", MEMORY_FACTORS),
        ("transfer_s", TRANSFER_FACTORS),
    ],
)
def test_a_time_of_one_part_has_that_parts_interval(part, factors):
    one = replace(Parts(0.0, 0.0, 0.0, 0.0), **{part: 1.0})
    scaled = scale_gpu(one, gpu("H100"), gpu("A100"), "float32")
    assert scaled.seconds_p5 == pytest.approx(scaled.seconds_p50 * factors[0])
    assert scaled.seconds_p95 == pytest.approx(scaled.seconds_p50 * factors[1])


@given(parts, gpus, gpus)
def test_the_interval_always_holds_the_median(parts, reference, target):
    scaled = scale_gpu(parts, reference, target, "float32")
    assert 0.0 < scaled.seconds_p5 < scaled.seconds_p50 < scaled.seconds_p95


@given(parts, gpus)
def test_scaling_a_gpu_to_itself_changes_no_part(parts, spec):
    assert scale_gpu(parts, spec, spec, "float32").parts == parts


@given(parts, gpus, gpus)
def test_scaling_there_and_back_returns_the_parts(parts, reference, target):
    there = scale_gpu(parts, reference, target, "float32").parts
    back = scale_gpu(there, target, reference, "float32").parts
    for name in ("launch_s", "compute_s", "memory_s", "transfer_s"):
        assert getattr(back, name) == pytest.approx(getattr(parts, name), rel=1e-9)


@given(parts, st.floats(min_value=0.1, max_value=1.0), st.floats(min_value=1.0, max_value=10.0))
def test_an_uncertain_reference_widens_the_interval_and_keeps_the_median(parts, low, high):
    sure = scale_gpu(parts, gpu("H100"), gpu("L4"), "float32")
    unsure = scale_gpu(parts, gpu("H100"), gpu("L4"), "float32", reference_factors=(low, high))
    assert unsure.seconds_p50 == sure.seconds_p50
    assert unsure.seconds_p5 <= sure.seconds_p5 * (1 + 1e-12)
    assert unsure.seconds_p95 >= sure.seconds_p95 * (1 - 1e-12)


def test_reference_and_scaling_errors_add_in_quadrature():
    scaled = scale_gpu(
        Parts(0.0, 1.0, 0.0), gpu("H100"), gpu("H200"), "float32", reference_factors=(0.5, 2.0)
    )
    above = math.log(scaled.seconds_p95 / scaled.seconds_p50)
    assert above == pytest.approx(math.hypot(math.log(2.0), math.log(COMPUTE_FACTORS[1])))


def test_a_part_of_no_time_needs_no_figure():
    a10g = replace(gpu("A10G"), fp32_tflops=None, h2d_gb_per_s=None)
    scaled = scale_gpu(Parts(0.0, 0.0, 1.0), gpu("H100"), a10g, "float32")
    assert scaled.parts.memory_s == pytest.approx(3350 / 600)
    with pytest.raises(EstimateError, match="A10G: no peak rate for float32"):
        scale_gpu(Parts(0.0, 1.0, 0.0), gpu("H100"), a10g, "float32")


def test_work_of_no_time_takes_no_time():
    scaled = scale_gpu(Parts(0.0, 0.0, 0.0), gpu("H100"), gpu("T4"), "float32")
    assert (scaled.seconds_p5, scaled.seconds_p50, scaled.seconds_p95) == (0.0, 0.0, 0.0)


def test_outside_the_data_behind_the_factors_the_interval_is_not_called_calibrated():
    one = Parts(0.0, 1.0, 0.0)
    half = scale_gpu(one, gpu("H100"), gpu("A100"), "bfloat16")
    other = scale_gpu(one, gpu("H100"), gpu("MI300X"), "float32")
    assert not half.calibrated
    assert "not on bfloat16" in half.note
    assert not other.calibrated
    assert "not on MI300X" in other.note


def test_a_cpu_scales_with_cores_clock_flop_per_cycle_and_bandwidth_share():
    """Graviton3 at 4 cores to 9R14 at 8: 4 x 2.6 x 16 against 8 x 3.7 x 16 GFLOP/s in float64;
    4/64 of 307.2 GB/s against 8/96 of 460.8 GB/s."""
    scaled = scale_cpu(
        Parts(1e-6, 1.0, 1.0),
        CpuShare(cpu("AWS c7g (Graviton3)"), cores=4),
        CpuShare(cpu("AMD EPYC 9R14"), cores=8),
        "float64",
    )
    assert scaled.parts.compute_s == pytest.approx((4 * 2.6) / (8 * 3.7))
    assert scaled.parts.memory_s == pytest.approx((307.2 * 4 / 64) / (460.8 * 8 / 96))
    assert scaled.parts.launch_s == 1e-6
    assert not scaled.calibrated
    assert "the clock of AWS c7a m7a (EPYC 9R14) is an upper limit" in scaled.note


def test_a_measured_clock_takes_the_catalogues_place():
    share = CpuShare(cpu("AMD EPYC 9R14"), cores=1, clock_ghz=3.0)
    assert share.peak_flop_per_s("float32") == pytest.approx(3.0e9 * 32)


def test_a_host_that_hides_its_model_scales_by_what_was_measured_on_it():
    hidden = match_cpu("AMD EPYC", 25, 17)
    assert hidden is not None
    reference = CpuShare(hidden, cores=2, clock_ghz=2.6, memory_gb_per_s=24.0)
    target = CpuShare(cpu("AWS c7g (Graviton3)"), cores=4)
    scaled = scale_cpu(Parts(0.0, 1.0, 1.0), reference, target, "float64")
    assert scaled.parts.compute_s == pytest.approx((2 * 2.6 * 16) / (4 * 2.6 * 16))
    assert scaled.parts.memory_s == pytest.approx(24.0 / (307.2 * 4 / 64))


def test_vcpus_become_cores_where_a_core_has_two_threads():
    assert vcpu_share(cpu("AWS c7i m7i r7i (Xeon 8488C)"), 8).cores == 4
    assert vcpu_share(cpu("AWS c7g (Graviton3)"), 8).cores == 8


def test_a_cpu_that_the_catalogue_does_not_know_enough_of_is_refused():
    hidden = match_cpu("AMD EPYC", 25, 17)
    assert hidden is not None
    with pytest.raises(EstimateError, match="how many vCPUs a core has"):
        vcpu_share(hidden, 8)
    with pytest.raises(EstimateError, match="cores per socket"):
        _ = CpuShare(hidden, 2).memory_bytes_per_s
    with pytest.raises(EstimateError, match="cores is 0"):
        CpuShare(hidden, 0)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_parts_that_are_no_times_are_refused(bad):
    with pytest.raises(EstimateError, match="memory_s is"):
        Parts(0.0, 0.0, bad)


@pytest.mark.parametrize("bad", [(0.0, 1.0), (1.5, 2.0), (0.5, 0.9), (math.nan, 2.0)])
def test_reference_factors_that_are_no_interval_are_refused(bad):
    with pytest.raises(EstimateError, match="reference factor"):
        scale_gpu(Parts(0, 1, 0), gpu("H100"), gpu("T4"), "float32", reference_factors=bad)


def test_the_factors_hold_one_and_compute_is_less_certain_than_memory():
    for low, high in (LAUNCH_FACTORS, COMPUTE_FACTORS, MEMORY_FACTORS, TRANSFER_FACTORS):
        assert low < 1.0 < high
    assert COMPUTE_FACTORS[1] > MEMORY_FACTORS[1]
