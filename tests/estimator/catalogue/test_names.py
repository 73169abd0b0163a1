"""Usual names of element types, devices and rented machines mean what people mean by them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import SelectionError
from collector.workloads import FAMILIES
from estimator.catalogue.instances import shipped_instances
from estimator.catalogue.names import device_of, dtype_of, instance_named, near
from estimator.commands.cli import main
from estimator.others.facts import facts_of_name, unknown_machine


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("float16", "fp16 half float16 torch.float16 torch.half np.float16 FP16"),
        ("bfloat16", "bf16 bfloat16 torch.bfloat16 BF16"),
        ("float32", "fp32 float single float32 torch.float32 numpy.float32"),
        ("float64", "fp64 double float64 torch.double"),
        ("complex64", "c64 complex64 torch.cfloat"),
        ("complex128", "c128 torch.complex128"),
        ("int8", "int8 torch.int8 i8"),
    ],
)
def test_usual_names_of_types_are_understood(name, names):
    assert {dtype_of(text) for text in names.split()} == {name}


def test_every_type_that_is_measured_is_its_own_name():
    for family in FAMILIES.values():
        for pairs in family.support.values():
            assert all(dtype_of(dtype) == dtype for dtype, _ in pairs)


@given(st.text(max_size=12))
def test_another_text_stays_as_it_is_for_whoever_names_what_is_wrong(text):
    try:
        found = dtype_of(text)
    except SelectionError:
        return
    assert found == text or dtype_of(found) == found


def test_tf32_is_a_math_mode():
    with pytest.raises(SelectionError, match="math mode of float32"):
        dtype_of("tf32")


def test_usual_names_of_devices_are_understood():
    assert {device_of(text) for text in ("gpu", "cuda", "cuda:0", "CUDA:1", "GPU")} == {"cuda"}
    assert {device_of(text) for text in ("cpu", "cpu:0", "CPU")} == {"cpu"}
    assert device_of("cuda:first") == "cuda:first"
    assert device_of("tpu") == "tpu"


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("g5.xlarge", "A10G"),
        ("aws/g5.xlarge", "A10G"),
        ("AWS/G5.XLARGE", "A10G"),
        ("Standard_NC24ads_A100_v4", "A100 PCIe 80GB"),
        ("NC24ads_A100_v4", "A100 PCIe 80GB"),
        ("g2-standard-4", "L4"),
    ],
)
def test_an_instance_stands_for_its_gpu(name, gpu):
    facts = facts_of_name(name)
    assert facts is not None
    assert facts.gpu is not None
    assert facts.gpu.name == gpu
    assert facts.has("cuda")


def test_an_instance_without_a_gpu_stands_for_its_cores():
    item = next(i for i in shipped_instances() if not i.gpu_count and i.hardware)
    facts = facts_of_name(f"{item.provider}/{item.instance}")
    assert facts.cpu.name == item.hardware
    assert facts.physical_cores == max(1, item.vcpu // (facts.cpu.vcpus_per_core or 1))


def test_regions_are_one_machine_and_several_machines_are_named():
    item = shipped_instances()[0]
    elsewhere = replace(item, region="elsewhere", on_demand_usd_per_h=9.0)
    assert instance_named(item.instance, [item, elsewhere]) == elsewhere
    place = f"{item.provider}/{item.instance}/{item.region}"
    assert instance_named(place, [item, elsewhere]) == item
    other = replace(item, provider="other")
    with pytest.raises(SelectionError, match=r"several machines; choose one of .*other/"):
        instance_named(item.instance, [item, other])
    assert instance_named("no/such/place/at/all", [item]) is None


def test_an_unknown_name_is_one_line_with_near_matches():
    assert near("g5.xlrge", ["g5.xlarge", "m7i.large", "T4"])[0] == "g5.xlarge"
    text = unknown_machine("g5.xlrge", {"abc": "a box"})
    assert "did you mean" in text
    assert "g5.xlarge" in text
    assert "abc (a box)" in text
    assert "\n" not in text
    assert "did you mean" not in unknown_machine("qqqqqqqqqq", {})


def answer(capsys, *arguments):
    """What ``predict`` says of the shipped runs."""
    main(["predict", "matmul", "--param", "n=2048", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    return found[0] if isinstance(found, list) else found


@pytest.mark.usefixtures("shipped_model")  # fitted once, whoever asks
def test_the_command_line_takes_usual_names(capsys):
    usual = answer(capsys, "--dtype", "half", "--device", "cuda:0", "--machine", "aws/g5.xlarge")
    exact = answer(capsys, "--dtype", "float16", "--device", "cuda", "--machine", "A10G")
    assert usual["dtype"] == "float16"
    assert usual["seconds_p50"] == exact["seconds_p50"]


@pytest.mark.usefixtures("shipped_model")
def test_an_emulated_type_is_answered_with_the_reason(capsys):
    arguments = ["predict", "matmul", "--param", "n=4096", "--dtype", "bf16"]
    main([*arguments, "--device", "gpu", "--machine", "T4"])
    assert "T4: Turing has no BF16 tensor cores" in capsys.readouterr().out


@pytest.mark.usefixtures("shipped_model")
def test_a_product_that_a_gpu_has_no_units_for_is_refused_with_the_reason(capsys):
    arguments = ["predict", "matmul", "--case", "int8_square", "--param", "n=4096"]
    arguments += ["--dtype", "int8", "--device", "gpu", "--machine", "P100"]
    assert main(arguments) == 2
    assert "no units for products of int8" in capsys.readouterr().err
