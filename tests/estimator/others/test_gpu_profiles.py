"""Published profiles of GPUs, and what is made of them where no GPU was measured."""

import numpy as np
import pytest

from collector.errors import CatalogueError
from estimator.catalogue.hardware import match_gpu
from estimator.others.gpu_profiles import (
    CONVOLUTION_SHARE,
    NUMBERS,
    PROFILE_COLUMNS,
    PROFILES_PATH,
    Kernels,
    Profile,
    Sheet,
    kernel_parts,
    memory_share,
    operation_of,
    profile_of,
    read_profiles,
    shipped_profiles,
    sustained,
)

A100 = Sheet(flop_per_s=19.5e12, bytes_per_s=1.555e12, units=108.0, cache_bytes=40.0 * 2**20)
PLAIN = Profile(0.9, 0.8, 2.0, 10.0, 10.0, 3e-5)


def product(n):
    one = np.ones(1)
    return Kernels(2.0 * n**3 * one, 12.0 * n**2 * one, one, n * one, n * one, n * one)


def test_shipped_shares_are_those_of_real_gpus():
    profiles = shipped_profiles()
    assert {gpu for gpu, _ in profiles} >= {"T4", "H100 SXM", "A100 PCIe 40GB", "H200 SXM"}
    for (_, operation), (_, profile) in profiles.items():
        most = CONVOLUTION_SHARE if operation == "conv2d" else 1.0
        assert 0.05 < profile.compute_share <= most
        assert 0.1 < profile.memory_share <= 1.0
        assert profile.cache_gain >= 1.0 - 1e-9
        assert 1e-6 < profile.launch_s < 1e-3


def test_every_row_names_its_source():
    text = PROFILES_PATH.read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(PROFILE_COLUMNS)
    for line in text.splitlines()[1:]:
        published = "6945927" in line and "MIT licence" in line
        assert published or "this project's own measurements (data/runs)" in line


@pytest.mark.parametrize("column", ["compute_share", "memory_share"])
def test_a_share_above_what_the_hardware_can_do_is_refused(tmp_path, column):
    lines = PROFILES_PATH.read_text(encoding="utf-8").splitlines()
    fields = lines[1].split(",")
    fields[PROFILE_COLUMNS.index(column)] = "1.3"
    path = tmp_path / "profiles.csv"
    path.write_text("\n".join([lines[0], ",".join(fields)]), encoding="utf-8")
    with pytest.raises(CatalogueError, match="above what the hardware can do"):
        read_profiles(path)


def test_a_large_product_runs_at_its_share_of_the_peak():
    parts = kernel_parts(PLAIN, A100, product(16384))
    assert parts.sum() == pytest.approx(2.0 * 16384**3 / (0.9 * 19.5e12), rel=0.15)
    assert parts[0].argmax() == 1


def test_a_large_stream_runs_at_its_share_of_the_bandwidth():
    none, size = np.zeros(1), np.full(1, 4e9)
    parts = kernel_parts(PLAIN, A100, Kernels(none, size, none, none, none, none))
    assert parts.sum() == pytest.approx(4e9 / (0.8 * 1.555e12), rel=0.02)


def test_time_grows_with_the_work():
    seconds = [kernel_parts(PLAIN, A100, product(n)).sum() for n in (64, 256, 1024, 4096, 16384)]
    assert seconds == sorted(seconds)
    assert seconds[0] == pytest.approx(3e-5, rel=0.1)


def test_a_chip_without_a_row_is_between_those_that_have_one():
    known = [profile for (_, name), (_, profile) in shipped_profiles().items() if name == "bmm"]
    made = profile_of(match_gpu("L4"), "bmm")
    for name in NUMBERS:
        values = [getattr(profile, name) for profile in known]
        assert min(values) <= getattr(made, name) <= max(values)


def test_the_cards_of_one_chip_share_a_profile():
    for operation in ("linear", "bmm", "elementwise", "layer_norm"):
        pcie = profile_of(match_gpu("A100 PCIe 40GB"), operation)
        assert profile_of(match_gpu("A100 SXM4 80GB"), operation) == pcie
        row = shipped_profiles()["A100 PCIe 40GB", operation][1]
        assert pcie.memory_share == pytest.approx(row.memory_share)
        assert pcie.sustained_share == pytest.approx(row.sustained_share)


def test_a_card_with_less_power_sustains_no_more_than_its_bigger_sister():
    for smaller, bigger in (
        ("A100 PCIe 40GB", "A100 SXM4 40GB"),
        ("H100 PCIe", "H100 SXM"),
        ("H200 NVL", "H200 SXM"),
        ("A10", "RTX A6000"),
    ):
        small, big = match_gpu(smaller), match_gpu(bigger)
        for operation in ("linear", "bmm", "conv2d"):
            rates = [gpu.fp32_tflops * sustained(gpu, operation).share for gpu in (small, big)]
            assert rates[0] <= rates[1] * (1.0 + 1e-9)


def test_a_card_with_little_power_for_its_peak_sustains_less_of_it_and_less_surely():
    """L4: 72 W for 30.3 TFLOP/s; L40S: 350 W for 91.6; A100 SXM: 400 W for 19.5."""
    shares = [sustained(match_gpu(name), "linear") for name in ("L4", "L40S", "A100-SXM")]
    assert shares[0].share < shares[1].share < shares[2].share
    assert shares[0].deviation > shares[1].deviation > shares[2].deviation == 0.0


def test_a_card_that_was_profiled_is_as_it_was_measured():
    t4 = sustained(match_gpu("T4"), "linear")
    assert t4.share == pytest.approx(shipped_profiles()["T4", "linear"][1].sustained_share)
    assert t4.deviation == 0.0


def test_another_vendor_has_no_profile():
    amd = match_gpu("MI300X")
    assert profile_of(amd, "bmm") is None
    assert sustained(amd, "bmm") is None
    assert memory_share(amd, "bmm") is None


def test_an_operation_that_nobody_published_has_none():
    assert profile_of(match_gpu("H100"), "sorting") is None


def test_cases_are_answered_by_operations_like_them():
    assert operation_of("matmul", "square", True) == "linear"
    assert operation_of("matmul", "batched", True) == "bmm"
    assert operation_of("reduction", "layer_norm", False) == "layer_norm"
    assert operation_of("training_step", "mlp", True) == "linear"
    assert operation_of("sort", "sort", False) == "elementwise"


@pytest.mark.parametrize("broken", ["", "nan", "-1", "fast"])
def test_a_damaged_file_is_named(tmp_path, broken):
    lines = PROFILES_PATH.read_text(encoding="utf-8").splitlines()
    fields = lines[1].split(",")
    fields[PROFILE_COLUMNS.index("launch_s")] = broken
    path = tmp_path / "profiles.csv"
    path.write_text("\n".join([lines[0], ",".join(fields)]), encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"profiles\.csv"):
        read_profiles(path)
