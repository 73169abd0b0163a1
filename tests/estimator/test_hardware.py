"""The hardware catalogue: what it says, whom it matches, what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from collector.errors import CatalogueError, EstimateError
from estimator.hardware import (
    HARDWARE_COLUMNS,
    CpuSpec,
    GpuSpec,
    match_cpu,
    match_gpu,
    read_hardware,
    shipped_hardware,
)

GPU_ROW = {
    "kind": "gpu",
    "name": "G1",
    "aliases": "Gee One;G-1 SXM",
    "architecture": "Ampere",
    "memory_gib": "40",
    "memory_bandwidth_gb_per_s": "1555",
    "fp64_tflops": "9.7",
    "fp32_tflops": "19.5",
    "source": "a data sheet",
}
CPU_ROW = {
    "kind": "cpu",
    "name": "C1",
    "architecture": "Zen 4",
    "clock_ghz": "3.7",
    "clock_kind": "max",
    "fp64_flop_per_cycle": "16",
    "source": "a data sheet",
}


def write(path: Path, *rows: dict[str, str], columns: tuple[str, ...] = HARDWARE_COLUMNS) -> Path:
    file = path / "hardware.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return file


def gpu(name: str) -> GpuSpec:
    spec = match_gpu(name)
    assert spec is not None
    return spec


def test_the_shipped_catalogue_is_valid_and_every_row_names_its_source():
    specs = read_hardware()
    assert {type(spec) for spec in specs} == {GpuSpec, CpuSpec}
    assert all(len(spec.source) > 20 for spec in specs)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80GB"),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB"),
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-16GB", "V100 SXM2 16GB"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GH200 480GB", "GH200 96GB"),
        ("AMD Instinct MI300X", "MI300X"),
    ],
)
def test_a_driver_name_finds_its_row(name, row):
    assert gpu(name).name == row


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("H200-SXM", "H200 SXM"),
        ("A100-80GB", "A100 SXM4 80GB"),
        ("RTX Pro 6000", "RTX PRO 6000 Blackwell Server"),
        ("RTX PRO 6000", "RTX PRO 6000 Blackwell Server"),
        ("H100-MEGA", "H100 SXM"),
        ("a10g", "A10G"),
    ],
)
def test_a_price_list_name_finds_its_row(name, row):
    assert gpu(name).name == row


@pytest.mark.parametrize(
    "name", ["", "NVIDIA", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "RTX 6000 Ada", "H1000"]
)
def test_a_name_that_is_not_in_the_catalogue_matches_nothing(name):
    assert match_gpu(name) is None


def test_a_gpu_name_never_matches_a_cpu_row():
    assert match_gpu("AWS c7g (Graviton3)") is None


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        (("AMD EPYC", 25, 17), "AMD EPYC 9004 (Genoa, model hidden)"),
        (
            ("Intel(R) Xeon(R) Processor", 6, 207),
            "Intel Xeon 5th gen (Emerald Rapids, model hidden)",
        ),
        (("AMD EPYC 9R14", 25, 17), "AWS c7a m7a (EPYC 9R14)"),
        (("INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz", 6, 207), "GCP c4 (Xeon 8581C)"),
        (("AWS c7g (Graviton3)", None, None), "AWS c7g (Graviton3)"),
    ],
)
def test_a_cpu_is_found_by_its_model_name_first_and_else_by_family_and_model(asked, row):
    spec = match_cpu(*asked)
    assert spec is not None
    assert spec.name == row


def test_an_unknown_cpu_matches_nothing():
    assert match_cpu("", None, None) is None
    assert match_cpu("Some CPU", 25, 999) is None


def test_peak_rates_of_the_h100_are_those_of_its_data_sheet():
    h100 = gpu("H100-SXM")
    assert h100.peak_flop_per_s("float32") == 67e12
    assert h100.peak_flop_per_s("float32", "tf32") == 494.5e12
    assert h100.peak_flop_per_s("float32", "tf32", matrix=False) == 67e12
    assert h100.peak_flop_per_s("bfloat16") == 989.5e12
    assert h100.peak_flop_per_s("float64") == 67e12
    assert h100.peak_flop_per_s("float64", matrix=False) == 34e12
    assert h100.peak_flop_per_s("complex64", matrix=False) == 67e12
    assert h100.memory_bytes_per_s == 3350e9


def test_tf32_on_a_gpu_without_such_units_runs_at_the_float32_rate():
    assert gpu("T4").peak_flop_per_s("float32", "tf32") == 8.1e12


def test_sixteen_bit_arithmetic_off_the_matrix_units_runs_at_the_float32_rate():
    assert gpu("H100").peak_flop_per_s("float16", matrix=False) == 67e12


@pytest.mark.parametrize(("name", "dtype"), [("T4", "bfloat16"), ("T4", "int64")])
def test_a_rate_that_is_not_known_is_refused_by_name(name, dtype):
    with pytest.raises(EstimateError, match=f"T4: no peak rate for {dtype}"):
        gpu(name).peak_flop_per_s(dtype)


def test_tf32_that_was_not_established_is_not_guessed_from_float32():
    with pytest.raises(EstimateError, match="no peak rate"):
        gpu("RTX PRO 6000").peak_flop_per_s("float32", "tf32")


def test_a_core_runs_at_the_given_clock_or_else_at_the_catalogues():
    genoa = match_cpu("AMD EPYC", 25, 17)
    graviton = match_cpu("AWS c7g (Graviton3)")
    assert genoa is not None
    assert graviton is not None
    assert graviton.core_flop_per_s("float64") == pytest.approx(2.6e9 * 16)
    assert genoa.core_flop_per_s("float32", clock_ghz=3.0) == pytest.approx(3.0e9 * 32)
    with pytest.raises(EstimateError, match="clock"):
        genoa.core_flop_per_s("float32")
    with pytest.raises(EstimateError, match="float16"):
        graviton.core_flop_per_s("float16")


def test_empty_fields_are_none_and_not_zero(tmp_path):
    (spec,) = read_hardware(write(tmp_path, GPU_ROW))
    assert isinstance(spec, GpuSpec)
    assert spec.tf32_tflops is None
    assert spec.sm_count is None
    assert spec.aliases == ("Gee One", "G-1 SXM")
    with pytest.raises(EstimateError, match="host link"):
        _ = spec.h2d_bytes_per_s


@pytest.mark.parametrize(
    ("row", "change", "reason"),
    [
        (GPU_ROW, {"kind": "tpu"}, "kind is 'tpu'"),
        (GPU_ROW, {"name": ""}, "name is empty"),
        (GPU_ROW, {"source": " "}, "source is empty"),
        (GPU_ROW, {"memory_bandwidth_gb_per_s": "1.5"}, "memory_bandwidth_gb_per_s is 1.5"),
        (GPU_ROW, {"fp32_tflops": "fast"}, "fp32_tflops is 'fast'; it must be a number"),
        (GPU_ROW, {"fp32_tflops": "nan"}, "fp32_tflops is nan"),
        (GPU_ROW, {"memory_gib": "-40"}, "memory_gib is -40"),
        (CPU_ROW, {"clock_kind": "fast"}, "clock_kind is 'fast'"),
        (CPU_ROW, {"clock_kind": ""}, "clock_ghz and clock_kind"),
        (CPU_ROW, {"clock_ghz": "3700"}, "clock_ghz is 3700"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_row_and_reason(tmp_path, row, change, reason):
    file = write(tmp_path, {**row, **change})
    with pytest.raises(CatalogueError) as refused:
        read_hardware(file)
    assert "hardware.csv row 2: " in str(refused.value)
    assert reason in str(refused.value)


def test_two_rows_may_not_answer_to_one_name(tmp_path):
    file = write(tmp_path, GPU_ROW, {**GPU_ROW, "name": "gee-one", "aliases": ""})
    with pytest.raises(CatalogueError, match=r"row 3: 'gee-one' shares a name or alias with 'G1'"):
        read_hardware(file)


def test_a_missing_column_is_named(tmp_path):
    columns = tuple(column for column in HARDWARE_COLUMNS if column != "source")
    file = write(tmp_path, columns=columns)
    with pytest.raises(CatalogueError, match=r"hardware.csv: missing columns: source"):
        read_hardware(file)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_hardware(tmp_path / "hardware.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_hardware(binary)


def test_a_row_with_too_many_or_too_few_fields_is_refused(tmp_path):
    file = write(tmp_path, GPU_ROW)
    file.write_text(file.read_text() + "gpu,G2\n")
    with pytest.raises(CatalogueError, match=r"row 3: has not as many fields"):
        read_hardware(file)


def test_the_shipped_catalogue_is_read_once():
    assert shipped_hardware() is shipped_hardware()
