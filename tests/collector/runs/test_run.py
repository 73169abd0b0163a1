"""A run with scripted workers: what a crash, a refusal, an interrupt and a budget cost."""

import itertools
from types import SimpleNamespace

import pytest

from collector.cells import Task
from collector.dataset.journal import Journal, read_journal
from collector.dataset.read import read_dataset
from collector.errors import OutputError, SelectionError, WorkerError
from collector.measure.telemetry import Telemetry
from collector.runs.plan import Selection, make_plan
from tests.collector.doubles import (
    MACHINE,
    FakeClock,
    ScriptedWorker,
    Workers,
    additions,
    cell_ids,
    make_operation,
    make_plan_of,
    nth_cell,
    ok_columns,
    rows_of,
    run,
)


def test_a_seed_that_no_file_can_hold_is_told_before_anything_is_measured(tmp_path):
    selection = Selection(suite="quick", backends=("numpy",), workloads=("launch",), seed=2**63)
    workers = Workers()
    with pytest.raises(SelectionError, match="--seed"):
        run(make_plan(selection, MACHINE), tmp_path, workers)
    assert workers.started == []


def test_every_cell_becomes_a_row_in_the_order_of_the_plan(tmp_path):
    plan = additions(3, ("hot", "cold"))
    outcome = run(plan, tmp_path)
    rows = rows_of(outcome.path)
    assert [row["cell_id"] for row in rows] == [c.cell_id for t in plan.tasks for c in t.cells]
    assert [row["order_index"] for row in rows] == list(range(6))
    assert {row["launch_index"] for row in rows} == {0}
    assert {row["status"] for row in rows} == {"ok"}
    assert outcome.counts == {"ok": 6}
    assert outcome.ended == "complete"


def test_a_row_carries_run_machine_cell_work_and_result(tmp_path):
    (row,) = rows_of(run(additions(1), tmp_path).path)
    assert (row["machine_id"], row["label"]) == (MACHINE.machine_id, "Example box")
    assert (row["suite"], row["seed"]) == ("quick", 0)
    assert (row["workload"], row["case"], row["mode"]) == ("elementwise", "add", "hot")
    assert dict(row["params"]) == {"n": 1000}
    assert (row["flop_count"], row["bytes_read"], row["bytes_written"]) == (1000, 8000, 4000)
    assert row["samples_s"] == ok_columns()["samples_s"]
    assert (row["blas"], row["blas_threads"]) == ("scripted", 1)
    assert row["started_at"] is not None
    assert dict(row["library_versions"]) == MACHINE.library_versions


def test_a_finished_run_is_one_file_in_the_directory_of_its_machine(tmp_path):
    outcome = run(additions(2), tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [outcome.path]
    assert outcome.path.parent == tmp_path / MACHINE.slug
    (info,) = read_dataset(tmp_path).runs
    assert info.run["cells_planned"] == 2
    assert info.run["cells_by_status"] == {"ok": 2}
    assert info.machine["machine_id"] == MACHINE.machine_id


def test_two_runs_in_one_directory_keep_apart(tmp_path):
    assert run(additions(1), tmp_path).path != run(additions(1), tmp_path).path
    assert len(read_dataset(tmp_path).runs) == 2


def test_each_cell_is_in_the_journal_before_the_next_begins(tmp_path):
    seen = []

    def fate(operation, mode):
        (journal,) = tmp_path.rglob("*.journal")
        seen.append(len(read_journal(journal).rows))
        return ok_columns()

    run(additions(2, ("hot", "cold")), tmp_path, Workers(fate))
    assert seen == [0, 1, 2, 3]


def test_workers_are_shared_by_tasks_and_all_stopped_at_the_end(tmp_path):
    plan = make_plan_of(
        Task(make_operation(n, backend, threads=threads), ("hot",))
        for n in (1000, 2000)
        for backend, threads in (("numpy", 1), ("python", 1), ("numpy", 2))
    )
    workers = Workers()
    run(plan, tmp_path, workers)
    keys = [key for key, _ in workers.started]
    assert sorted(keys) == [("numpy", "cpu", 1), ("numpy", "cpu", 2), ("python", "cpu", 1)]
    assert all(worker.stopped for _, worker in workers.started)


@pytest.mark.parametrize("status", ["crashed", "timeout"])
def test_a_dead_worker_costs_one_cell_and_the_rest_gets_a_new_one(tmp_path, status):
    workers = Workers(nth_cell({1: WorkerError(status, "it is gone")}))
    plan = additions(2, ("hot", "cold"))
    rows = rows_of(run(plan, tmp_path, workers).path)
    assert [row["status"] for row in rows] == ["ok", status, "ok", "ok"]
    assert [row["launch_index"] for row in rows] == [0, 0, 1, 1]
    assert rows[1]["error"] == "it is gone"
    assert rows[1]["median_s"] is None
    assert sorted(row["cell_id"] for row in rows) == cell_ids(plan)
    assert [worker.stopped for _, worker in workers.started] == [True, True]


def test_a_worker_that_dies_in_the_first_mode_does_not_cost_the_second(tmp_path):
    workers = Workers(nth_cell({0: WorkerError("crashed", "it is gone")}))
    rows = rows_of(run(additions(1, ("hot", "cold")), tmp_path, workers).path)
    assert [(row["mode"], row["status"]) for row in rows] == [("hot", "crashed"), ("cold", "ok")]


class PoisonedWorkers(Workers):
    """Workers that end after reporting a failure of one of some modes.

    What a poisoned CUDA context does: a row `crashed`, then the end of the process.
    """

    def __init__(self, fatal_modes):
        super().__init__()
        self.fatal_modes = fatal_modes

    def __call__(self, *key):
        worker = super().__call__(*key)
        answer = worker.run

        def run_and_die(operation, modes, *rest):
            for event in answer(operation, modes, *rest):
                if event["event"] == "begin" or event["mode"] not in self.fatal_modes:
                    yield event
                    continue
                failure = {"status": "crashed", "error": "illegal address"}
                yield {"event": "row", "mode": event["mode"], **failure}
                raise WorkerError("crashed", "illegal address")

        worker.run = run_and_die
        return worker


@pytest.mark.parametrize("fatal", ["hot", "cold"])
def test_a_worker_that_ends_after_reporting_its_failure_costs_one_cell(tmp_path, fatal):
    workers = PoisonedWorkers({fatal})
    rows = rows_of(run(additions(2, ("hot", "cold")), tmp_path, workers).path)
    assert [row["status"] for row in rows] == [
        "crashed" if row["mode"] == fatal else "ok" for row in rows
    ]
    assert len(rows) == 4


def test_a_cell_is_not_charged_with_the_failures_of_two_others(tmp_path):
    workers = PoisonedWorkers({"hot", "cold"})
    rows = rows_of(run(additions(1, ("hot", "cold", "resident")), tmp_path, workers).path)
    assert [row["status"] for row in rows] == ["crashed", "crashed", "ok"]


def test_a_worker_that_never_begins_is_not_started_for_ever(tmp_path):
    class DeadWorkers(Workers):
        def __call__(self, *key):
            worker = super().__call__(*key)

            def die(*arguments):
                raise WorkerError("crashed", "it is gone")
                yield

            worker.run = die
            return worker

    rows = rows_of(run(additions(2, ("hot", "cold")), tmp_path, DeadWorkers()).path)
    assert [row["status"] for row in rows] == ["crashed"] * 4


def forgetful(workers, forgets):
    """Start workers of which some leave modes out."""

    def start_worker(*key):
        worker = workers(*key)
        answer, number = worker.run, len(workers.started)

        def run(operation, modes, *rest):
            kept = tuple(mode for mode in modes if not forgets(number, mode))
            return answer(operation, kept, *rest)

        worker.run = run
        return worker

    return start_worker


def test_a_mode_that_a_worker_forgot_is_asked_of_a_new_one(tmp_path):
    workers = Workers()
    start_worker = forgetful(workers, lambda number, mode: number == 1 and mode == "cold")
    rows = rows_of(run(additions(1, ("hot", "cold")), tmp_path, start_worker).path)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert len(workers.started) == 2


def test_a_mode_that_is_forgotten_again_costs_that_mode(tmp_path):
    start_worker = forgetful(Workers(), lambda number, mode: mode == "cold")
    rows = rows_of(run(additions(2, ("hot", "cold")), tmp_path, start_worker).path)
    assert [row["status"] for row in rows] == ["ok", "crashed"] * 2
    assert "ended a task without a result" in rows[1]["error"]


def test_a_backend_that_does_not_start_gives_unsupported_rows(tmp_path):
    workers = Workers()
    workers.refusals["torch"] = WorkerError("unsupported", "ImportError: no CUDA")
    plan = make_plan_of(
        Task(make_operation(n, backend), ("hot", "cold"))
        for n in (1000, 2000)
        for backend in ("torch", "numpy")
    )
    rows = rows_of(run(plan, tmp_path, workers).path)
    assert [row["status"] for row in rows] == ["unsupported", "unsupported", "ok", "ok"] * 2
    assert rows[0]["error"] == "ImportError: no CUDA"


def test_a_backend_that_is_not_installed_is_never_started(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "collector.runs.worker_pool.missing_reason", lambda name: f"{name} is not installed"
    )
    workers = Workers()
    rows = rows_of(run(additions(2, backend="torch"), tmp_path, workers).path)
    assert [(row["status"], row["error"]) for row in rows] == [
        ("unsupported", "torch is not installed")
    ] * 2
    assert workers.started == []


def test_a_worker_that_cannot_be_started_again_costs_its_cells_only(tmp_path):
    workers = Workers()

    def fate(operation, mode):
        workers.refusals["numpy"] = WorkerError("timeout", "no answer")
        return WorkerError("crashed", "it is gone")

    workers._fate = fate
    rows = rows_of(run(additions(3), tmp_path, workers).path)
    assert [row["status"] for row in rows] == ["crashed", "timeout", "timeout"]


def test_an_interrupt_keeps_the_finished_cells(tmp_path):
    workers = Workers(nth_cell({3: KeyboardInterrupt()}))
    outcome = run(additions(3, ("hot", "cold")), tmp_path, workers)
    assert outcome.ended == "interrupted"
    assert [row["order_index"] for row in rows_of(outcome.path)] == [0, 1, 2]
    assert list(tmp_path.rglob("*.journal")) == []
    assert all(worker.stopped for _, worker in workers.started)
    (info,) = read_dataset(tmp_path).runs
    assert info.run["ended"] == "interrupted"


def test_an_interrupt_while_a_cell_is_written_down_keeps_that_cell(tmp_path, monkeypatch):
    """Waiting for the disk takes long enough for Ctrl-C to come just then."""
    append = Journal.append

    def append_and_be_interrupted(self, row):
        append(self, row)
        if row.get("order_index") == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "append", append_and_be_interrupted)
    outcome = run(additions(3), tmp_path)
    assert outcome.ended == "interrupted"
    assert outcome.counts == {"ok": 2}


def test_an_interrupt_before_the_first_cell_leaves_nothing(tmp_path):
    outcome = run(additions(3), tmp_path, Workers(nth_cell({0: KeyboardInterrupt()})))
    assert outcome.ended == "interrupted"
    assert not outcome.counts
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_time_budget_ends_the_run_between_tasks(tmp_path, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("collector.runs.run.time", SimpleNamespace(monotonic=clock))

    def fate(operation, mode):
        clock.now_s += 10
        return ok_columns()

    outcome = run(additions(5), tmp_path, Workers(fate), time_budget_s=15)
    assert outcome.ended == "time_budget"
    assert outcome.counts == {"ok": 2}
    assert outcome.wall_s == 20
    assert len(rows_of(outcome.path)) == 2


def test_a_full_disk_is_told_and_the_finished_cells_are_kept(tmp_path, monkeypatch):
    calls = 0

    def full(self, record):
        nonlocal calls
        calls += 1
        if calls == 4:  # the header, two cells, then this
            raise OSError(28, "No space left on device")
        append(self, record)

    append = Journal._append
    monkeypatch.setattr(Journal, "_append", full)
    workers = Workers()
    with pytest.raises(OutputError, match="No space left on device; the cells finished so far"):
        run(additions(5), tmp_path, workers)
    (info,) = read_dataset(tmp_path).runs
    assert (info.rows, info.finished) == (2, False)
    assert all(worker.stopped for _, worker in workers.started)


def test_shares_of_wall_time_are_those_of_the_rows(tmp_path, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("collector.runs.run.time", SimpleNamespace(monotonic=clock))

    def fate(operation, mode):
        clock.now_s += 1
        columns = ok_columns(seconds=0.1)
        return {**columns, "calls_per_sample": 1, "warmup_s": [5.0, 0.1, 0.1], "timing_s": 0.9}

    outcome = run(additions(2), tmp_path, Workers(fate))
    assert outcome.operation_share == pytest.approx((6 * 0.1 + 0.2) / 1)  # the first call is not
    assert outcome.timing_share == pytest.approx(0.9)


@pytest.mark.parametrize(("deaths", "lost"), [(1, 0), (2, 0), (3, 4)])
def test_a_worker_that_dies_while_it_starts_is_started_again_a_few_times(
    tmp_path, monkeypatch, deaths, lost
):
    left = [deaths]

    def wait_ready(self):
        if left[0]:
            left[0] -= 1
            raise WorkerError("crashed", "worker killed (signal 9, out of memory?): no message")

    monkeypatch.setattr("tests.collector.doubles.ScriptedWorker.wait_ready", wait_ready)
    counts = run(additions(4), tmp_path).counts
    assert counts["crashed"] == lost
    assert counts["ok"] == 4 - lost


def test_a_task_that_asks_for_energy_does_so_in_the_workers_rule(tmp_path):
    asked = []

    class Listening(ScriptedWorker):
        def run(self, operation, modes, rule, seed, limit_s):
            asked.append(rule.energy_time_s)
            return super().run(operation, modes, rule, seed, limit_s)

    tasks = [Task(make_operation(1000 * n), ("hot",), energy=n == 2) for n in (1, 2)]
    plan = make_plan_of(tasks, suite="standard")
    run(plan, tmp_path, lambda *key: Listening(lambda operation, mode: ok_columns()))
    assert asked[0] == 0.0
    assert asked[1] > 0.0


def test_telemetry_looks_at_the_timing_only(tmp_path, monkeypatch):
    looked = []

    class Watched(Telemetry):
        def begin(self):
            looked.append("begin")
            super().begin()

        def end(self, device, worker_ids=()):
            looked.append("end")
            return {"cpu_mhz": 1234.0}

    class Telling(ScriptedWorker):
        def run(self, operation, modes, rule, seed, limit_s):
            for mode in modes:
                yield {"event": "begin", "mode": mode}
                looked.append("prepared")
                yield {"event": "timing", "mode": mode}
                yield {"event": "timed", "mode": mode}
                looked.append("checked")
                yield {"event": "row", "mode": mode, **ok_columns()}

    monkeypatch.setattr("collector.runs.worker_pool.Telemetry", Watched)
    outcome = run(additions(1), tmp_path, lambda *key: Telling(lambda *_: ok_columns()))
    assert looked == ["prepared", "begin", "end", "checked"]
    assert rows_of(outcome.path)[0]["cpu_mhz"] == 1234.0


def test_a_killed_run_that_is_resumed_counts_the_time_before(tmp_path, monkeypatch):
    plan = additions(2)
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr("collector.runs.run.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with monkeypatch.context() as patch:
        patch.setattr(
            "collector.runs.run.write_run", lambda *_: (_ for _ in ()).throw(SystemExit(9))
        )
        with pytest.raises(SystemExit):
            run(plan, tmp_path)
    (journal,) = tmp_path.rglob("*.journal")
    elapsed_s = [row["elapsed_s"] for row in read_journal(journal).rows]
    assert elapsed_s == sorted(elapsed_s)
    assert run(plan, tmp_path, resume=True).wall_s > max(elapsed_s)
