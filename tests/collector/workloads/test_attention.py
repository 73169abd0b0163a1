"""Attention: counts against torch's own counter, results, broken results, grids."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.backends import open_backend
from collector.backends.host_backends import NumpyBackend
from collector.cells import make_tasks
from collector.workloads import get_workload
from collector.workloads._attention_reference import exact_error, exact_rows
from tests.collector.operation_doubles import compute, prepare_and_verify

ATTENTION = get_workload("attention")
SMALL = {"batch": 2, "heads": 3, "sequence": 37, "head_dim": 16}
LARGE = {"batch": 1, "heads": 2, "sequence": 2001, "head_dim": 64}
CASES = ["full", "causal"]


def test_a_small_operation_costs_what_counting_by_hand_gives():
    """2 heads of 3 positions of 4 values: 9 pairs a head, causal 6, 16 FLOP each; three operands
    of 24 elements read, one result written. numpy's 18 scores are read 7 and written 5 times."""
    params = {"batch": 1, "heads": 2, "sequence": 3, "head_dim": 4}
    work = ATTENTION.work("full", params, "float32", "torch", "cuda", "end_to_end")
    assert (work.flop_count, work.bytes_read, work.bytes_written) == (288, 288, 96)
    assert (work.h2d_bytes, work.d2h_bytes, work.kernel_count) == (288, 96, 1)
    assert ATTENTION.work("causal", params, "float16", "torch", "cuda", "hot").flop_count == 192
    work = ATTENTION.work("full", params, "float32", "numpy", "cpu", "hot")
    assert (work.bytes_read, work.bytes_written) == (288 + 7 * 72, 96 + 5 * 72)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 20), st.integers(1, 20))
def test_flop_are_what_torch_counts_without_its_fused_kernels(batch, heads, length, width):
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    params = {"batch": batch, "heads": heads, "sequence": length, "head_dim": width}
    inputs = ATTENTION.inputs("full", params, "float32", 0)
    function = ATTENTION.build(open_backend("torch", "cpu"), "full", params, "float32")
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        function(*map(torch.from_numpy, inputs))
    work = ATTENTION.operation_work("full", params, "float32", "torch")
    assert work.flop_count == counter.get_total_flops()


@given(st.integers(1, 300))
def test_causal_pairs_are_those_that_the_mask_leaves(length):
    params = {"batch": 1, "heads": 1, "sequence": length, "head_dim": 1}
    pairs = np.count_nonzero(np.tril(np.ones((length, length))))
    assert ATTENTION.operation_work("causal", params, "float32", "torch").flop_count == 4 * pairs


def test_size_is_the_number_of_scores():
    assert ATTENTION.size("full", LARGE) == 2 * 2001**2


@pytest.mark.parametrize(
    ("backend", "dtype", "arrays"),
    [("numpy", "float32", 3), ("jax", "float32", 3), ("torch", "float32", 2)],
)
def test_memory_holds_the_scores_that_a_backend_makes(backend, dtype, arrays):
    scores = 4 * ATTENTION.size("full", LARGE)
    needed = ATTENTION.measuring_bytes("full", LARGE, dtype, backend)
    assert arrays * scores <= needed <= (arrays + 1) * scores


def test_fused_kernels_need_no_memory_for_scores():
    scores = 2 * ATTENTION.size("full", LARGE)
    assert ATTENTION.measuring_bytes("full", LARGE, "bfloat16", "torch") < scores


@pytest.mark.parametrize("params", [SMALL, {**SMALL, "sequence": 1}, LARGE], ids=str)
@pytest.mark.parametrize(
    ("backend", "case"),
    [("numpy", "full"), *[(backend, case) for backend in ("torch", "jax") for case in CASES]],
)
def test_the_right_result_passes_before_and_after(backend, case, params):
    for check in prepare_and_verify("attention", case, params, backend):
        assert check.passed
        assert 0 <= check.relative_error <= check.tolerance


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_half_precision_passes_its_own_tolerance_only(case, dtype):
    done = compute("attention", case, LARGE, "torch", dtype)
    assert done.judge(done.output).passed
    wide = compute("attention", case, LARGE, "torch")
    narrow = np.asarray(wide.output, np.float16).astype(np.float32)
    assert not wide.judge(narrow).passed


def one_element_off(output):
    output.reshape(-1)[output.size // 2] += 1


def missing_tail(output):
    output[-1, -1, -4:] = 0


def one_not_a_number(output):
    output.reshape(-1)[-1] = math.nan


def exchanged_heads(output):
    output[:, [0, 1]] = output[:, [1, 0]]


def exchanged_rows(output):
    output[0, 0, [3, 4]] = output[0, 0, [4, 3]]


def scaled(output):
    output *= 1.01


SMALL_BREAKS = [
    *(one_element_off, missing_tail, one_not_a_number),
    *(exchanged_heads, exchanged_rows, scaled),
]


@pytest.mark.parametrize("break_it", SMALL_BREAKS, ids=lambda break_it: break_it.__name__)
@pytest.mark.parametrize("case", CASES)
def test_a_broken_result_is_caught(case, break_it):
    done = compute("attention", case, SMALL, "torch")
    broken = done.output.copy()
    break_it(broken)
    assert not done.judge(broken).passed


@pytest.fixture(scope="module", params=[(case, dtype) for case in CASES for dtype in ("float32",)])
def large(request):
    case, dtype = request.param
    return compute("attention", case, LARGE, "torch", dtype)


@pytest.mark.parametrize("start", [0, 64, 960, 1856, 1937])
@pytest.mark.parametrize("head", [0, 1])
def test_a_wrong_block_of_queries_of_a_large_result_is_caught(large, head, start):
    assert large.judge(large.output).passed
    block, next_one = slice(start, start + 64), slice(start + 64, start + 128)
    for wrong in (0.0, math.nan, large.output[0, head, next_one][: 2001 - start - 64]):
        broken = large.output.copy()
        length = 64 if np.isscalar(wrong) else len(wrong)
        broken[0, head, block][:length] = wrong
        if length:
            assert not large.judge(broken).passed


def test_a_block_between_the_sampled_rows_is_caught_too(large):
    """The rough comparison sees what the exact one does not."""
    exact, _ = large.reference
    few = type(exact)(exact.rows[:, -1:], exact.outputs[:, -1:])
    broken = large.output.copy()
    broken[0, 1, 1024:1056] = 0
    assert exact_error(few, broken[0]) < 1e-5
    check = type(large)(**{**vars(large), "reference": (few, large.reference[1])}).judge
    assert check(large.output).passed
    assert not check(broken).passed


def test_a_forgotten_scale_or_mask_is_caught():
    torch = pytest.importorskip("torch")
    attention = torch.nn.functional.scaled_dot_product_attention
    for params in (SMALL, LARGE):
        full = compute("attention", "full", params, "torch")
        causal = compute("attention", "causal", params, "torch")
        assert not full.judge(causal.output).passed
        assert not causal.judge(full.output).passed
        operands = [torch.from_numpy(array) for array in full.inputs]
        assert not full.judge(attention(*operands, scale=1.0).numpy()).passed
        exchanged = attention(operands[1], operands[0], operands[2]).numpy()
        assert not full.judge(exchanged).passed


@pytest.mark.parametrize("case", CASES)
def test_a_result_of_the_wrong_shape_or_layout_is_caught(case):
    done = compute("attention", case, SMALL, "torch")
    assert not done.judge(done.output[:, :, :-1]).passed
    assert not done.judge(done.output.swapaxes(1, 2)).passed


def test_exact_rows_are_those_of_the_definition():
    q, k, v = (array[0] for array in ATTENTION.inputs("full", SMALL, "float32", 0))
    for causal in (False, True):
        exact = exact_rows(q, k, v, causal)
        for head in range(3):
            for row, output in zip(exact.rows[head], exact.outputs[head], strict=True):
                seen = row + 1 if causal else 37
                weights = [math.exp(float(q[head, row] @ k[head, j]) / 4) for j in range(seen)]
                expected = np.average(v[head, :seen].astype(float), axis=0, weights=weights)
                np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-7)


def test_numpy_has_no_causal_form():
    assert not ATTENTION.supports("numpy", "cpu", "causal")
    with pytest.raises(NotImplementedError, match="attention causal has no form"):
        ATTENTION.build(NumpyBackend("cpu"), "causal", SMALL, "float32")


CPU = [("numpy", "cpu"), ("torch", "cpu"), ("jax", "cpu")]
CUDA = [("torch", "cuda"), ("cupy", "cuda"), ("jax", "cuda")]


@pytest.mark.parametrize(
    ("suite", "places", "most"),
    [("quick", CPU, 1), ("quick", CUDA, 2), ("standard", CPU, 8), ("standard", CUDA, 28)],
)
@pytest.mark.parametrize("cores", [2, 16])
def test_suites_keep_their_share_of_the_time(suite, places, most, cores):
    tasks = make_tasks(suite, places, cores, ("attention",))
    modes = [mode for task in tasks for mode in task.modes if mode != "first_call"]
    assert 1 <= len(modes) <= most


def test_no_operation_of_the_standard_suite_needs_much_memory():
    for backend, device in ATTENTION.support:
        for point in ATTENTION.grid("standard", backend, device):
            needed = ATTENTION.measuring_bytes(point.case, dict(point.params), point.dtype, backend)
            assert needed <= 4 * 2**30
