import numpy as np
import pandas as pd
import pytest

from estimator.dataset import load
from estimator.validation import PREDICTORS, held_out, summarise, validate
from tests.estimator import made_up


@pytest.fixture(scope="module")
def results(table):
    return held_out(table)


@pytest.fixture(scope="module")
def summary(results):
    return summarise(results)


def test_the_table_has_the_columns_of_the_contract(summary):
    assert list(summary.columns) == [
        "family",
        "device",
        "split",
        "predictor",
        "n",
        "mape",
        "median_ape",
        "p90_ape",
        "bias",
        "coverage90",
    ]
    assert set(summary["split"]) == {"between", "larger"}
    assert tuple(summary["predictor"].iloc[:3]) == PREDICTORS


def test_the_model_beats_the_roofline_and_the_neighbour(summary):
    errors = summary.pivot_table(
        index=["family", "device", "split"], columns="predictor", values="mape"
    )
    assert (errors["breakeven"] < errors["roofline"]).all()
    assert (errors["breakeven"] < errors["nearest"]).all()


def test_sizes_between_are_estimated_to_within_a_few_percent(summary):
    chosen = summary[(summary["predictor"] == "breakeven") & (summary["split"] == "between")]
    many = chosen[chosen["family"] != "python_loop"]  # which has five sizes a group
    assert (many["median_ape"] < 6.0).all()


def test_intervals_cover_most_measurements(results):
    mine = results[results["predictor"] == "breakeven"]
    covered = mine.groupby("split")["inside"].mean()
    assert covered["between"] > 0.85
    assert covered["larger"] > 0.7  # sizes beyond are calibrated on the small ones alone


def test_only_the_model_gives_intervals(summary):
    others = summary["predictor"] != "breakeven"
    assert summary.loc[others, "coverage90"].isna().all()
    assert summary.loc[~others, "coverage90"].between(0, 1).all()


def test_no_cell_is_asked_that_was_seen(results, table):
    """Between sizes each interior cell is asked once; larger ones are all above what is kept."""
    mine = results[results["predictor"] == "breakeven"]
    between = mine[mine["split"] == "between"]
    keys = ["backend", "threads", "workload", "case", "dtype", "math_mode", "mode", "params_key"]
    assert not between.duplicated([*keys, "device"]).any()
    assert (between["basis"] != "measured").all()
    assert (mine.loc[mine["split"] == "larger", "basis"] == "extrapolated").mean() > 0.9


def test_errors_are_in_percent_and_signed():
    results = pd.DataFrame(
        {
            "workload": "matmul",
            "device": "cpu",
            "split": "between",
            "predictor": "breakeven",
            "measured_s": [1.0, 1.0, 1.0, 1.0],
            "predicted_s": [0.9, 1.1, 1.2, np.nan],
            "inside": [1.0, 1.0, 0.0, np.nan],
        }
    )
    row = summarise(results).iloc[0]
    assert row["n"] == 3
    assert row["mape"] == pytest.approx(40 / 3)
    assert row["median_ape"] == pytest.approx(10.0)
    assert row["bias"] == pytest.approx(20 / 3)
    assert row["coverage90"] == pytest.approx(2 / 3)


def test_a_dataset_is_validated_with_its_runs_combined(small_dataset):
    table = validate(load(small_dataset))
    cells = made_up.make_cells((("numpy", "cpu"),), ("elementwise",))
    between = table[(table["split"] == "between") & (table["predictor"] == "breakeven")]
    assert 0 < between["n"].sum() < len(cells)
