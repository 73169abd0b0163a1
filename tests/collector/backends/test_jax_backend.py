"""JAX on the CPU: element types, copies, waiting, threads; and the families' JAX forms."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from collector.backends import open_backend
from collector.cells import Operation, make_tasks
from collector.measure.measure import measure_mode
from collector.measure.prepare import prepare, verify_again
from collector.measure.sampling import StopRule
from collector.workloads import FAMILIES, get_workload

pytest.importorskip("jax")

RULE = StopRule(0.5, min_samples=6, min_time_s=0.0, max_time_s=0.05, warmup_time_s=0.05)


@pytest.fixture(scope="module")
def jax_cpu():
    return open_backend("jax", "cpu")


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex64", "complex128", "int8"])
def test_arrays_keep_their_element_type_and_values(jax_cpu, dtype):
    values = np.arange(1, 6).astype(dtype)
    device = jax_cpu.upload(jax_cpu.host(values, dtype))
    assert str(device.dtype) == dtype
    assert np.array_equal(jax_cpu.to_numpy(device), values)
    assert np.array_equal(np.asarray(jax_cpu.download(device)), values)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_comes_back_as_float32(jax_cpu, dtype):
    values = np.array([0.5, -1.25, 3.0], np.float32)
    device = jax_cpu.upload(jax_cpu.host(values, dtype))
    assert str(device.dtype) == dtype
    back = jax_cpu.to_numpy(device)
    assert back.dtype == np.float32
    assert np.array_equal(back, values)
    assert str(jax_cpu.empty(4, dtype).dtype) == dtype


def test_operands_of_the_cpu_are_arrays_of_jax_already(jax_cpu):
    """A numpy operand would be copied anew by each call."""
    host = jax_cpu.host(np.ones(4, np.float32), "float32")
    assert isinstance(host, jax_cpu.module.ndarray)


def test_an_upload_is_a_copy(jax_cpu):
    buffer = np.empty(800_064, np.uint8)  # aligned memory is what JAX likes to share
    start = -buffer.ctypes.data % 64
    values = buffer[start : start + 800_000].view(np.float64)
    values[:] = 1
    device = jax_cpu.host(values, "float64")
    values[:] = 2
    assert float(device[0]) == 1
    copy = jax_cpu.upload(device)
    assert copy.unsafe_buffer_pointer() != device.unsafe_buffer_pointer()


def test_a_device_that_is_not_there_is_an_error(jax_cpu):
    with pytest.raises(RuntimeError):
        _ = open_backend("jax", "cuda")


@pytest.fixture(scope="module")
def slow(jax_cpu):
    """A product that takes tens of milliseconds, and its operand."""
    jax_cpu.set_math_mode("ieee")
    operand = jax_cpu.host(np.random.default_rng(0).random((1000, 1000)), "float64")
    function = jax_cpu.compile(jax_cpu.module.matmul)
    jax_cpu.wait(function(operand, operand))
    return lambda: function(operand, operand)


def test_every_way_of_timing_waits_for_the_result(jax_cpu, slow):
    made = []

    def call():
        assert all(result.is_ready() for result in made)  # one by one
        made.append(slow())
        return made[-1]

    for way in (
        lambda: jax_cpu.time_wall(call, 1),
        lambda: jax_cpu.time_wall(call, 4),
        lambda: jax_cpu.wait(call()),
        lambda: jax_cpu.download(call()),
    ):
        way()
        assert all(result.is_ready() for result in made)
    assert len(made) == 7


PROGRAM = """
import os, sys, numpy
from collector.backends import open_backend
backend = open_backend("jax", "cpu")
backend.set_threads(int(sys.argv[1]))
operand = backend.host(numpy.ones((600, 600)), "float32")
backend.wait(backend.compile(backend.module.matmul)(operand, operand))
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
print(sum(name.startswith("tf_XLAEigen") for name in names))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted by procfs")
@pytest.mark.parametrize("threads", [1, 3])
def test_the_pool_of_the_cpu_has_as_many_threads_as_asked_for(threads):
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(threads)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(done.stdout) == threads


def smallest_operations():
    """The smallest point of each family's case and element type that the suites measure."""
    mine = ("matmul", "elementwise", "reduction", "fft", "python_loop")
    tasks = make_tasks("standard", [("jax", "cpu")], 1, mine)
    found: dict[tuple[str, str, str], Operation] = {}
    for task in tasks:
        operation = task.operation
        key = (operation.workload, operation.case, operation.dtype)
        size = FAMILIES[operation.workload].size(operation.case, dict(operation.params))
        if key not in found or size < FAMILIES[operation.workload].size(
            operation.case, dict(found[key].params)
        ):
            found[key] = operation
    return list(found.values())


@pytest.mark.parametrize("operation", smallest_operations(), ids=lambda o: f"{o.workload}-{o.case}")
def test_what_the_suites_measure_is_right_and_measurable(jax_cpu, operation):
    workload = get_workload(operation.workload)
    prepared = prepare(workload, operation, jax_cpu, 1)
    assert verify_again(prepared, jax_cpu).passed
    columns = measure_mode(prepared, jax_cpu, "hot", RULE, 2**20)
    assert 0 < columns["median_s"] < 5


EXTRA = [
    ("matmul", "square", {"n": 65}, "bfloat16"),
    ("matmul", "square", {"n": 65}, "float64"),
    ("matmul", "x_xt_1000_float32", {}, "float32"),
    ("elementwise", "triad", {"n": 1001}, "float64"),
    ("elementwise", "tanh", {"n": 1001}, "float32"),
    ("fft", "fft2", {"n": 25}, "complex128"),
    ("reduction", "softmax", {"rows": 5, "cols": 77}, "float64"),
]


@pytest.mark.parametrize(("workload", "case", "params", "dtype"), EXTRA)
def test_forms_that_no_suite_measures_are_right_too(jax_cpu, workload, case, params, dtype):
    family = get_workload(workload)
    complete = tuple(sorted(family.complete(case, params).items()))
    operation = Operation(workload, case, complete, dtype, "ieee", "jax", "cpu", 1)
    assert prepare(family, operation, jax_cpu, 1).check.passed


def test_a_cold_cell_of_the_cpu_can_be_measured(jax_cpu):
    """Operands rotate: each copy is one of its own."""
    operation = Operation("elementwise", "add", (("n", 1000),), "float32", "ieee", "jax", "cpu", 1)
    prepared = prepare(get_workload("elementwise"), operation, jax_cpu, 1)
    columns = measure_mode(prepared, jax_cpu, "cold", RULE, 2**16)
    assert columns["n"] >= 6


def test_compiled_functions_go_by_the_math_mode(jax_cpu):
    """What was compiled for tf32 must not answer for ieee: the setting is part of the key."""
    import jax

    function = jax.jit(jax_cpu.module.matmul)
    operand = jax_cpu.module.ones((8, 8), "float32")
    texts = []
    for mode in ("tf32", "ieee"):
        jax_cpu.set_math_mode(mode)
        texts.append(function.lower(operand, operand).as_text())
    assert texts[0] != texts[1]
    assert "HIGHEST" in texts[1]
    assert "HIGHEST" not in texts[0]
