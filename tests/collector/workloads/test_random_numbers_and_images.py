"""Random numbers follow their law, images the pipeline's definition, or they are caught."""

import numpy as np
import pytest

from collector.backends import open_backend
from collector.backends.host_backends import NumpyBackend
from collector.errors import WrongResultError
from collector.measure.prepare import prepare, verify_again
from collector.workloads import get_workload
from collector.workloads._sampled import fetch_parts
from tests.collector.pipeline_operations import CPU_BACKENDS, SEED, computed, operation_of, passes


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


RANDOM = [
    ("random", case, {"n": n}, dtype)
    for case in ("uniform", "normal")
    for n in (2_000, 3_000_000)
    for dtype in ("float32", "float64")
]


def out_of_range(numbers):
    numbers[numbers.size // 2] = 1.5 if numbers.min() >= 0 else 12.0


def constant_piece(numbers):
    start = numbers.size // 2
    numbers[start : start + 20_000] = numbers[0]


def empty_tail(numbers):
    numbers[-numbers.size // 8 :] = 0


def not_a_number(numbers):
    numbers[-1] = np.nan


def off_centre(numbers):
    numbers *= 0.8


def too_narrow(numbers):
    numbers -= 0.3 * (numbers - numbers.mean())


@pytest.mark.parametrize(
    "break_it",
    [out_of_range, constant_piece, empty_tail, not_a_number, off_centre, too_narrow],
    ids=lambda break_it: break_it.__name__,
)
@pytest.mark.parametrize("row", RANDOM, ids=str)
def test_numbers_that_do_not_follow_the_law_are_caught(row, break_it):
    if break_it is out_of_range and row[2]["n"] > 2_000_000:
        pytest.skip("of a long vector a sample of 2,000,000 numbers is looked at")
    family, params, reference, output = computed(row)
    assert passes(row, family, params, reference, output)
    broken = output[1:].copy()  # the beginning differs, so that only the law is at fault
    broken = np.append(broken, broken[:1])
    break_it(broken)
    assert not passes(row, family, params, reference, broken)


def test_normal_numbers_are_not_uniform_ones():
    for case, other in (("uniform", "normal"), ("normal", "uniform")):
        row = ("random", case, {"n": 2000}, "float32")
        family, params, reference, _ = computed(row)
        _, _, _, wrong = computed(("random", other, {"n": 2000}, "float32"))
        assert not passes(row, family, params, reference, wrong)


def test_a_generator_that_begins_anew_in_each_call_is_caught(monkeypatch):
    family, backend = get_workload("random"), NumpyBackend("cpu")
    params = {"n": 1000}
    monkeypatch.setattr(
        family,
        "build",
        lambda backend, case, params, dtype: lambda: np.random.default_rng(1).random(1000),
    )
    row = ("random", "uniform", params, "float64")
    prepared = prepare(family, operation_of(row), backend, SEED)
    with pytest.raises(WrongResultError):
        verify_again(prepared, backend)


def test_float64_numbers_of_float32_precision_are_caught():
    row = ("random", "uniform", {"n": 2000}, "float64")
    family, params, reference, output = computed(row)
    narrow = output[::-1].astype(np.float32)
    assert not passes(row, family, params, reference, narrow.astype(np.float64))
    assert not passes(row, family, params, reference, narrow)


def test_the_check_of_random_numbers_does_not_cry_wolf():
    """400 outputs of good generators, each checked at 6 standard errors."""
    family = get_workload("random")
    generator = np.random.default_rng(SEED)
    for case, draw in (("uniform", generator.random), ("normal", generator.standard_normal)):
        reference = family.reference((), case, {"n": 3000}, "float64")
        for _ in range(200):
            fetched = fetch_parts(NumpyBackend("cpu"), draw(3000))
            assert family.check(reference, fetched, case, {"n": 3000}, "float64", "ieee").passed


# --- images -------------------------------------------------------------------------------------


def definition(images):
    """The pipeline by its definition, a loop over taps in float64."""
    half = images.reshape(*images.shape[:2], images.shape[2] // 2, 2, -1, 2).mean(axis=(3, 5))
    taps = np.array([1, 4, 6, 4, 1]) / 16
    padded = np.pad(half, ((0, 0), (0, 0), (2, 2), (2, 2)))
    n = half.shape[-1]
    blurred = sum(
        taps[i] * taps[j] * padded[:, :, i : i + n, j : j + n] for i in range(5) for j in range(5)
    )
    mean = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
    return (blurred - mean) / np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)


@pytest.mark.parametrize("name", CPU_BACKENDS)
def test_all_forms_of_the_image_pipeline_follow_its_definition(name, backends):
    family, backend = get_workload("image_pipeline"), backends(name)
    case, params = "resize_blur_normalise", {"batch": 2, "image": 26}
    (images,) = inputs = family.inputs(case, params, "float64", SEED)
    operands = family.host_operands(backend, inputs, "float64")
    output = family.build(backend, case, params, "float64")(*operands)
    np.testing.assert_allclose(backend.to_numpy(output), definition(images), rtol=0, atol=1e-12)


def blurred_edges_left(images):
    result = definition(images)
    result[..., 0, :] = 0
    return result


def nearest_instead_of_bilinear(images):
    return definition(np.repeat(np.repeat(images[..., ::2, ::2], 2, axis=2), 2, axis=3))


def exchanged_channels(images):
    return definition(images)[:, ::-1]


def exchanged_images(images):
    return definition(images)[::-1]


def turned(images):
    return definition(images).swapaxes(2, 3)


def mirrored(images):
    return definition(images[..., ::-1])


@pytest.mark.parametrize(
    "broken",
    [
        *(blurred_edges_left, nearest_instead_of_bilinear, exchanged_channels),
        *(exchanged_images, turned, mirrored),
    ],
    ids=lambda broken: broken.__name__,
)
def test_a_pipeline_that_does_something_else_is_caught(broken):
    row = ("image_pipeline", "resize_blur_normalise", {"batch": 2, "image": 64}, "float32")
    family, params, reference, _ = computed(row)
    (images,) = family.inputs(row[1], params, "float32", SEED)
    assert passes(row, family, params, reference, definition(images).astype(np.float32))
    assert not passes(row, family, params, reference, broken(images).astype(np.float32))
