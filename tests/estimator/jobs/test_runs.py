"""A recorded run: all its phases count, the host's Python stays, CuPy's calls cost the host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.jobs import COPY_TO_CPU
from estimator.jobs.cupy_calls import call_seconds
from estimator.jobs.estimate import estimate_job
from estimator.jobs.place import Place
from tests.estimator.jobs.test_estimate import Answers
from tests.estimator.made_up_run import CALLS, call, make_run, unfolded

GPU = Place("gpu", "a GPU", "cuda", "cupy", host_point_s=50e-9)
CPU = Place("cpu", "a CPU", "cpu", "numpy", host_point_s=50e-9)


def estimate(job, place=GPU, **answers):
    return estimate_job(job, [place], Answers(**answers).ask)[0]


def test_all_phases_count_each_as_often_as_it_says():
    found = estimate(make_run(loops=20))
    assert found.device_s == pytest.approx((1 + 20 + 1) * 1e-3)
    calls = {one.kind: one.calls for one in found.kinds}
    assert calls == {
        "random.standard_normal": 1,
        **{"exp": 20, "view": 20, "sum": 1, COPY_TO_CPU: 1},
    }


@pytest.mark.parametrize("place", [GPU, CPU], ids=["gpu", "cpu"])
@pytest.mark.parametrize("seconds", [1e-3, 1e-6])
def test_a_folded_loop_takes_as_long_as_one_that_is_written_out(place, seconds):
    job = make_run(loops=50)
    folded, plain = (estimate(one, place, seconds=seconds) for one in (job, unfolded(job)))
    assert folded.seconds_p50 == pytest.approx(plain.seconds_p50, rel=0.05)
    assert folded.host_s == pytest.approx(plain.host_s)


def test_a_run_has_one_time_whether_waited_for_or_not():
    found = estimate(make_run())
    assert found.scope == "run"
    assert found.pipelined_seconds_p50 == found.seconds_p50
    assert found.seconds_p5 < found.seconds_p50 < found.seconds_p95


@pytest.mark.parametrize("place", [GPU, CPU], ids=["gpu", "cpu"])
def test_python_between_calls_stays_on_the_host_as_long_as_its_python_takes(place):
    found = estimate(make_run(loops=20), place)
    assert found.python_s == pytest.approx(20 * 100 * 50e-9)
    assert found.host_s >= found.python_s


def test_a_call_of_cupy_costs_the_host_what_it_was_measured_to():
    slow = replace(GPU, host_scale=2.0)
    found = estimate(make_run(loops=20), slow, seconds=1e-6)
    draw, exp, view, total, _ = CALLS
    calls = [(draw, 1), (exp, 20), (view, 20), (total, 1)]
    asked = 2.0 * sum(count * call_seconds(one) for one, count in calls)
    assert found.host_s - found.python_s == pytest.approx(asked)
    assert found.bound == "host"


@pytest.mark.parametrize(
    ("dear", "cheap"),
    [
        (call("roll", (9, 9), (9, 9)), call("add", (9, 9), (9, 9))),
        (call("sum", (9, 9), (9,), attributes=(("axis", 0),)), call("sum", (9, 9), ())),
        (call("scipy.linalg.solve", (9, 9), (9,), (9,)), call("matmul", (9, 9), (9,), (9,))),
        (call("add", (9,), (9,)), call("view", (9,), (9,), launches=0)),
    ],
    ids=["composed", "along an axis", "of SciPy", "no view"],
)
def test_calls_that_cupy_makes_of_others_cost_more(dear, cheap):
    assert call_seconds(dear) > call_seconds(cheap) > 0.0


def test_numpy_calls_have_their_own_cost_in_them_but_for_views():
    found = estimate(make_run(loops=20), CPU)
    views = 20 * 2e-7 / 2  # this host's Python is twice as fast as where it was recorded
    assert found.host_s - found.python_s == pytest.approx(views)
    assert found.seconds_p50 == pytest.approx(found.host_s + found.device_s)


def test_what_cupy_lacks_is_done_by_the_host_and_named():
    lacking = call(
        *("linalg.eig", (500, 500), (500, 500)),
        device="cpu",
        measured_s=0.4,
        reason="CuPy has no linalg.eig",
    )
    found = estimate(make_run(lacking))
    assert dict(found.lacking) == {"CuPy has no linalg.eig": pytest.approx(0.2)}
    assert found.seconds_p50 > 0.2
    on_cpu = estimate(make_run(lacking), CPU)
    assert on_cpu.lacking == ()
    assert {one.kind for one in on_cpu.kinds if one.device_s} >= {"linalg.eig"}


def test_a_call_that_nobody_knows_takes_on_a_cpu_what_it_took_where_it_was_recorded():
    unknown = call("scipy.odd.thing", (1000,), (1000,), measured_s=0.3)
    found = estimate(make_run(unknown), CPU)
    assert {one.kind: one.device_s for one in found.kinds}["scipy.odd.thing"] == pytest.approx(0.15)
    assert dict(found.unknown)["scipy.odd.thing"] > 0.5
    assert estimate(replace(make_run(unknown), recording=None), CPU).answered


def test_what_no_family_measures_takes_on_a_cpu_what_it_took_where_it_was_recorded():
    """A nearest kind would be further off: here only the device is another."""
    near = call("gradient", (1000,), (1000,), measured_s=0.3)
    kinds = {one.kind: one.device_s for one in estimate(make_run(near), CPU).kinds}
    assert kinds["gradient"] == pytest.approx(0.15)
    kinds = {one.kind: one.device_s for one in estimate(make_run(near), GPU).kinds}
    assert kinds["gradient"] == pytest.approx(3e-3)


@pytest.mark.parametrize("place", [GPU, CPU], ids=["gpu", "cpu"])
def test_cells_are_asked_of_the_library_of_the_place(place):
    answers = Answers()
    estimate_job(make_run(), [place], answers.ask)
    assert set(answers.asked[0]["backend"]) == {place.backend}
