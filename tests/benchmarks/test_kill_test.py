"""The kill test itself: a few real kills, and a tally that sees what is wrong."""

import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks import kill_test
from benchmarks.kill_test import KillTest, Tally
from collector.dataset.read import write_run
from tests.collector.doubles import make_row

ROOT = Path(__file__).resolve().parents[2]
BAD = [item.name for item in fields(Tally) if item.metadata.get("bad")]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_few_kills_lose_nothing():
    result = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.kill_test", "--kills", "3"),
            *("--backend", "numpy", "--workload", "launch"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    table = dict(line.rsplit(None, 1) for line in result.stdout.splitlines() if line[-1].isdigit())
    kills = int(table["kills of collector"]) + int(table["kills of workers"])
    assert kills == 3
    assert result.stdout.count("0  (must be 0)") == len(BAD)


@pytest.mark.parametrize("name", BAD)
def test_one_of_what_must_not_be_is_no_success(name):
    assert Tally().is_good
    tally = Tally(**{name: 1})
    assert not tally.is_good
    assert "1  (must be 0)" in tally.table()


def put(out, *rows):
    write_run(out / "a.parquet", list(rows), {}, {"run_id": "run1", "ended": "complete"})


def test_lost_changed_and_unreadable_cells_are_seen(tmp_path):
    test = KillTest([], tmp_path, 0, 1.0)
    rows = [make_row(cell_id=name) for name in "abc"]
    put(tmp_path, *rows)
    test._look()
    assert test.tally.is_good
    put(tmp_path, rows[0], rows[0], {**rows[1], "median_s": 9.0})
    (tmp_path / "b.parquet").write_bytes(b"nonsense")
    test._look()
    assert test.tally.finished_cells_lost == 1
    assert test.tally.finished_cells_changed == 1
    assert test.tally.cells_twice == 1
    assert test.tally.unreadable_files == 1


def test_a_process_that_stays_is_an_orphan_and_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(kill_test, "GRACE_S", 0.2)
    with subprocess.Popen(["sleep", "60"], env={kill_test.MARK: "mark-of-this-test"}) as process:
        deadline = time.monotonic() + 10.0  # the kernel shows a new process's environment late
        while not kill_test._marked("mark-of-this-test") and time.monotonic() < deadline:
            time.sleep(0.01)
        test = KillTest([], tmp_path, 0, 1.0)
        test._await_end_of("mark-of-this-test")
        process.kill()
    assert test.tally.orphan_processes == 1
    assert process.returncode == -9
