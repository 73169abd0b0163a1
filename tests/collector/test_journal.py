"""The journal: what was appended is there, whatever happened afterwards."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import DatasetError, OutputError
from collector.journal import Journal, read_journal
from collector.schema import SCHEMA_VERSION

HEADER = {"schema_version": SCHEMA_VERSION, "run": {"run_id": "run1"}}
ROWS = [{"cell_id": "a", "median_s": 1.5}, {"cell_id": "b", "error": "line\nbreak \u00e4"}]


def write(path, rows=ROWS, header=HEADER):
    journal = Journal(path, header)
    for row in rows:
        journal.append(row)
    journal.close()
    return path


def test_what_was_appended_is_read(tmp_path):
    contents = read_journal(write(tmp_path / "deep" / "er" / "run.journal"))
    assert contents.header == HEADER
    assert contents.rows == ROWS


def test_each_row_is_on_disk_before_the_next(tmp_path):
    journal = Journal(tmp_path / "run.journal", HEADER)
    for count, row in enumerate(ROWS, start=1):
        journal.append(row)
        assert len(read_journal(journal.path).rows) == count
    journal.close()


def test_moments_come_back_as_moments(tmp_path):
    header = {**HEADER, "columns": {"started_at": datetime(2026, 3, 1, 12, tzinfo=UTC)}}
    assert read_journal(write(tmp_path / "run.journal", [], header)).header == header


def test_something_else_cannot_be_stored(tmp_path):
    journal = Journal(tmp_path / "run.journal", HEADER)
    with pytest.raises(TypeError, match="cannot store complex in a journal"):
        journal.append({"value": 1j})
    journal.close()
    assert read_journal(journal.path).rows == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("whole") / "run.journal").read_bytes()


@given(data=st.data())
def test_a_journal_cut_anywhere_keeps_its_whole_lines(data, whole, tmp_path_factory):
    header_end = whole.index(b"\n") + 1
    cut = whole[: data.draw(st.integers(header_end, len(whole)))]
    path = tmp_path_factory.getbasetemp() / "cut.journal"
    path.write_bytes(cut)
    finished = cut.count(b"\n") - 1
    assert read_journal(path).rows == ROWS[:finished]
    journal = Journal(path, None)
    journal.append({"cell_id": "c"})
    journal.close()
    assert read_journal(path).rows == [*ROWS[:finished], {"cell_id": "c"}]


def test_a_torn_line_in_the_middle_costs_only_itself(tmp_path):
    path = write(tmp_path / "run.journal")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"cell_id": "to' + b"\n" + b"".join(lines[1:]))
    assert read_journal(path).rows == ROWS


@pytest.mark.parametrize("content", [b"", b"\n", b"PAR1", b"[1]\n", b"{}\n", b'{"header": {'])
def test_what_is_no_journal_is_called_so(tmp_path, content):
    path = tmp_path / "run.journal"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="not a journal of the collector"):
        read_journal(path)


def test_a_newer_journal_is_not_guessed_at(tmp_path):
    path = write(tmp_path / "run.journal", header={"schema_version": SCHEMA_VERSION + 1})
    with pytest.raises(DatasetError, match="newer collector"):
        read_journal(path)


def test_a_journal_is_never_overwritten(tmp_path):
    path = write(tmp_path / "run.journal")
    with pytest.raises(OutputError, match=f"cannot write {path}"):
        Journal(path, HEADER)
    assert read_journal(path).rows == ROWS


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another place with --out"):
        Journal(tmp_path / "file" / "run.journal", HEADER)


def test_a_missing_journal_is_told(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_journal(tmp_path / "none.journal")


def test_one_collector_at_a_time_goes_on_with_a_journal(tmp_path):
    first = Journal(tmp_path / "run.journal", HEADER)
    first.append(ROWS[0])
    content = first.path.read_bytes()
    with pytest.raises(OutputError, match=f"{first.path}: another collector is writing this run"):
        Journal(first.path, None)
    assert first.path.read_bytes() == content
    first.append(ROWS[1])
    first.close()
    Journal(first.path, None).close()  # the lock went with the first one
    assert read_journal(first.path).rows == ROWS


def test_a_torn_line_of_a_live_collector_is_not_cut_off(tmp_path):
    live = Journal(tmp_path / "run.journal", HEADER)
    with open(live.path, "ab") as stream:
        stream.write(b'{"cell_id": "half')
    with pytest.raises(OutputError):
        Journal(live.path, None)
    assert live.path.read_bytes().endswith(b'{"cell_id": "half')
    live.close()


def test_a_journal_that_went_away_is_not_begun_anew(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "none.journal", None)
    assert list(tmp_path.iterdir()) == []


def test_a_journal_is_one_json_object_a_line(tmp_path):
    lines = write(tmp_path / "run.journal").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"header": HEADER}, *ROWS]
