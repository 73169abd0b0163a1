"""Whole numbers, orders, exponential and legacy numbers: their laws, and what breaks them."""

import numpy as np
import pytest

from collector.backends.host_backends import NumpyBackend
from collector.workloads import Work, get_workload
from tests.collector.pipeline_operations import computed, passes

FAMILY = get_workload("random")
WHOLE = ("integers", "legacy_integers")
OTHERS = ("exponential", "legacy_uniform", "legacy_normal")


def row(case, n):
    return ("random", case, {"n": n}, "int64" if case in (*WHOLE, "permutation") else "float64")


def left_out(numbers):
    numbers[numbers.size // 4 : numbers.size // 2] = 0


def out_of_range(numbers):
    numbers[numbers.size // 2] = 1000 if numbers.dtype.kind == "i" else 50


def negative(numbers):
    numbers[numbers.size // 2] = -50


def half_as_large(numbers):
    numbers //= 2


def one_twice(numbers):
    numbers[numbers.size // 2] = numbers[numbers.size // 2 + 7]


def in_order(numbers):
    numbers.sort()


def broken(case, n, break_it):
    family, params, reference, output = computed(row(case, n))
    assert passes(row(case, n), family, params, reference, output)
    wrong = output.copy()
    wrong[[0, n - 1]] = wrong[[n - 1, 0]]  # another beginning: only the break is at fault
    assert passes(row(case, n), family, params, reference, wrong.copy())
    wrong[[1, n - 2]] = wrong[[n - 2, 1]]
    break_it(wrong)
    return passes(row(case, n), family, params, reference, wrong)


@pytest.mark.parametrize("n", [3000, 300_000])
@pytest.mark.parametrize("break_it", [left_out, out_of_range, negative, half_as_large, in_order])
@pytest.mark.parametrize("case", WHOLE)
def test_whole_numbers_that_do_not_follow_the_law_are_caught(case, break_it, n):
    assert not broken(case, n, break_it)


@pytest.mark.parametrize("n", [3000, 300_000])
@pytest.mark.parametrize("break_it", [left_out, out_of_range, one_twice, in_order])
def test_an_order_that_is_none_is_caught(break_it, n):
    """Each number comes once, and not one after the other."""
    if break_it is out_of_range:
        assert not broken("permutation", n, negative)
    else:
        assert not broken("permutation", n, break_it)


@pytest.mark.parametrize("n", [3000, 300_000])
@pytest.mark.parametrize("break_it", [left_out, out_of_range, negative])
@pytest.mark.parametrize("case", OTHERS)
def test_other_numbers_that_do_not_follow_the_law_are_caught(case, break_it, n):
    assert not broken(case, n, break_it)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100])
@pytest.mark.parametrize("case", FAMILY.cases)
def test_few_numbers_pass_however_they_fall(case, n):
    """400 outputs of each, of which none may be called wrong."""
    asked = row(case, n)
    backend = NumpyBackend("cpu")
    draw = FAMILY.build(backend, case, asked[2], asked[3])
    reference = FAMILY.reference((), case, asked[2], asked[3])
    for _ in range(400):
        assert passes(asked, FAMILY, asked[2], reference, draw())


@pytest.mark.parametrize("case", [*OTHERS, *WHOLE])
def test_few_numbers_that_were_not_written_are_caught(case):
    family, params, reference, output = computed(row(case, 10))
    assert not passes(row(case, 10), family, params, reference, np.zeros_like(output))


def test_whole_numbers_of_another_type_are_caught():
    family, params, reference, output = computed(row("integers", 3000))
    assert not passes(
        row("integers", 3000), family, params, reference, output[::-1].astype(np.int32)
    )


def test_legacy_numbers_are_those_of_a_random_state():
    """The Mersenne Twister's, which is not the generator of default_rng."""
    for case, method in (("legacy_uniform", "random_sample"), ("legacy_normal", "standard_normal")):
        *_, output = computed(row(case, 50))
        expected = getattr(np.random.RandomState(20_240_131), method)(50)
        np.testing.assert_array_equal(output, expected)


def test_each_number_is_written_once():
    """Eight bytes a number; CuPy's own steps beside the first are kernels."""
    for case in FAMILY.cases:
        work = FAMILY.operation_work(case, {"n": 1000}, row(case, 1)[3], "numpy")
        assert work == Work(1000.0, 0.0, 8000.0, 0.0, 8000.0, 1)
    assert FAMILY.operation_work("permutation", {"n": 9}, "int64", "cupy").kernel_count > 1


def test_cases_have_the_types_that_they_draw():
    assert FAMILY.takes("integers", "int64")
    assert not FAMILY.takes("integers", "float64")
    assert not FAMILY.takes("uniform", "int64")
    assert not FAMILY.supports("torch", "cpu", "legacy_normal")
