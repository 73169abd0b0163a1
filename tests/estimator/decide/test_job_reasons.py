"""Why a GPU gains or not for a recorded program, and what the CPU could: said from the parts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from estimator.decide import job_words
from estimator.decide.job_reasons import gains, reason
from estimator.decide.jobs import beside
from estimator.decide.more_cores import MoreCores
from estimator.jobs.estimate import JobEstimate, KindTime
from tests.estimator.made_up_run import make_run

JOB = make_run()
CPU = JobEstimate(
    *("m", "a machine", "cpu", "numpy"),
    *(0.9, 1.0, 1.1, 0.9, 1.0, 1.1),
    device_s=0.9,
    host_s=0.1,
    python_s=0.1,
    scope="run",
    kinds=(KindTime("exp", 20, 0.8, 0.0), KindTime("sum", 1, 0.1, 0.0)),
)


def on_gpu(**parts) -> JobEstimate:
    """A GPU whose run takes the sum of its parts."""
    given = {"device_s": 0.0, "copy_s": 0.0, "python_s": 0.0, "lacking": (), "calls_s": 0.0} | parts
    lacking = sum(seconds for _, seconds in given["lacking"])
    host_s = given["python_s"] + lacking + given.pop("calls_s")
    total = given["device_s"] + given["copy_s"] + host_s
    kinds = (KindTime("exp", 20, given["device_s"], host_s), KindTime("copy_to_cpu", 9, 0.0, 0.0))
    return replace(
        CPU,
        device="cuda",
        backend="cupy",
        seconds_p50=total,
        pipelined_seconds_p50=total,
        host_s=host_s,
        **{"kinds": kinds, **given},
    )


def test_a_gain_names_the_calls_that_gain_most():
    found = reason(JOB, CPU, on_gpu(device_s=0.004))
    assert found.startswith("most is gained in exp 800 ms to 4 ms")
    assert [one.kind for one in gains(CPU, on_gpu(device_s=0.004))][:2] == ["exp", "sum"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"python_s": 2.0}, "Python between array calls (2 s), which stays on the host"),
        ({"copy_s": 2.0}, "copying between host and GPU 9 times (2 s)"),
        ({"lacking": (("CuPy has no linalg.eig", 2.0),)}, "CuPy has no linalg.eig (2 s)"),
        ({"calls_s": 2.0}, "calls on small arrays"),
    ],
    ids=["python", "copies", "lacking", "calls"],
)
def test_no_gain_names_what_keeps_the_gpu_busy_or_waiting(parts, said):
    assert said in reason(JOB, CPU, on_gpu(**parts))


def test_python_is_placed_by_the_line_before_whose_call_most_of_it_lies():
    assert "most of it before sim.py:7" in reason(JOB, CPU, on_gpu(python_s=2.0))


def test_kernels_that_gain_nothing_are_named_with_both_times():
    slow = on_gpu(device_s=1.2)
    assert "exp takes 1.2 s on the GPU and 800 ms on the CPU" in reason(JOB, CPU, slow)


def test_each_gpu_is_set_against_the_cpu_of_its_own_machine():
    gpu, lonely = on_gpu(device_s=0.1), replace(on_gpu(device_s=0.1), machine_id="other")
    assert beside([gpu, CPU, lonely]) == [(CPU, gpu)]
    (line,) = job_words.why_lines(JOB, [gpu, CPU, lonely])
    assert line.startswith("why: a machine: the GPU has 10x the speed of the CPU")


@pytest.mark.parametrize(
    ("torch_s", "python_s", "said"),
    [
        (0.4, 0.1, ["torch on all cores 400 ms"]),
        (0.95, 0.1, []),
        (0.95, 0.8, ["numba down to 208 ms"]),
        (0.4, 0.8, ["torch on all cores 400 ms", "numba down to 208 ms"]),
    ],
    ids=["torch", "neither", "numba", "both"],
)
def test_other_libraries_are_named_where_they_give_much(torch_s, python_s, said):
    cpu = replace(CPU, python_s=python_s)
    torch = replace(CPU, backend="torch", seconds_p50=torch_s)
    lines = job_words.more_cores_lines([MoreCores(cpu, torch, 100.0)])
    assert len(lines) == bool(said)
    assert all(one in " ".join(lines).replace("\n  ", " ") for one in said)


def test_without_numba_s_time_nothing_is_said_of_it():
    slow = replace(CPU, python_s=0.9)
    assert job_words.more_cores_lines([MoreCores(slow, None, math.nan)]) == []


def test_a_run_is_asked_for_by_what_it_took_where_it_was_recorded():
    text = " ".join(job_words.asked_job(JOB).split())
    assert text == (
        "asked: one run of sim.py (it took 1 s on a CPU, 2 threads: 90% in 42 array calls, 10% in "
        "Python)"
    )
