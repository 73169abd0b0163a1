"""Expressions with new results: what one call does, and what the check sees."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.backends import open_backend
from collector.cells import make_tasks
from collector.workloads import Question, get_workload
from tests.collector.operation_doubles import compute, prepare_and_verify

FAMILY = get_workload("map")
EVERY = [(case, dtype) for case in FAMILY.cases for dtype in sorted(FAMILY.case_dtypes[case])]


def small(case):
    return {"n": 1003} if "n" in FAMILY.signatures[case] else {"rows": 31, "cols": 17}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_every_library_computes_it_right_before_and_after(case, dtype, backend):
    first, again = prepare_and_verify("map", case, small(case), backend, dtype)
    assert first.passed
    assert again.passed


@pytest.mark.parametrize("n", [1, 10])
@pytest.mark.parametrize("case", [case for case in FAMILY.cases if "n" in FAMILY.signatures[case]])
def test_one_element_is_an_array_too(case, n):
    """The cost of a call is measured on it."""
    dtype = max(FAMILY.case_dtypes[case])
    assert prepare_and_verify("map", case, {"n": n}, "numpy", dtype)[0].passed


def zero_at(place):
    def broken(output):
        output.reshape(-1)[place] = 0

    return broken


def exchanged(output):
    flat = output.reshape(-1)
    flat[:-1] = flat[1:].copy()


@pytest.mark.parametrize(
    "break_it",
    [zero_at(slice(-9, None)), zero_at(slice(None)), zero_at(slice(400, 500)), exchanged],
    ids=["tail", "all", "block", "shifted"],
)
@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_a_part_that_is_not_computed_is_seen(case, dtype, break_it):
    done = compute("map", case, small(case), "numpy", dtype)
    assert done.judge(done.output).passed
    shape, parts = done.output
    broken = parts[0].copy()
    break_it(broken)
    assert not done.judge((shape, [broken])).passed


@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_a_result_of_another_type_or_shape_is_seen(case, dtype):
    done = compute("map", case, small(case), "numpy", dtype)
    shape, parts = done.output
    other = np.int8 if parts[0].dtype == bool else np.complex64
    if dtype == "complex64":
        other = np.complex128
    assert not done.judge((shape, [part.astype(other) for part in parts])).passed
    assert not done.judge(((*shape, 1), parts)).passed


def test_a_float64_function_that_is_as_exact_as_float32_is_seen():
    done = compute("map", "sin", {"n": 1003}, "numpy", "float64")
    shape, parts = done.output
    rough = [part.astype(np.float32).astype(np.float64) for part in parts]
    assert not done.judge((shape, rough)).passed


def test_the_transpose_itself_is_no_copy_of_the_matrix():
    """A square matrix returned as it is has the right shape."""
    done = compute("map", "copy_transposed", {"rows": 40, "cols": 40}, "numpy")
    (x,) = done.inputs
    assert not done.judge(((40, 40), [x.reshape(-1)])).passed


@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_each_call_makes_a_new_array_and_leaves_its_operands(case, dtype):
    backend, params = open_backend("numpy", "cpu"), small(case)
    operands = FAMILY.inputs(case, params, dtype, 1)
    before = [array.copy() for array in operands]
    function = FAMILY.build(backend, case, params, dtype)
    results = [function(*operands), function(*operands)]
    assert results[0].flags.c_contiguous
    assert results[0].flags.owndata
    assert not np.shares_memory(*results)
    for operand, kept in zip(operands, before, strict=True):
        assert np.array_equal(operand, kept)
        assert dtype == "bool" or operand.dtype == bool or np.all(operand != 0)


# FLOP, bytes read, bytes written, host to device, device to host, kernels: by hand
WORK = [
    ("multiply", {"n": 1000}, "float64", (1000, 16_000, 8000, 16_000, 8000, 1)),
    ("exp", {"n": 1000}, "float32", (1000, 4000, 4000, 4000, 4000, 1)),
    # one byte for each truth
    ("compare", {"n": 1000}, "float64", (1000, 16_000, 1000, 16_000, 1000, 1)),
    ("where", {"n": 1000}, "float64", (0, 17_000, 8000, 17_000, 8000, 1)),
    ("cast", {"n": 1000}, "float64", (0, 8000, 4000, 8000, 4000, 1)),
    ("cast", {"n": 1000}, "float32", (0, 4000, 8000, 4000, 8000, 1)),
    ("logical", {"n": 1000}, "bool", (1000, 2000, 1000, 2000, 1000, 1)),
    # (a + bi)(c + di): four products, two sums
    ("multiply_complex", {"n": 10}, "complex128", (60, 320, 160, 320, 160, 1)),
    # rows 0 to 10 of the ten columns inside, from a matrix of 12 x 12
    ("add_slices", {"rows": 10, "cols": 10}, "float64", (100, 880, 800, 1152, 800, 1)),
    ("copy_transposed", {"rows": 5, "cols": 4}, "float32", (0, 80, 80, 80, 80, 1)),
    # a matrix of 50 and a column of 10
    ("multiply_column", {"rows": 10, "cols": 5}, "float64", (50, 480, 400, 480, 400, 1)),
]


@pytest.mark.parametrize("row", WORK, ids=lambda row: f"{row[0]}-{row[2]}")
def test_work_is_what_counting_by_hand_gives(row):
    case, params, dtype, expected = row
    assert astuple(FAMILY.work(case, params, dtype, "cupy", "cuda", "end_to_end")) == expected


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(EVERY))
def test_what_is_sent_and_fetched_are_the_arrays_themselves(rows, cols, asked):
    """An independent count: the sizes of the operands and of the result."""
    case, dtype = asked
    params = {"n": rows} if "n" in FAMILY.signatures[case] else {"rows": rows, "cols": cols}
    operands = FAMILY.inputs(case, params, dtype, 1)
    result = FAMILY.build(open_backend("numpy", "cpu"), case, params, dtype)(*operands)
    work = FAMILY.operation_work(case, params, dtype, "numpy")
    assert work.h2d_bytes == sum(array.nbytes for array in operands)
    assert work.d2h_bytes == work.bytes_written == result.nbytes
    assert FAMILY.size(case, params) == result.size


def shape_of(case, dtype, backend, device, **params):
    asked = Question("map", case, dtype, "ieee", backend, device, "hot")
    return FAMILY.shape(asked, {name: np.array([float(v)]) for name, v in params.items()})


def test_results_are_new_memory_on_a_cpu_only():
    assert shape_of("compare", "float64", "numpy", "cpu", n=1000).fresh == 1000
    assert shape_of("compare", "float64", "cupy", "cuda", n=1000).fresh == 0


def test_rows_of_whole_pages_are_awkward_to_transpose():
    rows = [
        shape_of("copy_transposed", "float64", "numpy", "cpu", rows=512, cols=cols)
        for cols in (511, 512, 1024)
    ]
    awkward = [float(shape.awkward[0]) for shape in rows]
    assert awkward == [0.0, 1.0, 1.0]


def test_the_suites_measure_one_element_and_awkward_sizes():
    tasks = make_tasks("standard", [("numpy", "cpu"), ("cupy", "cuda")], 2, ("map",))
    drawn = {value for task in tasks for _, value in task.operation.params}
    assert 1 in drawn
    assert any(value > 1000 and value % 8 for value in drawn)
    quick = make_tasks("quick", [("numpy", "cpu")], 2, ("map",))
    assert len(quick) == 1
