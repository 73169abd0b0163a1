"""Groups lean on their siblings: other sizes, libraries, and machines of the same type."""

import numpy as np
import pandas as pd
import pytest

from collector.errors import EstimateError
from estimator.fitting.levels import fit_kernels
from estimator.formula.kernel import KERNEL_PARAMETERS
from tests.estimator import made_up

RATE = KERNEL_PARAMETERS.index("compute_flop_per_s")


@pytest.fixture(scope="module")
def cells_of_one():
    cells = made_up.make_cells((("numpy", "cpu"),), ("matmul", "elementwise"))
    cells = cells[cells["threads"] == 1].reset_index(drop=True)
    return made_up.described(cells, noise=0.005).assign(replica="all", machine_type_id="type")


def rate_of(fit, machine_id):
    index = fit.group.index
    here = (index["machine_id"] == machine_id) & (index["family"] == "matmul")
    here &= (index["dtype"] == "float64") & (index["operation"] == "square")
    rows = np.flatnonzero(here)
    assert len(rows) == 1
    return float(np.exp(fit.group.theta[rows[0], RATE]))


def test_a_machine_of_one_small_product_is_like_its_sisters_of_the_same_type(cells_of_one):
    product = (cells_of_one["family"] == "matmul") & (cells_of_one["dtype"] == "float64")
    small = cells_of_one["flop"] == 2 * 64**3
    one = cells_of_one[product & small].head(1).assign(machine_id="new")
    sister = fit_kernels(pd.concat([cells_of_one, one], ignore_index=True))
    assert rate_of(sister, "new") == pytest.approx(rate_of(sister, "made"), rel=0.15)
    alone = one.assign(machine_type_id="other")
    stranger = fit_kernels(pd.concat([cells_of_one, alone], ignore_index=True))
    assert abs(np.log(rate_of(stranger, "new") / rate_of(stranger, "made"))) > 0.1


def test_folds_that_start_from_the_whole_end_where_they_would_alone(cells_of_one):
    fold = cells_of_one[np.arange(len(cells_of_one)) % 3 > 0].assign(replica="fold")
    both = fit_kernels(pd.concat([cells_of_one, fold], ignore_index=True))
    alone = fit_kernels(fold.reset_index(drop=True))
    found = alone.group.find(both.group.index)
    mine = np.flatnonzero(found >= 0)
    assert len(mine) == len(alone.group.theta)
    difference = np.abs(both.group.theta[mine, RATE] - alone.group.theta[found[mine], RATE])
    assert np.median(difference) < 0.02
    assert difference.max() < 0.2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_time_that_is_no_number_is_named(cells_of_one, value):
    bad = cells_of_one.copy()
    bad.loc[3, "log_seconds"] = value
    with pytest.raises(EstimateError, match="the measured time is not a number"):
        fit_kernels(bad)


def test_contradictory_rows_end_between_their_values(cells_of_one):
    one = cells_of_one[cells_of_one["family"] == "matmul"].head(1)
    twice = pd.concat([one, one.assign(log_seconds=one["log_seconds"] + 2.0)], ignore_index=True)
    fitted = fit_kernels(twice)
    assert np.isfinite(fitted.group.theta).all()
    assert len(fitted.group.theta) == 1


def test_the_table_of_groups_has_intervals_in_units(model):
    groups = model.groups
    told = groups["memory_bytes_per_s"].notna()
    assert (groups["memory_p5_bytes_per_s"] < groups["memory_bytes_per_s"])[told].all()
    assert (groups["memory_p95_bytes_per_s"] > groups["memory_bytes_per_s"])[told].all()
    assert (groups["launch_p5_s"] > 0)[groups["launch_s"].notna()].all()
