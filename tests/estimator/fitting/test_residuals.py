"""Blocks of residuals: exact where rows are, 0 far away, and honest about rows left out."""

import numpy as np
import pytest

from estimator.fitting import residuals
from estimator.fitting.residuals import Block, Relation, Rows, fit_block

RELATION = Relation((0.5, 0.9), ((0,),), machine=1)
SPREADS = np.array([[0.0]])


def rows(position, kind=0, machine=0):
    position = np.asarray(position, dtype=float)[:, None]
    count = len(position)
    codes = np.column_stack([np.broadcast_to(kind, count), np.broadcast_to(machine, count)])
    return Rows(position, np.zeros((count, 0)), codes.astype(np.int64), np.ones((count, 1)))


def wavy(position):
    return 0.3 * np.sin(np.asarray(position))


@pytest.fixture(scope="module")
def block():
    place = np.linspace(0.0, 6.0, 30)
    return fit_block(RELATION, rows(place), SPREADS, wavy(place), np.full(30, 0.01))


def test_a_smooth_residual_is_found_between_rows(block):
    asked = np.linspace(0.1, 5.9, 17)
    mean, deviation = block.predict(rows(asked))
    assert np.abs(mean - wavy(asked)).max() < 0.03
    assert deviation.max() < 0.1


def test_far_away_nothing_is_known_but_the_prior(block):
    mean, deviation = block.predict(rows([1000.0]))
    assert mean[0] == pytest.approx(0.0, abs=1e-6)
    assert deviation[0] == pytest.approx(np.hypot(*block.scales[:2]), rel=1e-3)


def test_another_machine_shares_much_and_another_kind_less(block):
    near = [
        np.abs(block.predict(rows([1.5], **change))[0][0])
        for change in ({}, {"machine": 7}, {"kind": 7})
    ]
    assert near[0] > near[1] > near[2] > 0.0


def test_rows_left_out_are_predicted_as_by_a_block_without_them():
    generator = np.random.default_rng(3)
    place = np.sort(generator.uniform(0.0, 6.0, 40))
    z = wavy(place) + generator.normal(0.0, 0.02, 40)
    noise = np.full(40, 0.02)
    whole = fit_block(RELATION, rows(place), SPREADS, z, noise)
    held = np.array([3, 4, 20])
    kept = np.setdiff1d(np.arange(40), held)
    part = fit_block(RELATION, rows(place[kept]), SPREADS, z[kept], noise[kept], whole.scales)
    mean, deviation = part.predict(rows(place[held]))
    error, foreseen = whole.held_out(held)
    assert error == pytest.approx(z[held] - mean, abs=1e-6)
    assert foreseen == pytest.approx(np.hypot(deviation, whole.row_noise()), rel=1e-4)


def test_errors_left_out_are_as_large_as_foreseen():
    generator = np.random.default_rng(4)
    scores = []
    for _ in range(30):
        place = np.sort(generator.uniform(0.0, 10.0, 60))
        z = generator.normal(0.0, 0.2) * np.sin(place) + generator.normal(0.0, 0.05, 60)
        block = fit_block(RELATION, rows(place), SPREADS, z, np.full(60, 0.03))
        error, deviation = block.held_out(np.arange(10, 60, 5))
        scores += list(np.abs(error) / deviation)
    assert 1.3 < np.quantile(scores, 0.9) < 2.1


def test_a_row_that_all_others_contradict_is_believed_less():
    place = np.linspace(0.0, 6.0, 40)
    z = wavy(place)
    z[20] += 4.6  # a hundred times longer
    block = fit_block(RELATION, rows(place), SPREADS, z, np.full(40, 0.01))
    mean, _ = block.predict(rows(place[18:23]))
    assert np.abs(mean - wavy(place[18:23])).max() < 0.1


def test_what_the_parameters_explain_is_not_a_matter_of_shape():
    """Rows of one group are off alike: another row of the group is too, wherever it lies."""
    place = np.linspace(0.0, 3.0, 12)
    spreads = np.array([[1.0]])
    block = fit_block(RELATION, rows(place), spreads, np.full(12, 0.8), np.full(12, 0.02))
    far, _ = block.predict(rows([300.0]))
    other, deviation = block.predict(rows([300.0], kind=5))
    assert far[0] == pytest.approx(0.8, abs=0.2)
    assert other[0] == pytest.approx(0.0, abs=1e-6)
    assert deviation[0] > 0.9


def test_the_same_rows_again_solve_to_the_same_block(block):
    again = Block(RELATION, block.rows, SPREADS, block.scales, block.noise, block.weights)
    asked = rows(np.linspace(-1.0, 9.0, 11))
    for one, other in zip(block.predict(asked), again.predict(asked), strict=True):
        assert one == pytest.approx(other, abs=1e-9)


def test_one_row_is_a_block():
    block = fit_block(RELATION, rows([1.0]), SPREADS, np.array([0.1]), np.array([0.03]))
    mean, deviation = block.predict(rows([1.0, 50.0]))
    assert 0.0 < mean[0] <= 0.1
    assert mean[1] == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(deviation).all()


def test_many_questions_are_answered_as_few(monkeypatch):
    generator = np.random.default_rng(1)
    position = generator.uniform(0.0, 6.0, 60)
    seen = rows(position, kind=generator.integers(0, 2, 60))
    block = fit_block(RELATION, seen, SPREADS, wavy(position), np.full(60, 0.02))
    asked = rows(generator.uniform(-1.0, 8.0, 300), kind=generator.integers(0, 3, 300))
    one, doubt = block.predict(asked)
    monkeypatch.setattr(residuals, "_MANY", 10)
    many, further = block.predict(asked)
    assert many == pytest.approx(one, abs=0.002)
    assert further == pytest.approx(doubt, rel=0.02, abs=0.002)
