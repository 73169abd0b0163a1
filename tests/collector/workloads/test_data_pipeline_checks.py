"""Checks of sort, gather, scatter_add and spmm catch what is broken on purpose."""

import sys

import numpy as np
import pytest

from collector.backends import open_backend
from collector.backends.host_backends import NumpyBackend
from collector.workloads import get_workload
from tests.collector.pipeline_operations import OPERATIONS, SEED, computed, passes


@pytest.fixture(scope="module")
def backends():
    """Opened once each; a test skips where the library is not installed."""
    opened = {}

    def give(name):
        pytest.importorskip(name)
        if name not in opened:
            opened[name] = open_backend(name, "cpu")
        return opened[name]

    return give


def one_element_off(output):
    output.reshape(-1)[output.size // 2] += 3


def two_exchanged(output):
    flat = output.reshape(-1)
    flat[[0, -1]] = flat[[-1, 0]]


def missing_tail(output):
    output.reshape(-1)[-max(1, output.size // 16) :] = 0


def not_a_number_at_the_end(output):
    output.reshape(-1)[-1] = np.nan if output.dtype.kind == "f" else -1


def all_zeros(output):
    output[...] = 0


def scaled(output):
    output *= 2


BREAKS = [
    *(one_element_off, two_exchanged, missing_tail, not_a_number_at_the_end, all_zeros, scaled)
]
EXACT = [row for row in OPERATIONS if row[0] != "random" and row[2] != {"batch": 1, "image": 2}]


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda break_it: break_it.__name__)
@pytest.mark.parametrize("row", EXACT, ids=str)
def test_a_broken_result_is_caught(row, break_it):
    if row[0] == "spmm":
        pytest.importorskip("scipy")
    family, params, reference, output = computed(row)
    assert passes(row, family, params, reference, output)
    broken = output.copy()
    break_it(broken)
    if np.array_equal(broken, output):
        pytest.skip("the same by chance")
    assert not passes(row, family, params, reference, broken)


@pytest.mark.parametrize("row", OPERATIONS, ids=str)
def test_a_result_of_another_shape_is_caught(row):
    if row[0] == "spmm":
        pytest.importorskip("scipy")
    family, params, reference, output = computed(row)
    assert not passes(row, family, params, reference, output[..., :-1])
    longer = np.concatenate([output, output[:1]])
    assert not passes(row, family, params, reference, longer)


def test_indices_that_come_twice_do_not_sort():
    row = ("sort", "argsort", {"n": 1001}, "float32")
    family, params, reference, output = computed(row)
    x = reference[0]
    x[output[1]] = x[output[0]]  # equal keys: their order is free, but each must be there
    reference = family.reference((x,), "argsort", params, "float32")
    exchanged = output.copy()
    exchanged[[0, 1]] = exchanged[[1, 0]]
    assert passes(row, family, params, reference, exchanged)
    exchanged[0] = exchanged[1]
    assert not passes(row, family, params, reference, exchanged)


def test_descending_and_unsorted_keys_are_caught():
    row = ("sort", "sort", {"n": 1001}, "float32")
    family, params, reference, output = computed(row)
    assert not passes(row, family, params, reference, output[::-1].copy())
    assert not passes(row, family, params, reference, reference[0])


@pytest.mark.parametrize("start", [0, 1_234_567, 2_990_000])
def test_a_long_vector_with_a_hole_or_a_shift_is_caught(start):
    row = ("sort", "sort", {"n": 3_000_000}, "float32")
    family, params = get_workload("sort"), {"n": 3_000_000}
    (keys,) = family.inputs("sort", params, "float32", SEED)
    reference, output = family.reference((keys,), "sort", params, "float32"), np.sort(keys)
    assert passes(row, family, params, reference, output)
    hole = output.copy()
    hole[start : start + 4096] = 0
    assert not passes(row, family, params, reference, hole)
    shifted = output.copy()  # one key lost, another one twice
    shifted[start : start + 8192] = output[start + 1 : start + 8193]
    assert not passes(row, family, params, reference, shifted)


def test_a_lookup_of_the_next_row_is_caught():
    row = ("gather", "rows", {"rows": 101, "width": 7, "count": 53}, "float32")
    family, params, reference, _ = computed(row)
    table, indices = family.inputs("rows", params, "float32", SEED)
    assert passes(row, family, params, reference, table[indices])
    assert not passes(row, family, params, reference, table[(indices + 1) % 101])


@pytest.mark.parametrize("case", ["histogram", "rows"])
def test_one_value_that_is_not_added_is_caught(case):
    """As if an addition that is not atomic had been lost: the classic error of this operation."""
    shape = {"count": 100_003, "bins": 1000}
    if case == "rows":
        shape = {"rows": 500, "width": 16, "count": 5000}
    row = ("scatter_add", case, shape, "float32")
    family, params, reference, output = computed(row)
    source, indices = family.inputs(case, params, "float32", SEED)
    assert passes(row, family, params, reference, output)
    output[indices[17]] -= source[17]
    assert not passes(row, family, params, reference, output)


def test_overwriting_instead_of_adding_is_caught():
    row = ("scatter_add", "histogram", {"count": 1001, "bins": 13}, "float32")
    family, params, reference, output = computed(row)
    source, indices = family.inputs("histogram", params, "float32", SEED)
    overwritten = np.zeros_like(output)
    overwritten[indices] += source
    assert not passes(row, family, params, reference, overwritten)


def test_adding_to_what_an_earlier_call_left_is_caught():
    row = ("scatter_add", "histogram", {"count": 1001, "bins": 13}, "float32")
    family, params, reference, output = computed(row)
    assert not passes(row, family, params, reference, output + output)


def test_the_transposed_sparse_matrix_is_caught():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    row = ("spmm", "csr_dense", {"rows": 101, "nonzeros_per_row": 7, "width": 9}, "float32")
    family, params, reference, _ = computed(row)
    values, columns, pointers, dense = family.inputs("csr_dense", params, "float32", SEED)
    matrix = scipy_sparse.csr_matrix((values, columns, pointers), shape=(101, 101))
    assert passes(row, family, params, reference, matrix @ dense)
    assert not passes(row, family, params, reference, matrix.T @ dense)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_new_operands_make_a_new_sparse_matrix_and_old_ones_do_not(name, backends, monkeypatch):
    if name == "numpy":
        pytest.importorskip("scipy")
    from collector.workloads import spmm as module

    family, backend, made = get_workload("spmm"), backends(name), []
    maker = module._maker

    def counting_maker(*arguments):
        make = maker(*arguments)

        def counted(*operands):
            made.append(1)
            return make(*operands)

        return counted

    monkeypatch.setattr(module, "_maker", counting_maker)
    params = {"rows": 20, "nonzeros_per_row": 3, "width": 4}
    inputs = family.inputs("csr_dense", params, "float32", SEED)
    first = family.host_operands(backend, inputs, "float32")
    function = family.build(backend, "csr_dense", params, "float32")
    product = backend.to_numpy(function(*first))
    function(*first)
    assert len(made) == 1
    doubled = (backend.host(2 * inputs[0], "float32"), *first[1:])
    assert np.allclose(backend.to_numpy(function(*doubled)), 2 * product)
    assert len(made) == 2


def test_a_sparse_product_without_scipy_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    params = {"rows": 20, "nonzeros_per_row": 3, "width": 4}
    with pytest.raises(NotImplementedError, match="needs scipy"):
        get_workload("spmm").build(NumpyBackend("cpu"), "csr_dense", params, "float32")
