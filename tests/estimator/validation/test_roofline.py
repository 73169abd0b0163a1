import numpy as np
import pandas as pd
import pytest

from estimator.catalogue.sheet_rates import RATES
from estimator.validation.roofline import nearest_seconds, roofline_seconds
from tests.estimator import made_up


def split(table):
    held = np.arange(len(table)) % 3 == 1
    return table[~held], table[held]


def test_ceilings_are_the_best_rates_of_the_training_rows(table):
    train, asked = split(table)
    seconds = np.exp(train["log_seconds"])
    place = ["machine_id", "device", "threads"]
    best_flop = (
        (train["flop"] / seconds)
        .groupby([train[name] for name in (*place, "dtype", "math_mode")])
        .max()
    )
    row = asked[(asked["operation"] == "square") & (asked["device"] == "cpu")].iloc[[-1]]
    key = tuple(row[name].iloc[0] for name in (*place, "dtype", "math_mode"))
    predicted = roofline_seconds(train, row)
    assert predicted[0] >= row["flop"].iloc[0] / best_flop[key] * (1 - 1e-12)


def test_no_training_row_is_faster_than_its_roofline(table):
    predicted = roofline_seconds(table, table)
    assert (predicted <= np.exp(table["log_seconds"]) * (1 + 1e-9)).all()


def test_the_roofline_has_no_launch_cost():
    table = made_up.described(made_up.make_cells((("numpy", "cpu"),), ("launch",)))
    assert (roofline_seconds(table, table) == 0.0).all()


def test_a_place_without_training_rows_is_unknown(table):
    train = table[table["device"] == "cpu"]
    asked = table[(table["device"] == "cuda") & (table["flop"] > 0)]
    assert np.isnan(roofline_seconds(train, asked)).all()
    assert np.isnan(nearest_seconds(train, asked)).all()


def test_the_nearest_neighbour_of_a_known_cell_is_itself(table):
    assert nearest_seconds(table, table) == pytest.approx(np.exp(table["log_seconds"]))


def test_the_nearest_neighbour_is_of_the_same_group(table):
    train, asked = split(table)
    predicted = nearest_seconds(train, asked)
    known = np.exp(train["log_seconds"]).to_numpy()
    finite = predicted[np.isfinite(predicted)]
    assert len(finite) > len(asked) / 2
    assert np.isin(finite, known).all()


def test_an_unmeasured_place_has_the_ceilings_of_its_data_sheet(table):
    train = table[table["device"] == "cpu"]
    asked = table[(table["device"] == "cuda") & (table["operation"] == "square")]
    sheets = pd.DataFrame(dict.fromkeys(RATES, 1e12), index=asked.index)
    predicted = roofline_seconds(train, asked, sheets)
    longest = asked[["flop", "bytes"]].max(axis=1)
    bus = asked["h2d_bytes"] + asked["d2h_bytes"]
    assert predicted == pytest.approx(np.maximum(longest, bus) / 1e12)
    assert (roofline_seconds(table, asked, sheets) != predicted).any()


def test_a_neighbour_on_another_machine_is_scaled_by_the_data_sheets(table):
    asked = table[table["operation"] == "square"].assign(machine_id="other")
    rates = [
        pd.DataFrame(dict.fromkeys(RATES, rate), index=cells.index)
        for cells, rate in ((table, 1e12), (asked, 2e12))
    ]
    predicted = nearest_seconds(table, asked, *rates)
    seconds = np.exp(asked["log_seconds"].to_numpy())
    # the same shape, with the threads that are nearest to hand, at half of the time
    one = (asked["threads"] == 1).to_numpy()
    assert predicted[one] == pytest.approx(seconds[one] / 2)
    assert np.isnan(nearest_seconds(table, asked)).all()
