"""Datasets: what was written is read, and one bad file never hides the others."""

import json
import os
import resource
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dataset import read as dataset_module
from collector.dataset.journal import SUFFIX, Journal
from collector.dataset.read import read_dataset, read_table, write_run
from collector.errors import DatasetError, OutputError
from collector.schema import (
    MACHINE_METADATA_KEY,
    RUN_METADATA_KEY,
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_METADATA_KEY,
)
from tests.collector.doubles import make_row

STARTED = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def write(path, rows=None, run_id="run1"):
    rows = rows if rows is not None else [make_row(run_id=run_id)]
    write_run(path, rows, {"label": "Example box"}, {"run_id": run_id, "suite": "quick"})
    return path


def write_table(path, table, version=SCHEMA_VERSION):
    metadata = {} if version is None else {VERSION_METADATA_KEY: str(version).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def only_problem(path):
    dataset = read_dataset(path)
    assert dataset.runs == ()
    (problem,) = dataset.problems
    return problem


def test_rows_come_back_as_they_went(tmp_path):
    row = make_row(
        started_at=STARTED,
        library_versions={"numpy": "2.4.6", "torch": "2.11"},
        error="two\nlines \u00e4",
    )
    write(tmp_path / "box" / "a.parquet", [row])
    (read,) = read_table(read_dataset(tmp_path)).to_pylist()
    assert dict(read.pop("params")) == row.pop("params")
    assert dict(read.pop("library_versions")) == row.pop("library_versions")
    assert {name: read[name] for name in row} == row
    assert all(value is None for name, value in read.items() if name not in row)


@given(
    params=st.dictionaries(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1), max_size=4),
    samples=st.lists(st.floats(allow_nan=False), max_size=5),
)
def test_any_parameters_and_samples_survive(params, samples, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "survive.parquet"
    write(path, [make_row(params=params, samples_s=samples)])
    (read,) = read_table(read_dataset(path)).to_pylist()
    assert dict(read["params"]) == params
    assert read["samples_s"] == samples


def test_a_run_tells_its_machine_and_its_summary(tmp_path):
    path = write(tmp_path / "a.parquet")
    (info,) = read_dataset(tmp_path).runs
    assert (info.path, info.run_id, info.rows, info.finished) == (path, "run1", 1, True)
    assert info.machine == {"label": "Example box"}
    assert info.run["suite"] == "quick"


def test_a_file_explains_itself(tmp_path):
    schema = pq.read_schema(write(tmp_path / "a.parquet"))
    assert schema.field("median_s").metadata[b"unit"] == b"s"
    assert json.loads(schema.metadata[b"breakeven.machine"]) == {"label": "Example box"}


def test_one_file_may_be_read_by_its_own_path(tmp_path):
    write(tmp_path / "a.parquet")
    write(tmp_path / "b.parquet", run_id="run2")
    assert [info.run_id for info in read_dataset(tmp_path / "b.parquet").runs] == ["run2"]


def test_an_empty_directory_is_an_empty_dataset(tmp_path):
    dataset = read_dataset(tmp_path)
    assert (dataset.runs, dataset.problems) == ((), ())
    assert read_table(dataset).schema.equals(SCHEMA)


def test_a_missing_path_is_told(tmp_path):
    with pytest.raises(DatasetError, match="there is no such file or directory"):
        read_dataset(tmp_path / "none")


def test_a_file_of_another_kind_is_a_problem_only_if_it_was_asked_for(tmp_path):
    (tmp_path / "README.md").write_text("notes")
    assert read_dataset(tmp_path).problems == ()
    assert "neither a Parquet file nor a journal" in only_problem(tmp_path / "README.md").reason


def test_temporary_files_are_not_read(tmp_path):
    whole = write(tmp_path / "a.parquet")
    shutil.copy(whole, tmp_path / ".b.parquet.123.tmp")
    assert [info.path for info in read_dataset(tmp_path).runs] == [whole]


def test_writing_leaves_no_temporary_file(tmp_path):
    path = write(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*a\.parquet"):
        write(tmp_path / "file" / "a.parquet")


BAD_CONTENTS = {
    "empty": b"",
    "text": b"hello\n" * 100,
    "magic only": b"PAR1PAR1",
    "footer of nonsense": b"PAR1" + b"\xff" * 50 + b"\x10\x00\x00\x00PAR1",
}


@pytest.mark.parametrize("content", BAD_CONTENTS.values(), ids=BAD_CONTENTS)
def test_a_damaged_file_is_set_aside_with_its_reason(tmp_path, content):
    good = write(tmp_path / "good.parquet")
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(content)
    dataset = read_dataset(tmp_path)
    assert [info.path for info in dataset.runs] == [good]
    (problem,) = dataset.problems
    assert problem.path == bad
    assert problem.reason.startswith("damaged: ")
    assert "\n" not in problem.reason
    assert len(read_table(dataset)) == 1


@given(share=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_set_aside(share, tmp_path_factory):
    directory = tmp_path_factory.getbasetemp() / "cut"
    directory.mkdir(exist_ok=True)
    content = write(directory / "whole.parquet").read_bytes()
    (directory / "cut.parquet").write_bytes(content[: int(share * len(content))])
    dataset = read_dataset(directory)
    assert [info.path.name for info in dataset.runs] == ["whole.parquet"]
    assert [problem.path.name for problem in dataset.problems] == ["cut.parquet"]


def test_a_file_with_damaged_pages_is_set_aside(tmp_path):
    write(tmp_path / "good.parquet")
    bad = write(tmp_path / "bad.parquet", run_id="run2")
    content = bytearray(bad.read_bytes())
    start = pq.ParquetFile(bad).metadata.row_group(0).column(0).data_page_offset
    content[start : start + 2000] = b"\xff" * 2000
    bad.write_bytes(content)
    dataset = read_dataset(tmp_path)
    assert [problem.path for problem in dataset.problems] == [bad]
    assert dataset.problems[0].reason.startswith("damaged: ")
    assert len(read_table(dataset)) == 1


@pytest.mark.parametrize("text", [b"[]", b"3", b"null", b"{", b"\xff"], ids=repr)
@pytest.mark.parametrize("key", [MACHINE_METADATA_KEY, RUN_METADATA_KEY])
def test_a_file_with_strange_metadata_is_set_aside(tmp_path, key, text):
    table = pq.read_table(write(tmp_path / "a.parquet"))
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, key: text}), tmp_path / "a.parquet"
    )
    assert only_problem(tmp_path).reason.startswith("damaged: ")


def test_a_newer_file_is_not_guessed_at(tmp_path):
    write_table(tmp_path / "a.parquet", SCHEMA.empty_table(), version=SCHEMA_VERSION + 1)
    assert "newer collector" in only_problem(tmp_path).reason


def test_a_parquet_file_of_others_is_called_so(tmp_path):
    write_table(tmp_path / "a.parquet", pa.table({"x": [1]}), version=None)
    assert "not written by the collector" in only_problem(tmp_path).reason


def test_columns_that_an_older_file_lacks_are_null(tmp_path):
    table = read_table(read_dataset(write(tmp_path / "new.parquet")))
    write_table(tmp_path / "old.parquet", table.drop_columns(["energy_j", "timing_s"]))
    (old,) = read_table(read_dataset(tmp_path / "old.parquet")).to_pylist()
    assert old["timing_s"] is None
    assert old["median_s"] == 1e-3
    assert len(read_table(read_dataset(tmp_path))) == 2


def test_columns_that_this_version_does_not_know_are_left_out(tmp_path):
    table = read_table(read_dataset(write(tmp_path / "a.parquet")))
    write_table(tmp_path / "a.parquet", table.append_column("colour", pa.array(["red"])))
    assert read_table(read_dataset(tmp_path)).schema.equals(SCHEMA)


@pytest.mark.parametrize("column", ["run_id", "machine_id", "cell_id", "status", "median_s"])
def test_a_column_without_which_nothing_works_must_be_there(tmp_path, column):
    table = read_table(read_dataset(write(tmp_path / "a.parquet")))
    write_table(tmp_path / "a.parquet", table.drop_columns([column]))
    assert only_problem(tmp_path).reason == f"column {column} is missing"


def test_a_column_of_another_type_is_told(tmp_path):
    table = read_table(read_dataset(write(tmp_path / "a.parquet")))
    index = table.column_names.index("median_s")
    table = table.set_column(index, "median_s", pa.array(["fast"]))
    write_table(tmp_path / "a.parquet", table)
    assert only_problem(tmp_path).reason == "column median_s is string, expected double"


def write_journal(path, rows, run_id="run3"):
    header = {
        "schema_version": SCHEMA_VERSION,
        "machine": {"label": "Example box"},
        "run": {"run_id": run_id, "suite": "quick", "seed": 0},
        "columns": {"run_id": run_id, "machine_id": "m", "started_at": STARTED},
    }
    journal = Journal(path, header)
    for row in rows:
        journal.append(row)
    journal.close()
    return path


def bare_row(**changes):
    row = make_row(**changes)
    return {name: row[name] for name in row if name not in ("run_id", "machine_id")}


def test_the_journal_of_an_unfinished_run_is_read_with_the_others(tmp_path):
    write(tmp_path / "a.parquet")
    write_journal(tmp_path / "b.journal", [bare_row(), bare_row(status="crashed")])
    dataset = read_dataset(tmp_path)
    assert [(info.run_id, info.rows, info.finished) for info in dataset.runs] == [
        ("run1", 1, True),
        ("run3", 2, False),
    ]
    rows = read_table(dataset).to_pylist()
    assert [row["run_id"] for row in rows] == ["run1", "run3", "run3"]
    assert rows[1]["started_at"] == STARTED
    assert rows[2]["status"] == "crashed"


def test_the_torn_last_line_of_a_journal_is_ignored(tmp_path):
    path = write_journal(tmp_path / "b.journal", [bare_row(), bare_row()])
    path.write_bytes(path.read_bytes()[:-20])
    dataset = read_dataset(tmp_path)
    assert dataset.problems == ()
    assert len(read_table(dataset)) == 1


def test_a_damaged_journal_is_set_aside(tmp_path):
    write(tmp_path / "a.parquet")
    write_journal(tmp_path / "b.journal", [bare_row(median_s="fast")])
    (tmp_path / "c.journal").write_bytes(b"\0" * 100 + b"\n")
    dataset = read_dataset(tmp_path)
    assert [info.run_id for info in dataset.runs] == ["run1"]
    reasons = [problem.reason for problem in dataset.problems]
    assert reasons[0].startswith("damaged journal: ")
    assert reasons[1].startswith("not a journal of the collector")


def test_a_run_killed_between_writing_its_file_and_removing_its_journal_counts_once(tmp_path):
    write(tmp_path / "a.parquet", run_id="run3")
    write_journal(tmp_path / "a.journal", [bare_row()])
    dataset = read_dataset(tmp_path)
    assert [(info.run_id, info.finished) for info in dataset.runs] == [("run3", True)]
    assert len(read_table(dataset)) == 1


def test_of_a_file_and_its_journal_the_fuller_one_counts(tmp_path):
    write(tmp_path / "a.parquet", run_id="run3")
    write_journal(tmp_path / "a.journal", [bare_row(), bare_row(status="crashed")])
    dataset = read_dataset(tmp_path)
    assert [(info.rows, info.finished) for info in dataset.runs] == [(2, False)]
    assert dataset.parquet_files == ()
    assert [row["status"] for row in read_table(dataset).to_pylist()] == ["ok", "crashed"]


def test_a_damaged_file_leaves_the_word_to_its_journal(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"nonsense")
    write_journal(tmp_path / "a.journal", [bare_row()])
    dataset = read_dataset(tmp_path)
    assert len(dataset.problems) == len(read_table(dataset)) == 1


def test_a_damaged_journal_leaves_the_word_to_its_file(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "a.journal").write_bytes(b"nonsense\n")
    dataset = read_dataset(tmp_path)
    assert len(dataset.problems) == len(read_table(dataset)) == 1


def test_files_of_one_name_in_two_directories_are_two_runs(tmp_path):
    (tmp_path / "box").mkdir()
    write(tmp_path / "box" / "a.parquet")
    write_journal(tmp_path / "a.journal", [bare_row()])
    assert len(read_table(read_dataset(tmp_path))) == 2


@pytest.mark.parametrize("content", [b"", b'{"header": {"schema_ver'])
def test_a_run_killed_before_its_header_was_written_is_no_problem(tmp_path, content):
    write(tmp_path / "a.parquet")
    (tmp_path / "b.journal").write_bytes(content)
    dataset = read_dataset(tmp_path)
    assert dataset.problems == ()
    assert len(dataset.runs) == 1


@pytest.mark.parametrize(
    "line", [b"1", b"null", b'{"header": null}', b'{"header": 1}', b'"header"']
)
def test_a_journal_with_a_strange_header_is_set_aside(tmp_path, line):
    write(tmp_path / "a.parquet")
    (tmp_path / "b.journal").write_bytes(line + b"\n")
    assert [problem.path.name for problem in read_dataset(tmp_path).problems] == ["b.journal"]


@pytest.mark.parametrize("line", [b"1", b"null", b"[]"])
def test_a_journal_with_a_strange_row_is_set_aside(tmp_path, line):
    write(tmp_path / "a.parquet")
    path = write_journal(tmp_path / "b.journal", [bare_row()])
    path.write_bytes(path.read_bytes() + line + b"\n")
    assert [problem.path.name for problem in read_dataset(tmp_path).problems] == ["b.journal"]


def test_a_run_that_ends_while_it_is_looked_at_is_found_under_its_new_name(tmp_path, monkeypatch):
    journal = write_journal(tmp_path / "a.journal", [bare_row()])
    has_begun = dataset_module.has_begun

    def end(path):
        if journal.exists():
            write(tmp_path / "a.parquet", run_id="run3")
            journal.unlink()
        return has_begun(path)

    monkeypatch.setattr(dataset_module, "has_begun", end)
    dataset = read_dataset(tmp_path)
    assert dataset.problems == ()
    assert [(info.run_id, info.finished) for info in dataset.runs] == [("run3", True)]


def test_a_run_that_is_resumed_while_it_is_looked_at_is_found(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet")
    inspect = dataset_module._inspect_parquet

    def resume(file):
        if path.exists():
            write_journal(tmp_path / "a.journal", [bare_row(), bare_row(status="crashed")])
            path.unlink()
        return inspect(file)

    monkeypatch.setattr(dataset_module, "_inspect_parquet", resume)
    dataset = read_dataset(tmp_path)
    assert dataset.problems == ()
    assert [(info.rows, info.finished) for info in dataset.runs] == [(2, False)]


def test_a_file_url_is_read_as_a_path(tmp_path):
    write(tmp_path / "a.parquet")
    assert len(read_dataset(f"file://{tmp_path}").runs) == 1


def test_a_path_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(DatasetError, match="File name too long"):
        read_dataset(tmp_path / ("x" * 300))


@pytest.fixture
def unprivileged():
    """The rights of nobody: for root, nothing is forbidden."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


@pytest.mark.skipif(not Path("/root").exists() or os.getuid() != 0, reason="needs root's home")
def test_a_directory_without_permission_is_told(unprivileged):
    with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
        read_dataset("/root")


def test_a_full_disk_leaves_no_half_of_a_file_and_not_a_better_one_spoilt(tmp_path):
    path = write(tmp_path / "a.parquet")
    content = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        for name in ("a.parquet", "b.parquet"):
            with pytest.raises(OutputError, match=f"cannot write .*{name}: File too large"):
                write(tmp_path / name, run_id="run2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 300_000 + b"\n",
        b'{"header": {"datetime": 1}}\n',
        b'{"header": {"schema_version": 1, "columns": {}, "machine": 3, "run": {"run_id": 1}}}\n',
        b'{"header": {"schema_version": 1, "columns": {}, "machine": {}, "run": "x"}}\n{}\n',
        b'{"header": {"schema_version": 1, "columns": [], "machine": {}, "run": {}}}\n[1]\n',
    ],
)
def test_a_journal_of_any_json_is_set_aside_with_one_line(tmp_path, content):
    (tmp_path / f"hostile{SUFFIX}").write_bytes(content)
    (problem,) = read_dataset(tmp_path).problems
    assert problem.reason
    assert "\n" not in problem.reason
