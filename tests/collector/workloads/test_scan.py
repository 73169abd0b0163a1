"""Running sums: what one call does, and what the check sees."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.workloads import Question, get_workload
from tests.collector.operation_doubles import compute, prepare_and_verify

FAMILY = get_workload("scan")
CASES = {"cumsum": {"n": 5003}, "cumsum_rows": {"rows": 31, "cols": 170}}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("case", CASES)
def test_every_library_computes_it_right_before_and_after(case, backend, dtype):
    first, again = prepare_and_verify("scan", case, CASES[case], backend, dtype)
    assert first.passed
    assert again.passed


def tail(output):
    output[-3:] = 0


def block_not_added(output):
    output[output.size // 2 :] -= 1  # as if the sum of the first half were off by one


def one_missing(output):
    output[100] = output[99]


@pytest.mark.parametrize("break_it", [tail, block_not_added, one_missing])
@pytest.mark.parametrize("case", CASES)
def test_a_sum_that_is_off_is_seen(case, break_it):
    done = compute("scan", case, CASES[case], "numpy")
    assert done.judge(done.output).passed
    shape, parts = done.output
    broken = parts[0].reshape(-1).copy()
    break_it(broken)
    assert not done.judge((shape, [broken])).passed


def test_sums_down_the_columns_are_not_those_of_the_rows():
    done = compute("scan", "cumsum_rows", {"rows": 40, "cols": 40}, "numpy")
    columns = np.cumsum(done.inputs[0], axis=0)
    assert not done.judge((columns.shape, [columns.reshape(-1)])).passed


def test_a_float32_result_is_no_float64_one():
    done = compute("scan", "cumsum", CASES["cumsum"], "numpy", "float64")
    shape, parts = done.output
    assert not done.judge((shape, [part.astype(np.float32) for part in parts])).passed


def test_terms_are_not_zero_and_of_both_signs():
    (x,) = FAMILY.inputs("cumsum", {"n": 10_000}, "float32", 1)
    assert set(np.unique(x)) == set(range(-8, 0)) | set(range(1, 9))


def test_each_element_is_read_added_and_written():
    """100 x 30 floats of 4 bytes."""
    work = FAMILY.work("cumsum_rows", {"rows": 100, "cols": 30}, "float32", "cupy", "cuda", "hot")
    assert astuple(work) == (3000, 12_000, 12_000, 0, 0, 1)
    work = FAMILY.work("cumsum", {"n": 10}, "float64", "torch", "cuda", "end_to_end")
    assert astuple(work) == (10, 80, 80, 80, 80, 2)


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**16))
def test_running_sums_end_with_the_sum_of_each_row(rows, cols, seed):
    """The reference against sums that no scan made."""
    params = {"rows": rows, "cols": cols}
    inputs = FAMILY.inputs("cumsum_rows", params, "float32", seed)
    shape, parts = FAMILY.reference(inputs, "cumsum_rows", params, "float32")
    assert shape == (rows, cols)
    assert np.array_equal(parts[0].reshape(shape)[:, -1], inputs[0].sum(axis=1, dtype=float))


def test_rows_are_the_width_on_a_gpu_and_results_new_on_a_cpu():
    def shape(device, backend):
        asked = Question("scan", "cumsum_rows", "float64", "ieee", backend, device, "hot")
        return FAMILY.shape(asked, {"rows": np.array([7.0]), "cols": np.array([5.0])})

    assert shape("cuda", "cupy").width == 7
    assert shape("cpu", "numpy").fresh == 7 * 5 * 8
