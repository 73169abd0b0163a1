"""Each thing that can be wrong with a dataset is found and named."""

import pytest

from collector.cells import Cell
from collector.check import check_dataset
from collector.dataset import read_dataset, write_run
from collector.journal import Journal
from collector.schema import SCHEMA_VERSION
from tests.collector.doubles import make_operation, make_row


def cell(index):
    return Cell(**vars(make_operation(1000 + index)), mode="hot")


def findings(tmp_path, *changes):
    """Findings about a run of one row for each set of changed columns."""
    rows = [make_row(cell(index), **changed) for index, changed in enumerate(changes)]
    write_run(tmp_path / "a.parquet", rows, {}, {"run_id": "run1"})
    return [(finding.severity, finding.reason) for finding in check_dataset(read_dataset(tmp_path))]


NO_TIME = {"median_s": None, "samples_s": None, "n": None, "ci95_low_s": None, "ci95_high_s": None}


def test_a_quiet_run_has_no_findings(tmp_path):
    assert findings(tmp_path, {}, {}, {}) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"status": "splendid"}, "unknown status"),
        ({"status": "wrong_result", **NO_TIME}, "wrong result"),
        (NO_TIME, "status ok without a positive median"),
        ({"median_s": 0.0, "ci95_low_s": 0.0}, "status ok without a positive median"),
        ({"median_s": float("nan")}, "status ok without a positive median"),
        ({"n": 7}, "n differs from the number of samples"),
        ({"ci95_low_s": 2e-3}, "confidence interval does not enclose the median"),
        ({"ci95_high_s": 0.5e-3}, "confidence interval does not enclose the median"),
    ],
)
def test_a_row_that_cannot_be_right_is_invalid(tmp_path, changed, reason):
    found = findings(tmp_path, {}, changed)
    name = "elementwise add size 1001 float32 numpy/cpu hot"
    assert ("invalid", f"{reason}: 1 cells, first {name}") in found


def test_an_interval_without_a_median_is_invalid(tmp_path):
    found = findings(tmp_path, {}, {"median_s": None})
    assert "invalid" in [severity for severity, _ in found]


def test_a_cell_that_occurs_twice_is_invalid(tmp_path):
    rows = [make_row(cell(0)), make_row(cell(0)), make_row(cell(1))]
    write_run(tmp_path / "a.parquet", rows, {}, {"run_id": "run1"})
    (finding,) = check_dataset(read_dataset(tmp_path))
    assert finding.severity == "invalid"
    assert finding.reason == f"1 cells occur twice, first {cell(0).cell_id}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([{"noisy": True}, {"noisy": True}, {}], "2 of 3 cells are noisy"),
        ([{"steal_fraction": 0.1}, {}], "took CPU time away in 1 cells (up to 10%)"),
        (
            [{"throttle_reasons": "power_cap,hw_thermal"}, {}],
            "GPU throttled in 1 cells: power_cap,hw_thermal",
        ),
        ([{"status": "crashed", "error": "it is gone", **NO_TIME}], "no cell has a time"),
    ],
)
def test_a_loud_run_is_a_warning(tmp_path, changes, reason):
    (severity, told), *others = findings(tmp_path, *changes)
    assert severity == "warning"
    assert reason in told
    assert others == []


@pytest.mark.parametrize(
    "changed",
    [{"steal_fraction": 0.01}, {"throttle_reasons": "power_cap"}, {"throttle_reasons": None}],
)
def test_what_is_usual_is_no_finding(tmp_path, changed):
    assert findings(tmp_path, changed) == []


def test_a_few_noisy_cells_are_no_finding(tmp_path):
    assert findings(tmp_path, {"noisy": True}, {}, {}, {}) == []


@pytest.mark.parametrize("status", ["unsupported", "out_of_memory", "timeout", "crashed"])
def test_cells_without_a_time_are_a_warning_with_their_reason(tmp_path, status):
    (found,) = findings(tmp_path, {}, {"status": status, "error": "it is gone", **NO_TIME})
    name = "elementwise add size 1001 float32 numpy/cpu hot"
    assert found == ("warning", f"1 cells {status}, first {name}: it is gone")


def test_files_that_were_set_aside_come_first(tmp_path):
    (tmp_path / "z.parquet").write_bytes(b"nonsense")
    found = findings(tmp_path, {}, {"noisy": True})
    assert [severity for severity, _ in found] == ["invalid", "warning"]
    assert "damaged" in found[0][1]


def test_an_unfinished_run_is_a_warning(tmp_path):
    header = {
        "schema_version": SCHEMA_VERSION,
        "machine": {},
        "run": {"run_id": "run9"},
        "columns": {"run_id": "run9"},
    }
    journal = Journal(tmp_path / "a.journal", header)
    row = make_row()
    row.pop("run_id")
    journal.append(row)
    journal.close()
    (finding,) = check_dataset(read_dataset(tmp_path))
    assert (finding.severity, finding.run_id) == ("warning", "run9")
    assert finding.reason == "unfinished run with 1 cells"


@pytest.mark.parametrize("ended", ["interrupted", "time_budget"])
def test_a_run_that_ended_early_is_a_warning(tmp_path, ended):
    run = {"run_id": "run1", "cells_planned": 200, "ended": ended}
    write_run(tmp_path / "a.parquet", [make_row()], {}, run)
    (finding,) = check_dataset(read_dataset(tmp_path))
    assert (finding.severity, finding.run_id) == ("warning", "run1")
    assert finding.reason == f"ended early ({ended}) with 1 of 200 cells"


def test_a_complete_run_is_no_finding(tmp_path):
    run = {"run_id": "run1", "cells_planned": 1, "ended": "complete"}
    write_run(tmp_path / "a.parquet", [make_row()], {}, run)
    assert check_dataset(read_dataset(tmp_path)) == []
