"""Datasets behind URLs: told from paths, written whole or not at all, read like directories."""

import signal
import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from collector.commands.cli import main
from collector.dataset import storage
from collector.dataset.journal import Journal
from collector.dataset.read import read_dataset, read_table, write_run
from collector.dataset.storage import as_path, as_url, open_store, shown, state_directory
from collector.errors import DatasetError, OutputError
from collector.runs.destination import open_destination
from collector.runs.run import run_plan
from tests.collector.doubles import (
    MACHINE,
    Workers,
    additions,
    cell_ids,
    make_row,
    nth_cell,
    ok_columns,
    rows_of,
)

URL = "memory://bucket/runs"


class PowerCutError(BaseException):
    """What no code of the run handles."""


@pytest.fixture(autouse=True)
def clean_place(tmp_path, monkeypatch):
    """An empty in-memory store, and state of this test only."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield
    storage.forget_copies()
    MemoryFileSystem.store.clear()


def write(path, run_id="run1", rows=None, ended="complete"):
    run = {"run_id": run_id, "suite": "quick", "ended": ended}
    write_run(path, rows or [make_row(run_id=run_id)], MACHINE.as_dict(), run)
    return path


def stored():
    return sorted(path.removeprefix("/bucket/runs/") for path in MemoryFileSystem.store)


# what is a URL


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("s3://bucket/x", "s3://bucket/x"),
        ("s3://bucket/x/", "s3://bucket/x"),
        ("s3:/bucket/x", "s3://bucket/x"),
        ("S3://Bucket/x", "s3://Bucket/x"),
        (Path("gs://bucket/x"), "gs://bucket/x"),
        ("memory://", "memory://"),
        ("simplecache::s3://bucket/x", "simplecache::s3://bucket/x"),
        ("simplecache::file:///data/x", "simplecache::file:///data/x"),
        ("dir://runs::file:///data", "dir://runs::file:///data"),
        ("abfs://box@account.dfs.core.windows.net/x", "abfs://box@account.dfs.core.windows.net/x"),
        ("runs", None),
        ("/data/runs", None),
        ("./a:b/c", None),
        ("c:/runs", None),
        ("", None),
        ("file:///data/x", None),
        ("local:///data/x", None),
    ],
)
def test_a_url_is_told_from_a_path(place, url):
    assert as_url(place) == url


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("runs", "runs"),
        ("file:///data/x", "/data/x"),
        ("file:/data/x", "/data/x"),
        ("FILE:///data/x", "/data/x"),
        ("file://localhost/data/x", "/data/x"),
        ("file:///data/a%20b", "/data/a b"),
        (Path("file:///data/x"), "/data/x"),
        (Path("a b"), "a b"),
    ],
)
def test_a_file_url_is_a_path(place, path):
    assert as_path(place) == Path(path)


def test_a_file_url_of_another_host_is_a_mistake():
    with pytest.raises(OutputError, match="is on another host"):
        as_path("file://elsewhere/data")


def test_a_password_is_not_shown():
    assert shown("ftp://me:secret@host/x") == "ftp://me@host/x"
    assert shown("abfs://box@account/x") == "abfs://box@account/x"
    assert "secret" not in str(state_directory("ftp://me:secret@host/x"))


def test_each_url_has_its_own_state(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    one, other = state_directory("s3://bucket/a-b"), state_directory("s3://bucket/a/b")
    assert one.parent == other.parent == tmp_path / ".local/state/breakeven/journals"
    assert one != other


def test_a_relative_state_directory_is_not_used(monkeypatch, tmp_path):
    """The XDG base directory specification says to ignore it."""
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory(URL).is_relative_to(tmp_path)


# packages that are missing


def test_a_missing_fsspec_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(OutputError, match="needs the package fsspec; pip install fsspec"):
        open_store(URL)


def test_a_missing_protocol_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    registry = import_module("fsspec.registry")
    monkeypatch.delitem(registry._registry, "s3", raising=False)
    with pytest.raises(OutputError, match=r"s3://bucket/x: .*s3fs.*pip") as caught:
        open_store("s3://bucket/x")
    assert "\n" not in str(caught.value)


def test_an_unknown_protocol_is_told():
    with pytest.raises(OutputError, match="nonsense://x: Protocol not known"):
        open_store("nonsense://x")


# reading


def test_a_dataset_is_read_from_its_url(tmp_path):
    write(tmp_path / "a.parquet")
    store = open_store(URL)
    store.put(tmp_path / "a.parquet", "box/a.parquet")
    dataset = read_dataset(URL)
    assert [(info.run_id, info.rows) for info in dataset.runs] == [("run1", 1)]
    assert len(read_table(dataset)) == 1
    assert [info.run_id for info in read_dataset(f"{URL}/box/a.parquet").runs] == ["run1"]
    assert [info.run_id for info in read_dataset(Path(URL)).runs] == ["run1"]


def test_only_what_changed_is_fetched_again(tmp_path, monkeypatch):
    store = open_store(URL)
    for name in ("a", "b", "c"):
        store.put(write(tmp_path / f"{name}.parquet", run_id=name), f"box/{name}.parquet")
    fetched = []
    get = MemoryFileSystem.get
    monkeypatch.setattr(
        MemoryFileSystem, "get", lambda self, r, *args: fetched.extend(r) or get(self, r, *args)
    )
    assert len(read_dataset(URL).runs) == 3
    assert len(fetched) == 3
    store.put(write(tmp_path / "b.parquet", run_id="new"), "box/b.parquet")
    MemoryFileSystem.store.pop("/bucket/runs/box/c.parquet")
    assert [info.run_id for info in read_dataset(URL).runs] == ["a", "new"]
    assert fetched[3:] == ["/bucket/runs/box/b.parquet"]


def test_a_url_without_anything_is_told():
    with pytest.raises(DatasetError, match="memory://bucket/none: there is no run"):
        read_dataset("memory://bucket/none")


def test_a_damaged_file_behind_a_url_is_set_aside_with_its_place(tmp_path):
    store = open_store(URL)
    store.put(write(tmp_path / "a.parquet"), "box/a.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"nonsense")
    store.put(tmp_path / "bad.parquet", "box/bad.parquet")
    dataset = read_dataset(URL)
    assert [info.run_id for info in dataset.runs] == ["run1"]
    (problem,) = dataset.problems
    assert problem.path.name == "bad.parquet"
    assert problem.reason.startswith("damaged: ")
    assert problem.reason.endswith(f"(in {URL})")


def test_other_files_and_names_that_lead_outside_are_not_fetched(tmp_path):
    filesystem = MemoryFileSystem()
    filesystem.pipe_file("/bucket/runs/notes.txt", b"x")
    filesystem.store["/bucket/runs/../../evil.parquet"] = filesystem.open(
        "/bucket/runs/a.parquet", "wb"
    )
    assert [file.name for file in open_store(URL).find()] == ["a.parquet"]


def test_an_error_of_a_file_system_is_one_line(monkeypatch):
    class StoreError(Exception):
        """What a client library may raise."""

    def fail(*arguments, **options):
        raise StoreError("no credentials\nsecond line")

    monkeypatch.setattr(MemoryFileSystem, "find", fail)
    with pytest.raises(DatasetError, match=f"^cannot read {URL}: no credentials$"):
        read_dataset(URL)


# writing


@pytest.fixture(params=["memory", "local"])
def store(request, tmp_path):
    """One file system that cannot rename (like an object store), and one that can."""
    if request.param == "memory":
        return open_store(URL)
    (tmp_path / "disk").mkdir()
    return open_store(f"dir://deep/runs::file://{tmp_path}/disk")


def files_of(store):
    found = store.filesystem.find(store.root) if store.filesystem.exists(store.root) else []
    return sorted(path.rpartition("/")[2] for path in found)


def test_a_file_is_put_under_its_name(store, tmp_path):
    file = write(tmp_path / "a.parquet")
    assert store.put(file, "box/a.parquet") == f"{store.url}/box/a.parquet"
    assert files_of(store) == ["a.parquet"]
    assert store.filesystem.cat_file(f"{store.root}/box/a.parquet") == file.read_bytes()


def test_a_file_that_is_there_already_is_replaced(store, tmp_path):
    store.put(write(tmp_path / "a.parquet"), "box/a.parquet")
    file = write(tmp_path / "a.parquet", run_id="other")
    store.put(file, "box/a.parquet")
    assert store.filesystem.cat_file(f"{store.root}/box/a.parquet") == file.read_bytes()


def break_off(self, local, remote, **options):
    """A transfer that ends in the middle."""
    with self.open(remote, "wb") as sink:
        sink.write(Path(local).read_bytes()[:10])
    raise ConnectionError("connection lost")


def test_a_transfer_that_breaks_off_leaves_nothing_where_files_can_be_renamed(
    tmp_path, monkeypatch
):
    (tmp_path / "disk").mkdir()
    store = open_store(f"dir://runs::file://{tmp_path}/disk")
    monkeypatch.setattr(LocalFileSystem, "put_file", break_off)
    with pytest.raises(OutputError, match=r"cannot send a.parquet to dir://.*: connection lost"):
        store.put(write(tmp_path / "a.parquet"), "box/a.parquet")
    assert files_of(store) == []


def test_an_object_store_gets_a_single_put(tmp_path, monkeypatch):
    targets = []
    put_file = MemoryFileSystem.put_file
    monkeypatch.setattr(
        MemoryFileSystem,
        "put_file",
        lambda self, file, to: targets.append(to) or put_file(self, file, to),
    )
    open_store(URL).put(write(tmp_path / "a.parquet"), "box/a.parquet")
    assert targets == ["/bucket/runs/box/a.parquet"]


def test_a_file_that_did_not_come_whole_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(
        MemoryFileSystem, "put_file", lambda self, file, to: self.pipe_file(to, b"PAR1")
    )
    with pytest.raises(OutputError, match=r"4 of [0-9]+ bytes arrived"):
        open_store(URL).put(write(tmp_path / "a.parquet"), "box/a.parquet")


def test_a_store_is_tried_and_left_as_it_was(store):
    store.check_writable()
    assert files_of(store) == []


def test_a_store_that_forbids_removal_can_be_written(store, monkeypatch):
    def forbid(*arguments):
        raise PermissionError("no")

    monkeypatch.setattr(type(store.filesystem), "rm_file", forbid)
    store.check_writable()
    store.check_writable()
    assert len(files_of(store)) == 1


def test_a_bucket_is_never_made(monkeypatch):
    """A misspelt name must not become a new bucket."""
    monkeypatch.setattr(MemoryFileSystem, "protocol", ("s3", "s3a"))
    monkeypatch.setattr(MemoryFileSystem, "makedirs", lambda *a, **o: pytest.fail("made"))
    open_store(URL).check_writable()


# the run command


@pytest.fixture
def collector(monkeypatch, capsys):
    """``python -m collector run --out ...`` with scripted workers; (exit code, out, err)."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    plan = additions(3)

    def run(*options, out=URL, fates=None, machine=MACHINE):
        workers = Workers(nth_cell(fates or {}))
        monkeypatch.setattr("collector.runs.plan.make_plan", lambda *_: plan)
        monkeypatch.setattr("collector.machine.fingerprint.read_machine", lambda *_: machine)
        monkeypatch.setattr("collector.runs.run.run_plan", partial(run_plan, start_worker=workers))
        code = main(["run", "--out", str(out), *options])
        captured = capsys.readouterr()
        run.measured = bool(workers.started)
        return code, captured.out.strip(), captured.err

    run.plan = plan
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def local_files():
    return sorted(path.suffix for path in state_directory(URL).rglob("*") if path.is_file())


def test_a_run_goes_to_its_url_and_leaves_nothing_here(collector):
    code, out, _ = collector()
    assert code == 0
    (name,) = stored()
    assert out == f"{URL}/{name}"
    assert name.startswith(f"{MACHINE.slug}/")
    assert sorted(row["cell_id"] for row in rows_of(URL)) == cell_ids(collector.plan)
    assert local_files() == []


def test_a_file_url_is_a_plain_directory(collector, tmp_path):
    code, out, _ = collector(out=f"file://{tmp_path}/runs")
    assert code == 0
    assert Path(out).parent.parent == tmp_path / "runs"
    assert len(rows_of(tmp_path / "runs")) == 3


def test_what_lies_in_a_plain_directory_is_not_sent_anywhere(collector, tmp_path):
    first = collector(out=tmp_path / "runs")[1]
    _, second, err = collector(out=tmp_path / "runs")
    assert first != second
    assert "sent" not in err
    assert len(read_dataset(tmp_path / "runs").runs) == 2


@pytest.mark.parametrize("options", [(), ("--once",), ("--resume",)])
def test_a_name_that_is_too_long_is_one_line(collector, tmp_path, options):
    code, out, err = collector(*options, out=tmp_path / ("x" * 300))
    assert (code, out) == (2, "")
    assert "File name too long; choose another place with --out" in err
    assert len(err.splitlines()) == 1
    assert not collector.measured


def test_an_interrupted_run_is_sent_and_resumed_from_there(collector):
    code, out, _ = collector(fates={1: KeyboardInterrupt()})
    assert code == 130
    assert len(rows_of(URL)) == 1
    assert local_files() == []
    code, again, _ = collector("--resume")
    assert (code, again) == (0, out)
    assert len(stored()) == 1
    assert sorted(row["cell_id"] for row in rows_of(URL)) == cell_ids(collector.plan)
    assert {row["order_index"] for row in rows_of(URL)} == {0, 1, 2}


def test_a_killed_run_is_resumed_from_its_local_journal(collector):
    with pytest.raises(PowerCutError):
        collector(fates={2: PowerCutError()})
    assert (stored(), local_files()) == ([], [".journal"])
    assert collector("--resume")[0] == 0
    assert sorted(row["cell_id"] for row in rows_of(URL)) == cell_ids(collector.plan)
    assert local_files() == []


def test_a_resumed_run_that_is_killed_is_resumed_from_where_it_was(collector):
    collector(fates={1: KeyboardInterrupt()})
    with pytest.raises(PowerCutError):
        collector("--resume", fates={1: PowerCutError()})
    (journal,) = state_directory(URL).rglob("*.journal")
    assert len(read_dataset(journal).journal_tables[0]) == 2
    assert collector("--resume")[0] == 0
    assert sorted(row["cell_id"] for row in rows_of(URL)) == cell_ids(collector.plan)
    assert len(stored()) == 1


def test_a_run_that_cannot_be_sent_is_kept_and_sent_with_resume(collector, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", break_off)
        code, out, err = collector()
    assert (code, out) == (2, "")
    line = err.splitlines()[-1]
    (kept,) = state_directory(URL).rglob("*.parquet")
    assert line.startswith(f"error: cannot send {kept.name} to {URL}: connection lost; ")
    assert str(kept) in line
    assert "--resume" in line
    assert len(rows_of(kept)) == 3
    code, _, err = collector("--resume")
    assert code == 0
    assert not collector.measured
    assert kept.name in err
    assert len(rows_of(URL)) == 3
    assert local_files() == []


def test_the_next_run_sends_what_was_left(collector, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", break_off)
        collector()
    MemoryFileSystem.store.clear()
    assert collector()[0] == 0
    assert len(read_dataset(URL).runs) == 2


def test_once_counts_what_it_sends(collector, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", break_off)
        collector()
    code, _, err = collector("--once")
    assert code == 0
    assert f"is measured in {URL} already" in err
    assert not collector.measured


def test_a_journal_beside_an_unsent_whole_run_goes_with_it(collector):
    """Killed between writing the file and removing the journal."""
    path = state_directory(URL) / MACHINE.slug / "20260301T120000Z-aa.parquet"
    write(path)
    Journal(path.with_suffix(".journal"), {"schema_version": 1, "run": {}}).close()
    assert collector("--resume")[0] == 0
    assert not collector.measured
    assert local_files() == []


def test_once_measures_a_machine_once(collector):
    assert collector("--once")[0] == 0
    assert collector.measured
    assert collector("--once")[0] == 0
    assert not collector.measured
    other = replace(MACHINE, machine_id="f" * 16)
    assert collector("--once", machine=other)[0] == 0
    assert collector.measured
    assert len(stored()) == 2


def test_once_measures_again_where_only_a_part_is_there(collector):
    collector(fates={1: KeyboardInterrupt()})
    assert collector("--once")[0] == 0
    assert collector.measured


def test_there_may_be_nothing_to_resume(collector):
    code, _, err = collector("--resume")
    assert code == 2
    assert err.startswith(f"error: {URL}: no unfinished run of this machine")
    assert len(err.splitlines()) == 1


def test_a_url_that_cannot_be_written_is_told_before_anything_is_measured(collector, monkeypatch):
    def forbid(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", forbid)
    code, out, err = collector()
    assert (code, out) == (2, "")
    assert err == f"error: cannot write to {URL}: Permission denied\n"
    assert not collector.measured


def test_state_that_cannot_be_written_is_told_before_anything_is_measured(
    collector, monkeypatch, tmp_path
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    code, _, err = collector()
    assert code == 2
    assert "set XDG_STATE_HOME to another place" in err
    assert len(err.splitlines()) == 1


def test_two_collectors_that_send_the_same_file_do_no_harm(tmp_path, monkeypatch):
    destination = open_destination(URL)
    file = write(state_directory(URL) / MACHINE.slug / "20260301T120000Z-aa.parquet")

    def gone(self, local, remote):
        Path(local).unlink()  # the other one is ready
        raise FileNotFoundError(local)

    monkeypatch.setattr(MemoryFileSystem, "put_file", gone)
    assert destination.deliver(file) == f"{URL}/{MACHINE.slug}/{file.name}"


def test_the_rows_that_were_measured_are_those_that_arrive(collector):
    collector(fates={0: ok_columns(2e-3), 1: ok_columns(3e-3), 2: ok_columns(4e-3)})
    assert sorted(row["median_s"] for row in rows_of(URL)) == [2e-3, 3e-3, 4e-3]
