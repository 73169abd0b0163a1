"""Runs that were interrupted, killed or are still going on: resumed once, counted once."""

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from collector.dataset.journal import Journal, read_journal
from collector.dataset.read import read_dataset, write_run
from collector.errors import OutputError
from collector.runs.plan import Plan, Selection
from collector.runs.run import run_plan
from collector.runs.run_files import find_unfinished, resume_run
from tests.collector.doubles import (
    MACHINE,
    FakeClock,
    Workers,
    additions,
    cell_ids,
    make_plan_of,
    nth_cell,
    ok_columns,
    rows_of,
    run,
)


class PowerCutError(BaseException):
    """What no code of the run handles."""


def cut_off(plan, out, after):
    with pytest.raises(PowerCutError):
        run(plan, out, Workers(nth_cell({after: PowerCutError()})))
    (journal,) = out.rglob("*.journal")
    return journal


def test_a_run_that_was_cut_off_leaves_its_journal(tmp_path):
    journal = cut_off(additions(4), tmp_path, after=2)
    (info,) = read_dataset(tmp_path).runs
    assert (info.rows, info.finished) == (2, False)
    assert list(tmp_path.rglob("*.parquet")) == []
    assert journal.parent.name == MACHINE.slug


def test_resume_measures_what_is_missing_and_nothing_twice(tmp_path):
    plan = additions(3, ("hot", "cold"))
    journal = cut_off(plan, tmp_path, after=3)
    with open(journal, "ab") as stream:
        stream.write(b'{"cell_id": "torn')
    run_id = read_journal(journal).header["run"]["run_id"]
    workers = Workers()
    asked = []
    workers._fate = lambda operation, mode: asked.append((operation, mode)) or ok_columns()
    outcome = run(plan, tmp_path, workers, resume=True)
    assert len(asked) == 3
    rows = rows_of(tmp_path)
    assert sorted(row["cell_id"] for row in rows) == cell_ids(plan)
    assert [row["order_index"] for row in rows] == list(range(6))
    assert {row["run_id"] for row in rows} == {run_id}
    assert outcome.path == journal.with_suffix(".parquet")
    assert not journal.exists()


def test_resume_continues_the_newest_run_of_the_same_suite_and_seed(tmp_path):
    other = make_plan_of(additions(2).tasks, suite="quick", seed=1)
    cut_off(other, tmp_path / "a", after=1)
    with pytest.raises(OutputError, match="no unfinished run of this machine with this suite"):
        run(additions(2), tmp_path / "a", resume=True)
    assert run(other, tmp_path / "a", resume=True).counts == {"ok": 2}


def interrupted(plan, out, after):
    return run(plan, out, Workers(nth_cell({after: KeyboardInterrupt()}))).path


def test_resume_goes_on_with_an_interrupted_run(tmp_path):
    plan = additions(3, ("hot", "cold"))
    path = interrupted(plan, tmp_path, after=3)
    before = rows_of(path)
    outcome = run(plan, tmp_path, resume=True)
    assert outcome.path == path
    rows = rows_of(tmp_path)
    assert rows[:3] == before
    assert sorted(row["cell_id"] for row in rows) == cell_ids(plan)
    assert len({row["run_id"] for row in rows}) == 1
    (info,) = read_dataset(tmp_path).runs
    assert info.run["ended"] == "complete"
    assert list(tmp_path.rglob("*.journal")) == []


def test_a_resumed_run_that_is_cut_off_counts_each_cell_once(tmp_path):
    plan = additions(3, ("hot", "cold"))
    interrupted(plan, tmp_path, after=3)
    with pytest.raises(PowerCutError):
        run(plan, tmp_path, Workers(nth_cell({1: PowerCutError()})), resume=True)
    assert len(rows_of(tmp_path)) == 4


def test_a_resumed_run_that_is_cut_off_is_resumed_again(tmp_path):
    plan = additions(3, ("hot", "cold"))
    interrupted(plan, tmp_path, after=3)
    with pytest.raises(PowerCutError):
        run(plan, tmp_path, Workers(nth_cell({1: PowerCutError()})), resume=True)
    run(plan, tmp_path, resume=True)
    assert sorted(row["cell_id"] for row in rows_of(tmp_path)) == cell_ids(plan)


@pytest.fixture
def kill_after_writing(monkeypatch):
    """Power cuts between the moments when a run's file is there and its journal is gone."""

    def write_and_die(*arguments):
        write_run(*arguments)
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr("collector.runs.run.write_run", write_and_die)
        yield patch


def test_a_journal_left_beside_a_complete_file_is_not_counted_and_not_resumed(
    tmp_path, kill_after_writing
):
    with pytest.raises(PowerCutError):
        run(additions(3), tmp_path)
    kill_after_writing.undo()
    assert sorted(path.suffix for path in tmp_path.rglob("*.*")) == [".journal", ".parquet"]
    assert len(rows_of(tmp_path)) == len(read_dataset(tmp_path).runs) * 3 == 3
    with pytest.raises(OutputError, match="no unfinished run"):
        run(additions(3), tmp_path, resume=True)


def test_a_journal_left_beside_an_interrupted_file_is_counted_once_and_resumed(
    tmp_path, kill_after_writing
):
    plan = additions(3)
    with pytest.raises(PowerCutError):
        interrupted(plan, tmp_path, after=2)
    kill_after_writing.undo()
    assert len(rows_of(tmp_path)) == 2
    assert run(plan, tmp_path, resume=True).counts == {"ok": 3}
    assert sorted(row["cell_id"] for row in rows_of(tmp_path)) == cell_ids(plan)
    assert list(tmp_path.rglob("*.journal")) == []


@pytest.mark.parametrize("moment", ["while its rows are copied", "before its file is removed"])
def test_a_resume_that_is_cut_off_at_its_start_loses_nothing(tmp_path, monkeypatch, moment):
    plan = additions(4)
    path = interrupted(plan, tmp_path, after=2)
    before = rows_of(path)

    class DyingJournal(Journal):
        def __init__(self, path, header):
            if header is None and moment == "before its file is removed":
                raise PowerCutError
            super().__init__(path, header)

        def append(self, row):
            if "header" not in row and moment == "while its rows are copied":
                self.close()
                raise PowerCutError
            super().append(row)

    with monkeypatch.context() as patch:
        patch.setattr("collector.runs.run_files.Journal", DyingJournal)
        with pytest.raises(PowerCutError):
            run(plan, tmp_path, resume=True)
    assert rows_of(tmp_path) == before
    assert run(plan, tmp_path, resume=True).path == path
    rows = rows_of(tmp_path)
    assert rows[:2] == before
    assert sorted(row["cell_id"] for row in rows) == cell_ids(plan)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_a_journal_is_resumed_though_the_file_beside_it_is_damaged(tmp_path):
    journal = cut_off(additions(2), tmp_path, after=1)
    journal.with_suffix(".parquet").write_bytes(b"nonsense")
    assert run(additions(2), tmp_path, resume=True).counts == {"ok": 2}


@pytest.mark.parametrize("end", [PowerCutError(), KeyboardInterrupt()], ids=repr)
def test_a_run_is_resumed_under_any_label(tmp_path, end):
    plan = additions(3)
    try:
        path = run(plan, tmp_path, Workers(nth_cell({1: end}))).path
    except PowerCutError:
        path = next(tmp_path.rglob("*.journal")).with_suffix(".parquet")
    renamed = replace(MACHINE, label="Another name")
    outcome = run_plan(plan, renamed, tmp_path, resume=True, start_worker=Workers())
    assert outcome.path == path
    assert outcome.counts == {"ok": 3}
    assert {row["label"] for row in rows_of(tmp_path)} == {"Example box"}


def test_a_run_of_another_machine_is_not_resumed(tmp_path):
    interrupted(additions(2), tmp_path, after=1)
    other = replace(MACHINE, machine_id="f" * 16)
    with pytest.raises(OutputError, match="no unfinished run of this machine"):
        run_plan(additions(2), other, tmp_path, resume=True, start_worker=Workers())


def test_a_run_of_another_selection_is_not_resumed(tmp_path):
    plan = additions(2)
    interrupted(plan, tmp_path, after=1)
    for changes in ({"workloads": ("fft",)}, {"backends": ("numpy",)}, {"threads": (1,)}):
        other = Plan(Selection(suite="quick", **changes), plan.tasks)
        with pytest.raises(OutputError, match="with this suite, seed, selection"):
            run(other, tmp_path, resume=True)


def test_a_run_that_spent_its_time_budget_is_resumed(tmp_path, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("collector.runs.run.time", SimpleNamespace(monotonic=clock))

    def fate(operation, mode):
        clock.now_s += 10
        return ok_columns()

    plan = additions(5)
    path = run(plan, tmp_path, Workers(fate), time_budget_s=15).path
    outcome = run(plan, tmp_path, Workers(fate), time_budget_s=15, resume=True)
    assert (outcome.path, outcome.counts, outcome.ended) == (path, {"ok": 4}, "time_budget")
    outcome = run(plan, tmp_path, Workers(fate), time_budget_s=15, resume=True)
    assert (outcome.path, outcome.counts, outcome.ended) == (path, {"ok": 5}, "complete")
    assert outcome.wall_s == 50
    assert sorted(row["cell_id"] for row in rows_of(tmp_path)) == cell_ids(plan)


def test_a_run_that_another_collector_is_writing_is_not_resumed(tmp_path):
    plan = additions(2)
    told = []

    def fate(operation, mode):
        with pytest.raises(OutputError, match="another collector is writing this run") as caught:
            run(plan, tmp_path, resume=True)
        told.append(str(caught.value))
        return ok_columns()

    assert run(plan, tmp_path, Workers(fate)).counts == {"ok": 2}
    assert len(told) == 2
    assert "\n" not in told[0]


def test_a_copied_dataset_is_read_and_resumed_as_it_was(tmp_path):
    cut_off(additions(2), tmp_path / "a", after=1)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert run(additions(2), tmp_path / "b", resume=True).counts == {"ok": 2}


def test_a_finished_run_is_not_resumed(tmp_path):
    run(additions(1), tmp_path)
    with pytest.raises(OutputError, match="no unfinished run"):
        run(additions(1), tmp_path, resume=True)


def test_resume_without_anything_to_resume_is_told(tmp_path):
    with pytest.raises(OutputError, match="leave --resume out to start one"):
        run(additions(1), tmp_path, resume=True)


def test_resume_looks_past_a_journal_that_cannot_be_read(tmp_path):
    journal = cut_off(additions(2), tmp_path, after=1)
    (journal.parent / "99999999T000000Z-empty.journal").write_bytes(b"")
    assert run(additions(2), tmp_path, resume=True).counts == {"ok": 2}


def test_a_run_of_other_library_versions_is_not_resumed(tmp_path):
    """Rows of two versions under one header would name the wrong one."""
    cut_off(additions(2), tmp_path, after=1)
    updated = replace(MACHINE, library_versions={"numpy": "99.0"})
    with pytest.raises(OutputError, match="these library versions"):
        run_plan(additions(2), updated, tmp_path, start_worker=Workers(), resume=True)


def at(monkeypatch, moment):
    """Set the wall clock of new runs."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment

    monkeypatch.setattr("collector.runs.run_files.datetime", Clock)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=-3), timedelta(days=-400)])
def test_the_newest_run_is_resumed_though_the_clock_was_set_back(tmp_path, monkeypatch, later):
    """Also of two that were started within a second, whatever their random ids are."""
    plan = additions(3)
    newest = None
    for index in range(4):
        at(monkeypatch, NOON + index * later)
        with pytest.raises(PowerCutError):
            run(plan, tmp_path, Workers(nth_cell({1: PowerCutError()})))
        newest = find_unfinished(plan, MACHINE, tmp_path)
        assert len(list(tmp_path.rglob("*.journal"))) == index + 1
        assert read_journal(newest).header["columns"]["started_at"] == NOON + index * later
    names = sorted(path.name for path in tmp_path.rglob("*.journal"))
    assert newest.name == names[-1]
    assert run(plan, tmp_path, resume=True).path == newest.with_suffix(".parquet")


def test_a_name_that_is_no_moment_does_not_disturb(tmp_path, monkeypatch):
    at(monkeypatch, NOON)
    for name in ("99999999T999999Z-aa.journal", "99991231T235959Z-aa.journal", "notes.txt"):
        (tmp_path / MACHINE.slug).mkdir(exist_ok=True)
        (tmp_path / MACHINE.slug / name).write_text("")
    assert run(additions(1), tmp_path).path.name.startswith("20260301T120000Z-")


def test_a_run_is_resumed_though_the_cloud_is_silent_the_second_time(tmp_path):
    plan = additions(2)
    told = replace(MACHINE, instance_type="c7i.large")
    with pytest.raises(PowerCutError):
        run_plan(plan, told, tmp_path, start_worker=Workers(nth_cell({1: PowerCutError()})))
    assert run(plan, tmp_path, resume=True).counts == {"ok": 2}
    assert {row["instance_type"] for row in rows_of(tmp_path)} == {"c7i.large"}


def test_two_collectors_do_not_go_on_with_one_interrupted_run(tmp_path, monkeypatch):
    """The second one looked before the first one had made the journal."""
    plan = additions(3)
    path = interrupted(plan, tmp_path, after=1)
    first = resume_run(plan, MACHINE, tmp_path)
    first.journal.append({**first.rows[0], "cell_id": "new"})
    monkeypatch.setattr("collector.runs.run_files.find_unfinished", lambda *_: path)
    monkeypatch.setattr(
        "collector.runs.run_files.read_run",
        lambda _: (
            SimpleNamespace(machine=first.header["machine"], run=first.header["run"]),
            [{**first.header["columns"], **first.rows[0]}],
        ),
    )
    with pytest.raises(OutputError, match="another collector is going on with this run"):
        resume_run(plan, MACHINE, tmp_path)
    first.journal.close()
    (file,) = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(read_journal(file).rows) == 2


def test_a_run_is_its_collectors_until_its_journal_is_gone(tmp_path, monkeypatch):
    """An interrupted run could be resumed else, and its journal then be removed."""
    plan = additions(3)

    def write_while_another_looks(*arguments):
        with pytest.raises(OutputError, match="another collector is writing this run"):
            resume_run(plan, MACHINE, tmp_path)
        write_run(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("collector.runs.run.write_run", write_while_another_looks)
        interrupted(plan, tmp_path, after=1)
    assert run(plan, tmp_path, resume=True).counts == {"ok": 3}


def test_a_file_system_without_links_is_good_enough(tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("collector.runs.run_files.os.link", refuse)
    interrupted(additions(3), tmp_path, after=1)
    assert run(additions(3), tmp_path, resume=True).counts == {"ok": 3}


def test_a_full_disk_at_the_end_of_a_run_keeps_its_journal(tmp_path, monkeypatch):
    def no_space(*arguments, **options):
        raise OSError(28, "No space left on device")

    plan = additions(2)
    with monkeypatch.context() as patch:
        patch.setattr("collector.dataset.read.pq.write_table", no_space)
        with pytest.raises(
            OutputError, match="No space left on device; the finished cells"
        ) as told:
            run(plan, tmp_path)
    (journal,) = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert str(journal) in str(told.value)
    assert len(read_journal(journal).rows) == 2
    outcome = run(plan, tmp_path, resume=True)
    assert (outcome.counts, outcome.ended) == ({"ok": 2}, "complete")


def test_two_collectors_write_into_one_directory_at_once(tmp_path):
    command = [sys.executable, "-m", "collector", "run", "--suite", "quick"]
    command += ["--workload", "launch", "--backend", "numpy", "--out", str(tmp_path)]
    root = Path(__file__).resolve().parents[3]
    processes = [
        subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    while any(process.poll() is None for process in processes):
        assert read_dataset(tmp_path).problems == ()
    assert [process.returncode for process in processes] == [0, 0]
    dataset = read_dataset(tmp_path)
    assert dataset.problems == ()
    assert len({info.run_id for info in dataset.runs}) == 2
    assert all(info.finished and info.rows for info in dataset.runs)
    assert len({info.rows for info in dataset.runs}) == 1
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 2
