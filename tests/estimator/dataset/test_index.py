"""The index of a dataset gives what its rows give, and is never more than a saving of time."""

import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from collector.dataset import read as collector_dataset
from collector.errors import EstimateError
from estimator.dataset import index as index_module
from estimator.dataset.index import find_index
from estimator.dataset.measurements import load, measured_cells
from estimator.dataset.process import prepare_index
from estimator.dataset.tables import TABLES
from tests.pages.made_up_runs import DESK, RACK, make_rows, write_dataset, write_journal, write_run


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "breakeven"


@pytest.fixture
def indexed(monkeypatch, cache):
    """Datasets of any size have an index."""
    monkeypatch.setattr("estimator.dataset.measurements.LEAST_BYTES", 0)
    return cache


@pytest.fixture
def runs(tmp_path):
    """Three runs of two machines, one of them with a GPU."""
    root = write_dataset(tmp_path / "runs")
    add_run(root, DESK, "second", 7)
    return root


def add_run(root, machine, run_id, seed):
    """One more run of a machine; written again where it is there."""
    rows = make_rows(machine, run_id, seed)
    started = datetime(2026, 3, seed, tzinfo=UTC)
    return write_run(root / run_id, machine, [row | {"started_at": started} for row in rows])


def contents(measurements):
    """Every table as sorted rows of text."""
    rows = {}
    for name in TABLES:
        frame = measurements.query(f"select * from {name}")
        frame = frame[sorted(frame.columns)]
        # halves of ties and sums of floats may differ in the last digit
        rounded = frame.map(lambda value: f"{value:.9g}" if isinstance(value, float) else value)
        rows[name] = sorted(map(str, rounded.to_dict("records")))
    return rows


def from_rows(root, monkeypatch):
    """The tables of a dataset as views over its rows."""
    with monkeypatch.context() as patch:
        patch.setattr("estimator.dataset.measurements.LEAST_BYTES", 2**60)
        return contents(load(root))


def index_files(cache):
    return sorted(cache.glob("index-*.duckdb"))


def test_tables_of_the_index_are_those_of_the_rows(indexed, runs, monkeypatch):
    expected = from_rows(runs, monkeypatch)
    assert index_files(indexed) == []
    assert contents(load(runs)) == expected
    assert len(index_files(indexed)) == 1
    assert contents(load(runs)) == expected
    assert all(expected[name] for name in ("cells", "fit_cells", "runs", "health", "reasons"))


def test_a_small_dataset_leaves_no_index(cache, runs):
    load(runs)
    assert index_files(cache) == []


def test_files_in_the_index_are_not_read_again(indexed, runs, monkeypatch):
    first = load(runs)
    read = []
    inspect = collector_dataset._inspect_parquet
    monkeypatch.setattr(
        collector_dataset, "_inspect_parquet", lambda path: read.append(path) or inspect(path)
    )
    again = load(runs)
    assert read == []
    assert again.fingerprint == first.fingerprint
    assert [run.machine for run in again.runs] == [run.machine for run in first.runs]
    new = add_run(runs, DESK, "third", 8)
    load(runs)
    assert read == [new]


def test_the_fingerprint_is_the_same_with_and_without_an_index(indexed, runs, monkeypatch):
    with_index = load(runs).fingerprint
    monkeypatch.setattr("estimator.dataset.measurements.LEAST_BYTES", 2**60)
    assert load(runs).fingerprint == with_index


@pytest.mark.parametrize("change", ["added", "removed", "replaced", "damaged"])
def test_a_change_of_the_files_changes_the_tables(indexed, runs, monkeypatch, change):
    load(runs)
    if change == "added":
        add_run(runs, RACK, "new", 9)
    elif change == "removed":
        next(runs.glob(f"{DESK.machine_id}/*.parquet")).unlink()
    elif change == "replaced":
        add_run(runs, DESK, "second", 10)
    else:
        next(runs.glob(f"{RACK.machine_id}/*.parquet")).write_bytes(b"PAR1 no more")
    updated = load(runs)
    assert contents(updated) == from_rows(runs, monkeypatch)
    assert len(updated.problems) == (change == "damaged")
    assert len(index_files(indexed)) == 1
    assert len(load(runs).problems) == (change == "damaged")  # the reason is kept too


def test_only_machines_with_new_runs_are_made_again(indexed, runs, monkeypatch):
    load(runs)
    asked = []
    read = index_module.build_tables

    def build(connection, dataset, known, base, affected):
        asked.append((base is not None, set(affected)))
        read(connection, dataset, known, base, affected)

    monkeypatch.setattr(index_module, "build_tables", build)
    add_run(runs, RACK, "new", 9)
    load(runs)
    assert asked == [(True, {RACK.machine_id})]


def test_a_run_that_grows_is_in_the_tables_and_not_in_the_index(indexed, runs, monkeypatch):
    load(runs)
    (before,) = index_files(indexed)
    stamp = before.stat().st_ino
    journal = write_journal(runs, DESK, finished_cells=20)
    growing = load(runs)
    assert contents(growing) == from_rows(runs, monkeypatch)
    assert "killed" in set(growing.query("select run_id from runs")["run_id"])
    journal.unlink()
    assert "killed" not in set(load(runs).query("select run_id from runs")["run_id"])
    assert [file.stat().st_ino for file in index_files(indexed)] == [stamp]


def cut(file):
    file.write_bytes(file.read_bytes()[:100_000])


def overwrite(file):
    size = file.stat().st_size
    file.write_bytes(b"x" * size)


@pytest.mark.parametrize("damage", [cut, overwrite])
def test_a_damaged_index_is_made_again(indexed, runs, monkeypatch, damage):
    expected = contents(load(runs))
    (file,) = index_files(indexed)
    damage(file)
    assert contents(load(runs)) == expected
    assert contents(load(runs)) == expected


def test_a_cache_directory_that_cannot_be_written_is_no_obstacle(indexed, runs, monkeypatch):
    expected = from_rows(runs, monkeypatch)
    indexed.parent.mkdir(exist_ok=True)
    indexed.write_text("a file where the directory should be")
    opened = load(runs)
    assert contents(opened) == expected
    assert indexed.read_text().startswith("a file")


def test_without_any_place_for_an_index_the_rows_are_read(indexed, runs, monkeypatch):
    expected = from_rows(runs, monkeypatch)
    monkeypatch.setattr(index_module, "current_index", lambda *_: (None, False))
    monkeypatch.setattr("estimator.dataset.attach.current_index", lambda *_: (None, False))
    assert contents(load(runs)) == expected


def test_two_openings_at_once_do_not_disturb_each_other(indexed, runs, monkeypatch):
    expected = from_rows(runs, monkeypatch)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(contents(load(runs)))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 3
    assert len(index_files(indexed)) == 1
    assert not list(indexed.glob(".*"))


def test_the_connection_stays_locked_down(indexed, runs, tmp_path):
    opened = load(runs)
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    (index,) = index_files(indexed)
    for query in (
        f"select * from read_csv('{other}')",
        f"attach '{index}' as again",
        f"copy (select 1) to '{other}'",
        "set enable_external_access = true",
        "set memory_limit = '1TB'",
        "insert into indexed.runs select * from indexed.runs",
    ):
        with pytest.raises(duckdb.Error):
            opened.connection.cursor().execute(query)


def test_an_index_does_not_depend_on_how_the_directory_is_named(indexed, runs, monkeypatch):
    load(runs)
    monkeypatch.chdir(runs.parent)
    assert find_index([Path("runs")]).files
    assert load("runs").fingerprint == load(runs).fingerprint
    assert len(index_files(indexed)) == 1


def test_indexes_of_other_datasets_are_forgotten_in_time(indexed, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "_MOST_KEPT", 2)
    for number in range(4):
        other = tmp_path / f"other{number}"
        shutil.copytree(runs, other)
        load(other)
        newest = max(index_files(indexed), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (1e9 + number, 1e9 + number))
    assert len(index_files(indexed)) == 2


def test_cells_of_some_machines_are_measured_cells_of_these(indexed, runs):
    opened = load(runs)
    some = measured_cells(opened, [DESK.machine_id])
    every = measured_cells(opened)
    assert set(some["machine_id"]) == {DESK.machine_id}
    assert len(some) == (every["machine_id"] == DESK.machine_id).sum()
    with pytest.raises(EstimateError, match="no row with status ok"):
        measured_cells(opened, ["nobody"])


def test_another_process_makes_the_index_of_a_large_dataset(cache, runs, monkeypatch):
    monkeypatch.setattr("estimator.dataset.process._OWN_PROCESS_BYTES", 0)
    commands = []
    monkeypatch.setattr("subprocess.run", lambda command, **_: commands.append(command))
    prepare_index([runs])
    assert commands[0][-1] == str(runs)
    prepare_index([next(runs.rglob("*.parquet"))])
    assert len(commands) == 1


def test_an_index_that_takes_too_long_is_left_to_who_opens_the_dataset(cache, runs, monkeypatch):
    monkeypatch.setattr("estimator.dataset.process._OWN_PROCESS_BYTES", 0)
    monkeypatch.setattr("estimator.dataset.process._TIME_LIMIT_S", 0.01)
    prepare_index([runs])
    assert len(measured_cells(load(runs))) > 0
