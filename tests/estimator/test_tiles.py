import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.tiles import TILES, harmonic_sides, waves

SIDE = st.integers(1, 20_000)


def one(batch, m, n, units):
    return waves(*(np.array([float(value)]) for value in (batch, m, n, units)))[0]


@given(st.integers(1, 100), SIDE, SIDE, st.integers(1, 200))
def test_no_tiling_does_less_than_the_useful_work(batch, m, n, units):
    assert (one(batch, m, n, units) >= 1.0 - 1e-12).all()


def test_a_result_that_fills_every_round_wastes_nothing():
    assert one(1, 128 * 12, 128 * 11, 132)[TILES.index((128, 128))] == pytest.approx(1.0)


def test_one_tile_more_than_a_round_takes_a_second_one():
    full, more = one(132, 128, 128, 132), one(133, 128, 128, 132)
    place = TILES.index((128, 128))
    assert full[place] == pytest.approx(1.0)
    assert more[place] == pytest.approx(2 * 132 / 133)


@given(SIDE, SIDE, st.integers(1, 200))
def test_a_tile_may_lie_either_way_round(m, n, units):
    assert one(1, m, n, units) == pytest.approx(one(1, n, m, units))


def test_larger_tiles_have_larger_sides():
    assert list(harmonic_sides()) == sorted(harmonic_sides(), reverse=True)
