"""Picking elements: what one call does, and what the check sees."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.backends import open_backend
from collector.workloads import Question, get_workload
from tests.collector.operation_doubles import compute, prepare_and_verify

FAMILY = get_workload("select")
EVERY = [(case, dtype) for case in FAMILY.cases for dtype in sorted(FAMILY.case_dtypes[case])]
ARRAYS = [pair for pair in EVERY if pair[0] not in ("argmin", "max", "median", "count_nonzero")]


def small(case):
    return {"rows": 31, "cols": 17} if case == "argmin_rows" else {"n": 1003}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_every_library_computes_it_right_before_and_after(case, dtype, backend):
    if not FAMILY.supports(backend, "cpu", case):
        pytest.skip(f"{backend} has no {case}")
    first, again = prepare_and_verify("select", case, small(case), backend, dtype)
    assert first.passed
    assert again.passed


@pytest.mark.parametrize("n", [1, 2, 10])
@pytest.mark.parametrize("case", [case for case in FAMILY.cases if case != "argmin_rows"])
def test_few_elements_are_an_array_too(case, n):
    dtype = max(FAMILY.case_dtypes[case])
    assert prepare_and_verify("select", case, {"n": n}, "numpy", dtype)[0].passed


@pytest.mark.parametrize("part", [slice(-5, None), slice(200, 300)], ids=["tail", "block"])
@pytest.mark.parametrize(("case", "dtype"), ARRAYS)
def test_a_part_that_is_not_written_is_seen(case, dtype, part):
    done = compute("select", case, small(case), "numpy", dtype)
    assert done.judge(done.output).passed
    broken = done.output.copy()
    broken[part if case != "argmin_rows" else slice(-5, None)] = -1
    assert not done.judge(broken).passed


@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_a_result_of_another_shape_is_seen(case, dtype):
    done = compute("select", case, small(case), "numpy", dtype)
    assert not done.judge(done.output[..., None]).passed


@pytest.mark.parametrize("case", ["argmin", "max", "median", "count_nonzero"])
def test_a_single_result_that_is_off_is_seen(case):
    dtype = max(FAMILY.case_dtypes[case])
    done = compute("select", case, {"n": 1003}, "numpy", dtype)
    off = done.output + done.output.dtype.type(1)
    if case in ("max", "median"):
        off = done.output * done.output.dtype.type(1.00001)
    assert done.judge(done.output).passed
    assert not done.judge(np.asarray(off)).passed


def test_any_of_the_smallest_elements_will_do():
    """Values of a long vector repeat, and libraries do not all give the first."""
    done = compute("select", "argmin", {"n": 1003}, "numpy", "float64")
    (x,) = done.inputs
    other = (int(done.output) + 7) % len(x)
    x[other] = x[int(done.output)]
    assert done.judge(np.asarray(other)).passed
    assert not done.judge(np.asarray(other + len(x))).passed


def exchanged_over_the_middle(output):
    output[[0, -1]] = output[[-1, 0]]


def one_element_twice(output):
    output[0] = output[1]


def rotated(output):
    output[:] = np.roll(output, 1)


@pytest.mark.parametrize("break_it", [exchanged_over_the_middle, one_element_twice, rotated])
def test_what_is_no_partition_is_seen(break_it):
    done = compute("select", "partition", {"n": 1003}, "numpy", "float64")
    broken = done.output.copy()
    break_it(broken)
    assert not done.judge(broken).passed


def test_a_sorted_vector_is_partitioned():
    """As CuPy does it; the order within the halves is free."""
    done = compute("select", "partition", {"n": 1003}, "numpy", "float64")
    assert done.judge(np.sort(done.output)).passed
    assert not done.judge(np.sort(done.output)[::-1]).passed


def test_an_assignment_to_elements_beyond_the_mask_is_seen():
    done = compute("select", "mask_assign", {"n": 1003}, "numpy", "float64")
    assert not done.judge(np.full(1003, 2.0)).passed
    assert not done.judge(np.ones(1003)).passed


def test_the_other_half_of_the_mask_is_seen():
    done = compute("select", "compress", {"n": 1004}, "numpy", "float64")
    x, mask = done.inputs
    assert done.judge(x[mask]).passed
    assert not done.judge(x[~mask]).passed


def test_what_is_put_before_is_no_excuse_for_what_is_not_put_again():
    """The array that ``put`` writes to is overwritten between the two checks."""
    backend, params = open_backend("numpy", "cpu"), {"n": 1003}
    inputs = FAMILY.inputs("put", params, "float64", 1)
    output = FAMILY.build(backend, "put", params, "float64")(*inputs)
    assert not FAMILY.returns_operands("put")
    backend.poison(output)
    reference = FAMILY.reference(inputs, "put", params, "float64")
    assert not FAMILY.check(reference, output, "put", params, "float64", "ieee").passed


@given(st.integers(1, 3000), st.integers(0, 2**16))
def test_half_of_a_mask_is_true(n, seed):
    (mask,) = FAMILY.inputs("nonzero", {"n": n}, "bool", seed)
    assert mask.sum() == (n + 1) // 2
    assert len(mask) == n


# FLOP, bytes read, bytes written, host to device, device to host, kernels: by hand
WORK = [
    ("argmin", {"n": 1000}, "float64", (1000, 8000, 8, 8000, 8, 1)),
    ("argmin_rows", {"rows": 10, "cols": 50}, "float32", (500, 2000, 80, 2000, 80, 1)),
    ("max", {"n": 1000}, "float32", (1000, 4000, 4, 4000, 4, 1)),
    # a copy and the eight passes, histogram and prefix sum of a radix sort
    ("partition", {"n": 1000}, "float64", (2000, 8000, 8000, 8000, 8000, 11)),
    ("median", {"n": 1000}, "float32", (2000, 4000, 4000, 4000, 4, 10)),
    # 501 of 1001 elements
    ("compress", {"n": 1001}, "float64", (0, 9009, 4008, 9009, 4008, 3)),
    ("mask_assign", {"n": 1001}, "float64", (0, 1001, 4008, 1001, 8008, 1)),
    ("nonzero", {"n": 1001}, "bool", (0, 1001, 4008, 1001, 4008, 3)),
    ("count_nonzero", {"n": 1001}, "bool", (1001, 1001, 8, 1001, 8, 1)),
    ("take", {"n": 100}, "float32", (0, 1200, 400, 1200, 400, 1)),
    ("put", {"n": 100}, "float64", (0, 1600, 800, 1600, 800, 1)),
]


@pytest.mark.parametrize("row", WORK, ids=lambda row: row[0])
def test_work_is_what_counting_by_hand_gives(row):
    case, params, dtype, expected = row
    assert astuple(FAMILY.work(case, params, dtype, "cupy", "cuda", "end_to_end")) == expected


@given(st.integers(1, 300), st.sampled_from(EVERY))
def test_what_is_sent_and_fetched_are_the_arrays_themselves(n, asked):
    """An independent count: the sizes of the operands and of the result."""
    case, dtype = asked
    params = {"rows": n, "cols": 7} if case == "argmin_rows" else {"n": n}
    operands = FAMILY.inputs(case, params, dtype, 1)
    result = FAMILY.build(open_backend("numpy", "cpu"), case, params, dtype)(*operands)
    work = FAMILY.operation_work(case, params, dtype, "numpy")
    assert work.h2d_bytes == sum(array.nbytes for array in operands)
    assert work.d2h_bytes == np.asarray(result).nbytes


def shape_of(case, backend, device, n):
    asked = Question("select", case, "float64", "ieee", backend, device, "hot")
    return FAMILY.shape(asked, {"n": np.array([float(n)])})


def test_random_places_bring_whole_lines():
    """Each 8 bytes taken come with 64; index and result of 8 bytes each besides."""
    work = FAMILY.operation_work("take", {"n": 1000}, "float64", "numpy")
    moved = work.bytes_read + work.bytes_written
    assert shape_of("take", "numpy", "cpu", 1000).passes * moved == 1000 * (64 + 16)
    assert shape_of("put", "numpy", "cpu", 1000).passes * moved == 1000 * (2 * 64 + 16)


def test_a_partition_on_a_gpu_is_a_sort_in_passes():
    """Of eight bits of 64, each reading and writing the keys; nothing is compared."""
    shape = shape_of("partition", "cupy", "cuda", 10_000)
    assert (shape.serial, shape.passes[0]) == (0.0, 8)


def test_only_new_results_are_new_memory():
    fresh = {
        case: float(np.max(shape_of(case, "numpy", "cpu", 1000).fresh)) for case in ("take", "put")
    }
    assert fresh == {"take": 8000.0, "put": 0.0}
