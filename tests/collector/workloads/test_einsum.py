"""Einstein sums: what one call does by each library, and what the check sees."""

import numpy as np
import pytest

from collector.backends import open_backend
from collector.workloads import Question, Work, get_workload

FAMILY = get_workload("einsum")
SMALL = {
    "row_dots": {"rows": 60, "cols": 17},
    "matrix_product": {"m": 20, "n": 30, "k": 17},
    "outer": {"rows": 60, "cols": 17},
    "bilinear": {"batch": 60, "n": 17},
}
SUBSCRIPTS = {
    "row_dots": "ij,ij->i",
    "matrix_product": "ij,jk->ik",
    "outer": "i,j->ij",
    "bilinear": "bi,ij,bj->b",
}


def computed(name, case, params, dtype):
    pytest.importorskip(name)
    backend = open_backend(name, "cpu")
    inputs = FAMILY.inputs(case, params, dtype, 4)
    operands = map(backend.upload, FAMILY.host_operands(backend, inputs, dtype))
    return backend, inputs, FAMILY.build(backend, case, params, dtype)(*operands)


def check(backend, inputs, output, case, params, dtype="float64"):
    reference = FAMILY.reference(inputs, case, params, dtype)
    found = FAMILY.fetch(backend, output)
    return FAMILY.check(reference, found, case, params, dtype, "ieee")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("case", SMALL)
def test_each_library_sums_what_the_subscripts_say(case, name, dtype):
    backend, inputs, output = computed(name, case, SMALL[case], dtype)
    expected = np.einsum(SUBSCRIPTS[case], *(x.astype(np.float64) for x in inputs))
    size = np.abs(expected).max()
    np.testing.assert_allclose(backend.to_numpy(output), expected, rtol=0, atol=1e-5 * size)
    assert check(backend, inputs, output, case, SMALL[case], dtype).passed


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_long_sums_stay_within_their_tolerance(dtype, name):
    """A million positive terms, added up in as many parts as the library likes."""
    params = {"rows": 3, "cols": 1_000_003}
    backend, inputs, output = computed(name, "row_dots", params, dtype)
    assert check(backend, inputs, output, "row_dots", params, dtype).passed


def last_left_out(output):
    output[-1] = 0


def one_off(output):
    output.reshape(-1)[output.size // 2] += 0.1


def not_a_number(output):
    output.reshape(-1)[0] = np.nan


def exchanged(output):
    output[[0, 1]] = output[[1, 0]]


@pytest.mark.parametrize("break_it", [last_left_out, one_off, not_a_number, exchanged])
@pytest.mark.parametrize("case", SMALL)
def test_a_broken_result_is_caught(case, break_it):
    backend, inputs, output = computed("numpy", case, SMALL[case], "float64")
    assert check(backend, inputs, output, case, SMALL[case]).passed
    break_it(output)
    assert not check(backend, inputs, output, case, SMALL[case]).passed
    assert not check(backend, inputs, output[1:], case, SMALL[case]).passed


@pytest.mark.parametrize(("case", "at"), [("row_dots", -1), ("bilinear", -1)])
def test_a_term_that_is_left_out_of_each_sum_is_caught(case, at):
    backend, inputs, _ = computed("numpy", case, SMALL[case], "float64")
    shorter = [np.array(x) for x in inputs]
    shorter[-1][..., at] = 0
    output = np.einsum(SUBSCRIPTS[case], *shorter)
    assert not check(backend, inputs, output, case, SMALL[case]).passed


HAND = [
    ("row_dots", {"rows": 10, "cols": 3}, "numpy", Work(60.0, 480.0, 80.0, 480.0, 80.0, 1)),
    (
        *("matrix_product", {"m": 2, "n": 3, "k": 5}, "numpy"),
        Work(60.0, 200.0, 48.0, 200.0, 48.0, 1),
    ),
    ("outer", {"rows": 10, "cols": 3}, "torch", Work(30.0, 104.0, 240.0, 104.0, 240.0, 1)),
    # 10 vectors of 3, a matrix of 9, 10 vectors of 3; two products and a sum for each of 90 terms
    ("bilinear", {"batch": 10, "n": 3}, "numpy", Work(270.0, 552.0, 80.0, 552.0, 80.0, 1)),
    # a product of 180 FLOP, 30 numbers written and read again, dot products of 60 FLOP
    ("bilinear", {"batch": 10, "n": 3}, "cupy", Work(240.0, 792.0, 320.0, 552.0, 80.0, 2)),
]


@pytest.mark.parametrize(("case", "params", "backend", "work"), HAND, ids=str)
def test_work_is_what_counting_by_hand_gives(case, params, backend, work):
    assert FAMILY.operation_work(case, params, "float64", backend) == work


def test_a_product_is_tiled_on_a_gpu_and_a_loop_in_numpy():
    params = {name: np.array([300.0]) for name in "mnk"}

    def shape(backend, device):
        asked = Question("einsum", "matrix_product", "float64", "ieee", backend, device, "hot")
        return FAMILY.shape(asked, params)

    assert shape("cupy", "cuda").product_batch == 1.0
    assert np.isfinite(shape("torch", "cpu").depth)
    assert np.isinf(shape("numpy", "cpu").depth)
