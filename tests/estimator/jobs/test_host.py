"""What the host spends by kind of call, against what networks were measured to take."""

import numpy as np
import pytest

from collector.jobs import COPY_TO_GPU, SYNCHRONIZE, Operation, Tensor
from estimator.jobs import host
from tests.estimator.made_up_job import operation, tensor

X = tensor(64, 64)


def seconds(one, training=True, costs=host.GPU):
    asks, works = host.dispatch_seconds([one], training, costs)
    return float(asks[0]), float(works[0])


def test_a_call_that_is_recorded_takes_longer_and_a_view_next_to_nothing():
    call = operation("mm", (X, X), (X,))
    recorded, plain = seconds(call)[0], seconds(call, training=False)[0]
    view = seconds(operation("t", (X,), (X,), launches=0))[0]
    assert recorded > plain > 4 * view > 0.0


def test_lists_of_tensors_cost_a_call_and_a_little_for_each():
    few, many = (
        seconds(operation("_foreach_add_", (X,) * n, (X,) * n, stage="optimizer"))[0]
        for n in (10, 110)
    )
    assert many - few == pytest.approx(100 * host.GPU.tensor_s)
    assert many < 10 * few


def test_a_copy_that_the_host_waits_for_has_its_call_in_its_own_time():
    plain = operation(COPY_TO_GPU, (X,), (X,), launches=0)
    pinned = (("non_blocking", True), ("pinned", True))
    queued = operation(COPY_TO_GPU, (X,), (X,), launches=0, attributes=pinned)
    assert (host.waits(plain), host.waits(queued)) == (True, False)
    assert seconds(plain)[0] == 0.0 < seconds(queued)[0]


@pytest.mark.parametrize("name", ["non_blocking", "pinned"])
def test_only_pinned_memory_is_copied_while_the_host_goes_on(name):
    half = operation(COPY_TO_GPU, (X,), (X,), launches=0, attributes=((name, True),))
    assert host.waits(half)


def test_reading_a_number_waits():
    assert host.waits(Operation(SYNCHRONIZE))
    assert seconds(Operation(SYNCHRONIZE))[0] == host.GPU.wait_s


def test_data_that_stays_on_the_host_is_worked_through_by_the_host():
    large = Tensor((10_000_000,), "float32")
    asks, works = seconds(operation("stack", (large,), (large,), device="cpu"))
    assert asks < 1e-5 < 1e-2 < works


def test_a_backward_pass_begins_once_for_each_run_of_backward_calls():
    stages = ("forward", "backward", "backward", "optimizer", "backward", "forward")
    calls = [operation("mm", (X, X), (X,), stage=stage) for stage in stages]
    starts = host.passes(calls, np.arange(len(calls)))
    assert starts.tolist() == [False, True, False, False, True, False]


#: calls of networks that wait for the host, as counted by a dispatch mode, and the median of their
#: seconds with data on the device over the shipped H200 machines:
#: forward calls, backward calls, views, lists, tensors in them, training, seconds
NETWORKS = {
    "inference_step mlp": (5, 0, 0, 0, 0, False, 79e-6),
    "inference_step resnet": (30, 0, 0, 0, 0, False, 510e-6),
    "inference_step transformer": (24, 0, 18, 0, 0, False, 435e-6),
    "training_step linear_sgd": (3, 3, 7, 1, 4, True, 405e-6),
    "training_step mlp_adam": (7, 11, 28, 8, 78, True, 1208e-6),
    "training_step resnet_sgd": (51, 34, 54, 3, 145, True, 3263e-6),
    "training_step transformer_adamw": (28, 45, 162, 9, 406, True, 3640e-6),
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_constants_give_the_networks_that_were_measured(name):
    forward, backward, views, lists, tensors, training, measured = NETWORKS[name]
    calls = [operation("mm", (X, X), (X,))] * forward
    calls += [operation("mm", (X, X), (X,), stage="backward")] * backward
    calls += [operation("t", (X,), (X,), launches=0)] * views
    if lists:
        each = (X,) * (tensors // lists)
        calls += [operation("_foreach_add_", each, each, stage="optimizer")] * lists
    asks, _ = host.dispatch_seconds(calls, training, host.GPU)
    total = asks.sum() + host.GPU.pass_s * host.passes(calls, np.arange(len(calls))).sum()
    assert total == pytest.approx(measured, rel=0.2)
