"""Each thing that can be wrong with a dataset is found and named."""

import json
from datetime import UTC, datetime

import pytest

from collector.cells import Cell
from collector.commands.cli import main
from collector.dataset.check import check_runs, problem_findings
from collector.dataset.journal import Journal
from collector.dataset.read import read_dataset, write_run
from collector.schema import SCHEMA_VERSION
from tests.collector.doubles import make_operation, make_row


def cell(index):
    return Cell(**vars(make_operation(1000 + index)), mode="hot")


def all_findings(tmp_path):
    """Of files that were set aside and of every run."""
    dataset = read_dataset(tmp_path)
    runs = [finding for verdict in check_runs(dataset) for finding in verdict.findings]
    return problem_findings(dataset) + runs


def findings(tmp_path, *changes):
    """Findings about a run of one row for each set of changed columns."""
    rows = [
        make_row(cell(index), **{"order_index": index, **changed})
        for index, changed in enumerate(changes)
    ]
    write_run(tmp_path / "a.parquet", rows, {}, {"run_id": "run1"})
    return [(finding.severity, finding.reason) for finding in all_findings(tmp_path)]


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
    rows = [make_row(cell(n), order_index=order) for order, n in enumerate((0, 0, 1))]
    write_run(tmp_path / "a.parquet", rows, {}, {"run_id": "run1"})
    (finding,) = all_findings(tmp_path)
    assert finding.severity == "invalid"
    assert finding.reason == f"1 cells occur twice, first {cell(0).cell_id}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([{"noisy": True}, {"noisy": True}, {}], "2 of 3 cpu cells are noisy"),
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
    (finding,) = all_findings(tmp_path)
    assert (finding.severity, finding.run_id) == ("warning", "run9")
    assert finding.reason == "unfinished run with 1 cells"


@pytest.mark.parametrize("ended", ["interrupted", "time_budget"])
def test_a_run_that_ended_early_is_a_warning(tmp_path, ended):
    run = {"run_id": "run1", "cells_planned": 200, "ended": ended}
    write_run(tmp_path / "a.parquet", [make_row()], {}, run)
    (finding,) = all_findings(tmp_path)
    assert (finding.severity, finding.run_id) == ("warning", "run1")
    assert finding.reason == f"ended early ({ended}) with 1 of 200 cells"


def test_a_complete_run_is_no_finding(tmp_path):
    run = {"run_id": "run1", "cells_planned": 1, "ended": "complete"}
    write_run(tmp_path / "a.parquet", [make_row()], {}, run)
    assert all_findings(tmp_path) == []


def anchor_rows(medians, device="cpu"):
    """Repetitions of the anchor beside one ordinary cell."""
    ordinary = make_row(cell(0), order_index=0)
    rows = [ordinary]
    for index, median in enumerate(medians, start=1):
        times = {"median_s": median, "ci95_low_s": median, "ci95_high_s": median}
        rows.append(
            make_row(
                cell(index),
                **{"workload": "anchor", "device": device, "order_index": index, **times},
            )
        )
    return rows


def verdict_on(tmp_path, rows, machine=None, **run):
    write_run(tmp_path / "a.parquet", rows, machine or {}, {"run_id": "run1", **run})
    (verdict,) = check_runs(read_dataset(tmp_path))
    return verdict


@pytest.mark.parametrize(
    ("medians", "device", "quiet"),
    [
        ((0.010, 0.0104, 0.0102), "cpu", True),
        ((0.010, 0.0107, 0.0102), "cpu", False),
        ((0.010, 0.0101, 0.0101), "cuda", True),
        ((0.010, 0.0104, 0.0102), "cuda", False),
        ((0.010,), "cpu", True),
    ],
)
def test_an_anchor_that_drifts_tells_of_a_machine_that_drifts(tmp_path, medians, device, quiet):
    """Limits of the range over the median: 5 % on a CPU, 2 % on a GPU."""
    verdict = verdict_on(tmp_path, anchor_rows(medians, device))
    assert verdict.quiet is quiet
    assert len(verdict.anchors) == (len(medians) > 1)
    if not quiet:
        (finding,) = verdict.findings
        assert finding.reason.startswith(f"the machine drifted: anchor on numpy/{device}: 3 rep")
        assert "(10 ms first, 10.2 ms last)" in finding.reason


def test_the_anchor_is_read_in_the_order_measured(tmp_path):
    rows = anchor_rows((0.010, 0.0102, 0.0101))
    verdict = verdict_on(tmp_path, [rows[3], *rows[:3]])
    assert verdict.anchors[0].medians_s == (0.010, 0.0102, 0.0101)
    assert verdict.anchors[0].range == pytest.approx(0.0002 / 0.0101)


def test_noise_is_counted_by_reason(tmp_path):
    noisy = {"noisy": True, "noise_reasons": "spread,steal"}
    rows = [make_row(cell(i), order_index=i, **noisy) for i in range(2)]
    rows.append(make_row(cell(2), order_index=2, noisy=True, noise_reasons="spread"))
    verdict = verdict_on(tmp_path, rows)
    assert verdict.noise_reasons == {"spread": 3, "steal": 2}
    (finding,) = verdict.findings
    assert "3 of 3 cpu cells are noisy (spread 3, steal 2)" in finding.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"threads_confirmed": False}, "larger than asked for in 1 cells (numpy 1)"),
        ({"other_gpu_processes": 2}, "other processes used the GPU in 1 cells (up to 2 of them)"),
        ({"noise_reasons": "unsteady"}, "warm-up did not settle in 1 of 1 cells"),
    ],
)
def test_a_disturbance_makes_a_run_not_quiet(tmp_path, changed, reason):
    verdict = verdict_on(tmp_path, [make_row(cell(0), **changed)])
    assert (verdict.valid, verdict.quiet) == (True, False)
    assert reason in verdict.findings[0].reason


@pytest.mark.parametrize(
    ("link", "quiet"), [((5, 16), True), ((5, 8), False), ((4, 16), False), ((None, None), True)]
)
def test_a_slow_pcie_link_is_told(tmp_path, link, quiet):
    machine = {"gpu": {"pcie_generation": 5, "pcie_width": 16}}
    asleep = make_row(cell(0), order_index=0, pcie_generation=1, pcie_width=link[1])
    awake = make_row(cell(1), order_index=1, pcie_generation=link[0], pcie_width=link[1])
    verdict = verdict_on(tmp_path, [asleep, awake] if link[0] else [awake], machine)
    assert verdict.quiet is quiet


def test_a_start_in_the_future_is_a_warning(tmp_path):
    rows = [make_row(cell(0), started_at=datetime(2999, 1, 1, tzinfo=UTC))]
    verdict = verdict_on(tmp_path, rows)
    assert (verdict.valid, verdict.quiet) == (True, True)
    assert "2999-01-01 00:00:00 UTC is in the future" in verdict.findings[0].reason
    later = check_runs(read_dataset(tmp_path), datetime(3000, 1, 1, tzinfo=UTC))
    assert later[0].findings == ()


def test_two_times_of_start_in_one_run_are_invalid(tmp_path):
    starts = [datetime(2020, 1, day, tzinfo=UTC) for day in (1, 2)]
    rows = [make_row(cell(i), order_index=i, started_at=start) for i, start in enumerate(starts)]
    assert not verdict_on(tmp_path, rows).valid


def test_rows_out_of_order_are_a_warning(tmp_path):
    rows = [make_row(cell(i), order_index=order) for i, order in enumerate((0, 2, 1))]
    (finding,) = verdict_on(tmp_path, rows).findings
    assert "not in the order" in finding.reason


def test_errors_are_summarised_by_precision(tmp_path):
    errors = [1e-7, 2e-7, 4e-7]
    rows = [make_row(cell(i), order_index=i, relative_error=e) for i, e in enumerate(errors)]
    (told,) = verdict_on(tmp_path, rows).errors
    assert (told.precision, told.cells, told.median, told.largest) == ("float32", 3, 2e-7, 4e-7)


def test_the_command_tells_a_verdict_on_each_run(tmp_path, capsys):
    rows = [*anchor_rows((0.010, 0.0101)), make_row(cell(9), order_index=9, relative_error=1e-7)]
    write_run(tmp_path / "a.parquet", rows, {"label": "Box"}, {"run_id": "run1", "suite": "quick"})
    assert main(["check", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "run1  Box  quick  4 cells: valid, quiet" in told
    assert "anchor on numpy/cpu: 2 repetitions within 1.0%" in told
    main(["check", str(tmp_path), "--verbose"])
    assert "relative error, float32" in capsys.readouterr().out
    main(["check", str(tmp_path), "--json"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert (run["valid"], run["quiet"], run["findings"]) == (True, True, [])
    assert run["anchors"][0]["drifted"] is False


def test_the_command_fails_on_an_invalid_run(tmp_path, capsys):
    write_run(tmp_path / "a.parquet", [make_row(cell(0), n=7)], {}, {"run_id": "run1"})
    assert main(["check", str(tmp_path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["runs"][0]["valid"] is False
