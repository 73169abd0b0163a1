"""Each family's check passes the right result and catches operations broken on purpose."""

import numpy as np
import pytest

from collector.backends import open_backend
from collector.backends.host_backends import NumpyBackend
from collector.workloads import get_workload

SEED = 3

# small enough that one wrong element stands out of the rounding errors of the others
OPERATIONS = [
    ("matmul", "square", {"n": 65}, "float64"),
    ("matmul", "square", {"n": 65}, "float32"),
    ("matmul", "skinny", {"m": 65, "n": 12, "k": 130}, "float32"),
    ("matmul", "skinny", {"m": 65, "n": 1, "k": 130}, "float64"),
    ("matmul", "batched", {"batch": 3, "n": 33}, "float32"),
    ("matmul", "batched", {"batch": 3, "m": 5, "n": 17, "k": 40}, "float32"),
    ("elementwise", "add", {"n": 1001}, "float64"),
    ("elementwise", "add", {"n": 1001}, "float32"),
    ("elementwise", "triad", {"n": 1001}, "float32"),
    ("elementwise", "polynomial", {"n": 1001}, "float32"),
    ("elementwise", "tanh", {"n": 1001}, "float32"),
    ("elementwise", "broadcast_add", {"rows": 33, "cols": 31}, "float32"),
    ("reduction", "softmax", {"rows": 33, "cols": 100}, "float32"),
    ("reduction", "softmax", {"rows": 33, "cols": 100}, "float64"),
    ("reduction", "layer_norm", {"rows": 33, "cols": 100}, "float32"),
    ("reduction", "layer_norm", {"rows": 33, "cols": 100}, "float64"),
    ("reduction", "row_sum", {"rows": 33, "cols": 100}, "float32"),
    ("reduction", "sum", {"n": 1001}, "float64"),
    ("reduction", "column_sum", {"rows": 33, "cols": 100}, "float32"),
    ("reduction", "column_sum", {"rows": 33, "cols": 100}, "float64"),
    ("reduction", "variance", {"n": 1001}, "float32"),
    ("reduction", "variance", {"n": 1001}, "float64"),
    ("fft", "fft2", {"n": 25}, "complex64"),
    ("fft", "fft2", {"n": 32}, "complex128"),
    ("fft", "batched_1d", {"batch": 12, "n": 101}, "complex64"),
    ("fft", "real_1d", {"batch": 12, "n": 101}, "complex64"),
    ("fft", "real_1d", {"batch": 1, "n": 100}, "complex128"),
    ("fft", "real_2d", {"n": 25}, "complex64"),
    ("fft", "real_2d", {"n": 32}, "complex128"),
    ("fft", "fft_3d", {"n": 9}, "complex64"),
    ("fft", "fft_3d", {"n": 8}, "complex128"),
    ("launch", "chain", {"length": 7}, "float32"),
    ("python_loop", "monte_carlo_pi", {"n": 1001}, "float64"),
]


def compute(workload, case, params, dtype, backend=None):
    """Reference and output of an operation done right."""
    family, backend = get_workload(workload), backend or NumpyBackend("cpu")
    params = family.complete(case, params)
    inputs = family.inputs(case, params, dtype, SEED)
    operands = [backend.upload(array) for array in family.host_operands(backend, inputs, dtype)]
    output = family.build(backend, case, params, dtype)(*operands)
    return family.reference(inputs, case, params, dtype), output


def judge(operation, reference, output, backend=None, math_mode="ieee"):
    workload, case, params, dtype = operation
    family, backend = get_workload(workload), backend or NumpyBackend("cpu")
    params = family.complete(case, params)
    fetched = family.fetch(backend, output)
    return family.check(reference, fetched, case, params, dtype, math_mode)


def one_element_off(output):
    broken = output.copy().reshape(-1)
    broken[broken.size // 2] += 3  # a count is allowed two points on the circle's edge
    return broken.reshape(np.shape(output))


def missing_tail(output):
    broken = output.copy().reshape(-1)
    broken[-max(1, broken.size // 16) :] = 0
    return broken.reshape(np.shape(output))


def not_a_number_at_the_end(output):
    broken = np.asarray(output * 1.0)  # a count as a float
    broken.reshape(-1)[-1] = np.nan
    return broken


def all_zeros(output):
    return np.zeros_like(output)


def scaled(output):
    return output * 2


BREAKS = [one_element_off, missing_tail, not_a_number_at_the_end, all_zeros, scaled]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_the_right_result_passes(operation):
    reference, output = compute(*operation)
    check = judge(operation, reference, output)
    assert check.passed
    assert 0 <= check.relative_error <= check.tolerance


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda break_it: break_it.__name__)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_broken_result_is_caught(operation, break_it):
    reference, output = compute(*operation)
    broken = break_it(np.asarray(output))
    assert not judge(operation, reference, broken).passed


WITH_SHAPE = [op for op in OPERATIONS if op[0] in ("matmul", "elementwise", "reduction", "fft")]


@pytest.mark.parametrize("operation", WITH_SHAPE, ids=str)
def test_a_result_of_the_wrong_length_is_caught(operation):
    reference, output = compute(*operation)
    vector = np.atleast_1d(output)
    longer = np.concatenate([vector, vector[:1]])
    assert not judge(operation, reference, longer).passed


@pytest.mark.parametrize(
    "operation",
    [op for op in OPERATIONS if op[0] in ("matmul", "fft") and op[1] != "batched"],
    ids=str,
)
def test_a_transposed_result_is_caught(operation):
    reference, output = compute(*operation)
    assert not judge(operation, reference, np.ascontiguousarray(output.T)).passed


def test_a_transform_may_come_in_any_memory_order():
    operation = ("fft", "fft2", {"n": 25}, "complex64")
    reference, output = compute(*operation)
    assert judge(operation, reference, np.asfortranarray(output)).passed


def test_exchanged_factors_are_caught():
    operation = ("matmul", "square", {"n": 65}, "float32")
    inputs = get_workload("matmul").inputs("square", {"n": 65}, "float32", SEED)
    reference, _ = compute(*operation)
    assert not judge(operation, reference, inputs[1] @ inputs[0]).passed


def test_the_inverse_transform_is_caught():
    operation = ("fft", "fft2", {"n": 32}, "complex128")
    reference, output = compute(*operation)
    assert not judge(operation, reference, np.conj(output)).passed


@pytest.mark.parametrize(
    "operation",
    [
        ("matmul", "square", {"n": 65}, "float64"),
        ("elementwise", "add", {"n": 1001}, "float64"),
        ("reduction", "sum", {"n": 1001}, "float64"),
        ("fft", "fft2", {"n": 32}, "complex128"),
    ],
    ids=str,
)
def test_arithmetic_in_half_the_precision_is_caught(operation):
    """A library that silently computes float64 in float32 would look fast."""
    workload, case, params, dtype = operation
    narrow = {"float64": "float32", "complex128": "complex64"}[dtype]
    family, backend = get_workload(workload), NumpyBackend("cpu")
    inputs = family.inputs(case, family.complete(case, params), dtype, SEED)
    narrowed = [array.astype(narrow) for array in inputs]
    output = family.build(backend, case, family.complete(case, params), narrow)(*narrowed)
    reference, _ = compute(*operation)
    assert not judge(operation, reference, np.asarray(output, dtype=dtype)).passed


def test_tf32_is_too_coarse_for_ieee_and_fine_for_itself():
    operation = ("matmul", "square", {"n": 65}, "float32")
    a, b = get_workload("matmul").inputs("square", {"n": 65}, "float32", SEED)

    def to_tf32(x):
        return ((x.view(np.uint32) + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)

    reference, _ = compute(*operation)
    product = to_tf32(a) @ to_tf32(b)
    assert not judge(operation, reference, product).passed
    assert judge(operation, reference, product, math_mode="tf32").passed


@pytest.mark.parametrize("count", [10_000_000, 3_145_729])
def test_a_large_vector_without_its_tail_is_caught(count):
    operation = ("elementwise", "add", {"n": count}, "float32")
    reference, output = compute(*operation)
    assert judge(operation, reference, output).passed
    output[-1] = np.nan
    assert not judge(operation, reference, output).passed


@pytest.fixture(scope="module")
def large_addition():
    return compute("elementwise", "add", {"n": 10_000_000}, "float32")


def passes_with_hole(large_addition, start):
    reference, output = large_addition
    broken = output.copy()
    broken[start : start + 4096] = 0
    return judge(("elementwise", "add", {"n": 10_000_000}, "float32"), reference, broken).passed


@pytest.mark.parametrize("start", [0, 1024, 1_234_567, 5_000_000, 9_988_500, 10_000_000 - 4096])
def test_a_hole_in_a_large_vector_is_caught(start, large_addition):
    assert not passes_with_hole(large_addition, start)


def test_a_hole_just_before_the_end_of_a_large_vector_is_caught(large_addition):
    assert not passes_with_hole(large_addition, 9_994_600)


@pytest.mark.parametrize("missing", [slice(-1024, None), slice(512_000, 513_024)], ids=str)
def test_a_sum_that_leaves_a_block_out_is_caught(missing):
    """The share of one thread block, in signs of either kind, would nearly cancel out."""
    operation = ("reduction", "sum", {"n": 10_000_000}, "float32")
    (values,) = get_workload("reduction").inputs("sum", {"n": 10_000_000}, "float32", SEED)
    reference, output = compute(*operation)
    assert judge(operation, reference, output).passed
    assert not judge(operation, reference, output - np.sum(values[missing])).passed


@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_long_variance_passes_and_one_of_fewer_numbers_is_caught(name, dtype):
    """The share of one thread of 32; PyTorch updates its variance number by number."""
    pytest.importorskip(name)
    operation, backend = (
        ("reduction", "variance", {"n": 4_000_000}, dtype),
        open_backend(name, "cpu"),
    )
    (values,) = get_workload("reduction").inputs("variance", {"n": 4_000_000}, dtype, SEED)
    reference, output = compute(*operation, backend)
    assert judge(operation, reference, output, backend).passed
    values[: len(values) // 32] = 0
    assert not judge(operation, reference, np.var(values)).passed


def test_a_row_that_is_left_out_of_the_sums_of_columns_is_caught():
    operation = ("reduction", "column_sum", {"rows": 1000, "cols": 30}, "float32")
    (values,) = get_workload("reduction").inputs("column_sum", operation[2], "float32", SEED)
    reference, output = compute(*operation)
    assert judge(operation, reference, output).passed
    assert not judge(operation, reference, output - values[500]).passed
    assert not judge(operation, reference, values.sum(axis=1)).passed


def exchanged_rows(spectrum):
    spectrum[[400, 401]] = spectrum[[401, 400]]


def exchanged_columns(spectrum):
    spectrum[:, [400, 401]] = spectrum[:, [401, 400]]


def exchanged_bins(spectrum):
    spectrum[400, [400, 401]] = spectrum[400, [401, 400]]


def one_wrong_bin(spectrum):
    spectrum[400, 400] *= 1.1


def missing_last_row(spectrum):
    spectrum[-1] = 0


def one_bin_not_a_number(spectrum):
    spectrum[400, 400] = np.nan


@pytest.mark.parametrize("n", [1, 2, 9, 10, 101, 1009])
def test_single_bins_follow_the_defining_sum(n):
    from collector.workloads.fft import _single_bin

    values = get_workload("fft").inputs("batched_1d", {"batch": 1, "n": n}, "complex128", SEED)[0][
        0
    ]
    for frequency in {0, n // 3, n - 1}:
        factors = np.exp(-2j * np.pi * (np.arange(n) * frequency % n) / n)
        assert _single_bin(values, frequency) == pytest.approx(np.sum(values * factors), rel=1e-12)


# --- softmax and layer norm of a matrix that is checked by some of its rows ---------------------

LARGE_ROWS = {"rows": 5000, "cols": 1001}


@pytest.fixture(scope="module", params=["softmax", "layer_norm"])
def large_rows(request):
    operation = ("reduction", request.param, LARGE_ROWS, "float32")
    return operation, *compute(*operation)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda y: y.__setitem__(1234, 0),  # a row left out
        lambda y: y.__setitem__(slice(4990, None), 0),
        lambda y: y.__setitem__((1234, slice(None)), y[1234] * 1.1),  # not normalised
        lambda y: y.__setitem__((1234, 7), np.nan),
        lambda y: y.__setitem__((1234, 7), y[1234, 7] + 0.1),
        lambda y: y.__setitem__((slice(None), slice(-8, None)), 0),  # the ends of all rows
        lambda y: y.__setitem__(slice(2000, 2010), y[2000:2010, ::-1].copy()),
        lambda y: np.negative(y, out=y),
    ],
    ids=["row", "last rows", "scaled row", "nan", "element", "row ends", "mirrored rows", "signs"],
)
def test_a_large_matrix_of_normalised_rows_with_a_fault_is_caught(break_it, large_rows):
    operation, reference, output = large_rows
    assert judge(operation, reference, output).passed
    broken = output.copy()
    break_it(broken)
    assert not judge(operation, reference, broken).passed


def test_a_layer_norm_without_its_mean_or_its_epsilon_is_caught():
    operation = ("reduction", "layer_norm", {"rows": 33, "cols": 100}, "float64")
    (x,) = get_workload("reduction").inputs("layer_norm", operation[2], "float64", SEED)
    reference, _ = compute(*operation)
    centred = x - x.mean(1, keepdims=True)
    assert not judge(operation, reference, x / x.std(1, keepdims=True)).passed
    assert not judge(operation, reference, centred / centred.std(1, keepdims=True)).passed
    assert not judge(operation, reference, centred / centred.std(1, ddof=1, keepdims=True)).passed


def test_a_row_vector_added_to_the_wrong_axis_is_caught():
    operation = ("elementwise", "broadcast_add", {"rows": 32, "cols": 32}, "float32")
    family = get_workload("elementwise")
    matrix, row = family.inputs("broadcast_add", operation[2], "float32", SEED)
    reference, _ = compute(*operation)
    assert judge(operation, reference, matrix + row).passed
    assert not judge(operation, reference, matrix + row[:, None]).passed


@pytest.fixture(scope="module")
def large_transform():
    return compute("fft", "fft2", {"n": 1000}, "complex64")


@pytest.mark.parametrize(
    "break_it",
    [
        *(exchanged_rows, exchanged_columns, exchanged_bins, one_wrong_bin),
        *(missing_last_row, one_bin_not_a_number),
    ],
    ids=lambda break_it: break_it.__name__,
)
def test_a_large_transform_with_few_wrong_bins_is_caught(break_it, large_transform):
    operation = ("fft", "fft2", {"n": 1000}, "complex64")
    reference, output = large_transform
    assert judge(operation, reference, output).passed
    broken = output.copy()
    break_it(broken)
    assert not judge(operation, reference, broken).passed


# --- torch: half precision, small training steps -----------------------------------------------


@pytest.fixture(scope="module")
def torch_cpu():
    pytest.importorskip("torch")
    return open_backend("torch", "cpu")


TORCH_OPERATIONS = [
    ("matmul", "int8_square", {"n": 104}, "int8"),
    ("elementwise", "broadcast_add", {"rows": 33, "cols": 31}, "float32"),
    ("reduction", "softmax", {"rows": 33, "cols": 100}, "float32"),
    ("reduction", "softmax", {"rows": 33, "cols": 100}, "float64"),
    ("reduction", "softmax", {"rows": 33, "cols": 100}, "bfloat16"),
    ("reduction", "layer_norm", {"rows": 33, "cols": 100}, "float32"),
    ("reduction", "layer_norm", {"rows": 33, "cols": 100}, "bfloat16"),
    ("matmul", "square", {"n": 65}, "bfloat16"),
    ("matmul", "x_xt_1000_float32", {}, "float32"),
    ("elementwise", "triad", {"n": 1001}, "float32"),
    ("fft", "batched_1d", {"batch": 4, "n": 100}, "complex128"),
    ("training_step", "simple_net_adam", {}, "float32"),
    ("training_step", "linear_sgd", {}, "float32"),
    ("training_step", "mlp_adam", {"batch": 16, "width": 24}, "float32"),
]


@pytest.mark.parametrize("operation", TORCH_OPERATIONS, ids=str)
def test_the_right_result_of_torch_passes(operation, torch_cpu):
    reference, output = compute(*operation, torch_cpu)
    check = judge(operation, reference, output, torch_cpu)
    assert check.passed
    assert check.relative_error <= check.tolerance


# --- copies need a GPU; their check does not ----------------------------------------------------


def test_a_copy_must_be_complete_and_exact():
    transfer = get_workload("transfer")
    params = {"bytes": 40_000}
    (data,) = transfer.inputs("d2d", params, "float32", SEED)

    def passes(output):
        return transfer.check(data, output, "d2d", params, "float32", "ieee").passed

    assert passes(data.copy())
    for break_it in BREAKS:
        assert not passes(break_it(data)), break_it.__name__
    assert not passes(data[:-1])
    assert not passes(np.roll(data, 1))
