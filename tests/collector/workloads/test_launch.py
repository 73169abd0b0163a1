"""Chains of tiny calls: results of every library, counts of kernels, broken chains."""

from dataclasses import astuple

import numpy as np
import pytest

from collector.backends import BACKEND_DEVICES, missing_reason, open_backend
from collector.cells import Operation
from collector.errors import SelectionError
from collector.measure.prepare import prepare, verify_again
from collector.workloads import SUITES, get_workload

FAMILY = get_workload("launch")
SEED = 3

CASES = [
    ("chain", {"length": 7}),
    ("dispatch_allocating", {"length": 7}),
    ("dispatch_views", {"length": 7}),
    ("dispatch_views", {"length": 2}),
    ("dispatch_autograd", {"length": 7}),
    ("optimizer_step", {"tensors": 5}),
]
PLACES = [
    (backend, case, params)
    for backend in ("numpy", "torch", "jax")
    for case, params in CASES
    if FAMILY.supports(backend, "cpu", case)
]


def opened(name):
    if missing_reason(name):
        pytest.skip(missing_reason(name))
    return open_backend(name, "cpu")


@pytest.mark.parametrize(("name", "case", "params"), PLACES, ids=str)
def test_results_are_right_before_and_after_timing(name, case, params):
    backend = opened(name)
    operation = Operation(
        *("launch", case, tuple(params.items()), "float32", "ieee", name, "cpu", 1)
    )
    prepared = prepare(FAMILY, operation, backend, SEED)
    for _ in range(50):
        prepared.function(*prepared.device_inputs)
    assert verify_again(prepared, backend).passed


@pytest.mark.parametrize(("name", "case", "params"), PLACES, ids=str)
def test_broken_results_are_caught(name, case, params):
    backend = opened(name)
    inputs = FAMILY.inputs(case, params, "float32", SEED)
    operands = FAMILY.host_operands(backend, inputs, "float32")
    output = FAMILY.build(backend, case, params, "float32")(*operands)
    right = np.array(FAMILY.fetch(backend, output), dtype=np.float64)
    reference = FAMILY.reference(inputs, case, params, "float32")

    def passes(values):
        return FAMILY.check(reference, values, case, params, "float32", "ieee").passed

    assert passes(right)
    not_a_number, one_off = right.copy(), right.copy()
    not_a_number.reshape(-1)[-1] = np.nan
    one_off.reshape(-1)[7] *= 0.5
    for wrong in (not_a_number, one_off, 2 * right, 0 * right, right[:-1]):
        assert not passes(wrong)


def test_one_call_too_few_is_caught():
    for case, params in CASES:
        if case == "optimizer_step":
            continue
        inputs = FAMILY.inputs(case, params, "float32", SEED)
        right, fewer = (
            FAMILY.reference(inputs, case, {"length": params["length"] - k}, "float32")
            for k in (0, 1)
        )
        assert not FAMILY.check(right, fewer, case, params, "float32", "ieee").passed


def test_an_optimizer_that_stands_still_or_runs_ahead_is_caught():
    backend = opened("torch")
    params = {"tensors": 5}
    inputs = FAMILY.inputs("optimizer_step", params, "float32", SEED)
    reference = FAMILY.reference(inputs, "optimizer_step", params, "float32")
    step = FAMILY.build(backend, "optimizer_step", params, "float32")
    operands = FAMILY.host_operands(backend, inputs, "float32")
    for _ in range(9):
        output = step(*operands)

    def passes():
        fetched = FAMILY.fetch(backend, output)
        return FAMILY.check(reference, fetched, "optimizer_step", params, "f32", "ieee").passed

    assert passes()
    for claimed in (10, 8):
        step.steps = claimed
        assert not passes()


@pytest.mark.parametrize(
    ("case", "params", "backend", "work"),
    [
        # 16 elements of four bytes, a product each: read 64 and write 64 bytes a call
        ("chain", {"length": 10}, "torch", (160, 640, 640, 64, 64, 10)),
        ("chain", {"length": 10}, "jax", (160, 64, 64, 64, 64, 1)),
        ("dispatch_allocating", {"length": 10}, "jax", (160, 640, 640, 64, 64, 10)),
        ("dispatch_views", {"length": 10}, "cupy", (0, 0, 0, 64, 64, 0)),
        # as many products backward; two vectors go up, two come down
        ("dispatch_autograd", {"length": 10}, "torch", (320, 1280, 1280, 128, 128, 20)),
        # 7 lists; of 100 tensors two launches where a list pairs with others (64), three with 48
        ("optimizer_step", {"tensors": 1}, "torch", (192, 768, 448, 64, 64, 7)),
        (
            *("optimizer_step", {"tensors": 100}, "torch"),
            (19_200, 76_800, 44_800, 6400, 6400, 2 + 1 + 3 + 2 + 1 + 1 + 3),
        ),
    ],
)
def test_work_is_what_counting_by_hand_gives(case, params, backend, work):
    assert astuple(FAMILY.operation_work(case, params, "float32", backend)) == work


@pytest.mark.parametrize("suite", SUITES)
def test_suites_ask_for_no_case_that_a_backend_has_no_form_of(suite):
    for backend, device in BACKEND_DEVICES:
        for point in FAMILY.grid(suite, backend, device):
            assert FAMILY.supports(backend, device, point.case)


def test_what_a_backend_has_no_form_of_is_said():
    assert not FAMILY.supports("numpy", "cpu", "empty_kernel")
    assert not FAMILY.supports("numba", "cuda", "chain")
    assert FAMILY.supports("numba", "cuda", "empty_kernel")
    for case in ("empty_kernel", "dispatch_autograd", "optimizer_step"):
        params = FAMILY.complete(case, dict.fromkeys(FAMILY.signatures[case], 3))
        with pytest.raises(SelectionError, match=f"{case} has no form for backend 'numpy'"):
            FAMILY.build(open_backend("numpy", "cpu"), case, params, "float32")


def test_views_share_the_operands_memory():
    x = np.arange(16, dtype=np.float32)
    views = FAMILY.build(open_backend("numpy", "cpu"), "dispatch_views", {"length": 3}, "float32")
    assert np.shares_memory(views(x)[0], x)
