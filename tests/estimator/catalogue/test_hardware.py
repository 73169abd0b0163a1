"""The hardware catalogue: what it says, whom it matches, what it refuses."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from collector.errors import CatalogueError, EstimateError, UnknownFigureError
from estimator.catalogue.hardware import (
    HARDWARE_COLUMNS,
    HARDWARE_PATH,
    match_cpu,
    match_gpu,
    read_hardware,
    shipped_hardware,
)
from estimator.catalogue.hardware_specs import CpuSpec, GpuSpec, disagreement

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


def shipped_rows() -> list[dict[str, str]]:
    with HARDWARE_PATH.open(newline="") as file:
        return list(csv.DictReader(file))


ASKED_FOR = (
    "T4",
    "L4",
    "A10G",
    "L40S",
    "V100 SXM2 16GB",
    "A100 SXM4 40GB",
    "A100 SXM4 80GB",
    "H100 PCIe",
    "H100 SXM",
    "H100 NVL",
    "H200 SXM",
    "H200 NVL",
    "B200",
    "B300",
    "GB200",
    "GB300",
    "MI300X",
    "RTX 4090",
    "RTX PRO 6000 Blackwell Server",
)

# Rows whose figures cannot all be derived, and why the checks must leave them out.
NO_BOOST_CLOCK = {"GB200", "GB300", "RTX PRO 6000 Blackwell Server"}
NO_PIN_RATE = {"B200", "B300", "GB200", "GB300", "RTX PRO 6000 Blackwell Server"}
# generations whose cards multiply int8 at two or four times the FP16 rate with float32 sums
TWO_INT8_RATIOS = {"Ada", "Blackwell"}
NOT_OPEN_CPUS = {"GCP e2 (CPU not fixed)", "GCP n1 (CPU not fixed)"}
MIXED_CPUS = {
    "Azure Dsv5 Ddsv5 (Xeon, CPU not fixed)",
    "Azure Fsv2 (Xeon, CPU not fixed)",
    *NOT_OPEN_CPUS,
}


def test_the_shipped_catalogue_is_valid_and_every_row_names_its_source():
    specs = read_hardware()
    assert {type(spec) for spec in specs} == {GpuSpec, CpuSpec}
    assert all(len(spec.source) > 20 for spec in specs)
    assert all(len(spec.checked_against) > 20 for spec in specs)
    assert all(date.fromisoformat(spec.checked_on) >= date(2026, 11, 21) for spec in specs)


@pytest.mark.parametrize("name", ASKED_FOR)
def test_the_gpus_that_were_asked_for_have_every_figure_that_scaling_needs(name):
    spec = gpu(name)
    figures = (spec.fp32_tflops, spec.memory_bandwidth_gb_per_s, spec.h2d_gb_per_s)
    figures += (spec.sm_count, spec.last_level_cache_mib, spec.tdp_w, spec.memory_gib)
    assert None not in figures


def test_the_cpus_cover_the_families_of_the_three_large_clouds_and_rented_gpu_hosts():
    names = [spec.name for spec in shipped_hardware() if isinstance(spec, CpuSpec)]
    for start in ("AWS c7i", "AWS c7g", "GCP c3 ", "GCP a2 g2", "Azure Dsv6", "Azure ND H100"):
        assert any(name.startswith(start) for name in names), start
    for host in ("Xeon Platinum 8480+", "EPYC 7J13", "EPYC 9654", "Grace CPU", "EPYC 7R32"):
        assert match_cpu(host) is not None, host


def test_peak_rates_follow_from_units_width_and_clock_within_four_percent():
    """Four: the P4's sheet says 5.5 TFLOP/s for 5.70; all others agree within three."""
    for spec in shipped_hardware():
        if isinstance(spec, GpuSpec) and spec.name not in NO_BOOST_CLOCK:
            factors = (spec.sm_count, spec.fp32_lanes_per_sm, spec.boost_clock_ghz)
            assert None not in factors, spec.name
            peak = 2e-3 * math.prod(factors)
            within = 0.04 if spec.name == "Tesla P4" else 0.03
            assert spec.fp32_tflops == pytest.approx(peak, rel=within), spec.name


def test_bandwidth_follows_from_width_and_rate_within_three_percent():
    for spec in shipped_hardware():
        if isinstance(spec, GpuSpec) and spec.name not in NO_PIN_RATE:
            factors = (spec.memory_bus_bits, spec.memory_gbit_per_s_per_pin)
            assert None not in factors, spec.name
            rate = math.prod(factors) / 8
            assert spec.memory_bandwidth_gb_per_s == pytest.approx(rate, rel=0.03), spec.name
        if isinstance(spec, CpuSpec) and spec.memory_channels and spec.memory_mt_per_s:
            rate = spec.memory_channels * spec.memory_mt_per_s * 8 / 1000
            assert spec.memory_bandwidth_gb_per_s == pytest.approx(rate, rel=0.001), spec.name


def derivable(spec: GpuSpec | CpuSpec) -> list[str]:
    """Columns of a shipped row that a rule derives from its other columns."""
    if isinstance(spec, CpuSpec):
        columns = [] if spec.name in MIXED_CPUS else ["fp64_flop_per_cycle"]
        columns += ["fp32_flop_per_cycle"]
        columns += ["memory_bandwidth_gb_per_s", "memory_channels", "memory_mt_per_s"] * bool(
            spec.memory_channels
        )
    else:
        columns = ["fp64_tflops", "fp64_tensor_tflops", "tf32_tflops", "h2d_gb_per_s"]
        columns += ["int8_tops"] * (spec.architecture not in TWO_INT8_RATIOS)
        if spec.name not in NO_BOOST_CLOCK:
            columns += ["fp32_tflops", "fp16_tflops", "sm_count", "boost_clock_ghz"]
        if spec.name not in NO_PIN_RATE:
            columns += ["memory_bandwidth_gb_per_s", "memory_bus_bits"]
            columns += ["memory_gbit_per_s_per_pin"]
    return [column for column in columns if getattr(spec, column) is not None]


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_figure_that_is_twice_or_half_what_it_should_be_is_found(factor):
    tried = 0
    for spec in shipped_hardware():
        assert disagreement(spec) is None, spec.name
        for column in derivable(spec):
            wrong = replace(spec, **{column: getattr(spec, column) * factor})
            assert disagreement(wrong) is not None, f"{spec.name} {column} x {factor}"
            tried += 1
    assert tried > 300


def test_a_tensor_rate_with_sparsity_in_place_of_the_dense_one_is_found():
    sparse = replace(gpu("H100-SXM"), tf32_tflops=989.0, fp16_tflops=1979.0, bf16_tflops=1979.0)
    assert "fp16_tflops is 1979" in (disagreement(sparse) or "")


def test_a_typing_slip_in_the_shipped_file_is_refused_with_row_and_both_numbers(tmp_path):
    rows = shipped_rows()
    at = next(i for i, row in enumerate(rows) if row["name"] == "H100 SXM")
    rows[at]["memory_bandwidth_gb_per_s"] = "6700"
    with pytest.raises(CatalogueError) as refused:
        read_hardware(write(tmp_path, *rows))
    assert f"row {at + 2}: H100 SXM: memory_bandwidth_gb_per_s is 6700" in str(refused.value)
    assert "bus width x rate of a pin / 8 gives 3352.32" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "clock_ghz"),
    [
        ("8481C", 3.0),
        ("8581C", 3.1),
        ("9B14", 3.3),
        ("9B45", 3.5),
        ("6268CL", 3.4),
        ("8273CL", 2.9),
    ],
)
def test_clocks_of_googles_processors_are_those_of_its_platform_table(name, clock_ghz):
    """All-core turbo or effective frequency, Compute Engine CPU platforms of 2026-04-10."""
    (spec,) = [s for s in shipped_hardware() if isinstance(s, CpuSpec) and name in s.name]
    assert spec.clock_ghz == clock_ghz
    assert spec.clock_kind == "all_core"


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


@pytest.mark.parametrize(("name", "dtype"), [("T4", "float8_e4m3fn"), ("T4", "text")])
def test_a_rate_that_is_not_known_is_refused_by_name(name, dtype):
    with pytest.raises(EstimateError, match=f"T4: no peak rate for {dtype}"):
        gpu(name).peak_flop_per_s(dtype)


def test_tf32_that_was_not_established_is_not_guessed_from_float32():
    with pytest.raises(UnknownFigureError, match="no peak rate"):
        replace(gpu("RTX PRO 6000"), tf32_tflops=None).peak_flop_per_s("float32", "tf32")


def test_a_rate_of_units_that_a_generation_does_not_have_is_refused():
    turing = replace(gpu("T4"), bf16_tflops=65.0)
    assert "bf16_tflops is given, but Turing has no such units" in (disagreement(turing) or "")


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
        (CPU_ROW, {"boost_clock_ghz": "2.5"}, "boost_clock_ghz is 2.5, below clock_ghz 3.7"),
        (GPU_ROW, {"cores_per_socket": "8"}, "cores_per_socket is given, but not for a gpu"),
        (CPU_ROW, {"sm_count": "8"}, "sm_count is given, but not for a cpu"),
        (CPU_ROW, {"host_link": "PCIe 4.0 x16"}, "host_link is given, but not for a cpu"),
        (GPU_ROW, {"sm_count": "107.5"}, "sm_count is 107.5; it must be a whole number"),
        (GPU_ROW, {"checked_on": "2026-11-21"}, "checked_against and checked_on"),
        (GPU_ROW, {"checked_against": "a sheet", "checked_on": "today"}, "checked_on is 'today'"),
        (GPU_ROW, {"fp64_tflops": "4.85"}, "fp64_tflops is 4.85, but fp32_tflops / 2 of Ampere"),
        (GPU_ROW, {"fp64_tensor_tflops": "9.7"}, "2 x fp64_tflops of Ampere gives 19.4"),
        (GPU_ROW, {"fp16_tflops": "312", "tf32_tflops": "312"}, "half of fp16_tflops gives 156"),
        (GPU_ROW, {"fp16_tflops": "312", "bf16_tflops": "624"}, "bf16_tflops is 624"),
        (
            GPU_ROW,
            {"sm_count": "108", "fp32_lanes_per_sm": "128", "boost_clock_ghz": "1.41"},
            "SMs x FP32 lanes x 2 x boost clock gives 38.9837",
        ),
        (
            GPU_ROW,
            {"memory_bus_bits": "640", "memory_gbit_per_s_per_pin": "2.43"},
            "bus width x rate of a pin / 8 gives 194.4",
        ),
        (GPU_ROW, {"host_link": "PCIe x16"}, "host_link is 'PCIe x16'; use one of PCIe 3.0 x16"),
        (
            GPU_ROW,
            {"host_link": "PCIe 4.0 x16", "h2d_gb_per_s": "64"},
            "h2d_gb_per_s is 64, but the rate of PCIe 4.0 x16 gives 31.5",
        ),
        (
            {**GPU_ROW, "architecture": "Turing", "fp64_tflops": ""},
            {"fp64_tensor_tflops": "19.5"},
            "Turing is not known to have any",
        ),
        (CPU_ROW, {"fp64_flop_per_cycle": "32"}, "the FMA units of Zen 4 gives 16"),
        (CPU_ROW, {"fp32_flop_per_cycle": "64"}, "twice that of FP64 gives 32"),
        (
            CPU_ROW,
            {
                "memory_channels": "12",
                "memory_mt_per_s": "4800",
                "memory_bandwidth_gb_per_s": "921.6",
            },
            "channels x MT/s x 8 B gives 460.8",
        ),
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
