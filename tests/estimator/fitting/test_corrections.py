import numpy as np
import pandas as pd
import pytest

import estimator.fitting.corrections as corrections_module
from collector.errors import EstimateError
from estimator.fitting.corrections import bounded, grouped, label
from estimator.fitting.evaluate import predict_points
from estimator.fitting.fit import describe_cells
from estimator.model.fit import fit_table
from tests.estimator import made_up


def bent(cells, seconds):
    """Times with a bump that the formula has no term for."""
    size = np.log(cells["params"].map(lambda params: params["n"]).to_numpy(dtype=float))
    return seconds * np.exp(0.25 * np.exp(-((size - np.log(600.0)) ** 2)))


@pytest.fixture(scope="module")
def squares():
    cells = made_up.make_cells((("numpy", "cpu"), ("torch", "cpu")), ("matmul",))
    return cells[cells["case"] == "square"].reset_index(drop=True)


@pytest.fixture(scope="module")
def bump(squares):
    truth = bent(squares, made_up.true_seconds(squares, noise=0.01))
    return describe_cells(made_up.measured(squares, truth)), np.log(truth)


def test_a_smooth_misfit_of_the_formula_is_corrected_between_sizes(squares, bump):
    table, truth = bump
    held = squares["params"].map(lambda params: params["n"]).isin([256, 500, 768]).to_numpy()
    model = fit_table(table[~held])
    points = predict_points(model.fit, table[held].assign(replica="all"))
    error = np.log(points.seconds) - truth[held]
    assert np.abs(error).mean() < np.abs(error - points.correction).mean()


def test_parts_add_up_to_the_corrected_time(model, cells):
    answer = model.predict(cells)
    parts = answer[["launch_s", "compute_s", "memory_s", "transfer_s"]]
    assert (parts.to_numpy() >= 0.0).all()
    assert parts.sum(axis=1).to_numpy() == pytest.approx(answer["seconds_p50"].to_numpy())


@pytest.mark.parametrize("size", [0.1, 0.6, 1.0, 50.0, np.nan, np.inf])
def test_a_correction_is_bounded(size):
    for value in (size, -size):
        result = bounded(np.array([value]))[0]
        assert np.abs(result) <= np.log(3.0) + 1e-12
        if np.abs(value) < np.log(2.0):
            assert result == value


def test_a_block_of_too_many_rows_is_split_and_thinned(bump, monkeypatch, squares):
    table, truth = bump
    monkeypatch.setattr(corrections_module, "MOST_ROWS", 10)
    model = fit_table(table)
    sizes = [len(found.block) for found in model.fit.corrections.blocks.values()]
    assert max(sizes) <= 10
    assert len(sizes) > 4
    predicted = model.predict(squares)["seconds_p50"]
    assert np.abs(np.log(predicted) - truth).mean() < 0.1


def test_labels_are_texts_of_columns():
    table = pd.DataFrame({"a": ["x", "y", "x"], "b": [1, 2, 2]})
    found = label(table, (("a", "b"), ("b",)))
    assert [found.names[0][i] for i in found.codes[:, 0]] == ["x|1", "y|2", "x|2"]
    part = found.of(np.array([0, 2]))
    assert part.names == (("x|1", "x|2"), ("1", "2"))
    assert found.among(np.array([0, 1]), part.names).tolist() == [[0, 0], [-1, 1]]
    assert {name: list(rows) for name, rows in grouped(found, 1)} == {"1": [0], "2": [1, 2]}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_time_that_is_no_number_is_refused(squares, bad):
    measured = made_up.measured(squares, made_up.true_seconds(squares))
    measured.loc[3, "log_seconds"] = bad
    with pytest.raises(EstimateError, match="not a positive number"):
        describe_cells(measured)


def test_no_cell_at_all_is_refused(bump):
    with pytest.raises(EstimateError, match="no measured cell"):
        fit_table(bump[0].iloc[:0])


def test_runs_that_contradict_each_other_count_little_and_answers_stay_finite(squares):
    seconds = made_up.true_seconds(squares, noise=0.01)
    measured = made_up.measured(squares, seconds).assign(runs=2, spread=0.01)
    odd = 7
    measured.loc[odd, "log_seconds"] += 2.3  # the middle of two runs 100 times apart
    measured.loc[odd, "spread"] = 3.3
    model = fit_table(describe_cells(measured))
    answer = model.predict(squares)
    assert np.isfinite(answer["seconds_p95"]).all()
    error = np.abs(np.log(answer["seconds_p50"] / seconds))
    assert error.drop(odd).max() < 0.5


@pytest.mark.parametrize("choice", ["one row", "one size"])
def test_few_rows_give_a_wide_interval_and_no_error(squares, choice):
    table = describe_cells(made_up.measured(squares, made_up.true_seconds(squares)))
    size = squares["params"].map(lambda params: params["n"])
    chosen = table[(size == 500).to_numpy()]
    chosen = chosen.iloc[:1] if choice == "one row" else chosen
    model = fit_table(chosen)
    first = squares.iloc[chosen.index[0]]
    asked = squares[(squares["backend"] == first["backend"]) & (squares["dtype"] == first["dtype"])]
    asked = asked[asked["threads"] == first["threads"]]
    answer = model.predict(asked)
    assert (answer[["seconds_p5", "seconds_p50", "seconds_p95"]].to_numpy() > 0.0).all()
    assert np.isfinite(answer["seconds_p95"]).all()
    far = answer[answer["basis"] == "extrapolated"]
    assert (far["seconds_p95"] / far["seconds_p5"]).max() > 1.8
