import duckdb
import numpy as np
import pytest

from collector.errors import DatasetError, EstimateError
from collector.schema import SCHEMA
from estimator.cells.questions import params_key
from estimator.dataset.measurements import load, measured_cells
from tests.estimator import made_up


def test_all_rows_of_all_runs_are_in_the_view(measurements, stored):
    count = measurements.connection.execute("select count(*) from measurements").fetchone()
    assert count == (2 * len(stored),)
    assert list(measurements.frame(where="false").columns) == SCHEMA.names


def test_a_damaged_file_is_named_and_the_rest_goes_on(measurements):
    assert [problem.path.name for problem in measurements.problems] == ["broken.parquet"]
    assert len(measurements.runs) == 2


def test_a_frame_selects_columns_and_rows_by_bound_values(measurements):
    frame = measurements.frame(["workload", "median_s"], "workload = ?", ["matmul"])
    assert list(frame.columns) == ["workload", "median_s"]
    assert set(frame["workload"]) == {"matmul"}


def test_the_connection_reads_the_dataset_and_nothing_else(measurements, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    for query in (
        f"select * from read_csv('{other}')",
        f"copy (select 1) to '{other}'",
        "set enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            measurements.connection.cursor().execute(query)


def test_machines_have_the_facts_of_their_runs(measurements):
    machine = measurements.machines.iloc[0]
    assert machine["machine_id"] == "made"
    assert machine["label"] == "made up"
    assert machine["gpu_model"] == "NVIDIA H200"
    assert machine["cpu_family"] == 6
    assert machine["cpu_mhz"] == 3000.0


def test_the_fingerprint_depends_on_contents_and_not_on_the_place(tmp_path):
    cells = made_up.make_cells((("numpy", "cpu"),), ("launch",))
    seconds = made_up.true_seconds(cells)
    for folder in ("a", "b"):
        made_up.write_run(tmp_path / folder / "r.parquet", cells, seconds)
    made_up.write_run(tmp_path / "c" / "r.parquet", cells, 2 * seconds)
    prints = [load(tmp_path / folder).fingerprint for folder in ("a", "b", "c")]
    assert prints[0] == prints[1] != prints[2]


def test_only_rows_that_measured_something_enter_a_fit(tmp_path):
    cells = made_up.make_cells((("numpy", "cpu"),), ("launch",))
    seconds = made_up.true_seconds(cells)
    made_up.write_run(tmp_path / "bad.parquet", cells, seconds, status="wrong_result", run="bad")
    with pytest.raises(EstimateError, match="no row with status ok"):
        measured_cells(load(tmp_path))
    made_up.write_run(tmp_path / "good.parquet", cells, seconds, run="good")
    assert (measured_cells(load(tmp_path))["runs"] == 1).all()


def test_an_empty_directory_is_an_empty_dataset(tmp_path):
    empty = load(tmp_path)
    assert empty.frame().empty
    with pytest.raises(EstimateError, match="collector run"):
        measured_cells(empty)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_parameters_are_dicts(measurements):
    assert measured_cells(measurements)["params"].map(type).eq(dict).all()


def test_runs_of_one_cell_are_combined(measurements, stored):
    rows = measured_cells(measurements)
    assert len(rows) == len(stored)
    assert (rows["runs"] == 2).all()
    assert (rows["samples"] == 60).all()
    truth = [np.log(made_up.true_seconds(stored, seed=seed)) for seed in (1, 2)]
    known = stored.assign(middle=np.mean(truth, axis=0), spread_=np.std(truth, axis=0, ddof=1))
    keys = ["device", "backend", "threads", "workload", "case", "dtype", "math_mode", "mode"]
    pairs = [frame.assign(key=frame["params"].map(params_key)) for frame in (rows, known)]
    both = pairs[0].merge(pairs[1], on=[*keys, "key"])
    assert len(both) == len(stored)
    assert np.allclose(both["log_seconds"], both["middle"])
    assert np.allclose(both["spread"], both["spread_"])
