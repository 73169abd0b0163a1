"""Errors on the cells of a fit, a group's curve, the roofline, and a refit beside the full fit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.dataset.measurements import empty_machines, load
from estimator.model.fit import fit_table
from estimator.model.refit import (
    ERROR_COLUMNS,
    compare_models,
    compare_refit,
    error_figures,
    fit_errors,
    group_curve,
)
from estimator.model.selection import Selection
from estimator.validation.roofline import roofline_places, roofline_points
from tests.estimator.conftest import FACTS


@pytest.fixture(scope="module")
def machine(model):
    return str(model.measured["machine_id"].iloc[0])


def test_all_cells_are_compared(model):
    errors = fit_errors(model)
    assert errors.total == errors.compared == len(model.measured)
    assert errors.overall["median"] < 0.05
    assert errors.families["cells"].sum() == errors.compared


def test_filters_narrow_the_cells(model):
    errors = fit_errors(model, "cuda", "matmul")
    assert set(errors.cells["device"]) == {"cuda"}
    assert set(errors.families["workload"]) == {"matmul"}
    nothing = fit_errors(model, "cuda", "sort")
    assert (nothing.total, len(nothing.cells)) == (0, 0)
    assert np.isnan(nothing.overall["median"])


def test_of_many_cells_a_sample_is_compared_and_fewer_are_drawn(model):
    errors = fit_errors(model, most_compared=40, most_cells=10)
    again = fit_errors(model, most_compared=40, most_cells=10)
    assert (errors.total, errors.compared, len(errors.cells)) == (len(model.measured), 40, 10)
    pd.testing.assert_frame_equal(errors.cells, again.cells)


@given(st.lists(st.floats(-0.99, 10.0), min_size=1, max_size=30))
def test_figures_of_errors(errors):
    figures = error_figures(pd.Series(errors))
    assert tuple(figures) == ERROR_COLUMNS
    assert 0.0 <= figures["median"] <= figures["p90"] + 1e-12
    assert abs(figures["bias"]) <= max(map(abs, errors)) + 1e-12


def test_a_groups_curve_goes_through_its_cells(model):
    groups = model.groups
    square = groups[(groups["case"] == "square") & (groups["mode"] == "hot")].iloc[0]
    found = group_curve(model, square.to_dict())
    assert len(found.points) >= 5
    assert found.curve["size"].min() < found.points["size"].min()
    assert found.curve["size"].max() > found.points["size"].max()
    near = np.interp(found.points["size"], found.curve["size"], found.curve["seconds_p50"])
    assert np.median(np.abs(np.log(near / found.points["median_s"]))) < 0.2


def test_a_group_that_is_not_there_has_no_curve(model):
    group = model.groups.iloc[0].to_dict() | {"machine_id": "nobody"}
    found = group_curve(model, group)
    assert found.curve.empty
    assert found.points.empty


def test_the_roofline_has_measured_and_published_ceilings(model, machine):
    known = replace(model, machines=empty_machines([machine]).assign(**FACTS))
    places = roofline_places(known)
    assert {"cpu", "cuda"} == set(places["device"])
    found = roofline_points(known, machine, "cuda", "float32", "ieee")
    assert found.sheet_flop_per_s == pytest.approx(67e12)
    products = found.points[found.points["workload"] == "matmul"]
    assert found.flop_per_s >= products["flop_per_s"].max() * (1 - 1e-12)
    assert (found.points["intensity"] > 0).all()
    few = roofline_points(known, machine, "cuda", "float32", "ieee", most=3)
    assert (len(few.points), few.total) == (3, found.total)


def test_intensity_is_work_over_bytes(model, machine):
    """A square product of n has 2 n^3 FLOP over 3 n^2 elements: n / 6 FLOP per byte in float32."""
    points = roofline_points(model, machine, "cpu", "float32", "ieee").points
    square = points[points["case"] == "square"].iloc[0]
    assert square["intensity"] == pytest.approx(dict(square["params_key"])["n"] / 6)


def test_a_type_without_cells_has_an_empty_roofline(model, machine):
    found = roofline_points(model, machine, "cuda", "int8", "ieee")
    assert found.points.empty
    assert np.isnan(found.flop_per_s)


def test_both_fits_are_asked_for_what_the_selection_left_out(model, table):
    small = table[table["amount"] <= table.groupby("operation")["amount"].transform("median")]
    chosen = fit_table(small.reset_index(drop=True))
    found = compare_models(model, chosen)
    assert found.held_out
    assert found.selected + found.outside == len(model.measured)
    every = found.table.iloc[0]
    assert every["workload"] == "all"
    assert every["asked"] == found.asked == found.table["asked"].iloc[1:].sum()
    assert every["median"] >= every["full_median"]


def test_a_selection_with_every_cell_is_compared_on_all(model):
    found = compare_models(model, model)
    assert not found.held_out
    row = found.table.iloc[0]
    assert (row["median"], row["p90"]) == (row["full_median"], row["full_p90"])


def test_a_selection_of_a_dataset_is_refitted(dataset):
    measurements = load(dataset)
    found = compare_refit(measurements, Selection(largest=500.0))
    assert found.held_out
    assert found.table.iloc[0]["answered"] > 0


def test_a_selection_without_cells_is_refused(dataset):
    with pytest.raises(EstimateError):
        compare_refit(load(dataset), Selection(machines=("nobody",)))
