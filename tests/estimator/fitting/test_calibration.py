"""Held-out scores stand for the regimes that predictions name, and intervals hold what they say."""

import numpy as np
import pandas as pd
import pytest

from estimator.fitting.fit import fit_levels
from estimator.fitting.intervals import held_out_scores, rehearsed, shape_rank
from estimator.model.fit import fit_table
from tests.estimator import made_up


@pytest.fixture(scope="module")
def scores(table):
    table = table.assign(replica="all")
    return held_out_scores(fit_levels(table), table)


def test_every_regime_has_scores_of_cells_of_the_table(scores, table):
    assert set(scores["regime"]) == {"interpolated", "extrapolated", "new_workload"}
    assert (scores["score"] >= 0.0).all()
    for name in ("device", "workload"):
        assert (table[name].to_numpy()[scores["position"]] == scores[name]).all()
    inside = scores["regime"] == "interpolated"
    assert (scores.loc[inside, "distance"] == 0.0).all()
    assert (scores.loc[scores["regime"] == "extrapolated", "distance"] > 0.0).all()


def test_scores_are_stretched_to_what_a_real_fit_scored(scores):
    foreseen = scores[scores["fold"] == "shape 1"].drop_duplicates("position")
    twice = rehearsed(scores, foreseen.assign(score=2.0 * foreseen["score"]))
    factor = (twice["score"] / scores["score"]).dropna()
    assert factor.between(1.19, 2.01).all()
    better = rehearsed(scores, foreseen.assign(score=0.1 * foreseen["score"]))
    assert (better["score"] >= scores["score"]).all()


def test_intervals_cover_shapes_that_a_fit_never_saw():
    """Noise that the formula cannot know of, in nine of ten cells inside the interval."""
    backends = (("numpy", "cpu"), ("torch", "cpu"))
    cells = made_up.make_cells(backends, ("matmul", "elementwise"))
    table = made_up.described(cells, noise=0.08, seed=7)
    rank, count = shape_rank(table)
    inside = []
    for turn in range(3):
        held = (rank % 3 == turn) & (rank > 0) & (rank < count - 1)
        model = fit_table(table[~held])
        asked = cells[held].reset_index(drop=True)
        answer = model.predict(asked)
        truth = np.exp(table["log_seconds"].to_numpy()[held])
        within = (truth >= answer["seconds_p5"]) & (truth <= answer["seconds_p95"])
        inside.append(within[answer["basis"] == "interpolated"])
    assert 0.8 <= pd.concat(inside).mean() <= 0.98
