"""What the families state: work counts by hand, grids, parameters, operands."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.backends import BACKEND_DEVICES, open_backend
from collector.cells import Cell, make_tasks
from collector.errors import SelectionError
from collector.schema import MODES
from collector.workloads import FAMILIES, LARGEST_PARAMETER, SUITES, get_workload
from collector.workloads._base import uniform
from collector.workloads._sampled import checked_parts

MILLION = 10**6

# workload, case, params, dtype, backend, device, mode;
# FLOP, bytes read, bytes written, host to device, device to host, kernels: by hand
WORK = [
    ("matmul", "square", {"n": 1000}, "float32", "torch", "cuda", "hot", 2e9, 8e6, 4e6, 0, 0, 1),
    # 16-bit operands halve the bytes; both operands go up and the product comes down
    (
        *("matmul", "skinny", {"m": 4096, "n": 16, "k": 4096}, "bfloat16"),
        *("torch", "cuda", "end_to_end"),
        *(536_870_912, 33_685_504, 131_072, 33_685_504, 131_072, 1),
    ),
    (
        *("matmul", "batched", {"batch": 64, "n": 64}, "float64", "numpy", "cpu", "hot"),
        *(33_554_432, 4_194_304, 2_097_152, 0, 0, 1),
    ),
    # x @ x.T reads one operand
    ("matmul", "x_xt_1000_float32", {}, "float32", "cupy", "cuda", "hot", 2e9, 4e6, 4e6, 0, 0, 1),
    (
        *("matmul", "dot_2000_float64", {}, "float64", "numpy", "cpu", "hot"),
        *(16e9, 64e6, 32e6, 0, 0, 1),
    ),
    (
        *("elementwise", "add", {"n": MILLION}, "float64", "numpy", "cpu", "hot"),
        *(1e6, 16e6, 8e6, 0, 0, 1),
    ),
    (
        *("elementwise", "add", {"n": MILLION}, "float32", "torch", "cuda", "end_to_end"),
        *(1e6, 8e6, 4e6, 8e6, 4e6, 1),
    ),
    # 10**6 int8 operands of a byte each, twice; sums of 4 bytes
    (
        *("matmul", "int8_square", {"n": 1000}, "int8", "torch", "cuda", "end_to_end"),
        *(2e9, 2e6, 4e6, 2e6, 4e6, 1),
    ),
    # a matrix of 500,000 and a row of 500 elements
    (
        *("elementwise", "broadcast_add", {"rows": 1000, "cols": 500}, "float32"),
        *("torch", "cuda", "end_to_end", 500_000, 2_002_000, 2e6, 2_002_000, 2e6, 1),
    ),
    # compiled into one pass each
    (
        *("elementwise", "triad", {"n": MILLION}, "float32", "jax", "cpu", "hot"),
        *(2e6, 8e6, 4e6, 0, 0, 1),
    ),
    (
        *("elementwise", "polynomial", {"n": MILLION}, "float32", "jax", "cuda", "resident"),
        *(4e6, 4e6, 4e6, 0, 0, 1),
    ),
    # numpy needs two calls where torch has one
    (
        *("elementwise", "triad", {"n": MILLION}, "float32", "numpy", "cpu", "hot"),
        *(2e6, 12e6, 8e6, 0, 0, 2),
    ),
    (
        *("elementwise", "triad", {"n": MILLION}, "float32", "torch", "cpu", "hot"),
        *(2e6, 8e6, 4e6, 0, 0, 1),
    ),
    # x**2, 2*x, their sum, +1: five vectors read, four written; numba makes one loop of it
    (
        *("elementwise", "polynomial_1e6_float32", {}, "float32", "cupy", "cuda", "hot"),
        *(4e6, 20e6, 16e6, 0, 0, 4),
    ),
    (
        *("elementwise", "polynomial_1e6_float32", {}, "float32", "numba", "cpu", "hot"),
        *(4e6, 4e6, 4e6, 0, 0, 1),
    ),
    (
        *("elementwise", "tanh", {"n": MILLION}, "float16", "torch", "cuda", "hot"),
        *(1e6, 2e6, 2e6, 0, 0, 1),
    ),
    ("reduction", "sum", {"n": MILLION}, "float64", "numpy", "cpu", "hot", 1e6, 8e6, 8, 0, 0, 1),
    (
        *("reduction", "column_sum", {"rows": 64, "cols": 1000}, "float32"),
        *("cupy", "cuda", "end_to_end", 64_000, 256_000, 4000, 256_000, 4000, 1),
    ),
    # NumPy: a mean, differences, their squares in place, a mean
    (
        *("reduction", "variance", {"n": MILLION}, "float64"),
        *("numpy", "cpu", "hot", 4e6, 32e6, 16e6 + 8, 0, 0, 4),
    ),
    (
        *("reduction", "variance", {"n": MILLION}, "float64"),
        *("torch", "cuda", "hot", 4e6, 8e6, 8, 0, 0, 1),
    ),
    (
        *("reduction", "row_sum", {"rows": 64, "cols": 1000}, "float32"),
        *("torch", "cuda", "end_to_end", 64_000, 256_000, 256, 256_000, 256, 1),
    ),
    # 5000 elements of 8 bytes read 5 and written 3 times, 2 values of each of 100 rows
    (
        *("reduction", "softmax", {"rows": 100, "cols": 50}, "float64"),
        *("numpy", "cpu", "hot", 25_000, 201_600, 121_600, 0, 0, 5),
    ),
    (
        *("reduction", "softmax", {"rows": 100, "cols": 50}, "float32"),
        *("torch", "cuda", "end_to_end", 25_000, 20_000, 20_000, 20_000, 20_000, 1),
    ),
    # the same of 4 bytes, 4 values of each row; torch: rows of 50 elements are not aligned
    (
        *("reduction", "layer_norm", {"rows": 100, "cols": 50}, "float32"),
        *("cupy", "cuda", "hot", 25_000, 101_600, 61_600, 0, 0, 7),
    ),
    (
        *("reduction", "layer_norm", {"rows": 100, "cols": 50}, "float32"),
        *("torch", "cuda", "hot", 25_000, 20_000, 20_000, 0, 0, 2),
    ),
    (
        *("reduction", "layer_norm", {"rows": 100, "cols": 52}, "bfloat16"),
        *("torch", "cuda", "hot", 26_000, 10_400, 10_400, 0, 0, 1),
    ),
    # 5 N log2 N with N = 2**18, once over memory for each dimension
    (
        *("fft", "fft2", {"n": 512}, "complex64", "torch", "cuda", "hot"),
        *(23_592_960, 4_194_304, 4_194_304, 0, 0, 2),
    ),
    (
        *("fft", "batched_1d", {"batch": 64, "n": 1024}, "complex128", "numpy", "cpu", "hot"),
        *(3_276_800, 1_048_576, 1_048_576, 0, 0, 1),
    ),
    ("launch", "empty_kernel", {}, "float32", "cupy", "cuda", "hot", 0, 0, 0, 0, 0, 1),
    (
        *("launch", "chain", {"length": 10}, "float32", "numpy", "cpu", "hot"),
        *(160, 640, 640, 0, 0, 10),
    ),
    (
        *("transfer", "h2d_pinned", {"bytes": 4096}, "float32", "torch", "cuda", "resident"),
        *(0, 0, 0, 4096, 0, 1),
    ),
    (
        *("transfer", "d2h_pageable", {"bytes": 4096}, "float32", "cupy", "cuda", "resident"),
        *(0, 0, 0, 0, 4096, 1),
    ),
    (
        *("transfer", "d2d", {"bytes": 4096}, "float32", "torch", "cuda", "hot"),
        *(0, 4096, 4096, 0, 0, 1),
    ),
    (
        *("python_loop", "monte_carlo_pi", {"n": 1000}, "float64", "python", "cpu", "hot"),
        *(4000, 16_000, 8, 0, 0, 1),
    ),
    (
        *("python_loop", "monte_carlo_pi", {"n": 1000}, "float64", "jax", "cpu", "hot"),
        *(4000, 16_000, 8, 0, 0, 1),
    ),
    # x*x, y*y, +, <= (a byte a point), count
    (
        *("python_loop", "monte_carlo_pi", {"n": 1000}, "float64", "numpy", "cpu", "hot"),
        *(4000, 41_000, 25_000, 0, 0, 5),
    ),
    # 10 weights and a bias: 2 * 64 * 10 FLOP forward and as many backward, 2 a parameter
    (
        *("training_step", "linear_sgd", {"batch": 64}, "float32", "torch", "cuda", "end_to_end"),
        *(2582, 5808, 5720, 2816, 4, 10),
    ),
]


@pytest.mark.parametrize("row", WORK, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}-{row[6]}")
def test_work_is_what_counting_by_hand_gives(row):
    workload, case, params, dtype, backend, device, mode = row[:7]
    work = get_workload(workload).work(case, params, dtype, backend, device, mode)
    assert astuple(work) == row[7:]


@pytest.mark.parametrize("mode", MODES)
def test_bytes_cross_the_bus_only_end_to_end_on_a_gpu(mode):
    for workload in FAMILIES.values():
        if workload.name == "transfer":
            continue
        for backend, device in workload.support:
            for point in workload.grid("standard", backend, device):
                work = workload.work(
                    point.case, dict(point.params), point.dtype, backend, device, mode
                )
                crosses = work.h2d_bytes + work.d2h_bytes > 0
                nothing_to_move = point.case == "empty_kernel"
                expected = (device, mode) == ("cuda", "end_to_end") and not nothing_to_move
                assert crosses == expected, (workload.name, point)


@pytest.mark.parametrize(
    ("case", "params", "dtype"),
    [
        ("square", {"n": 65}, "float32"),
        ("skinny", {"m": 7, "n": 12, "k": 33}, "float32"),
        ("batched", {"batch": 3, "n": 20}, "float32"),
        ("batched", {"batch": 3, "m": 5, "n": 7, "k": 31}, "float32"),
        ("x_xt_1000_float32", {}, "float32"),
    ],
)
def test_the_flop_of_a_product_are_those_that_torch_counts(case, params, dtype):
    pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    family, backend = get_workload("matmul"), open_backend("torch", "cpu")
    complete = family.complete(case, params)
    inputs = family.inputs(case, complete, dtype, 0)
    operands = family.host_operands(backend, inputs, dtype)
    function = family.build(backend, case, complete, dtype)
    with FlopCounterMode(display=False) as counter:
        function(*operands)
    work = family.work(case, params, dtype, "torch", "cpu", "hot")
    assert work.flop_count == counter.get_total_flops()


@pytest.mark.parametrize("workload", FAMILIES.values(), ids=lambda workload: workload.name)
def test_a_grid_asks_only_for_cases_that_the_backend_has(workload):
    for suite in SUITES:
        for backend, device in workload.support:
            for point in workload.grid(suite, backend, device):
                assert workload.supports(backend, device, point.case)


#: cells of the standard suite beside first calls: what fits its eight minutes
BUDGETS = {
    "matmul": (85, 172),
    "elementwise": (90, 70),
    "fft": (50, 70),
    "linear_algebra": (60, 60),
    "reduction": (50, 58),
    "python_loop": (26, 36),
    "transfer": (0, 40),
}


@pytest.mark.parametrize("workload", BUDGETS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("cores", [2, 16])
def test_the_standard_suite_keeps_to_its_budget(workload, device, cores):
    places = [place for place in BACKEND_DEVICES if place[1] == device]
    modes = [
        mode
        for task in make_tasks("standard", places, cores, (workload,))
        for mode in task.modes
        if mode != "first_call"
    ]
    assert len(modes) <= BUDGETS[workload][device == "cuda"]


@given(*[st.integers(1, 4096)] * 3, st.sampled_from(["float64", "float32", "bfloat16"]))
def test_a_product_costs_the_same_transposed(m, n, k, dtype):
    matmul = get_workload("matmul")

    def cost(m, n, k):
        work = matmul.work("skinny", {"m": m, "n": n, "k": k}, dtype, "torch", "cpu", "hot")
        return work.flop_count, work.bytes_read, work.bytes_written

    assert cost(m, n, k) == cost(n, m, k)


SUITE_PLACES = [(suite, *place) for suite in SUITES for place in BACKEND_DEVICES]


@pytest.mark.parametrize(("suite", "backend", "device"), SUITE_PLACES)
def test_every_point_of_every_grid_is_complete_and_known(suite, backend, device):
    tasks = make_tasks(suite, [(backend, device)], 4, tuple(FAMILIES))
    assert tasks or (suite in ("quick", "survey") and backend == "jax")
    for task in tasks:
        operation = task.operation
        workload, params = get_workload(operation.workload), dict(operation.params)
        assert workload.complete(operation.case, params) == params
        assert workload.size(operation.case, params) > 0
        assert workload.measuring_bytes(operation.case, params, operation.dtype, backend) >= 0
        assert (operation.dtype, operation.math_mode) in workload.dtypes(backend, device)
        assert task.modes
        assert set(task.modes) <= set(MODES)
        assert operation.threads in (1, 4)
        if device == "cpu":
            assert set(task.modes) <= {"first_call", "hot", "cold"}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("cores", [1, 2, 16])
def test_no_two_cells_of_a_suite_share_an_id(suite, cores):
    tasks = make_tasks(suite, BACKEND_DEVICES, cores, tuple(FAMILIES))
    cells = [cell for task in tasks for cell in task.cells]
    assert len({cell.cell_id for cell in cells}) == len(cells)


def test_the_id_of_a_cell_never_changes():
    """Datasets of all machines and versions are joined by it."""
    cell = Cell("elementwise", "add", (("n", 1000),), "float32", "ieee", "numpy", "cpu", 1, "hot")
    assert cell.cell_id == "bc9747e270dd1994"
    params = (("batch", 1), ("k", 2), ("m", 3), ("n", 4))
    one = Cell("matmul", "skinny", params, "float32", "ieee", "numpy", "cpu", 1, "hot")
    other = Cell("matmul", "skinny", params[::-1], "float32", "ieee", "numpy", "cpu", 1, "hot")
    assert one.cell_id == other.cell_id


@pytest.mark.parametrize(
    ("workload", "case", "places", "dtype"),
    [
        ("matmul", "dot_2000_float64", [("numpy", "cpu"), ("cupy", "cuda")], "float64"),
        ("matmul", "x_xt_1000_float32", [("cupy", "cuda")], "float32"),
        (
            *("elementwise", "polynomial_1e6_float32"),
            *([("numba", "cpu"), ("numba", "cuda")], "float32"),
        ),
        ("training_step", "simple_net_adam", [("torch", "cpu"), ("torch", "cuda")], "float32"),
        ("training_step", "linear_sgd", [("torch", "cpu"), ("torch", "cuda")], "float32"),
    ],
)
@pytest.mark.parametrize("suite", ["quick", "standard"])
def test_the_programs_that_people_ask_about_are_measured_at_their_own_sizes(
    suite, workload, case, places, dtype
):
    family = get_workload(workload)
    defaults = family.complete(case, {})
    for backend, device in places:
        at_home = [
            point
            for point in family.grid(suite, backend, device)
            if point.case == case and family.complete(case, dict(point.params)) == defaults
        ]
        assert [point.dtype for point in at_home] == [dtype]


def test_the_nets_have_the_batches_of_their_programs():
    family = get_workload("training_step")
    assert family.complete("simple_net_adam", {}) == {"batch": 100}
    assert family.complete("linear_sgd", {}) == {"batch": 64}


PLACES_OF_FAMILIES = [
    (name, backend, device)
    for name in ("matmul", "elementwise", "reduction", "fft")
    for backend, device in FAMILIES[name].support
]


@pytest.mark.parametrize(("workload", "backend", "device"), PLACES_OF_FAMILIES)
def test_some_sizes_are_multiples_of_eight_and_some_are_not(workload, backend, device):
    values = {
        value
        for point in get_workload(workload).grid("standard", backend, device)
        for name, value in point.params
        if name in ("m", "n", "k", "cols")
    }
    assert any(value % 8 == 0 for value in values)
    assert any(value % 8 for value in values)


@pytest.mark.parametrize("workload", FAMILIES.values(), ids=lambda workload: workload.name)
def test_a_wrong_case_or_parameter_is_named(workload):
    with pytest.raises(SelectionError, match=f"{workload.name}: unknown case 'nonsense'"):
        workload.complete("nonsense", {})
    for case, signature in workload.signatures.items():
        good = dict.fromkeys(signature, 16)
        with pytest.raises(SelectionError, match="unknown parameter 'colour'"):
            workload.complete(case, {**good, "colour": 1})
        for name, default in signature.items():
            if default is None:
                rest = {key: value for key, value in good.items() if key != name}
                with pytest.raises(SelectionError, match=f"parameter '{name}' is missing"):
                    workload.complete(case, rest)
            for absurd in (0, -1, LARGEST_PARAMETER + 1):
                with pytest.raises(SelectionError, match=f"{name}={absurd} is outside"):
                    workload.complete(case, {**good, name: absurd})


@given(*[st.integers(1, LARGEST_PARAMETER)] * 3)
def test_complete_parameters_stay_as_they_are(m, n, k):
    matmul = get_workload("matmul")
    complete = matmul.complete("skinny", {"m": m, "n": n, "k": k})
    assert complete == {"batch": 1, "m": m, "n": n, "k": k}
    assert matmul.complete("skinny", complete) == complete


@given(*[st.integers(1, 2**17)] * 4)
def test_a_batched_product_does_two_flop_for_each_of_its_multiplications(batch, m, n, k):
    matmul = get_workload("matmul")
    params = {"batch": batch, "m": m, "n": n, "k": k}
    work = matmul.work("batched", params, "float32", "torch", "cuda", "end_to_end")
    assert work.flop_count == pytest.approx(2 * batch * m * n * k, rel=1e-15)
    assert work.h2d_bytes == 4 * batch * (m * k + k * n)
    assert work.d2h_bytes == 4 * batch * m * n


@given(*[st.integers(1, LARGEST_PARAMETER)] * 2)
def test_a_batch_of_squares_may_be_given_by_one_size(batch, n):
    matmul = get_workload("matmul")
    short = matmul.complete("batched", {"batch": batch, "n": n})
    assert short == {"batch": batch, "m": n, "n": n, "k": n}
    assert matmul.complete("batched", short) == short
    with pytest.raises(SelectionError, match="parameter 'k' is missing"):
        matmul.complete("batched", {"batch": batch, "n": n, "m": n})


@pytest.mark.parametrize(
    ("case", "params", "message"),
    [
        ("square", {"n": 64, "k": 8}, "square: unknown parameter 'k'; it takes n"),
        ("square", {"batch": 1, "m": 64, "n": 64, "k": 8}, "k=8 contradicts .* it takes n"),
        ("square", {"batch": 9, "m": 64, "n": 64, "k": 64}, "batch=9 contradicts .* it takes n"),
        ("skinny", {"batch": 9, "m": 1, "n": 2, "k": 3}, "batch=9 .* it takes m, n, k"),
        ("batched", {"batch": 9, "n": -2}, "n=-2 is outside"),
    ],
)
def test_what_a_case_would_leave_out_is_an_error_that_names_it(case, params, message):
    matmul = get_workload("matmul")
    with pytest.raises(SelectionError, match=message):
        matmul.complete(case, params)
    with pytest.raises(SelectionError, match=message):
        matmul.complete_arrays(case, {name: np.full(2, value) for name, value in params.items()})


@pytest.mark.parametrize("workload", FAMILIES.values(), ids=lambda workload: workload.name)
def test_no_family_drops_a_parameter(workload):
    """Every parameter of a case, and every canonical one, changes the operation or is refused."""
    for case, signature in workload.signatures.items():
        given = dict.fromkeys(signature, 64)
        for name in (*signature, *workload.canonical_names):
            try:
                changed = workload.complete(case, {**given, name: 32})
            except SelectionError:
                continue
            assert changed != workload.complete(case, given), (case, name)


def test_an_unknown_family_is_answered_with_the_known_ones():
    with pytest.raises(SelectionError, match="unknown workload 'nonsense'") as caught:
        get_workload("nonsense")
    assert all(name in str(caught.value) for name in FAMILIES)


@pytest.mark.parametrize(
    ("workload", "case", "params", "size"),
    [
        ("matmul", "square", {"n": 1000}, 1000),
        ("matmul", "batched", {"batch": 64, "n": 64}, 256),
        ("matmul", "skinny", {"m": 1, "n": 4096, "k": 4096}, 256),
        ("elementwise", "add", {"n": 1001}, 1001),
        ("matmul", "int8_square", {"n": 1000}, 1000),
        ("elementwise", "broadcast_add", {"rows": 64, "cols": 1000}, 64_000),
        ("reduction", "row_sum", {"rows": 64, "cols": 1000}, 64_000),
        ("reduction", "softmax", {"rows": 64, "cols": 1000}, 64_000),
        ("fft", "fft2", {"n": 100}, 10_000),
        ("fft", "batched_1d", {"batch": 16, "n": 1009}, 16_144),
        ("transfer", "d2d", {"bytes": 4097}, 4096),
        ("launch", "empty_kernel", {}, 1),
        ("launch", "chain", {"length": 20}, 20),
        ("python_loop", "monte_carlo_pi", {"n": 1000}, 1000),
        ("training_step", "mlp_adam", {"batch": 256, "width": 64}, 256),
    ],
)
def test_size_is_what_its_meaning_says(workload, case, params, size):
    assert get_workload(workload).size(case, params) == size


SHAPES = st.one_of(
    st.integers(1, 5000), st.tuples(st.integers(1, 40), st.integers(1, 40)), st.just((3, 4, 5))
)


@given(
    SHAPES,
    st.sampled_from(["float64", "float32", "float16", "bfloat16", "complex64", "complex128"]),
    st.integers(0, 2**31),
)
def test_operands_are_seeded_random_never_zero_and_within_one(shape, dtype, seed):
    values = uniform(shape, dtype, seed)
    assert values.shape == ((shape,) if isinstance(shape, int) else shape)
    assert np.array_equal(values, uniform(shape, dtype, seed))
    parts = np.stack([values.real, values.imag]) if dtype.startswith("complex") else values
    assert np.all(parts != 0)
    assert np.all(np.abs(parts) <= 1)
    if values.size > 20:
        assert not np.array_equal(values, uniform(shape, dtype, seed + 1))


@given(st.integers(1, 5000), st.integers(0, 2**31))
def test_half_precision_operands_lose_nothing_on_their_way_to_the_device(n, seed):
    half = uniform(n, "float16", seed)
    assert np.array_equal(half, half.astype(np.float16).astype(np.float32))
    brain = uniform(n, "bfloat16", seed)
    assert not np.any(brain.view(np.uint32) & 0xFFFF)


@given(st.integers(0, 2**31))
def test_bfloat16_operands_are_rounded_to_the_nearest(seed):
    exact, rounded = uniform(1000, "float32", seed), uniform(1000, "bfloat16", seed)
    assert np.all(np.abs(rounded - exact) <= 2.0**-8 * np.abs(exact))


def test_operands_longer_than_the_block_of_distinct_values_repeat_it():
    values = uniform(4_194_301 + 10, "float32", 0)
    assert np.array_equal(values[-10:], values[:10])


@pytest.mark.parametrize("count", [1, 1000, 2**21])
def test_all_of_a_short_vector_is_checked(count):
    (part,) = checked_parts(np.arange(count))
    assert np.array_equal(part, np.arange(count))


@pytest.mark.parametrize("count", [2**21 + 1, 3_145_729, 10**7])
def test_checked_parts_of_a_long_vector_include_both_ends_and_leave_no_long_gap(count):
    pieces, tail = checked_parts(np.arange(count, dtype=np.int32))
    assert (pieces[0, 0], tail[-1]) == (0, count - 1)
    assert np.all(pieces - pieces[:, :1] == np.arange(1024))
    assert np.all(np.diff(tail) == 1)
    assert np.all(pieces[1:, 0] - pieces[:-1, -1] - 1 == count // 2048 - 1024)
    assert tail[0] - pieces[-1, -1] - 1 < count // 2048


@pytest.mark.parametrize(
    ("case", "params"),
    [
        ("sum", {"n": 999}),
        ("row_sum", {"rows": 9, "cols": 99}),
        ("column_sum", {"rows": 9, "cols": 99}),
        ("variance", {"n": 999}),
    ],
)
def test_the_operands_of_a_sum_are_positive(case, params):
    (values,) = get_workload("reduction").inputs(case, params, "float32", 0)
    assert np.all(values > 0)


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        float("inf"),
    ],
)
def test_a_parameter_that_is_no_whole_number_is_named(value):
    with pytest.raises(SelectionError, match="elementwise add: n="):
        get_workload("elementwise").complete("add", {"n": value})
