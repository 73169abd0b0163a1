from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.workloads import Product
from estimator.cells.work import PIECES, TILES, tilings

SIDE = st.integers(1, 20_000)


def ways(batch, m, n, units, **changes):
    product = Product(batch, m, n, 64.0, **changes)
    return tilings(np.array([astuple(product)], dtype=float), np.array([float(units)]))


def one(batch, m, n, units, pieces=1):
    """Waves of each tile, (7,)."""
    return ways(batch, m, n, units).waves[0, PIECES.index(pieces)]


@given(st.integers(1, 100), SIDE, SIDE, st.integers(1, 200))
def test_no_tiling_does_less_than_the_useful_work(batch, m, n, units):
    found = ways(batch, m, n, units)
    assert (found.waves[0] * found.depth_share[:, None] >= 1.0 - 1e-12).all()


def test_a_result_that_fills_every_round_wastes_nothing():
    assert one(1, 128 * 12, 128 * 11, 132)[TILES.index((128, 128))] == pytest.approx(1.0)


def test_one_tile_more_than_a_round_takes_a_second_one():
    full, more = one(132, 128, 128, 132), one(133, 128, 128, 132)
    at = TILES.index((128, 128))
    assert full[at] == pytest.approx(1.0)
    assert more[at] == pytest.approx(2 * 132 / 133)


@given(SIDE, SIDE, st.integers(1, 200))
def test_a_tile_may_lie_either_way_round(m, n, units):
    assert one(1, m, n, units) == pytest.approx(one(1, n, m, units))


def test_pieces_of_the_depth_fill_the_multiprocessors_of_a_small_result():
    at = TILES.index((128, 128))
    whole, pieces = (one(1, 128, 128, 128, count)[at] for count in (1, 64))
    assert whole == pytest.approx(128.0)
    assert pieces / 64 == pytest.approx(2.0)  # 64 of 128 multiprocessors are busy


def test_partial_results_are_written_and_read():
    found = ways(1, 128, 64, 128)
    assert found.extra[0, PIECES.index(1)] == 0.0
    assert found.extra[0, PIECES.index(4)] == 2 * 4 * 4 * 128 * 64


def test_larger_tiles_have_larger_sides():
    found = ways(128, 64, 512, 132)
    assert list(found.side) == sorted(found.side, reverse=True)
    assert found.area == pytest.approx([128 * 64 * 512 / 132])
    assert found.waves.shape == (1, len(found.special), len(TILES))


def test_winograd_does_less_arithmetic_and_moves_more():
    """Tiles of 2 x 2 take 16 products instead of 36, tiles of 4 x 4 take 36 instead of 144."""
    found = ways(1, 16 * 132, 1280, 132, winograd=1e6)
    chosen = found.special == 1.0
    work = (found.waves[0] * found.depth_share[:, None])[chosen]
    assert 1 / 4 <= work.min() <= 1 / 3
    assert sorted(set(found.extra[0, chosen])) == pytest.approx([0.0, 2 * 36 / 16 * 1e6])
    assert np.isinf(ways(1, 512, 512, 132).waves[0, chosen]).all()
    assert (ways(1, 512, 512, 132, turned=7.0).extra[0, [0, -2]] == 7.0).all()


def test_a_library_may_lack_small_tiles_and_pieces():
    found = ways(1, 512, 512, 132, most_pieces=1.0, least_tile=4096.0)
    there = np.isfinite(found.waves[0])
    assert there[0].tolist() == [rows * columns >= 4096 for rows, columns in TILES]
    assert not there[1:].any()
