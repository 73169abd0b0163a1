"""What the host spends by kind of call, against what networks were measured to take."""

from dataclasses import replace

import numpy as np
import pytest

from collector.jobs import COPY_TO_GPU, SYNCHRONIZE, Operation, Tensor
from estimator.jobs import host
from tests.estimator.made_up_job import operation, tensor

X = tensor(64, 64)
REFERENCE = host.Speed()


def seconds(one, training=True, costs=host.GPU, speed=REFERENCE):
    return float(host.dispatch_seconds([one], training, costs, speed)[0])


def test_a_call_that_is_recorded_takes_longer_and_a_view_next_to_nothing():
    call = operation("mul", (X, X), (X,))
    recorded, plain = seconds(call), seconds(call, training=False)
    view = seconds(operation("t", (X,), (X,), launches=0), training=False)
    assert recorded > plain > 4 * view > 0.0


def test_autograd_keeps_a_node_of_a_view_too():
    view = operation("t", (X,), (X,), launches=0)
    assert seconds(view) > seconds(view, training=False)


def test_a_product_takes_longer_to_ask_for_than_a_sum():
    assert seconds(operation("mm", (X, X), (X,))) > seconds(operation("add", (X, X), (X,)))


def test_each_gradient_of_a_convolution_is_planned():
    one, both = (
        seconds(operation("convolution_backward", (X, X, X), (X,) * n, stage="backward"))
        for n in (1, 2)
    )
    assert both - one == pytest.approx(host.GPU.planned_s)


def test_a_call_of_many_kernels_starts_each():
    cells = operation("_cudnn_rnn", (X,), (X,), launches=5000)
    one = replace(cells, launches=1)
    assert seconds(cells) - seconds(one) == pytest.approx(4999 * host.KERNEL_S)


def test_lists_of_tensors_cost_a_call_and_a_little_for_each():
    few, many = (
        seconds(operation("_foreach_add_", (X,) * n, (X,) * n, stage="optimizer"))
        for n in (10, 110)
    )
    assert many - few == pytest.approx(100 * host.GPU.tensor_s)
    assert many < 10 * few


def test_python_before_a_call_takes_what_the_machine_takes_for_its_loop():
    call = operation("add", (X, X), (X,))
    long = replace(call, python_points=1000.0)
    slow = host.Speed(scale=1.0, point_s=100e-9)
    assert seconds(long) - seconds(call) == pytest.approx(1000 * host.REFERENCE_POINT_S)
    assert seconds(long, speed=slow) - seconds(call) == pytest.approx(1e-4)


def test_a_slower_cpu_takes_longer_for_the_call_and_not_for_the_python():
    call = operation("add", (X, X), (X,))
    long, slow = replace(call, python_points=1000.0), host.Speed(scale=2.0)
    assert seconds(long, speed=slow) - seconds(long) == pytest.approx(seconds(call))


def test_a_job_that_does_not_say_its_python_is_taken_for_an_average_program():
    call = operation("add", (X, X), (X,))
    silent, says = (
        host.costs_of([call], "cuda"),
        host.costs_of([replace(call, python_points=1.0)], "cuda"),
    )
    assert (silent, says) == (host.GPU_WITH_PYTHON, host.GPU)
    assert seconds(call, costs=silent) > seconds(call, costs=says)


def test_on_a_cpu_python_counts_where_it_is_more_than_an_average_program_has():
    call = operation("add", (X, X), (X,))
    little, much = (replace(call, python_points=points) for points in (1.0, 1000.0))
    plain = seconds(call, costs=host.CPU)
    assert seconds(little, costs=host.CPU) == plain
    assert seconds(much, costs=host.CPU) == pytest.approx(1000 * host.REFERENCE_POINT_S)


@pytest.mark.parametrize(
    ("chain", "loop", "scale", "point"),
    [
        (2.0, 3.0, 2.0, 3.0),
        (np.nan, 3.0, 3.0, 3.0),
        (2.0, np.nan, 2.0, 2.0),
        (np.nan, np.nan, 1.0, 1.0),
    ],
)
def test_a_host_is_known_by_its_chain_and_its_loop_or_one_of_them(chain, loop, scale, point):
    loop_s = loop * host.LOOP["params"]["n"] * host.REFERENCE_POINT_S
    speed = host.Speed.measured(chain * host.REFERENCE_S, loop_s, lent=False)
    assert speed.scale == pytest.approx(scale)
    assert speed.point_s == pytest.approx(point * host.REFERENCE_POINT_S)


def test_a_host_known_by_name_is_surer_than_none_and_less_sure_than_a_measured_one():
    measured, named = (host.Speed.measured(1e-4, 1e-2, lent).sigma for lent in (False, True))
    assert measured < named < host.Speed().sigma


def test_a_copy_that_the_host_waits_for_has_its_call_in_its_own_time():
    plain = operation(COPY_TO_GPU, (X,), (X,), launches=0)
    pinned = (("non_blocking", True), ("pinned", True))
    queued = operation(COPY_TO_GPU, (X,), (X,), launches=0, attributes=pinned)
    assert (host.waits(plain), host.waits(queued)) == (True, False)
    assert seconds(plain) == 0.0 < seconds(queued)


@pytest.mark.parametrize("name", ["non_blocking", "pinned"])
def test_only_pinned_memory_is_copied_while_the_host_goes_on(name):
    half = operation(COPY_TO_GPU, (X,), (X,), launches=0, attributes=((name, True),))
    assert host.waits(half)


def test_reading_a_number_waits():
    assert host.waits(Operation(SYNCHRONIZE))
    assert seconds(Operation(SYNCHRONIZE)) == host.GPU.wait_s


def test_data_that_stays_on_the_host_is_worked_through_by_the_host():
    large = Tensor((10_000_000,), "float32")
    stacked = operation("stack", (large,), (large,), device="cpu")
    assert seconds(operation("stack", (X,), (X,), device="cpu")) < 1e-4 < 1e-2 < seconds(stacked)


def test_a_backward_pass_begins_once_for_each_run_of_backward_calls():
    stages = ("forward", "backward", "backward", "optimizer", "backward", "forward")
    calls = [operation("mm", (X, X), (X,), stage=stage) for stage in stages]
    starts = host.passes(calls, np.arange(len(calls)))
    assert starts.tolist() == [False, True, False, False, True, False]


#: calls of networks that wait for the host, as a trace counts them, and the median over the
#: shipped H200 machines of their seconds with data on the device:
#: forward calls, planned ones, backward calls, planned ones, forward views, backward views, lists,
#: tensors in them, points of Python, seconds
NETWORKS = {
    "inference_step mlp": (5, 3, 0, 0, 3, 0, 0, 0, 221, 79e-6),
    "inference_step resnet": (30, 19, 0, 0, 10, 0, 0, 0, 1296, 521e-6),
    "inference_step transformer": (24, 16, 0, 0, 45, 0, 0, 0, 889, 477e-6),
    "training_step linear_sgd": (3, 1, 3, 1, 1, 6, 1, 4, 1113, 406e-6),
    "training_step simple_net_adam": (3, 1, 3, 1, 1, 6, 7, 24, 2165, 691e-6),
    "training_step mlp_adam": (7, 3, 11, 5, 5, 22, 7, 72, 2618, 1257e-6),
    "training_step resnet_sgd": (42, 19, 34, 20, 18, 45, 3, 145, 3508, 3565e-6),
    "training_step transformer_adamw": (27, 16, 45, 25, 50, 112, 8, 377, 7383, 3897e-6),
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_constants_give_the_networks_that_were_measured(name):
    forward, planned, backward, replanned, *views, lists, tensors, points, measured = NETWORKS[name]
    calls = [operation("mm", (X, X), (X,))] * planned
    calls += [operation("add", (X, X), (X,))] * (forward - planned)
    calls += [operation("mm", (X, X), (X,), stage="backward")] * replanned
    calls += [operation("add", (X, X), (X,), stage="backward")] * (backward - replanned)
    calls += [operation("t", (X,), (X,), launches=0)] * views[0]
    calls += [operation("t", (X,), (X,), launches=0, stage="backward")] * views[1]
    if lists:
        each = (X,) * (tensors // lists)
        calls += [operation("_foreach_add_", each, each, stage="optimizer")] * lists
    calls += [Operation(SYNCHRONIZE, launches=0, python_points=float(points))]
    spent = host.dispatch_seconds(calls, backward > 0, host.GPU, REFERENCE).sum()
    total = spent + host.GPU.pass_s * (backward > 0)
    assert total == pytest.approx(measured, rel=0.25)
