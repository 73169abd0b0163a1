"""Published profiles of GPUs, and what is made of them where no GPU was measured."""

import numpy as np
import pytest

from collector.errors import CatalogueError
from estimator.gpu_profiles import (
    NUMBERS,
    PROFILE_COLUMNS,
    PROFILES_PATH,
    Kernels,
    Profile,
    Sheet,
    efficiency_ratio,
    kernel_parts,
    operation_of,
    profile_of,
    read_profiles,
    shipped_profiles,
)
from estimator.hardware import match_gpu

A100 = Sheet(flop_per_s=19.5e12, bytes_per_s=1.555e12, units=108.0, cache_bytes=40.0 * 2**20)
PLAIN = Profile(0.9, 0.8, 2.0, 10.0, 10.0, 3e-5)


def product(n):
    one = np.ones(1)
    return Kernels(2.0 * n**3 * one, 12.0 * n**2 * one, one, n * one, n * one, n * one)


def test_shipped_shares_are_those_of_real_gpus():
    profiles = shipped_profiles()
    assert {gpu for gpu, _ in profiles} >= {"T4", "H100 SXM", "A100 PCIe 40GB"}
    for _, profile in profiles.values():
        assert 0.05 < profile.compute_share <= 1.31
        assert 0.1 < profile.memory_share <= 1.21
        assert profile.cache_gain >= 1.0 - 1e-9
        assert 1e-6 < profile.launch_s < 1e-3


def test_every_row_names_its_source():
    text = PROFILES_PATH.read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(PROFILE_COLUMNS)
    for line in text.splitlines()[1:]:
        assert "6945927" in line
        assert "MIT licence" in line


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


def test_a_gpu_without_a_row_is_between_those_that_have_one():
    known = [profile for (_, name), (_, profile) in shipped_profiles().items() if name == "bmm"]
    made = profile_of(match_gpu("L4"), "bmm")
    for name in NUMBERS:
        values = [getattr(profile, name) for profile in known]
        assert min(values) <= getattr(made, name) <= max(values)


def test_another_vendor_has_no_profile():
    assert profile_of(match_gpu("MI300X"), "bmm") is None


def test_an_operation_that_nobody_published_has_none():
    assert profile_of(match_gpu("H100"), "sorting") is None


def test_shares_count_only_where_both_architectures_were_published():
    t4, a100, l4 = (match_gpu(name) for name in ("T4", "A100-PCIe", "L4"))
    assert efficiency_ratio(l4, a100, "memory", "elementwise") == 1.0
    there = efficiency_ratio(t4, a100, "memory", "elementwise")
    assert there * efficiency_ratio(a100, t4, "memory", "elementwise") == pytest.approx(1.0)
    assert there != 1.0


def test_cases_are_answered_by_operations_like_them():
    assert operation_of("matmul", "square", True) == "bmm"
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
