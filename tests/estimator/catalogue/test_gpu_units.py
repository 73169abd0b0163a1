"""Which unit of a GPU does an operation: never one that the GPU lacks, never another card's."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError, NoSuchUnitError, UnknownFigureError
from estimator.catalogue.gpu_units import Unit
from estimator.catalogue.hardware import match_gpu, shipped_hardware
from estimator.catalogue.hardware_specs import GpuSpec

GPUS = [spec for spec in shipped_hardware() if isinstance(spec, GpuSpec)]
DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "complex64", "complex128"),
    *("int8", "int32", "int64", "bool", "float8_e4m3fn"),
)
RATES = (
    *("fp64_tflops", "fp64_tensor_tflops", "fp32_tflops", "tf32_tflops"),
    *("fp16_tflops", "bf16_tflops", "int8_tops"),
)


def unit(name: str, dtype: str, math_mode: str = "ieee", matrix: bool = True) -> Unit:
    spec = match_gpu(name)
    assert spec is not None
    return spec.unit_for(dtype, math_mode, matrix)


questions = st.tuples(
    st.sampled_from(GPUS), st.sampled_from(DTYPES), st.sampled_from(("ieee", "tf32")), st.booleans()
)


@given(questions, st.sets(st.sampled_from(RATES)))
def test_every_unit_has_a_finite_rate_of_its_own_row_or_one_of_two_reasons(asked, blank):
    spec, dtype, math_mode, matrix = asked
    spec = replace(spec, **dict.fromkeys(blank))
    known = [getattr(spec, name) for name in RATES if getattr(spec, name) is not None]
    try:
        found = spec.unit_for(dtype, math_mode, matrix)
    except (NoSuchUnitError, UnknownFigureError) as error:
        reason = str(error)
    else:
        reason = ""
    if reason:
        assert reason.startswith(spec.name)
        assert "\n" not in reason
        return
    assert math.isfinite(found.flop_per_s)
    assert 0.0 < found.flop_per_s <= 1e12 * max(known)
    assert found.flop_per_s == spec.peak_flop_per_s(dtype, math_mode, matrix)
    assert found.note or not found.emulated


@given(questions)
def test_the_shipped_rows_leave_no_unit_of_a_measured_type_blank(asked):
    spec, dtype, math_mode, matrix = asked
    if dtype == "float8_e4m3fn":
        with pytest.raises(UnknownFigureError):
            spec.unit_for(dtype, math_mode, matrix)
    elif (spec.chip, dtype, matrix) == ("GP100", "int8", True):
        with pytest.raises(NoSuchUnitError, match="no units for products of int8"):
            spec.unit_for(dtype, math_mode, matrix)
    else:
        assert spec.unit_for(dtype, math_mode, matrix).flop_per_s > 0.0


@pytest.mark.parametrize("name", ["T4", "Quadro RTX 6000", "V100", "Tesla P100 PCIe 16GB", "P4"])
def test_bfloat16_before_ampere_is_computed_on_the_float32_units_and_says_so(name):
    found = unit(name, "bfloat16")
    assert found.name == "FP32 units"
    assert found.emulated
    assert found.flop_per_s == unit(name, "float32").flop_per_s
    assert "no BF16 tensor cores" in found.note


@pytest.mark.parametrize("name", ["P4", "Tesla P100 PCIe 16GB"])
def test_pascal_multiplies_float16_on_its_float32_units(name):
    found = unit(name, "float16")
    assert found.flop_per_s == unit(name, "float32").flop_per_s
    assert found.emulated


@pytest.mark.parametrize(
    ("asked", "name", "tera"),
    [
        (("V100", "float16"), "FP16 tensor cores", 125.0),
        (("A100", "bfloat16"), "BF16 tensor cores", 312.0),
        (("A100", "float32", "tf32"), "TF32 tensor cores", 156.0),
        (("A100", "float32", "tf32", False), "FP32 units", 19.5),
        (("V100", "float32", "tf32"), "FP32 units", 15.7),
        (("A100", "float64"), "FP64 tensor cores", 19.5),
        (("A100", "float64", "ieee", False), "FP64 units", 9.7),
        (("V100", "float64"), "FP64 units", 7.8),
        (("A100", "complex128"), "FP64 units", 9.7),
        (("A100", "complex64"), "FP32 units", 19.5),
        (("H100", "float16", "ieee", False), "FP32 units", 67.0),
        (("T4", "int8"), "INT8 tensor cores", 130.0),
        (("V100", "int8"), "INT8 dot products (DP4A)", 62.8),
        (("P4", "int8"), "INT8 dot products (DP4A)", 22.0),
        (("MI300X", "bfloat16"), "BF16 matrix cores", 1307.4),
        (("A100", "int32", "ieee", False), "INT32 units", 9.75),
        (("A100", "int64", "ieee", False), "INT32 units", 4.875),
        (("A10", "int32", "ieee", False), "INT32 units", 7.8),
        (("A10", "bool", "ieee", False), "INT32 units", 7.8),
    ],
)
def test_the_unit_is_the_one_that_the_white_papers_name(asked, name, tera):
    found = unit(*asked)
    assert found.name == name
    assert found.flop_per_s == pytest.approx(1e12 * tera)
    assert not found.emulated


def test_blackwell_ultra_multiplies_int8_thirty_times_slower_than_blackwell():
    assert unit("B200", "int8").flop_per_s == 30.0 * unit("B300", "int8").flop_per_s


def test_a_blank_is_another_fact_than_a_missing_unit():
    assert issubclass(NoSuchUnitError, EstimateError)
    assert issubclass(UnknownFigureError, EstimateError)
    assert not issubclass(NoSuchUnitError, UnknownFigureError)
    with pytest.raises(UnknownFigureError, match="leaves that of its BF16 tensor cores empty"):
        replace(GPUS[10], bf16_tflops=None).unit_for("bfloat16")
