"""The made-up large dataset is one that the rest of Breakeven reads as the collector's own."""

import os

import pytest

from benchmarks.large_dataset import main
from benchmarks.made_up_boxes import TYPES
from benchmarks.process_memory import MemoryWatch
from collector.dataset.read import read_dataset, read_table
from estimator.dataset.measurements import load, measured_cells


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    target = tmp_path_factory.mktemp("large") / "runs"
    main([str(target), "--rows", "20000", "--machines", "10"])
    return target


def test_rows_and_machines_are_as_many_as_asked_for(made):
    dataset = read_dataset(made)
    assert dataset.problems == ()
    assert sum(run.rows for run in dataset.runs) == 20_000
    assert len({run.machine["machine_id"] for run in dataset.runs}) <= 10
    assert all(run.whole for run in dataset.runs)


def test_every_row_is_possible(made):
    table = read_table(read_dataset(made)).select(
        ["status", "median_s", "ci95_low_s", "ci95_high_s", "samples_s", "n", "workload"]
    )
    for row in table.to_pylist():
        if row["status"] != "ok":
            assert row["median_s"] is None
            continue
        low, high = row["ci95_low_s"] or row["median_s"], row["ci95_high_s"] or row["median_s"]
        assert 0 < low <= row["median_s"] <= high  # one sample has no interval
        assert row["n"] == len(row["samples_s"]) > 0


def test_machines_are_of_made_up_types_and_can_be_fitted(made):
    opened = load(made)
    labels = {label.rsplit(" ", 1)[0] for label in opened.machines["label"]}
    assert labels <= {kind.label for kind in TYPES}
    assert len(measured_cells(opened)) > 5000


def test_a_directory_with_something_in_it_is_left_alone(made, capsys):
    with pytest.raises(SystemExit):
        main([str(made), "--rows", "10"])
    assert "is not empty" in capsys.readouterr().err


def test_memory_of_a_process_is_its_highest():
    peaks = MemoryWatch(os.getpid()).peaks()
    assert peaks.server_mb > 20
    assert MemoryWatch(2**30).peaks().server_mb == 0
