"""The fit finds the parameters that made the measurements, and keeps few rows in check."""

import numpy as np
import pytest

from collector.errors import EstimateError
from estimator.dataset.measurements import load
from estimator.formula.kernel import KERNEL_PARAMETERS
from estimator.model.fit import fit, fit_table
from tests.estimator import made_up

ONE_THREAD = {"machine_id": "made", "backend": "numpy", "threads": 1, "device": "cpu"}


def group(model, **keys):
    table = model.groups
    for name, value in keys.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture(scope="module")
def exact():
    """A fit of noiseless measurements."""
    cells = made_up.make_cells((("numpy", "cpu"),), ("matmul", "elementwise", "launch"))
    return fit_table(made_up.described(cells, noise=1e-6))


def test_the_rate_of_arithmetic_is_found(exact):
    square = group(exact, workload="matmul", case="square", dtype="float64", **ONE_THREAD)
    assert square["compute_flop_per_s"] == pytest.approx(made_up.FLOP_PER_S["float64"], rel=0.03)


def test_the_levels_of_memory_are_found(exact):
    add = group(
        exact, workload="elementwise", case="add", dtype="float64", mode="hot", **ONE_THREAD
    )
    cache = made_up.CPU_BYTES_PER_S * made_up.CPU_CACHE_GAIN
    assert add["memory_bytes_per_s"] == pytest.approx(made_up.CPU_BYTES_PER_S, rel=0.05)
    assert add["cache_bytes_per_s"] == pytest.approx(cache, rel=0.2)
    assert add["cache_bytes"] == pytest.approx(made_up.CPU_CACHE_BYTES, rel=0.2)


def test_the_cost_of_a_launch_is_found(exact):
    chain = group(exact, workload="launch", case="chain", **ONE_THREAD)
    assert chain["launch_s"] == pytest.approx(made_up.LAUNCH_S["cpu"], rel=0.05)


def test_the_factor_of_awkward_shapes_is_found(model):
    products = group(
        model, workload="matmul", case="square", dtype="float16", mode="resident", device="cuda"
    )
    assert products["awkward_factor"] == pytest.approx(made_up.AWKWARD_FACTOR, rel=0.1)


def test_the_rates_of_copies_are_found(model):
    copies = group(
        model,
        workload="matmul",
        case="square",
        dtype="float32",
        math_mode="ieee",
        mode="end_to_end",
    )
    # a product sends two operands and fetches one result: the sum is what its rows tell
    per_byte = 2 / copies["h2d_bytes_per_s"] + 1 / copies["d2h_bytes_per_s"]
    truth = 2 / made_up.H2D_BYTES_PER_S + 1 / made_up.D2H_BYTES_PER_S
    assert per_byte == pytest.approx(truth, rel=0.05)
    assert copies["h2d_bytes_per_s"] == pytest.approx(made_up.H2D_BYTES_PER_S, rel=0.3)


def test_measurements_are_fitted_to_within_their_noise(model):
    assert model.groups["median_abs_pct_error"].median() < 2.0
    assert model.groups["p90_abs_pct_error"].median() < 5.0


def test_a_group_of_one_row_is_an_estimate_near_its_siblings():
    cells = made_up.make_cells((("numpy", "cpu"),), ("elementwise",))
    lonely = cells["case"] == "tanh"
    size = cells["params"].map(lambda params: params["n"])
    few = cells[~lonely | (size == 100_000)].reset_index(drop=True)
    model = fit_table(made_up.described(few))
    asked = cells[lonely].reset_index(drop=True)
    predicted = model.predict(asked)
    truth = made_up.true_seconds(asked, noise=1e-9)
    assert np.abs(np.log(predicted["seconds_p50"] / truth)).max() < 0.5
    inside = (truth >= predicted["seconds_p5"]) & (truth <= predicted["seconds_p95"])
    assert inside.mean() >= 0.7
    assert (predicted["n_fit"] == 1).all()


def test_a_single_row_gives_a_wide_interval_and_not_a_wrong_number():
    cells = made_up.make_cells((("numpy", "cpu"),), ("matmul",))
    chosen = cells["params"].map(
        lambda params: params == {"batch": 1, "k": 500, "m": 500, "n": 500}
    )
    one = cells[chosen & (cells["dtype"] == "float64") & (cells["threads"] == 1)]
    model = fit_table(made_up.described(one.reset_index(drop=True)))
    asked = one.assign(params=[{"n": 1000}])
    truth = made_up.true_seconds(asked, noise=1e-9)[0]
    row = model.predict(asked).iloc[0]
    assert row["basis"] == "extrapolated"
    assert row["seconds_p5"] < truth < row["seconds_p95"]
    assert row["seconds_p95"] > 1.5 * row["seconds_p50"]


def test_a_spread_between_runs_widens_the_interval():
    cells = made_up.make_cells((("numpy", "cpu"),), ("matmul",))
    once = made_up.described(cells, noise=0.005)
    widths = []
    for table in (once, once.assign(runs=2, spread=0.1)):
        predicted = fit_table(table).predict(cells)
        widths.append(np.log(predicted["seconds_p95"] / predicted["seconds_p5"]).median())
    assert widths[1] > 2 * widths[0]


def test_rows_that_are_not_ok_do_not_enter(tmp_path):
    cells = made_up.make_cells((("numpy", "cpu"),), ("launch",))
    seconds = made_up.true_seconds(cells, noise=1e-9)
    made_up.write_run(tmp_path / "good.parquet", cells, seconds, run="good")
    made_up.write_run(
        tmp_path / "bad.parquet", cells, 9 * seconds, status="wrong_result", run="bad"
    )
    model = fit(load(tmp_path))
    assert model.predict(cells)["seconds_p50"].to_numpy() == pytest.approx(seconds, rel=0.03)


def test_no_row_at_all_is_an_error(tmp_path):
    with pytest.raises(EstimateError, match="no row with status ok"):
        fit(load(tmp_path))


def test_every_parameter_has_a_column(model):
    assert {*KERNEL_PARAMETERS} - {"cache_gain", "inner_cache_gain"} < set(model.groups.columns)
