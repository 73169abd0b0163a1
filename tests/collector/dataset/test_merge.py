"""Runs of several places come together once each, and nothing is overwritten or half-written."""

import pytest

from collector.cells import Cell
from collector.commands.cli import main
from collector.dataset.journal import Journal
from collector.dataset.merge import merge
from collector.dataset.read import read_dataset, read_run, write_run
from collector.errors import DatasetError, OutputError
from collector.schema import SCHEMA_VERSION
from tests.collector.doubles import make_operation, make_row, rows_of

MACHINE = {"machine_id": "0123456789abcdef", "label": "My Box!"}
FOLDER = "my-box-01234567"


def make_rows(run_id, cells, first=0):
    return [
        make_row(
            Cell(**vars(make_operation(1000 + index)), mode="hot"),
            run_id=run_id,
            order_index=index,
        )
        for index in range(first, first + cells)
    ]


def write(path, run_id="run1", cells=3, ended="complete", first=0):
    rows = make_rows(run_id, cells, first)
    write_run(path, rows, MACHINE, {"run_id": run_id, "ended": ended})
    return path


def write_journal(path, run_id="run1", cells=3, first=0):
    header = {
        "schema_version": SCHEMA_VERSION,
        "machine": MACHINE,
        "run": {"run_id": run_id, "suite": "quick"},
        "columns": {"run_id": run_id, "machine_id": MACHINE["machine_id"]},
    }
    journal = Journal(path, header)
    for row in make_rows(run_id, cells, first):
        journal.append({k: v for k, v in row.items() if k not in ("run_id", "machine_id")})
    return journal


def files(out):
    return sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())


def test_finished_runs_are_copied_as_they_are_and_only_once(tmp_path):
    one = write(tmp_path / "a" / "x" / "one.parquet", "run1")
    write(tmp_path / "b" / "two.parquet", "run2")
    out = tmp_path / "out"
    report = merge([tmp_path / "a", tmp_path / "b"], out)
    assert (report.copied, report.duplicates, report.set_aside) == (2, 0, ())
    assert files(out) == [f"{FOLDER}/one.parquet", f"{FOLDER}/two.parquet"]
    assert (out / FOLDER / "one.parquet").read_bytes() == one.read_bytes()
    again = merge([tmp_path / "a", tmp_path / "b"], out)
    assert (again.copied, again.already_there) == (0, 2)


def test_an_abandoned_journal_becomes_a_run_that_was_killed(tmp_path):
    write_journal(tmp_path / "a" / "one.journal").close()
    report = merge([tmp_path / "a"], tmp_path / "out")
    assert (report.copied, report.converted) == (0, 1)
    info, _ = read_run(tmp_path / "out" / FOLDER / "one.parquet")
    assert info.run["ended"] == "killed"
    assert info.run["cells_by_status"] == {"ok": 3}
    assert info.machine == MACHINE
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "a")
    assert (tmp_path / "a" / "one.journal").exists()


def test_a_journal_that_is_still_written_is_left_alone(tmp_path):
    journal = write_journal(tmp_path / "a" / "one.journal")
    report = merge([tmp_path / "a"], tmp_path / "out")
    journal.append(make_rows("run1", 1, first=9)[0])
    journal.close()
    assert (report.converted, report.still_written) == (0, 1)
    assert "still writing" in report.set_aside[0]
    assert merge([tmp_path / "a"], tmp_path / "out").converted == 1


def test_of_two_forms_of_a_run_the_fuller_one_is_taken(tmp_path):
    write_journal(tmp_path / "a" / "one.journal", cells=2).close()
    full = write(tmp_path / "b" / "one.parquet", cells=5)
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert (report.copied, report.converted, report.duplicates) == (1, 0, 1)
    assert (tmp_path / "out" / FOLDER / "one.parquet").read_bytes() == full.read_bytes()


def test_a_fuller_form_replaces_what_was_brought_before(tmp_path):
    out = tmp_path / "out"
    write_journal(tmp_path / "a" / "one.journal", cells=2).close()
    merge([tmp_path / "a"], out)
    write(tmp_path / "b" / "renamed.parquet", cells=5)
    assert merge([tmp_path / "b"], out).copied == 1
    assert files(out) == [f"{FOLDER}/one.parquet"]
    assert len(rows_of(out)) == 5
    assert merge([tmp_path / "a"], out).already_there == 1
    assert len(rows_of(out)) == 5


def test_a_run_that_was_continued_in_two_places_is_set_aside(tmp_path):
    write(tmp_path / "a" / "one.parquet", cells=5)
    write(tmp_path / "b" / "one.parquet", cells=3, first=4)
    report = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert "has 2 cells that its fuller form" in report.set_aside[0]
    assert report.copied == 1
    out = tmp_path / "out"
    assert len(rows_of(out)) == 5
    assert merge([tmp_path / "b"], out).set_aside
    assert len(rows_of(out)) == 5


def test_another_run_of_the_same_name_is_not_overwritten(tmp_path):
    write(tmp_path / "a" / "one.parquet", "run1")
    write(tmp_path / "b" / "one.parquet", "run2")
    assert merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out").copied == 2
    assert files(tmp_path / "out") == [f"{FOLDER}/one-run2.parquet", f"{FOLDER}/one.parquet"]
    blocked = tmp_path / "out3"
    write(blocked / FOLDER / "one.parquet", "run7")
    write(blocked / FOLDER / "one-run1.parquet", "run8")
    report = merge([tmp_path / "a"], blocked)
    assert "holds another run" in report.set_aside[0]
    assert {info.run_id for info in read_dataset(blocked).runs} == {"run7", "run8"}


def test_damaged_and_newer_files_are_set_aside_with_a_line(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "bad.parquet").write_bytes(b"nonsense")
    (tmp_path / "a" / "empty.parquet").write_bytes(b"")
    write(tmp_path / "a" / "good.parquet")
    report = merge([tmp_path / "a"], tmp_path / "out")
    assert report.copied == 1
    assert len(report.set_aside) == 2
    assert all("damaged" in line for line in report.set_aside)


def test_a_journal_without_a_finished_cell_is_set_aside(tmp_path):
    write_journal(tmp_path / "a" / "one.journal", cells=0).close()
    report = merge([tmp_path / "a"], tmp_path / "out")
    assert (report.converted, len(report.set_aside)) == (0, 1)
    assert "no finished cell" in report.set_aside[0]


def test_a_dataset_merged_into_itself_turns_its_journals_into_files(tmp_path):
    write(tmp_path / FOLDER / "one.parquet", "run1")
    write_journal(tmp_path / FOLDER / "two.journal", "run2").close()
    report = merge([tmp_path], tmp_path)
    assert (report.copied, report.already_there, report.converted) == (0, 1, 1)
    assert files(tmp_path) == [
        f"{FOLDER}/{n}" for n in ("one.parquet", "two.journal", "two.parquet")
    ]
    assert len(rows_of(tmp_path)) == 6


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    write(tmp_path / "a" / "one.parquet")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a directory"):
        merge([tmp_path / "a"], tmp_path / "file")
    with pytest.raises(OutputError, match="cannot write"):
        merge([tmp_path / "a"], tmp_path / "file" / "out")
    with pytest.raises(DatasetError, match="no such file"):
        merge([tmp_path / "none"], tmp_path / "out")


def test_the_command_reports_counts(tmp_path, capsys):
    write(tmp_path / "a" / "one.parquet")
    (tmp_path / "a" / "bad.parquet").write_bytes(b"nonsense")
    assert main(["merge", str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "set aside: " in told
    assert "1 runs copied, 0 killed runs made whole files, 0 there already" in told
    assert main(["merge", str(tmp_path / "a"), "--out", "s3://bucket/x"]) == 2
