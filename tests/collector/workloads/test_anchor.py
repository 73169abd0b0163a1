"""The anchor: the same operation again and again along a run."""

import itertools

import numpy as np
import pytest

from collector.backends import open_backend
from collector.cells import Operation, with_anchors, with_first_calls
from collector.errors import WrongResultError
from collector.measure.prepare import prepare, verify_again
from collector.runs.plan import Selection, make_plan
from collector.workloads import get_workload
from tests.collector.doubles import GPU, additions, make_machine


def anchor(backend="numpy", repetition=1):
    return Operation(
        *("anchor", "matmul_copy", (("repetition", repetition),)),
        *("float32", "ieee", backend, "cpu", 1),
    )


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_anchor_is_right(backend):
    opened = open_backend(backend, "cpu")
    prepared = prepare(get_workload("anchor"), anchor(backend), opened, 0)
    assert verify_again(prepared, opened).passed


def test_an_anchor_whose_copy_stops_is_noticed(monkeypatch):
    family = get_workload("anchor")
    target = np.ones(2**24, np.float32)
    monkeypatch.setattr(
        type(family), "build", lambda *_: lambda a, b, source: (np.matmul(a, b), target)
    )
    with pytest.raises(WrongResultError):
        prepare(family, anchor(), open_backend("numpy", "cpu"), 0)


def names(tasks):
    return [task.operation.workload for task in tasks]


def test_anchors_stand_at_both_ends_and_every_two_minutes():
    tasks = with_anchors(additions(30).tasks, expected_s=300.0)
    assert names(tasks)[0] == names(tasks)[-1] == "anchor"
    at = [index for index, name in enumerate(names(tasks)) if name == "anchor"]
    assert len(at) == 4
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert max(gaps) - min(gaps) <= 1
    assert names(tasks).count("elementwise") == 30


def test_each_repetition_is_a_cell_of_its_own():
    tasks = with_anchors(additions(3).tasks, expected_s=600.0)
    ids = [task.cells[0].cell_id for task in tasks if task.operation.workload == "anchor"]
    assert len(set(ids)) == len(ids) == 7


def test_a_standard_run_anchors_each_device_with_one_worker_that_it_has_anyway():
    plan = make_plan(Selection(), make_machine(GPU))
    anchors = {t.worker_key for t in plan.tasks if t.operation.workload == "anchor"}
    others = {t.worker_key for t in plan.tasks if t.operation.workload != "anchor"}
    assert {key[1] for key in anchors} == {"cpu", "cuda"}
    assert len(anchors) == 2
    assert anchors <= others


def test_a_quick_run_and_a_selection_of_families_have_no_anchor():
    assert "anchor" not in names(make_plan(Selection("quick"), make_machine()).tasks)
    chosen = Selection(workloads=("fft",))
    assert set(names(make_plan(chosen, make_machine()).tasks)) == {"fft"}


def test_a_first_call_is_asked_for_where_a_case_is_called_first_in_its_worker():
    plan = make_plan(Selection("standard", backends=("numpy", "torch")), make_machine())
    seen = set()
    for task in plan.tasks:
        o = task.operation
        kind = (o.workload, o.case, o.dtype, o.math_mode, task.worker_key)
        if o.workload != "anchor":
            assert ("first_call" in task.modes) is (kind not in seen)
        seen.add(kind)


def test_a_second_size_of_a_case_has_no_first_call():
    tasks = with_first_calls(additions(3).tasks)
    assert [task.modes for task in tasks] == [("first_call", "hot"), ("hot",), ("hot",)]


def test_the_quick_suite_has_no_first_calls():
    plan = make_plan(Selection("quick"), make_machine())
    assert all("first_call" not in task.modes for task in plan.tasks)
