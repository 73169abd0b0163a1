"""Counting and finding among bins: what one call does, and what the check sees."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.backends import open_backend
from collector.workloads import Question, get_workload
from tests.collector.operation_doubles import compute, prepare_and_verify

FAMILY = get_workload("histogram")
EVERY = [(case, dtype) for case in FAMILY.cases for dtype in sorted(FAMILY.case_dtypes[case])]


def params_of(case, n=5003, bins=37):
    return {"n": n, "values" if case == "unique" else "bins": bins}


@pytest.mark.parametrize(("n", "bins"), [(5003, 37), (11, 130), (1, 1), (2000, 100_000)])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_every_library_computes_it_right_before_and_after(case, dtype, backend, n, bins):
    first, again = prepare_and_verify("histogram", case, params_of(case, n, bins), backend, dtype)
    assert first.passed
    assert again.passed


def one_off(output):
    output[7] += 1


def tail(output):
    output[-3:] = 0


def shifted(output):
    output[:-1] = output[1:].copy()


@pytest.mark.parametrize("break_it", [one_off, tail, shifted])
@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_a_count_or_place_that_is_off_is_seen(case, dtype, break_it):
    done = compute("histogram", case, params_of(case), "numpy", dtype)
    assert done.judge(done.output).passed
    broken = done.output.copy()
    break_it(broken)
    assert not done.judge(broken).passed


@pytest.mark.parametrize(("case", "dtype"), EVERY)
def test_a_result_of_another_shape_is_seen(case, dtype):
    done = compute("histogram", case, params_of(case), "numpy", dtype)
    assert not done.judge(done.output[:-1]).passed
    assert not done.judge(done.output[:, None]).passed


def test_one_value_that_is_not_counted_is_seen():
    done = compute("histogram", "bincount", params_of("bincount"), "numpy", "int64")
    (x,) = done.inputs
    assert not done.judge(np.bincount(x[1:], minlength=37)).passed


def test_a_search_from_the_right_differs_only_at_equal_values():
    """A value that is in the table belongs before itself."""
    done = compute("histogram", "searchsorted", params_of("searchsorted"), "numpy", "float64")
    table, needles = done.inputs
    needles[5] = table[9]
    assert done.judge(np.searchsorted(table, needles)).passed
    assert not done.judge(np.searchsorted(table, needles, "right")).passed


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 2**16))
def test_all_distinct_values_occur_where_there_is_room(n, values, seed):
    (labels,) = FAMILY.inputs("unique", {"n": n, "values": values}, "int64", seed)
    assert set(labels.tolist()) == set(range(1, min(n, values) + 1))
    assert len(labels) == n


@given(st.integers(1, 100_000), st.integers(0, 2**16), st.sampled_from(["float64", "float32"]))
def test_values_stay_away_from_the_edges_of_their_bins(bins, seed, dtype):
    """So that all libraries put them into the same, whatever they round."""
    (x,) = FAMILY.inputs("histogram", {"n": 200, "bins": bins}, dtype, seed)
    inside = x.astype(np.float64) * bins % 1.0
    assert inside.min() > 0.2
    assert inside.max() < 0.8


# FLOP, bytes read, bytes written, host to device, device to host, kernels: by hand
WORK = [
    ("histogram", "float32", "cupy", (1000, 4000, 128, 4000, 128, 8)),
    ("histogram", "float32", "torch", (1000, 4000, 64, 4000, 64, 2)),
    ("bincount", "int64", "cupy", (1000, 8000, 128, 8000, 128, 6)),
    # four comparisons in a table of 16 values
    ("searchsorted", "float32", "torch", (4000, 4064, 8000, 4064, 8000, 1)),
    ("unique", "int64", "cupy", (4000, 8000, 128, 8000, 128, 17)),
]


@pytest.mark.parametrize("row", WORK, ids=lambda row: f"{row[0]}-{row[2]}")
def test_work_is_what_counting_by_hand_gives(row):
    case, dtype, backend, expected = row
    work = FAMILY.work(case, params_of(case, 1000, 16), dtype, backend, "cuda", "end_to_end")
    assert astuple(work) == expected


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(EVERY))
def test_what_is_sent_and_fetched_are_the_arrays_themselves(n, bins, asked):
    """An independent count: the sizes of the operands and of the result."""
    case, dtype = asked
    params = params_of(case, n, bins)
    operands = FAMILY.inputs(case, params, dtype, 1)
    result = FAMILY.build(open_backend("numpy", "cpu"), case, params, dtype)(*operands)
    work = FAMILY.operation_work(case, params, dtype, "numpy")
    assert work.h2d_bytes == sum(array.nbytes for array in operands)
    assert work.d2h_bytes == result.nbytes


def shape_of(case, backend, device, n, bins):
    asked = Question("histogram", case, "int64", "ieee", backend, device, "hot")
    given_arrays = {name: np.array([float(v)]) for name, v in params_of(case, n, bins).items()}
    return FAMILY.shape(asked, given_arrays)


def test_few_places_are_awkward_on_a_gpu_and_many_on_a_cpu():
    few, many = (shape_of("bincount", "cupy", "cuda", 1000, bins).awkward for bins in (1, 10**6))
    assert math.isclose(few[0], 1.0)
    assert math.isclose(many[0], 0.0, abs_tol=1e-12)
    few, many = (shape_of("bincount", "numpy", "cpu", 10, bins).awkward for bins in (10, 10**7))
    assert (few[0], many[0]) == (0.0, 1.0)


def test_distinct_values_are_sorted_on_a_gpu():
    """Eight passes over keys of eight bytes, each way, whatever is compared."""
    shape = shape_of("unique", "cupy", "cuda", 1000, 1000)
    assert shape.serial == 0.0
    assert shape.passes[0] * 16_000 == 2 * 8 * 8000
