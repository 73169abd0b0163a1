"""Operations that do not fit a machine are refused; where they may not fit, the answer says so."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError, SelectionError
from collector.workloads import JobMemory
from estimator.catalogue.hardware import match_gpu
from estimator.decide.memory import GIB, Memory, check_memory, judge, memory_of
from estimator.model.model import Model


def target(name):
    if match_gpu(name) is None and name != "EPYC 9R14":
        raise SelectionError(name)
    return SimpleNamespace(gpu=match_gpu(name))


class OneMachine:
    machines = pd.DataFrame(
        {
            "machine_id": ["box"],
            "label": ["a box"],
            "memory_bytes": [64.0 * GIB],
            "gpu_memory_bytes": [140.0 * GIB],
        }
    )
    donors = SimpleNamespace(target=target)
    room_bytes = Model.room_bytes

    def label(self, machine):
        return {"box": "a box"}.get(machine, machine)


def question(n: int, device: str, machine: str = "box", dtype: str = "float32", **more: object):
    return {
        "machine_id": machine,
        "device": device,
        "workload": "matmul",
        "case": "square",
        "params": {"n": n},
        "dtype": dtype,
        "backend": "torch",
        **more,
    }


@pytest.mark.parametrize(
    ("n", "dtype", "gib"), [(80_000, "float32", 71.5), (120_000, "float16", 80.5)]
)
def test_three_matrices_need_three_matrices(n, dtype, gib):
    """The collector takes more than twice that, to measure and to check; no user does."""
    memory = check_memory(OneMachine(), question(n, "cuda", dtype=dtype))
    assert memory.needed.bytes / GIB == pytest.approx(gib, abs=0.05)
    assert memory.warning == ""
    assert f"{gib} GiB" in memory.text


def add(gib_each):
    return {
        **{"workload": "elementwise", "case": "add", "dtype": "float32"},
        "params": {"n": int(gib_each * GIB) // 4},
    }


def test_adding_two_arrays_of_10_gib_needs_30():
    for backend, device in (("torch", "cuda"), ("numpy", "cpu")):
        fits = judge(add(10.0), backend, device, 40.0 * GIB)
        assert (fits.shortage, fits.warning) == ("", "")
        assert fits.needed.bytes == 30.0 * GIB
        assert "needs about 30 GiB" in judge(add(10.0), backend, device, 24.0 * GIB).shortage


def test_a_product_larger_than_the_host_but_not_than_the_gpu_fits_the_gpu_only():
    assert memory_of(OneMachine(), question(80_000, "cuda")).shortage == ""
    shortage = memory_of(OneMachine(), question(80_000, "cpu")).shortage
    assert shortage == "does not fit its memory: needs about 71.5 GiB, its host has 64 GiB"


def test_what_does_not_fit_is_an_error_that_says_where_and_what_to_do():
    with pytest.raises(EstimateError, match=r"on a box does not fit .* choose smaller parameters"):
        check_memory(OneMachine(), question(1_000_000, "cpu"))


def test_a_gpu_known_by_name_is_judged_by_its_data_sheet():
    assert "has 24 GiB" in memory_of(OneMachine(), question(80_000, "cuda", "L4")).shortage
    unknown = memory_of(OneMachine(), question(10**6, "cpu", "EPYC 9R14"))
    assert math.isnan(unknown.room_bytes)
    assert (unknown.shortage, unknown.warning) == ("", "")


def test_between_the_job_and_the_upper_figure_stands_a_warning():
    """Between them lies a GPU's context, and what a library may take."""
    needed = judge(add(10.0), "torch", "cuda", math.nan).needed
    tight = judge(add(10.0), "torch", "cuda", 0.5 * (needed.bytes + needed.upper_bytes))
    assert tight.shortage == ""
    assert tight.warning.startswith("may not fit its memory: needs about 30 GiB, up to 31 GiB")


@given(*[st.floats(0.0, 1e15)] * 3)
def test_refused_warned_of_or_fitting_and_never_two_of_them(own, more, room):
    memory = Memory(JobMemory(own, own + more), room, "cuda")
    assert bool(memory.shortage) == (own > room)
    assert bool(memory.warning) == (own <= room < own + more)
