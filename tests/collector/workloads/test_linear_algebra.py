"""Linear algebra: what one call does, and what the residuals see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.backends import open_backend
from collector.workloads import Question, Work, get_workload
from collector.workloads import _matrices as matrices

FAMILY = get_workload("linear_algebra")
SMALL = {
    "solve": {"n": 30, "rhs": 1},
    "inverse": {"n": 30},
    "determinant": {"n": 30},
    "cholesky": {"n": 30},
    "eigh": {"n": 30},
    "eigvalsh": {"n": 30},
    "svd": {"rows": 40, "cols": 15},
    "qr": {"rows": 40, "cols": 15},
    "eig": {"n": 30},
    "lstsq": {"rows": 40, "cols": 15},
    "batched_solve": {"batch": 7, "n": 5},
    "batched_eigh": {"batch": 7, "n": 5},
}


@pytest.fixture(scope="module")
def backends():
    opened = {}

    def give(name):
        pytest.importorskip(name)
        if name not in opened:
            opened[name] = open_backend(name, "cpu")
        return opened[name]

    return give


def computed(backend, case, params, dtype):
    """Reference, and a right output as it was fetched."""
    inputs = FAMILY.inputs(case, params, dtype, 5)
    operands = map(backend.upload, FAMILY.host_operands(backend, inputs, dtype))
    output = FAMILY.build(backend, case, params, dtype)(*operands)
    return FAMILY.reference(inputs, case, params, dtype), FAMILY.fetch(backend, output)


def check(reference, output, case, params, dtype="float64"):
    return FAMILY.check(reference, output, case, params, dtype, "ieee")


MORE = [
    ("solve", {"n": 30, "rhs": 4}),
    ("solve", {"n": 1, "rhs": 1}),
    ("svd", {"rows": 15, "cols": 40}),
    ("qr", {"rows": 15, "cols": 40}),
    ("lstsq", {"rows": 15, "cols": 40}),
    ("determinant", {"n": 31}),
    ("determinant", {"n": 2}),
    ("eig", {"n": 2}),
    ("batched_eigh", {"batch": 1, "n": 2}),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize(("case", "params"), [*SMALL.items(), *MORE], ids=str)
def test_a_right_result_passes(case, params, name, dtype, backends):
    reference, output = computed(backends(name), case, params, dtype)
    found = check(reference, output, case, params, dtype)
    assert found.passed
    assert found.relative_error < 0.7 * found.tolerance


def without_a_column(part):
    part[..., -1] = part[..., 0]


def not_written(part):
    part[...] = 0


def not_a_number(part):
    part[..., 0] = np.nan


def slightly_off(part):
    part *= 1 + 1e-9


def of_other_signs(part):
    part *= -1


#: determinants and eigenvalues have no column, and a factor's columns may have either sign
WRONG = [without_a_column, not_written, not_a_number, slightly_off]


@pytest.mark.parametrize("broken", WRONG, ids=lambda broken: broken.__name__)
@pytest.mark.parametrize("case", SMALL)
def test_each_part_of_a_result_counts(case, broken, backends):
    """Every array of what the library returns, broken alone."""
    params = SMALL[case]
    reference, output = computed(backends("numpy"), case, params, "float64")
    for place, part in enumerate(output):
        if part.ndim == 0 and broken is without_a_column:
            continue
        wrong = [np.array(one) for one in output]
        if part.ndim == 0:
            wrong[place] = np.array([part])
            broken(wrong[place])
            wrong[place] = wrong[place][0]
        else:
            broken(wrong[place])
        assert not check(reference, tuple(wrong), case, params).passed, place


@pytest.mark.parametrize("case", ["solve", "inverse", "determinant", "cholesky", "eigvalsh"])
def test_a_sign_counts(case, backends):
    reference, (output,) = computed(backends("numpy"), case, SMALL[case], "float64")
    wrong = np.array([output])
    if case == "cholesky":
        wrong[..., 0] *= -1  # of one column: L L' is the same
        wrong[..., 1, 0] *= -1
    else:
        of_other_signs(wrong)
    assert not check(reference, (wrong[0],), case, SMALL[case]).passed


def test_factors_have_to_be_triangular(backends):
    for case, place, corner in (("cholesky", 0, (0, -1)), ("qr", 1, (-1, 0))):
        reference, output = computed(backends("numpy"), case, SMALL[case], "float64")
        wrong = [np.array(part) for part in output]
        wrong[place][corner] = 1e-30
        assert not check(reference, tuple(wrong), case, SMALL[case]).passed


def test_another_shape_is_wrong(backends):
    for case, params in SMALL.items():
        reference, output = computed(backends("numpy"), case, params, "float64")
        longer = tuple(part[None] for part in output)
        assert not check(reference, longer, case, params).passed


def test_vectors_that_are_not_orthogonal_are_wrong(backends):
    """Eigenvectors twice as long solve the same equation."""
    reference, (values, vectors) = computed(backends("numpy"), "eigh", {"n": 30}, "float64")
    assert not check(reference, (values, 2 * vectors), "eigh", {"n": 30}).passed
    assert not check(reference, (values[::-1], vectors[:, ::-1]), "eigh", {"n": 30}).passed


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 40), seed=st.integers(0, 1000), shift=st.sampled_from((0.0, 1.5)))
def test_symmetric_matrices_have_the_eigenvalues_that_they_are_made_of(n, seed, shift):
    a = matrices.symmetric(n, "float64", seed, shift)
    np.testing.assert_allclose(a, a.T, atol=1e-15)
    np.testing.assert_allclose(np.linalg.eigvalsh(a), matrices.spectrum(n) + shift, atol=1e-13)
    assert (np.diff(matrices.spectrum(n)) > 0).all()


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 40), seed=st.integers(0, 1000))
def test_determinants_are_known(n, seed):
    a = matrices.rank_one_more(n, "float64", seed)
    expected = matrices.determinant_of_rank_one_more(n)
    assert np.linalg.det(a) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 60), cols=st.integers(1, 60), seed=st.integers(0, 1000))
def test_operands_are_well_conditioned_and_dense(rows, cols, seed):
    a = matrices.near_identity((rows, cols), "float64", seed)
    assert np.linalg.cond(a) < 25
    assert (a != 0).all()


HAND = [
    # LU of 10 x 10: 2/3 1000, two substitutions for each of 3 right-hand sides: 2 100 3
    ("solve", {"n": 10, "rhs": 3}, "cupy", 2000 / 3 + 600, 130, 30),
    ("inverse", {"n": 10}, "cupy", 2000, 100, 100),
    ("determinant", {"n": 10}, "cupy", 2000 / 3, 100, 1),
    ("cholesky", {"n": 10}, "cupy", 1000 / 3, 100, 100),
    ("eigh", {"n": 10}, "cupy", 9000, 100, 110),
    ("eigvalsh", {"n": 10}, "cupy", 4000 / 3, 100, 10),
    # by QR first: 6 50 16 + 20 64 = 6080; 14 50 16 + 8 64 = 11712 without
    ("svd", {"rows": 50, "cols": 4}, "cupy", 6080, 200, 200 + 4 + 16),
    ("svd", {"rows": 4, "cols": 50}, "cupy", 6080, 200, 200 + 4 + 16),
    ("qr", {"rows": 50, "cols": 4}, "cupy", 2 * (1600 - 128 / 3), 200, 216),
    ("lstsq", {"rows": 50, "cols": 4}, "torch", 1600 - 128 / 3, 250, 4),
    ("lstsq", {"rows": 50, "cols": 4}, "cupy", 1600 + 704, 250, 4),
    ("eig", {"n": 10}, "cupy", 25_000, 100, 220),
    ("batched_solve", {"batch": 7, "n": 10}, "cupy", 7 * (2000 / 3 + 200), 770, 70),
    ("batched_eigh", {"batch": 7, "n": 10}, "cupy", 63_000, 700, 770),
]


@pytest.mark.parametrize(("case", "params", "backend", "flop", "read", "written"), HAND, ids=str)
def test_work_is_counted(case, params, backend, flop, read, written):
    """FLOP by hand, and elements of 8 bytes."""
    work = FAMILY.operation_work(case, params, "float64", backend)
    bytes_read, bytes_written = 8.0 * read, 8.0 * written
    expected = Work(flop, bytes_read, bytes_written, bytes_read, bytes_written, work.kernel_count)
    assert work.flop_count == pytest.approx(flop)
    assert (work.bytes_read, work.bytes_written) == (bytes_read, bytes_written)
    assert (work.h2d_bytes, work.d2h_bytes) == (expected.h2d_bytes, expected.d2h_bytes)


@pytest.mark.parametrize("case", SMALL)
def test_counted_bytes_are_those_of_operands_and_results(case, backends):
    params = SMALL[case]
    inputs = FAMILY.inputs(case, params, "float64", 1)
    _, output = computed(backends("numpy"), case, params, "float64")
    work = FAMILY.operation_work(case, params, "float64", "numpy")
    assert work.h2d_bytes == sum(array.nbytes for array in inputs)
    assert work.d2h_bytes == sum(part.nbytes for part in output)


def test_float32_costs_numpy_as_much_as_float64():
    """It computes in float64: twice the FLOP of a float32 operation."""
    params = {"n": np.array([100.0])}

    def serial(dtype, backend):
        asked = Question("linear_algebra", "cholesky", dtype, "ieee", backend, "cpu", "hot")
        return FAMILY.shape(asked, params).serial

    assert serial("float32", "numpy") == 2 * serial("float64", "numpy")
    assert serial("float32", "torch") == serial("float64", "torch")


def test_the_last_point_of_a_case_is_its_largest():
    """Energy is measured there."""
    for place in FAMILY.support:
        for suite in ("standard", "full"):
            sizes = {}
            for point in FAMILY.grid(suite, *place):
                sizes.setdefault(point.case, []).append(FAMILY.size(point.case, dict(point.params)))
            assert all(found[-1] == max(found) for found in sizes.values())
