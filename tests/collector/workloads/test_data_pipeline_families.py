"""sort, gather, scatter_add, spmm, random and image_pipeline: right, planned and counted."""

import math
import warnings
from dataclasses import astuple
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.backends import BACKEND_DEVICES, open_backend
from collector.backends.host_backends import NumpyBackend
from collector.cells import make_tasks
from collector.errors import SelectionError
from collector.measure.measure import measure_mode
from collector.measure.prepare import prepare, verify_again
from collector.measure.sampling import StopRule
from collector.workloads import get_workload
from collector.workloads._sampled import (
    checked_parts,
    fetch_parts,
    part_positions,
    share_that_differs,
)
from tests.collector.pipeline_operations import CPU_BACKENDS, NAMES, OPERATIONS, SEED, operation_of


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


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("row", OPERATIONS, ids=str)
def test_every_backend_computes_it_right_before_and_after(row, backend, backends):
    family = get_workload(row[0])
    if not family.supports(backend, "cpu", row[1]):
        pytest.skip(f"{row[0]} has no form for {backend}")
    if row[0] == "spmm" and backend == "numpy":
        pytest.importorskip("scipy")
    opened = backends(backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is printed once per worker still is noise
        prepared = prepare(family, operation_of(row, backend), opened, SEED)
        again = verify_again(prepared, opened)
    assert prepared.check.passed
    assert again.passed
    assert 0 <= again.relative_error <= again.tolerance


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_measured_from_end_to_end(name):
    """Also random, which has no operands at all."""
    row = next(row for row in OPERATIONS if row[0] == name)
    if name == "spmm":
        pytest.importorskip("scipy")
    backend, rule = NumpyBackend("cpu"), StopRule(0.5, min_samples=6, min_time_s=0.001)
    prepared = prepare(get_workload(name), operation_of(row), backend, SEED)
    columns = measure_mode(prepared, backend, "hot", rule, 2**20)
    assert columns["n"] >= 6
    assert columns["median_s"] > 0


# --- grids --------------------------------------------------------------------------------------

# cells of the standard suite on a CPU (16 cores, all backends) and on a GPU
BUDGET = {
    "sort": (10, 16),
    "gather": (8, 14),
    "scatter_add": (8, 14),
    "spmm": (8, 14),
    "random": (20, 22),
    "image_pipeline": (7, 12),
}


def cells_of(suite, name, device, cores=16):
    """Without those of mode first_call, which come from calls that are made anyway."""
    pairs = [pair for pair in BACKEND_DEVICES if pair[1] == device]
    cells = [cell for task in make_tasks(suite, pairs, cores, (name,)) for cell in task.cells]
    return [cell for cell in cells if cell.mode != "first_call"]


@pytest.mark.parametrize("cores", [1, 2, 16])
@pytest.mark.parametrize("name", NAMES)
def test_the_suites_keep_their_budgets(name, cores):
    for device, budget in zip(("cpu", "cuda"), BUDGET[name], strict=True):
        standard = cells_of("standard", name, device, cores)
        assert 0 < len(standard) <= budget
        assert len(cells_of("quick", name, device, cores)) == (1 if device == "cpu" else 2)
        standard_ids = {cell.cell_id for cell in standard}
        assert standard_ids < {cell.cell_id for cell in cells_of("full", name, device, cores)}


@pytest.mark.parametrize("suite", ["standard", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_the_last_point_of_a_case_is_its_largest(name, suite):
    """Energy is measured there."""
    family = get_workload(name)
    for place in family.support:
        by_kind = {}
        for point in family.grid(suite, *place):
            size = family.size(point.case, dict(point.params))
            by_kind.setdefault((point.case, point.dtype), []).append(size)
        for kind, sizes in by_kind.items():
            assert sizes[-1] == max(sizes), (place, kind)


@pytest.mark.parametrize("name", NAMES)
def test_modes_and_sizes_fit_the_places(name):
    family = get_workload(name)
    values = set()
    for backend, device in family.support:
        for suite in ("quick", "standard", "full"):
            for point in family.grid(suite, backend, device):
                assert family.supports(backend, device, point.case)
                if device == "cpu":
                    assert set(point.modes) <= {"hot"}
                elif backend == "jax":
                    assert set(point.modes) <= {"resident", "end_to_end"}
                memory = family.measuring_bytes(
                    point.case, dict(point.params), point.dtype, backend
                )
                assert memory < 4 * 2**30
                values.update(value for _, value in point.params)
    assert any(value % 8 == 0 for value in values)
    assert any(value % 8 for value in values)


@pytest.mark.parametrize("row", OPERATIONS, ids=str)
def test_operands_are_seeded_and_never_zero(row):
    workload, case, params, dtype = row
    family = get_workload(workload)
    operands = family.inputs(case, params, dtype, SEED)
    again = family.inputs(case, params, dtype, SEED)
    other = family.inputs(case, params, dtype, SEED + 1)
    for one, same in zip(operands, again, strict=True):
        assert np.array_equal(one, same)
        if one.dtype.kind == "f":
            assert np.all(one != 0)
    if operands:
        assert not np.array_equal(operands[0], other[0])


# --- work ---------------------------------------------------------------------------------------

# FLOP, bytes read, bytes written, host to device, device to host, kernels: by hand
WORK = [
    # 1024 * 10 comparisons; keys in and out
    ("sort", "sort", {"n": 1024}, "float32", "numpy", (10_240, 4096, 4096, 4096, 4096, 7)),
    # torch writes an 8-byte index with each key; up to 4096 keys it numbers and sorts: 2 kernels
    ("sort", "sort", {"n": 1024}, "float32", "torch", (10_240, 4096, 12_288, 4096, 4096, 2)),
    # numbering, histogram, prefix sum, 8 passes over 64-bit keys
    (
        *("sort", "argsort", {"n": 65_536}, "int64", "torch"),
        (1_048_576, 524_288, 1_048_576, 524_288, 524_288, 11),
    ),
    # 4 rows of 256: 4 * 256 * 8 comparisons; rows need a copy of keys and of their numbers
    (
        *("sort", "sort_rows", {"rows": 4, "cols": 256}, "float32", "torch"),
        (8192, 4096, 12_288, 4096, 4096, 3),
    ),
    # 50 long rows at once: numbering, 6 by value, 3 by row number, putting back
    (
        *("sort", "sort_rows", {"rows": 64, "cols": 16_384}, "float32", "torch"),
        (14_680_064, 4_194_304, 12_582_912, 4_194_304, 4_194_304, 11),
    ),
    # 10 rows of 4 floats and 10 indices are read, the whole table of 100 rows goes up
    (
        *("gather", "rows", {"rows": 100, "width": 4, "count": 10}, "float32", "torch"),
        (0, 160 + 80, 160, 1600 + 80, 160, 1),
    ),
    (
        *("gather", "rows", {"rows": 100, "width": 4, "count": 10}, "bfloat16", "torch"),
        (0, 80 + 80, 80, 800 + 80, 80, 1),
    ),
    # 1000 values and indices; 10 sums are zeroed, read and written
    (
        *("scatter_add", "histogram", {"count": 1000, "bins": 10}, "float32", "cupy"),
        (1000, 4000 + 8000 + 40, 80, 12_000, 40, 2),
    ),
    (
        *("scatter_add", "rows", {"rows": 10, "width": 3, "count": 20}, "float64", "torch"),
        (60, 480 + 160 + 240, 480, 640, 240, 2),
    ),
    # 10 rows of 2 nonzeros: 20 values, 20 columns, 11 pointers; dense 10 x 5
    (
        *("spmm", "csr_dense", {"rows": 10, "nonzeros_per_row": 2, "width": 5}, "float32"),
        *("torch", (200, 80 + 80 + 44 + 200, 200, 404, 200, 4)),
    ),
    (
        *("spmm", "csr_dense", {"rows": 10, "nonzeros_per_row": 2, "width": 5}, "float32"),
        *("cupy", (200, 404 + 200, 400, 404, 200, 3)),
    ),
    ("random", "uniform", {"n": 1000}, "float32", "torch", (1000, 0, 4000, 0, 4000, 1)),
    ("random", "normal", {"n": 1000}, "float64", "jax", (1000, 0, 8000, 0, 8000, 1)),
    # one image of 4 x 4: 3 * 2 * 2 = 12 results of 56 FLOP; 48 values in, 3 * 12 between
    (
        *("image_pipeline", "resize_blur_normalise", {"batch": 1, "image": 4}, "float32"),
        *("torch", (672, 192 + 144, 192, 192, 48, 4)),
    ),
    (
        *("image_pipeline", "resize_blur_normalise", {"batch": 1, "image": 4}, "float32"),
        *("jax", (240, 192, 48, 192, 48, 1)),
    ),
    (
        *("image_pipeline", "resize_blur_normalise", {"batch": 1, "image": 4}, "float32"),
        *("numpy", (240, 33 * 48, 22 * 48, 192, 48, 26)),
    ),
]


@pytest.mark.parametrize("row", WORK, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_work_is_what_counting_by_hand_gives(row):
    workload, case, params, dtype, backend, expected = row
    work = get_workload(workload).work(case, params, dtype, backend, "cuda", "end_to_end")
    assert astuple(work) == expected


def test_the_products_of_the_image_pipeline_are_those_that_torch_counts():
    """torch counts convolutions only, two FLOP for each of 25 terms of a result."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    family, backend = get_workload("image_pipeline"), open_backend("torch", "cpu")
    case, params = "resize_blur_normalise", {"batch": 2, "image": 20}
    function = family.build(backend, case, params, "float32")
    with FlopCounterMode(display=False) as counter:
        function(torch.rand(2, 3, 20, 20))
    results = 2 * 3 * 10 * 10
    assert counter.get_total_flops() == 50 * results
    work = family.operation_work(case, params, "float32", "torch")
    assert work.flop_count == counter.get_total_flops() + 6 * results


class Recorded(np.ndarray):
    """An array that counts what is read and written by numpy's functions on it."""

    counts = {"read": 0, "written": 0, "flop": 0}

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        arrays = [np.asarray(value) for value in inputs if np.ndim(value)]
        plain = [np.asarray(value) if np.ndim(value) else value for value in inputs]
        result = getattr(ufunc, method)(*plain, **options)
        constants = [array for array in arrays if array.size == 3]  # mean and deviation
        self.counts["read"] += sum(a.size for a in arrays) - sum(a.size for a in constants)
        self.counts["written"] += result.size
        self.counts["flop"] += result.size
        return result.view(Recorded)


def test_the_array_form_reads_and_writes_what_is_counted():
    """An independent count: every call of numpy is seen but padding, two reads and writes."""
    family = get_workload("image_pipeline")
    case, params = "resize_blur_normalise", {"batch": 1, "image": 200}
    namespace = SimpleNamespace(pad=lambda array, width: np.pad(array, width).view(Recorded))
    backend = NumpyBackend("cpu")
    backend.module = namespace
    function = family.build(backend, case, params, "float32")
    (images,) = family.inputs(case, params, "float32", SEED)
    Recorded.counts = dict.fromkeys(Recorded.counts, 0)
    function(images.view(Recorded))
    results = 3 * 100 * 100
    work = family.operation_work(case, params, "float32", "numpy")
    assert Recorded.counts["flop"] == work.flop_count
    assert 4 * (Recorded.counts["read"] + 2 * results) == work.bytes_read
    assert 4 * (Recorded.counts["written"] + 2 * results) == work.bytes_written


@given(st.integers(1, 10**6), st.integers(1, 500), st.sampled_from(["float32", "float64"]))
def test_a_matrix_of_one_row_costs_as_much_as_a_vector(cols, rows, dtype):
    sort = get_workload("sort")
    vector = sort.operation_work("sort", {"n": cols}, dtype, "torch")
    assert sort.operation_work("sort_rows", {"rows": 1, "cols": cols}, dtype, "torch") == vector
    matrix = sort.operation_work("sort_rows", {"rows": rows, "cols": cols}, dtype, "torch")
    assert matrix.flop_count == pytest.approx(rows * vector.flop_count)
    assert matrix.bytes_written == rows * vector.bytes_written


@given(st.integers(1, 10**4), st.integers(1, 100), st.integers(1, 100))
def test_a_full_sparse_matrix_costs_the_flop_of_a_dense_product(rows, width, nonzeros):
    spmm = get_workload("spmm")
    full = spmm.operation_work(
        "csr_dense",
        {"rows": rows, "nonzeros_per_row": rows, "width": width},
        "float32",
        "torch",
    )
    dense = get_workload("matmul").operation_work(
        "skinny", {"batch": 1, "m": rows, "n": width, "k": rows}, "float32", "torch"
    )
    assert full.flop_count == dense.flop_count


# --- operands -----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(1, 60), st.data())
def test_columns_of_a_sparse_row_are_distinct_sorted_and_within_the_matrix(rows, data):
    nonzeros = data.draw(st.integers(1, rows))
    params = {"rows": rows, "nonzeros_per_row": nonzeros, "width": 2}
    _, columns, pointers, _ = get_workload("spmm").inputs("csr_dense", params, "float32", SEED)
    assert columns.dtype == pointers.dtype == np.int32
    by_row = columns.reshape(rows, nonzeros)
    assert np.all(np.diff(by_row, axis=1) > 0)
    assert columns.min() >= 0
    assert columns.max() < rows
    assert np.array_equal(pointers, np.arange(rows + 1) * nonzeros)


def test_more_nonzeros_than_columns_and_odd_images_are_refused():
    with pytest.raises(SelectionError, match="nonzeros_per_row=9 is more than the 8 columns"):
        get_workload("spmm").complete("csr_dense", {"rows": 8, "nonzeros_per_row": 9, "width": 1})
    with pytest.raises(SelectionError, match="image=225 is odd"):
        get_workload("image_pipeline").complete("resize_blur_normalise", {"batch": 1, "image": 225})


def test_the_order_of_a_long_vector_is_known_without_sorting_it():
    sort = get_workload("sort")
    n = 2 * 1_048_573 + 12_345
    (keys,) = sort.inputs("sort", {"n": n}, "float32", SEED)
    assert len(np.unique(keys)) > 900_000
    _, expected = sort.reference((keys,), "sort", {"n": n}, "float32")
    parts = checked_parts(np.sort(keys))
    assert share_that_differs(parts, expected) == 0


@pytest.mark.parametrize("shape", [(1,), (1000,), (2**21,), (2**21 + 1,), (1024, 2051)])
def test_positions_are_those_of_the_parts_that_are_fetched(shape):
    array = np.arange(math.prod(shape)).reshape(shape)
    fetched_shape, parts = fetch_parts(NumpyBackend("cpu"), array)
    assert fetched_shape == shape
    for part, position in zip(parts, part_positions(shape), strict=True):
        assert np.array_equal(part, position)
