"""Dense layers: counts against torch's own counter, results, broken results, grids."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.backends import open_backend
from collector.backends.host_backends import NumpyBackend
from collector.cells import Operation, make_tasks
from collector.measure.measure import measure_mode
from collector.measure.prepare import prepare
from collector.measure.sampling import StopRule
from collector.workloads import get_workload
from collector.workloads._products import spread_positions
from tests.collector.operation_doubles import compute, prepare_and_verify

DENSE = get_workload("dense_layer")
SMALL = {"batch": 33, "inputs": 20, "outputs": 17}
LARGE = {"batch": 700, "inputs": 64, "outputs": 900}
CASES = ["forward", "forward_backward"]


def test_a_small_layer_costs_what_counting_by_hand_gives():
    """4 samples, 3 inputs, 2 outputs: 24 products, 48 FLOP. Elements: 12 + 6 + 2 = 20 of the
    operands, 8 outputs. torch writes the sum and reads it again; with gradients also the output
    and the gradient behind the ReLU, and the three gradients are as large as the operands."""
    params = {"batch": 4, "inputs": 3, "outputs": 2}
    work = DENSE.work("forward", params, "float32", "torch", "cuda", "end_to_end")
    assert (work.flop_count, work.kernel_count) == (48, 2)
    assert (work.bytes_read, work.bytes_written) == (4 * (20 + 8), 4 * (8 + 8))
    assert (work.h2d_bytes, work.d2h_bytes) == (80, 32)
    work = DENSE.work("forward", params, "float32", "numpy", "cpu", "hot")
    assert (work.bytes_read, work.bytes_written, work.kernel_count) == (4 * 36, 4 * 24, 3)
    work = DENSE.work("forward_backward", params, "bfloat16", "torch", "cuda", "hot")
    assert (work.flop_count, work.kernel_count) == (144, 6)
    assert (work.bytes_read, work.bytes_written) == (2 * (20 + 8 + 24), 2 * (8 + 20 + 16))


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_flop_are_what_torch_counts(case, batch, inputs, outputs):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    params = {"batch": batch, "inputs": inputs, "outputs": outputs}
    operands = [torch.from_numpy(array) for array in DENSE.inputs(case, params, "float32", 0)]
    function = DENSE.build(open_backend("torch", "cpu"), case, params, "float32")
    with FlopCounterMode(display=False) as counter:
        function(*operands)
    work = DENSE.operation_work(case, params, "float32", "torch")
    assert work.flop_count == counter.get_total_flops()


def test_size_is_the_geometric_mean():
    assert DENSE.size("forward", {"batch": 10, "inputs": 100, "outputs": 1000}) == 100


@given(st.integers(1, 2000), st.integers(1, 300))
def test_spread_positions_leave_no_gap_of_two_stretches(count, wanted):
    positions = spread_positions(count, wanted, np.random.default_rng(0))
    assert positions[-1] == count - 1
    assert np.all(np.diff(positions) >= 0)
    assert np.all(np.diff(np.append(-1, positions)) <= 2 * max(1, count / wanted) + 1)


@pytest.mark.parametrize("params", [SMALL, LARGE, {"batch": 100, "inputs": 10, "outputs": 2}])
@pytest.mark.parametrize(
    ("backend", "case"),
    [("numpy", "forward"), *[(backend, case) for backend in ("torch", "jax") for case in CASES]],
)
def test_the_right_result_passes_before_and_after(backend, case, params):
    for check in prepare_and_verify("dense_layer", case, params, backend):
        assert check.passed
        assert 0 <= check.relative_error <= check.tolerance


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_half_precision_passes_its_own_tolerance_only(case, dtype):
    done = compute("dense_layer", case, LARGE, "torch", dtype)
    assert done.judge(done.output).passed
    wide = compute("dense_layer", case, LARGE, "torch")
    narrow = [np.asarray(part, np.float16).astype(np.float32) for part in parts(wide.output)]
    assert not wide.judge(joined(wide.output, narrow)).passed


def parts(output):
    return list(output) if isinstance(output, tuple) else [output]


def joined(output, pieces):
    return tuple(pieces) if isinstance(output, tuple) else pieces[0]


def one_element_off(part):
    part.reshape(-1)[part.size // 2] += 1


def missing_tail(part):
    part[-max(1, len(part) // 16) :] = 0


def one_not_a_number(part):
    part.reshape(-1)[-1] = math.nan


def exchanged_rows(part):
    part[[0, 1]] = part[[1, 0]]


def all_zeros(part):
    part[...] = 0


def scaled(part):
    part *= 1.01


BREAKS = [one_element_off, missing_tail, one_not_a_number, exchanged_rows, all_zeros, scaled]


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda break_it: break_it.__name__)
@pytest.mark.parametrize("case", CASES)
def test_a_broken_result_is_caught(case, break_it):
    done = compute("dense_layer", case, SMALL, "torch")
    for index in range(len(parts(done.output))):
        broken = [part.copy() for part in parts(done.output)]
        break_it(broken[index])
        assert not done.judge(joined(done.output, broken)).passed, index


@pytest.mark.parametrize("case", CASES)
def test_a_result_of_the_wrong_shape_is_caught(case):
    done = compute("dense_layer", case, SMALL, "torch")
    for index in range(len(parts(done.output))):
        broken = parts(done.output)
        broken[index] = broken[index][..., :-1]
        assert not done.judge(joined(done.output, broken)).passed


def test_a_forgotten_bias_activation_or_transposition_is_caught():
    done = compute("dense_layer", "forward", {**SMALL, "outputs": 20}, "numpy")
    x, w, bias = done.inputs
    for wrong in (np.maximum(x @ w.T, 0), x @ w.T + bias, np.maximum(x @ w + bias, 0)):
        assert not done.judge(wrong).passed
    assert done.judge(np.maximum(x @ w.T + bias, 0)).passed


def test_gradients_that_ignore_the_activation_are_caught():
    done = compute("dense_layer", "forward_backward", SMALL, "torch")
    x, w, _, grad = done.inputs
    y, grad_x, grad_w, grad_bias = done.output
    assert not done.judge((y, grad @ w, grad_w, grad_bias)).passed
    assert not done.judge((y, grad_x, grad.T @ x, grad_bias)).passed
    assert not done.judge((y, grad_x, grad_w, grad.sum(axis=0))).passed


@pytest.mark.parametrize("tile", [(0, 0), (128, 512), (690, 892)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_wrong_tile_of_a_large_result_is_caught(tile, dtype):
    done = compute("dense_layer", "forward", LARGE, "torch", dtype)
    broken = done.output.copy()
    rows, columns = (slice(start, start + 16) for start in tile)
    broken[rows, columns] = 1 - broken[rows, columns].clip(0, 1)
    assert not done.judge(broken).passed


def test_tf32_is_too_coarse_for_ieee_and_fine_for_itself():
    done = compute("dense_layer", "forward", LARGE, "numpy")

    def to_tf32(array):
        bits = (array.view(np.uint32) + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)
        return bits.view(np.float32)

    x, w, bias = done.inputs
    output = np.maximum(to_tf32(x) @ to_tf32(w).T + bias, 0)
    assert not done.judge(output).passed
    assert done.judge(output, "tf32").passed


def test_weights_of_half_precision_are_representable_after_their_scaling():
    for dtype in (np.float16,):
        params = {"batch": 2, "inputs": 5000, "outputs": 40}
        w = DENSE.inputs("forward", params, np.dtype(dtype).name, 0)[1]
        assert np.array_equal(w, w.astype(dtype).astype(np.float32))
    w = DENSE.inputs("forward", params, "bfloat16", 0)[1]
    assert not np.any(w.view(np.uint32) & 0xFFFF)


def test_numpy_has_no_gradients():
    assert not DENSE.supports("numpy", "cpu", "forward_backward")
    with pytest.raises(NotImplementedError, match="dense_layer forward_backward has no form"):
        DENSE.build(NumpyBackend("cpu"), "forward_backward", SMALL, "float32")


CPU = [("numpy", "cpu"), ("torch", "cpu"), ("jax", "cpu")]
CUDA = [("torch", "cuda"), ("cupy", "cuda"), ("jax", "cuda")]


@pytest.mark.parametrize(
    ("suite", "places", "most"),
    [("quick", CPU, 1), ("quick", CUDA, 2), ("standard", CPU, 10), ("standard", CUDA, 24)],
)
@pytest.mark.parametrize("cores", [2, 16])
def test_suites_keep_their_share_of_the_time(suite, places, most, cores):
    tasks = make_tasks(suite, places, cores, ("dense_layer",))
    modes = [mode for task in tasks for mode in task.modes if mode != "first_call"]
    assert 1 <= len(modes) <= most


def test_no_operation_of_the_standard_suite_needs_much_memory():
    for backend, device in DENSE.support:
        for point in DENSE.grid("standard", backend, device):
            needed = DENSE.measuring_bytes(point.case, dict(point.params), point.dtype, backend)
            assert needed <= 4 * 2**30


def test_gradients_are_measured_from_end_to_end():
    """A result of several arrays is copied back one by one."""
    pytest.importorskip("torch")
    params = (("batch", 2), ("inputs", 8), ("outputs", 4))
    operation = Operation(
        *("dense_layer", "forward_backward", params, "float32", "ieee", "torch", "cpu", 1)
    )
    backend, rule = open_backend("torch", "cpu"), StopRule(0.5, min_samples=6, min_time_s=0.001)
    prepared = prepare(DENSE, operation, backend, 0)
    assert measure_mode(prepared, backend, "end_to_end", rule, 2**20)["n"] >= 6
