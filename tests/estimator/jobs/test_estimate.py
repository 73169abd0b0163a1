"""A job's step from the answers to its cells: what is asked, what adds up, what is said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.jobs import COPY_TO_GPU, JobMemory, Phase
from collector.workloads import RUNTIME_BYTES
from estimator.jobs.estimate import Ask, as_json, estimate_job
from estimator.jobs.job_memory import ALLOCATOR_SHARE, WORKSPACE_BYTES
from estimator.jobs.place import Place
from tests.estimator.made_up_job import make_job, operation, product, tensor, with_operation

GPU = Place("gpu", "a GPU", "cuda", room_bytes=2.0**34)
CPU = Place("cpu", "a CPU", "cpu", room_bytes=2.0**34)


class Answers:
    """Answers every cell in one time, but those of some families or element types."""

    def __init__(self, seconds=1e-3, width=0.2, basis="measured", silent=(), far=()):
        self.seconds, self.width, self.basis = seconds, width, basis
        self.silent, self.far = silent, far
        self.asked: list[pd.DataFrame] = []

    def predict(self, cells):
        self.asked.append(cells)
        known = ~cells["workload"].isin(self.silent) & ~cells["dtype"].isin(self.silent)
        middle = pd.Series(self.seconds, cells.index).where(known)
        return pd.DataFrame(
            {
                "seconds_p5": middle * math.exp(-self.width),
                "seconds_p50": middle,
                "seconds_p95": middle * math.exp(self.width),
                "basis": self.basis,
                "bound": "memory",
            }
        )

    def covered(self, cells):
        return (~cells["workload"].isin(self.far)).to_numpy()

    @property
    def ask(self):
        return Ask(self.predict, lambda cell: f"no {cell['workload']} here", self.covered)


def estimate(job, place=GPU, **answers):
    return estimate_job(job, [place], Answers(**answers).ask)[0]


def test_every_machine_is_asked_for_each_different_cell_once_and_all_in_one_table():
    answers = Answers()
    job = make_job()
    twice = replace(job, phases=(Phase("step", 1, job.step.sequence * 2),))
    places = [GPU, replace(GPU, machine_id="other"), replace(GPU, host_scale=2.0)]
    estimate_job(twice, places, answers.ask)
    assert len(answers.asked) == 1
    cells = answers.asked[0]
    keys = cells.assign(params=cells["params"].map(str))
    assert not keys.duplicated().any()
    assert set(cells["machine_id"]) == {"gpu", "other"}


def test_kernels_are_asked_hot_and_copies_as_they_were_measured():
    answers = Answers()
    estimate_job(make_job(), [GPU], answers.ask)
    cells = answers.asked[0]
    copies = cells["workload"] == "transfer"
    assert copies.any()
    assert set(cells.loc[copies, "mode"]) == {"resident"}
    assert set(cells.loc[~copies, "mode"]) == {"hot"}


def test_the_parts_are_sums_of_what_the_step_asks():
    found = estimate(make_job())
    assert found.device_s == pytest.approx(7e-3)  # five kinds of kernels, one product twice
    assert found.copy_s == pytest.approx(1e-3)
    assert 0.0 < found.host_s < 1e-3
    assert found.bound == "device"
    assert found.samples_per_s == pytest.approx(64 / found.pipelined_seconds_p50)
    assert found.tokens_per_s == pytest.approx(640 / found.pipelined_seconds_p50)


def test_a_slow_host_bounds_small_kernels():
    quick, slow = (
        estimate(make_job(), replace(GPU, host_scale=scale), seconds=1e-6) for scale in (1.0, 3.0)
    )
    assert quick.bound == slow.bound == "host"
    assert slow.host_s == pytest.approx(3.0 * quick.host_s)
    assert slow.device_s == quick.device_s
    assert all(one.bound == "host" for one in quick.top if one.kind != COPY_TO_GPU)


@given(st.floats(1e-7, 1e-1), st.floats(0.01, 1.5), st.floats(0.3, 3.0))
def test_ends_of_the_interval_lie_about_the_estimate_and_above_what_the_device_needs(
    seconds, width, scale
):
    found = estimate(make_job(), replace(GPU, host_scale=scale), seconds=seconds, width=width)
    least = (found.device_s + found.copy_s) * math.exp(-width)
    for low, middle, high in (
        (found.seconds_p5, found.seconds_p50, found.seconds_p95),
        (
            found.pipelined_seconds_p5,
            found.pipelined_seconds_p50,
            found.pipelined_seconds_p95,
        ),
    ):
        assert least <= low * (1 + 1e-9)
        assert low <= middle <= high
    assert found.pipelined_seconds_p50 <= found.seconds_p50


def test_what_is_not_measured_makes_the_interval_wider():
    job = make_job()
    strange = with_operation(job, operation("frobnicate", (tensor(8192, 8192),), ()))
    known, unknown = (estimate(one, width=0.05) for one in (job, strange))

    def width(found):
        return math.log(found.seconds_p95 / found.seconds_p5)

    assert width(unknown) > width(known)


def test_a_cpu_computes_after_it_has_asked_and_copies_nothing():
    answers = Answers()
    found = estimate_job(make_job(), [CPU], answers.ask)[0]
    assert set(answers.asked[0]["device"]) == {"cpu"}
    assert "transfer" not in set(answers.asked[0]["workload"])
    assert found.copy_s == 0.0
    assert found.seconds_p50 == pytest.approx(found.device_s + found.host_s)


def test_a_cpu_is_asked_in_float32_for_what_a_gpu_does_in_half_of_it():
    answers = Answers()
    job = make_job(dtype="bfloat16")
    on_cpu, on_gpu = estimate_job(job, [CPU, GPU], answers.ask)
    cells = answers.asked[0]
    assert set(cells.loc[cells["device"] == "cpu", "dtype"]) == {"float32"}
    assert "bfloat16" in set(cells.loc[cells["device"] == "cuda", "dtype"])
    assert any("float32 on a CPU" in note for note in on_cpu.notes)
    assert not any("float32 on a CPU" in note for note in on_gpu.notes)


def test_the_share_that_is_covered_and_the_kinds_of_the_rest():
    job = with_operation(make_job(), operation("frobnicate", (tensor(8192, 8192),), ()))
    found = estimate(job, far=("transfer",))
    assert dict(found.unknown).keys() == {"frobnicate"}
    assert {"frobnicate", COPY_TO_GPU, "_foreach_addcmul_"} <= dict(found.uncovered).keys()
    assert "mm" not in dict(found.uncovered)
    assert found.covered_share == pytest.approx(1.0 - sum(dict(found.uncovered).values()))
    assert found.basis == "nearest_kind"


def test_the_basis_is_the_weakest_of_what_matters():
    job = replace(make_job(), operations=(product(64, 64, 64),), phases=(Phase("s", 1, (0,)),))
    assert estimate(job, basis="extrapolated").basis == "extrapolated"


def test_what_a_machine_cannot_answer_goes_by_its_counted_work():
    gathered = operation("index_select", (tensor(1000, 64), tensor(64, dtype="int64")), ())
    assert estimate(with_operation(make_job(), gathered), silent=("gather",)).answered


def test_a_machine_that_cannot_do_the_work_at_all_says_why():
    refused = estimate(make_job(), silent=("matmul",))
    assert refused.reason == "no matmul here"
    assert math.isnan(refused.seconds_p50)
    assert refused.needed_bytes > 0.0  # its memory is known all the same


def test_one_machine_without_an_answer_leaves_the_others():
    silent = replace(GPU, machine_id="x", reason="it has no GPU that is known")
    found = estimate_job(make_job(), [silent, GPU], Answers().ask)
    assert [one.answered for one in found] == [False, True]


def test_memory_is_the_job_s_with_the_allocator_and_the_libraries():
    memory = JobMemory(parameters_bytes=2**30, activations_bytes=2**30)
    on_gpu, on_cpu = estimate_job(make_job(memory=memory), [GPU, CPU], Answers().ask)
    peak = 2**31 + 2 * WORKSPACE_BYTES  # its products, and those of the backward pass
    assert on_gpu.peak_bytes == peak
    assert on_gpu.needed_bytes == peak * (1 + ALLOCATOR_SHARE) + RUNTIME_BYTES["cuda"]
    assert on_cpu.needed_bytes == 2**31 + RUNTIME_BYTES["cpu"]


@pytest.mark.parametrize(("room", "fits"), [(2.0**33, True), (2.0**31, False), (math.nan, None)])
def test_a_job_fits_where_there_is_room(room, fits):
    memory = JobMemory(parameters_bytes=2**31)
    found = estimate(make_job(memory=memory), replace(GPU, room_bytes=room))
    assert found.fits is fits


def test_phases_before_the_step_are_counted_apart():
    job = make_job()
    first = Phase("set up", 3, job.step.sequence)
    found = estimate(replace(job, phases=(first, job.step)))
    assert found.set_up_s == pytest.approx(3 * found.seconds_p50)
    assert found.seconds_p50 == estimate(job).seconds_p50


def test_the_operations_that_take_most_come_first_and_ten_at_most():
    job = make_job()
    for width in range(100, 2000, 100):
        job = with_operation(job, product(width, width, width))
    top = estimate(job).top
    assert len(top) == 10
    assert [one.seconds for one in top] == sorted((one.seconds for one in top), reverse=True)
    assert top[0].operands.startswith("float32 ")


def test_json_has_the_fields_that_others_read():
    found = as_json(estimate(make_job()))
    assert {
        *("machine_id", "seconds_p5", "seconds_p50", "seconds_p95", "pipelined_seconds_p50"),
        *("device_s", "host_s", "copy_s", "peak_bytes", "fits", "covered_share", "basis"),
    } <= found.keys()


@pytest.mark.parametrize("machine", ["H200", "T4", "L4", "H100 SXM", "EPYC 9654", "17dff829"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_estimate_and_no_end_beats_what_the_hardware_can_do(shipped_model, machine, dtype):
    job = make_job(batch=4096, width=4096, dtype=dtype)
    name = shipped_model.types.find(machine)[0]
    found = shipped_model.predict_job(job, [name])[0]
    assert found.answered, found.reason
    flop = sum(one.flop for one in job.operations)
    cells = pd.DataFrame(
        [
            {
                **{"machine_id": name, "workload": "matmul", "case": "square"},
                **{"params": {"n": 4096}, "backend": "torch", "device": found.device},
                "dtype": dtype if found.device == "cuda" else "float32",
            }
        ]
    )
    box = shipped_model.types.on_boxes(cells)
    facts = shipped_model.donors.target(str(box["machine_id"].iloc[0]))
    if found.device == "cuda":
        peak = facts.gpu.peak_flop_per_s(dtype, "ieee", matrix=True)
        assert found.seconds_p5 >= flop / peak
        moved = sum(one.bytes_read + one.bytes_written for one in job.operations if one.launches)
        assert found.seconds_p5 >= moved / 100 / facts.gpu.memory_bytes_per_s
    assert found.seconds_p5 <= found.seconds_p50 <= found.seconds_p95
    assert np.isfinite(found.seconds_p95)


def test_a_half_type_that_a_gpu_has_no_unit_for_runs_no_faster_than_float32(shipped_model):
    halves, singles = (
        shipped_model.predict_job(make_job(batch=4096, width=4096, dtype=dtype), ["T4"])[0]
        for dtype in ("bfloat16", "float32")
    )
    assert halves.seconds_p50 > 0.5 * singles.seconds_p50


def test_a_slower_host_of_the_same_gpu_takes_longer_for_small_kernels(shipped_model):
    old, new = (
        shipped_model.predict_job(make_job(batch=1, width=64), [name])[0]
        for name in ("aws/g4dn.xlarge", "aws/g5.xlarge")
    )
    assert old.bound == new.bound == "host"
    assert old.host_s != new.host_s
