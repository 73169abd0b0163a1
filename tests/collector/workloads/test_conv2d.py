"""Convolutions: counts against torch's own counter, results, broken results, grids."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.backends.host_backends import NumpyBackend
from collector.cells import make_tasks
from collector.workloads import get_workload
from collector.workloads._convolution_reference import LayerShape, output_sums
from tests.collector.operation_doubles import compute, prepare_and_verify

CONV = get_workload("conv2d")
SMALL = {"batch": 2, "channels_in": 5, "channels_out": 6, "image": 9, "kernel": 3}
OPERATIONS = [
    ("forward", SMALL),
    ("forward", {**SMALL, "channels_in": 3, "kernel": 7, "stride": 2, "image": 20}),
    ("forward", {**SMALL, "kernel": 1}),
    ("forward", {**SMALL, "kernel": 2, "image": 8}),
    ("backward", SMALL),
    ("backward", {**SMALL, "stride": 2, "image": 8}),
    ("backward", {**SMALL, "kernel": 1, "stride": 3}),
    ("depthwise", {"batch": 2, "channels": 6, "image": 9, "kernel": 3}),
    ("depthwise", {"batch": 2, "channels": 6, "image": 11, "kernel": 5, "stride": 2}),
]
LAYERS = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "channels_in": st.integers(1, 6),
        "channels_out": st.integers(1, 6),
        "image": st.integers(1, 12),
        "kernel": st.integers(1, 5),
        "stride": st.integers(1, 3),
    }
)


def test_a_small_layer_costs_what_counting_by_hand_gives():
    """1 image of 2 channels, 4 x 4, to 3 channels by 3 x 3 kernels: 48 output elements of
    2 * 9 = 18 products each, 36 FLOP: 1728. 32 + 54 elements of 4 bytes read, 48 written."""
    params = {"batch": 1, "channels_in": 2, "channels_out": 3, "image": 4, "kernel": 3}
    work = CONV.work("forward", params, "float32", "torch", "cuda", "end_to_end")
    assert (work.flop_count, work.bytes_read, work.bytes_written) == (1728, 344, 192)
    assert (work.h2d_bytes, work.d2h_bytes, work.kernel_count) == (344, 192, 1)
    backward = CONV.work("backward", params, "float32", "torch", "cuda", "hot")
    assert (backward.flop_count, backward.kernel_count) == (3456, 2)
    assert (backward.bytes_read, backward.bytes_written) == (344 + 192, 344)
    half = CONV.work("forward", params, "float16", "torch", "cuda", "hot")
    assert (half.bytes_read, half.bytes_written, half.kernel_count) == (172, 96, 4)


def test_a_small_depthwise_layer_costs_what_counting_by_hand_gives():
    """2 channels of 4 x 4, 9 products an element: 32 * 18 FLOP; 32 + 18 elements read."""
    params = {"batch": 1, "channels": 2, "image": 4, "kernel": 3}
    work = CONV.work("depthwise", params, "float32", "torch", "cpu", "hot")
    assert (work.flop_count, work.bytes_read, work.bytes_written) == (576, 200, 128)


@pytest.mark.parametrize(("case", "params"), OPERATIONS, ids=str)
def test_flop_are_what_torch_counts(case, params):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from collector.backends import open_backend

    params = CONV.complete(case, params)
    operands = [torch.from_numpy(array) for array in CONV.inputs(case, params, "float32", 0)]
    function = CONV.build(open_backend("torch", "cpu"), case, params, "float32")
    with FlopCounterMode(display=False) as counter:
        function(*operands)
    work = CONV.operation_work(case, params, "float32", "torch")
    assert work.flop_count == counter.get_total_flops()


@settings(deadline=None)
@given(LAYERS)
def test_size_is_the_number_of_output_elements(params):
    p = params
    side = len(range(0, p["image"] + 2 * (p["kernel"] // 2) - p["kernel"] + 1, p["stride"]))
    assert CONV.size("forward", p) == p["batch"] * p["channels_out"] * side**2


@settings(deadline=None)
@given(LAYERS, st.integers(0, 100))
def test_the_reference_sums_are_those_of_the_defining_sum(params, seed):
    shape = LayerShape(*(params[name] for name in CONV.signatures["forward"]))
    generator = np.random.default_rng(seed)
    x, w = generator.standard_normal(shape.x), generator.standard_normal(shape.w)
    pad = [(0, 0), (0, 0), *[(shape.padding, shape.padding)] * 2]
    padded, expected = np.pad(x, pad), np.zeros(shape.y)
    for row in range(shape.output):
        for column in range(shape.output):
            top, left = row * shape.stride, column * shape.stride
            patch = padded[:, :, top : top + shape.kernel, left : left + shape.kernel]
            expected[:, :, row, column] = np.einsum("nikl,oikl->no", patch, w)
    np.testing.assert_allclose(output_sums(x, w, shape), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(("case", "params"), OPERATIONS, ids=str)
def test_the_right_result_passes_before_and_after(backend, case, params):
    for check in prepare_and_verify("conv2d", case, params, backend):
        assert check.passed
        assert 0 <= check.relative_error <= check.tolerance


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("operation", [OPERATIONS[0], OPERATIONS[4], OPERATIONS[7]], ids=str)
def test_half_precision_passes_its_own_tolerance_only(operation, dtype):
    done = compute("conv2d", *operation, "torch", dtype)
    assert done.judge(done.output).passed
    wide = compute("conv2d", *operation, "torch", "float32")
    narrow = [np.asarray(part, np.float16).astype(np.float32) for part in parts(wide.output)]
    assert not wide.judge(joined(wide.output, narrow)).passed


def parts(output):
    return list(output) if isinstance(output, tuple) else [output]


def joined(output, pieces):
    return tuple(pieces) if isinstance(output, tuple) else pieces[0]


def one_element_off(part):
    part.reshape(-1)[part.size // 2] += 1


def missing_last_channel(part):
    part[:, -1] = 0


def missing_last_line(part):
    part[-1, :, -1] = 0


def exchanged_channels(part):
    part[:, [0, 1]] = part[:, [1, 0]]


def exchanged_images(part):
    part[[0, 1]] = part[[1, 0]]


def one_not_a_number(part):
    part.reshape(-1)[-1] = math.nan


def scaled(part):
    part *= 1.01


BREAKS = [
    *(one_element_off, missing_last_channel, missing_last_line, exchanged_channels),
    *(exchanged_images, one_not_a_number, scaled),
]


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda break_it: break_it.__name__)
@pytest.mark.parametrize(
    "operation",
    [OPERATIONS[0], OPERATIONS[1], OPERATIONS[4], OPERATIONS[5], OPERATIONS[7]],
    ids=str,
)
def test_a_broken_result_is_caught(operation, break_it):
    done = compute("conv2d", *operation, "torch")
    for index in range(len(parts(done.output))):
        broken = [part.copy() for part in parts(done.output)]
        break_it(broken[index])
        assert not done.judge(joined(done.output, broken)).passed, index


@pytest.mark.parametrize("operation", [OPERATIONS[0], OPERATIONS[4]], ids=str)
def test_a_result_of_the_wrong_shape_is_caught(operation):
    done = compute("conv2d", *operation, "torch")
    for index in range(len(parts(done.output))):
        broken = parts(done.output)
        broken[index] = broken[index][..., :-1]
        assert not done.judge(joined(done.output, broken)).passed


def test_a_forgotten_padding_and_a_flipped_kernel_are_caught():
    torch = pytest.importorskip("torch")
    done = compute("conv2d", "forward", {**SMALL, "image": 16}, "torch")
    x, w = (torch.from_numpy(array) for array in done.inputs)
    circular = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
    for wrong in (
        torch.nn.functional.conv2d(circular, w),
        torch.nn.functional.conv2d(x, w.flip(2, 3), padding=1),
    ):
        assert wrong.shape == done.output.shape
        assert not done.judge(wrong.numpy()).passed


def test_a_wrong_tile_of_a_large_half_precision_result_is_caught():
    """4096 of 3 million elements, 0.04 of the whole's norm but most of a few lines'."""
    params = {"batch": 4, "channels_in": 8, "channels_out": 64, "image": 112, "kernel": 3}
    done = compute("conv2d", "forward", params, "torch", "bfloat16")
    assert done.judge(done.output).passed
    broken = done.output.copy()
    broken[2, :32, 40:44, 64:96] = broken[2, 32:, 40:44, 64:96]
    assert not done.judge(broken).passed


def test_tf32_is_too_coarse_for_ieee_and_fine_for_itself():
    torch = pytest.importorskip("torch")
    done = compute("conv2d", "forward", SMALL, "torch")

    def to_tf32(array):
        bits = (array.view(np.uint32) + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)
        return torch.from_numpy(bits.view(np.float32))

    output = torch.nn.functional.conv2d(*map(to_tf32, done.inputs), padding=1).numpy()
    assert not done.judge(output).passed
    assert done.judge(output, "tf32").passed


def test_a_library_without_convolutions_is_told():
    with pytest.raises(NotImplementedError, match="conv2d has no form for backend numpy"):
        CONV.build(NumpyBackend("cpu"), "forward", CONV.complete("forward", SMALL), "float32")


@pytest.mark.parametrize(
    ("suite", "places", "most"),
    [
        ("quick", [("torch", "cpu"), ("jax", "cpu")], 2),
        ("quick", [("torch", "cuda"), ("jax", "cuda")], 3),
        ("standard", [("torch", "cpu"), ("jax", "cpu")], 14),
        ("standard", [("torch", "cuda"), ("jax", "cuda")], 40),
    ],
)
@pytest.mark.parametrize("cores", [2, 16])
def test_suites_keep_their_share_of_the_time(suite, places, most, cores):
    tasks = make_tasks(suite, places, cores, ("conv2d",))
    modes = [mode for task in tasks for mode in task.modes if mode != "first_call"]
    assert 1 <= len(modes) <= most


def test_no_operation_of_the_standard_suite_needs_much_memory():
    for backend, device in CONV.support:
        for point in CONV.grid("standard", backend, device):
            needed = CONV.measuring_bytes(point.case, dict(point.params), point.dtype, backend)
            work = CONV.work(point.case, dict(point.params), point.dtype, backend, device, "hot")
            assert work.bytes_read + work.bytes_written <= needed <= 4 * 2**30
