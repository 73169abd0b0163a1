"""The journal: what was appended is there, whatever happened afterwards."""

import json
import os
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.dataset import journal as journal_module
from collector.dataset.journal import Journal, read_journal
from collector.errors import DatasetError, OutputError
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


@pytest.fixture
def disk_of():
    """Files of this process may grow to so many bytes, as on a disk that is full then."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_whole_lines_and_room_makes_the_journal_go_on(tmp_path, disk_of):
    journal = Journal(tmp_path / "run.journal", HEADER)
    journal.append(ROWS[0])
    content = journal.path.read_bytes()
    disk_of(len(content) + 10)
    for _ in range(2):
        with pytest.raises(OutputError, match="free some space and go on with --resume") as caught:
            journal.append(ROWS[1])
        assert "\n" not in str(caught.value)
        assert journal.path.read_bytes() == content
    disk_of(len(content) + 1000)
    journal.append(ROWS[1])
    journal.close()
    assert read_journal(journal.path).rows == ROWS


def test_a_row_that_cannot_be_synced_is_not_taken_for_written(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "run.journal", HEADER)
    journal.append(ROWS[0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(5, "I/O")))
        with pytest.raises(OutputError, match="cannot write"):
            journal.append(ROWS[1])
    journal.close()
    assert read_journal(journal.path).rows == ROWS[:1]


def test_a_journal_that_has_no_room_for_its_header_is_not_left_behind(tmp_path, disk_of):
    disk_of(10)
    with pytest.raises(OutputError, match="choose another place with --out"):
        Journal(tmp_path / "run.journal", HEADER)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_told(tmp_path):
    with pytest.raises(OutputError, match="File name too long; choose another place with --out"):
        Journal(tmp_path / ("x" * 300) / "run.journal", HEADER)


@pytest.fixture
def unprivileged():
    """The rights of nobody: for root, no directory is read-only."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_directory_without_permission_is_told(tmp_path, unprivileged):
    for place in ("/", "/etc"):
        with pytest.raises(OutputError, match=r"Permission denied|Read-only file system"):
            Journal(Path(place) / "breakeven-runs" / "run.journal", HEADER)


def test_new_names_are_made_durable(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda d: synced.append(Path(f"/proc/self/fd/{d}").resolve()) or fsync(d)
    )
    path = write(tmp_path / "box" / "run.journal", rows=[])
    assert synced == [path, path.parent, tmp_path]


def test_a_file_system_that_cannot_sync_directories_is_no_mistake(tmp_path, monkeypatch):
    fsync = os.fsync

    def only_files(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir():
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    assert read_journal(write(tmp_path / "run.journal")).rows == ROWS


def test_a_journal_whose_run_has_just_ended_is_not_gone_on_with(tmp_path, monkeypatch):
    """Its collector removed it between our opening and our locking it."""
    path = write(tmp_path / "run.journal")
    flock = journal_module.fcntl.flock

    def remove_and_lock(stream, how):
        path.unlink()
        flock(stream, how)

    monkeypatch.setattr(journal_module.fcntl, "flock", remove_and_lock)
    with pytest.raises(OutputError, match="another collector has just ended this run"):
        Journal(path, None)


@pytest.mark.parametrize("version", ["1", None, [1]])
def test_a_header_without_a_version_is_no_journal(tmp_path, version):
    path = tmp_path / "x.journal"
    path.write_text(json.dumps({"header": {"schema_version": version}}) + "\n")
    with pytest.raises(DatasetError, match="not a journal"):
        read_journal(path)
