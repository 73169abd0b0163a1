"""Transforms of real numbers and of volumes: what one call does, and what the check sees."""

import math

import numpy as np
import pytest

from collector.backends import open_backend
from collector.workloads import Question, Work, get_workload

FAMILY = get_workload("fft")
HALVES = [
    ("real_1d", {"batch": 6, "n": 100}, (6, 51)),
    ("real_1d", {"batch": 2, "n": 35}, (2, 18)),
    ("real_2d", {"n": 24}, (24, 13)),
    ("real_2d", {"n": 15}, (15, 8)),
    ("fft_3d", {"n": 10}, (10, 10, 10)),
]


def computed(name, case, params, dtype):
    pytest.importorskip(name)
    backend = open_backend(name, "cpu")
    inputs = FAMILY.inputs(case, params, dtype, 4)
    operands = FAMILY.host_operands(backend, inputs, dtype)
    output = FAMILY.build(backend, case, params, dtype)(*operands)
    return backend, inputs, operands, output


def passes(backend, inputs, output, case, params, dtype):
    reference = FAMILY.reference(inputs, case, params, dtype)
    found = FAMILY.fetch(backend, output)
    return FAMILY.check(reference, found, case, params, dtype, "ieee").passed


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
@pytest.mark.parametrize(("case", "params", "shape"), HALVES)
def test_every_library_transforms_alike(case, params, shape, name, dtype):
    """Real operands of half the type's size; the half of the result that the library returns."""
    backend, inputs, operands, output = computed(name, case, params, dtype)
    half = {"complex64": np.float32, "complex128": np.float64}[dtype]
    assert inputs[0].dtype == (dtype if case == "fft_3d" else half)
    assert backend.to_numpy(operands[0]).dtype == inputs[0].dtype
    assert tuple(output.shape) == shape
    assert passes(backend, inputs, output, case, params, dtype)


@pytest.mark.parametrize(("case", "params", "shape"), HALVES)
def test_the_whole_spectrum_is_what_numpy_gives(case, params, shape):
    """The reference's projection and bins against a plain transform in complex128."""
    backend, inputs, _, _ = computed("numpy", case, params, "complex128")
    axes = tuple(range(1 if "1d" in case else 0, len(shape)))
    whole = np.fft.fftn(inputs[0], axes=axes)[..., : shape[-1]]
    expected = FAMILY.reference(inputs, case, params, "complex128")
    found = FAMILY.fetch(backend, whole)
    assert found[0] == expected[0] == shape
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-10 * abs(expected[1]).max())
    np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=1e-10)


def last_axis_alone(x):
    return np.fft.rfft(x) if x.dtype.kind == "f" else np.fft.fft(x)


def a_plane_left_out(x):
    axes = range(x.ndim)
    output = np.fft.rfftn(x) if x.dtype.kind == "f" else np.fft.fftn(x, axes=axes)
    output[x.shape[0] // 2] = 0
    return output


@pytest.mark.parametrize("broken", [last_axis_alone, a_plane_left_out])
@pytest.mark.parametrize(("case", "params"), [("real_2d", {"n": 24}), ("fft_3d", {"n": 10})])
def test_a_transform_that_is_not_whole_is_caught(case, params, broken):
    backend, inputs, _, output = computed("numpy", case, params, "complex128")
    assert passes(backend, inputs, output, case, params, "complex128")
    assert not passes(backend, inputs, broken(inputs[0]), case, params, "complex128")


def test_a_complex_transform_of_real_numbers_is_another_shape():
    params = {"batch": 6, "n": 100}
    backend, inputs, _, _ = computed("numpy", "real_1d", params, "complex128")
    assert not passes(backend, inputs, np.fft.fft(inputs[0]), "real_1d", params, "complex128")


def test_real_numbers_are_half_the_work():
    """5 N log2 N FLOP of complex points; 8 bytes in, 16 bytes out of half the points and one."""
    flop = 2.5 * 4 * 64 * 6
    read, written = 4 * 64 * 8.0, 4 * 33 * 16.0
    work = FAMILY.operation_work("real_1d", {"batch": 4, "n": 64}, "complex128", "numpy")
    assert work == Work(flop, read, written, read, written, 1)


def test_each_dimension_is_a_pass():
    """Rows of real numbers give half as many complex ones, which the columns read again."""
    half = 64 * 33 * 16.0
    work = FAMILY.operation_work("real_2d", {"n": 64}, "complex128", "cupy")
    assert work == Work(2.5 * 4096 * 12, 4096 * 8.0 + half, 2 * half, 4096 * 8.0, half, 2)
    volume = 8**3 * 8.0
    work = FAMILY.operation_work("fft_3d", {"n": 8}, "complex64", "cupy")
    assert work == Work(5 * 512 * 9, 3 * volume, 3 * volume, volume, volume, 3)


def test_a_volume_is_three_transforms_in_a_row():
    """On a GPU three kernels that each go through all of it."""
    asked = Question("fft", "fft_3d", "complex128", "ieee", "cupy", "cuda", "hot")
    shape = FAMILY.shape(asked, {"n": np.array([64.0])})
    assert shape.starts == 3.0
    assert math.isclose(shape.distinct, 1 / 3)
    assert FAMILY.size("fft_3d", {"n": 64}) == 64**3
