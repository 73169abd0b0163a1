"""Work of operations from their shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.jobs import Tensor
from estimator.record import work
from estimator.record.cupy_functions import lacking

_SIZE = st.integers(1, 60)


def _f64(*shape: int) -> Tensor:
    return Tensor(shape, "float64")


@given(_SIZE, _SIZE, _SIZE)
def test_a_product_takes_two_for_each_multiplication(m: int, n: int, k: int) -> None:
    pair, result = (_f64(m, k), _f64(k, n)), (_f64(m, n),)
    assert work.flop("matmul", pair, result, {}) == 2 * m * n * k
    assert work.flop("einsum", pair, result, {"subscripts": "ik,kj->ij"}) == 2 * m * n * k
    complex_pair = tuple(Tensor(one.shape, "complex128") for one in pair)
    assert work.flop("dot", complex_pair, result, {}) == 8 * m * n * k


@given(_SIZE, _SIZE)
def test_a_matrix_times_a_vector(m: int, k: int) -> None:
    assert work.flop("matmul", (_f64(m, k), _f64(k)), (_f64(m),), {}) == 2 * m * k
    assert work.flop("dot", (_f64(k), _f64(k)), (_f64(),), {}) == 2 * k


def test_a_transform_along_axes_counts_its_points() -> None:
    shape = Tensor((8, 64), "complex128")
    whole = 5 * 8 * 64 * np.log2(64)
    assert work.flop("fft.fft", (shape,), (shape,), {}) == pytest.approx(whole)
    assert work.flop("fft.fft2", (shape,), (shape,), {}) == pytest.approx(whole * 9 / 6)
    real = work.flop("fft.rfft", (_f64(8, 64),), (Tensor((8, 33), "complex128"),), {})
    assert real == pytest.approx(whole / 2)


@given(_SIZE)
def test_decompositions_of_a_batch_add_up(n: int) -> None:
    one = work.flop("linalg.inv", (_f64(n, n),), (_f64(n, n),), {})
    assert work.flop("linalg.inv", (_f64(3, n, n),), (_f64(3, n, n),), {}) == pytest.approx(3 * one)


def test_views_cost_nothing_on_a_gpu() -> None:
    view = ((_f64(9, 9),), (_f64(3, 9),))
    assert work.launches("view", *view) == 0
    assert work.moved_bytes("view", *view) == (0, 0)
    assert work.moved_bytes("add", *view) == (648, 216)
    assert work.moved_bytes("take", *view) == (216, 216)


def test_what_cupy_has_and_lacks() -> None:
    had = ("add", "add.at", "linalg.svd", "random.normal", "fft.rfftn", "scipy.linalg.expm",
           "scipy.ndimage.gaussian_filter", "scipy.special.erf", "scipy.linalg.eigh",
           "scipy.linalg.cho_factor", "linalg.multi_dot")  # fmt: skip
    lacked = ("insert", "multiply.at", "maximum.accumulate", "scipy.optimize.minimize",
              "scipy.stats.norm.cdf", "random.permuted")  # fmt: skip
    assert not any(map(lacking, had))
    assert all(lacking(one) == f"CuPy has no {one}" for one in lacked)
