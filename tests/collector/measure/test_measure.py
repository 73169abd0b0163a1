"""Measuring one operation: the columns that come out, and wrong results that come to light."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from collector.backends import missing_reason, open_backend
from collector.backends.host_backends import NumpyBackend
from collector.cells import Operation
from collector.errors import WrongResultError
from collector.measure.measure import measure_mode
from collector.measure.prepare import memory_shortage, prepare, verify_again
from collector.measure.sampling import StopRule
from collector.schema import RESULT_FIELDS, STOP_REASONS
from collector.workloads import get_workload
from collector.workloads.elementwise import Elementwise
from tests.collector.doubles import make_operation

RULE = StopRule(0.5, min_samples=6, min_time_s=0.0, max_time_s=0.02, warmup_time_s=0.01)
CACHE_BYTES = 100_000

SMALL = [
    ("numpy", "matmul", "square", {"n": 20}, "float64"),
    ("torch", "matmul", "batched", {"batch": 2, "n": 8}, "bfloat16"),
    ("numpy", "matmul", "batched", {"batch": 4, "m": 1, "n": 31, "k": 9}, "float32"),
    ("jax", "matmul", "batched", {"batch": 4, "m": 6, "n": 31, "k": 9}, "float32"),
    ("numpy", "elementwise", "triad", {"n": 1000}, "float32"),
    ("torch", "elementwise", "tanh", {"n": 1000}, "float64"),
    ("numba", "elementwise", "polynomial", {"n": 1000}, "float32"),
    ("numpy", "reduction", "row_sum", {"rows": 10, "cols": 20}, "float32"),
    ("torch", "reduction", "sum", {"n": 1000}, "float32"),
    ("numpy", "fft", "fft2", {"n": 12}, "complex64"),
    ("torch", "fft", "batched_1d", {"batch": 2, "n": 30}, "complex128"),
    ("numpy", "launch", "chain", {"length": 5}, "float32"),
    ("torch", "launch", "chain", {"length": 1}, "float32"),
    ("python", "python_loop", "monte_carlo_pi", {"n": 1000}, "float64"),
    ("numba", "python_loop", "monte_carlo_pi", {"n": 1000}, "float64"),
    ("torch", "training_step", "simple_net_adam", {}, "float32"),
    ("torch", "training_step", "linear_sgd", {}, "float32"),
    ("torch", "training_step", "mlp_adam", {"batch": 4, "width": 8}, "float32"),
]


def small(backend, workload, case, params, dtype):
    if missing_reason(backend):
        pytest.skip(missing_reason(backend))
    complete = get_workload(workload).complete(case, params)
    operation = Operation(
        workload, case, tuple(sorted(complete.items())), dtype, "ieee", backend, "cpu", 1
    )
    opened = open_backend(backend, "cpu")
    return prepare(get_workload(workload), operation, opened, seed=0), opened


def assert_complete(columns, prepared):
    names = {field.name for field in RESULT_FIELDS} - {"status", "error", "cell_wall_s"}
    assert names <= set(columns)
    assert columns["n"] == len(columns["samples_s"]) >= 6
    assert min(columns["samples_s"]) == columns["min_s"] > 0
    assert columns["min_s"] <= columns["ci95_low_s"] <= columns["median_s"]
    assert columns["median_s"] <= columns["ci95_high_s"]
    assert columns["warmup_s"][0] == prepared.first_call_s
    assert len(columns["warmup_s"]) >= 5
    assert columns["stop_reason"] in STOP_REASONS
    inside = sum(columns["samples_s"]) * columns["calls_per_sample"] + sum(columns["warmup_s"][1:])
    assert columns["timing_s"] >= inside


@pytest.mark.parametrize("case", SMALL, ids=lambda case: "-".join(map(str, case[:3])))
def test_one_operation_of_each_family_is_measured(case):
    prepared, backend = small(*case)
    columns = measure_mode(prepared, backend, "hot", RULE, CACHE_BYTES)
    assert_complete(columns, prepared)
    assert verify_again(prepared, backend).passed


@pytest.mark.parametrize("backend", ["numpy", "numba", "torch"])
def test_cold_operands_rotate_over_more_than_the_cache(backend, monkeypatch):
    prepared, opened = small(backend, "elementwise", "add", {"n": 1000}, "float32")
    seen, calls = set(), 0
    build = Elementwise.build

    def spying_build(self, *arguments):
        function = build(self, *arguments)

        def call(b, c):
            nonlocal calls
            calls += 1
            seen.update((id(b), id(c)))
            return function(b, c)

        return call

    monkeypatch.setattr(Elementwise, "build", spying_build)
    columns = measure_mode(prepared, opened, "cold", RULE, CACHE_BYTES)
    assert_complete(columns, prepared)
    sets = 4 * CACHE_BYTES // (2 * 4 * 1000)
    assert len(seen) == 2 * min(calls, sets)


def test_short_operations_are_timed_in_blocks_and_long_ones_one_by_one():
    prepared, backend = small("numpy", "launch", "chain", {"length": 1}, "float32")
    columns = measure_mode(prepared, backend, "hot", RULE, CACHE_BYTES)
    assert columns["calls_per_sample"] > 100

    class Slow(Elementwise):
        def build(self, *arguments):
            function = super().build(*arguments)

            def call(*operands):
                time.sleep(0.01)
                return function(*operands)

            return call

    prepared = prepare(Slow(), make_operation(), backend, seed=0)
    columns = measure_mode(prepared, backend, "hot", RULE, CACHE_BYTES)
    assert columns["calls_per_sample"] == 1
    assert columns["min_s"] >= 0.01


class WrongFrom(Elementwise):
    """Adds, but from some call on leaves the last element out."""

    def __init__(self, first_wrong_call):
        self.first_wrong_call = first_wrong_call

    def build(self, backend, case, params, dtype):
        calls = 0

        def add(b, c):
            nonlocal calls
            calls += 1
            result = b + c
            if calls >= self.first_wrong_call:
                result[-1] = 0
            return result

        return add


def test_a_wrong_result_before_timing_is_not_timed():
    with pytest.raises(WrongResultError, match="wrong result before timing") as caught:
        prepare(WrongFrom(1), make_operation(), NumpyBackend("cpu"), seed=0)
    assert caught.value.relative_error > 1.3e-6


def test_a_result_that_goes_wrong_while_timed_is_noticed():
    backend = NumpyBackend("cpu")
    prepared = prepare(WrongFrom(2), make_operation(), backend, seed=0)
    measure_mode(prepared, backend, "hot", RULE, CACHE_BYTES)
    with pytest.raises(WrongResultError, match="wrong result after timing"):
        verify_again(prepared, backend)


class Lazy(Elementwise):
    """Adds into one result, from the second call on a share of it only."""

    def __init__(self, written_share):
        self.written_share = written_share

    def build(self, backend, case, params, dtype):
        result = backend.empty(params["n"], dtype)
        written = params["n"]

        def add(b, c):
            nonlocal written
            result[:written] = b[:written] + c[:written]
            written = int(self.written_share * params["n"])
            return result

        return add


@pytest.mark.parametrize("backend", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("written_share", [0, 0.999])
def test_an_operation_that_stops_writing_its_result_is_noticed(backend, written_share):
    operation, opened = make_operation(backend=backend), open_backend(backend, "cpu")
    prepared = prepare(Lazy(written_share), operation, opened, seed=0)
    with pytest.raises(WrongResultError, match="wrong result after timing"):
        verify_again(prepared, opened)


@pytest.mark.parametrize("backend", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "int64"])
def test_nothing_of_a_poisoned_result_is_left(backend, dtype):
    opened = open_backend(backend, "cpu")
    result = opened.empty(5, dtype)
    opened.poison(result)
    contents = opened.to_numpy(result)
    assert np.all(contents == -1) if dtype == "int64" else np.all(np.isnan(contents))


@pytest.mark.parametrize("backend", ["numpy", "numba", "torch", "python"])
def test_a_result_that_is_no_array_cannot_be_poisoned(backend):
    open_backend(backend, "cpu").poison(3)


def test_the_garbage_collector_is_on_again_after_timing():
    import gc

    prepared, backend = small("numpy", "launch", "chain", {"length": 1}, "float32")
    measure_mode(prepared, backend, "hot", RULE, CACHE_BYTES)
    assert gc.isenabled()


def test_operands_that_cannot_fit_are_told_before_they_are_made():
    backend = NumpyBackend("cpu")
    reason = memory_shortage(Elementwise(), make_operation(2**38), backend)
    assert reason.startswith("needs about 6656.0 GiB, ")  # 1.5 * 3 + 2 vectors of 1 TiB
    assert memory_shortage(Elementwise(), make_operation(1000), backend) is None


def test_cached_memory_is_given_back_before_an_operation_is_called_too_large():
    class Hoarder(NumpyBackend):
        free = 1.0

        def free_memory_bytes(self):
            return self.free

        def release(self):
            self.free = 1e12

    assert memory_shortage(Elementwise(), make_operation(1000), Hoarder("cpu")) is None


def test_the_inputs_of_a_cell_follow_the_seed():
    operation, backend = make_operation(), NumpyBackend("cpu")
    same = [prepare(Elementwise(), operation, backend, seed=5).inputs[0] for _ in range(2)]
    other = prepare(Elementwise(), operation, backend, seed=6).inputs[0]
    assert np.array_equal(*same)
    assert not np.array_equal(same[0], other)


def test_a_first_call_is_one_sample_without_an_interval():
    prepared, backend = small("numpy", "matmul", "square", {"n": 20}, "float64")
    columns = measure_mode(prepared, backend, "first_call", RULE, CACHE_BYTES)
    assert columns["samples_s"] == [prepared.first_call_s]
    assert (columns["n"], columns["stop_reason"]) == (1, "single")
    assert columns["median_s"] == prepared.first_call_s > 0
    assert columns.get("ci95_low_s") is None


def test_samples_that_spread_are_told_as_the_reason(monkeypatch):
    prepared, backend = small("numpy", "elementwise", "add", {"n": 1000}, "float32")
    seconds = itertools.cycle([1.0, 2.0])
    monkeypatch.setattr(backend, "time_wall", lambda call, calls: next(seconds))
    columns = measure_mode(prepared, backend, "hot", RULE, CACHE_BYTES)
    assert "spread" in columns["noise_reasons"]


def test_a_cpu_has_no_energy_counter():
    prepared, backend = small("numpy", "elementwise", "add", {"n": 1000}, "float32")
    rule = replace(RULE, energy_time_s=1.0)
    assert measure_mode(prepared, backend, "hot", rule, CACHE_BYTES)["energy_j"] is None
