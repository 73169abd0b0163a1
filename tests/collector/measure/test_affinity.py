"""Which CPUs a worker is bound to."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.measure.affinity import bind, choose_cpus, parse_cpu_list

PAIRS = {cpu: frozenset({cpu % 4, cpu % 4 + 4}) for cpu in range(8)}  # 4 cores of 2 threads


def test_one_thread_gets_the_last_core():
    assert choose_cpus(1, range(8), PAIRS) == {7}


def test_each_thread_gets_a_core_of_its_own():
    assert choose_cpus(4, range(8), PAIRS) == {4, 5, 6, 7}
    assert choose_cpus(2, [0, 1, 4, 5], PAIRS) == {4, 5}


def test_more_threads_than_cores_share_what_is_allowed():
    assert choose_cpus(6, range(8), PAIRS) == set(range(8))


def test_a_cpu_without_known_siblings_is_a_core():
    assert choose_cpus(2, [3, 5], {}) == {3, 5}


@given(st.integers(1, 12), st.sets(st.integers(0, 7), min_size=1))
def test_only_allowed_cpus_are_chosen_and_never_fewer_than_could_be(threads, allowed):
    chosen = choose_cpus(threads, allowed, PAIRS)
    assert chosen <= allowed
    cores = len({PAIRS[cpu] for cpu in allowed})
    assert len(chosen) == (threads if threads <= cores else len(allowed))


@pytest.mark.parametrize(("text", "cpus"), [("0", {0}), ("0-2,8\n", {0, 1, 2, 8})])
def test_the_kernels_list_format_is_read(text, cpus):
    assert parse_cpu_list(text) == cpus


def test_a_process_is_bound_to_as_many_cpus_as_it_has_threads():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    before = os.sched_getaffinity(0)
    try:
        assert bind(1, "cpu") == len(os.sched_getaffinity(0)) == 1
    finally:
        os.sched_setaffinity(0, before)
