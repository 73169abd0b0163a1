"""Ratios of the parts of a time between machines, from their data sheets."""

import numpy as np
import pandas as pd
import pytest

from estimator.donor_pairs import Pairs
from estimator.hardware import match_cpu, match_gpu
from estimator.machine_facts import MachineFacts, cpu_name, facts_of_name, relation
from estimator.part_scaling import part_ratios

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
    return part_ratios(Pairs.one(target, donor, 1), cell(**changes))[0]


def test_a_gpus_parts_follow_their_own_figures():
    launch, compute, memory, transfer = ratios(gpu_machine(T4), gpu_machine(H100), workload="fft")
    assert launch == 1.0
    assert transfer == pytest.approx(63.0 / 15.75)
    # rates of the data sheets, but for the shares that published kernels reach of them
    assert compute == pytest.approx(67.0 / 8.1, rel=0.6)
    assert memory == pytest.approx(3350.0 / 320.0, rel=0.6)


def test_there_and_back_is_where_it_was():
    there = ratios(gpu_machine(T4), gpu_machine(H100), workload="matmul")
    back = ratios(gpu_machine(H100), gpu_machine(T4), workload="matmul")
    assert there * back == pytest.approx(np.ones(4))


def test_the_same_gpu_scales_by_nothing():
    assert list(ratios(gpu_machine(T4), gpu_machine(T4))) == [1.0] * 4


def test_what_no_catalogue_has_is_left_as_it_is():
    unknown = MachineFacts("x", "x", gpu_model="a GPU of next year")
    assert list(ratios(unknown, gpu_machine(T4))) == [1.0] * 4


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
