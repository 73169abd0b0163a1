"""Expected times: by the rule where nothing is known, by earlier runs where they tell."""

import pytest

from collector.cells import Cell
from collector.runs.plan_time import earlier_times, expected_time, read_earlier_rows
from tests.collector.doubles import additions, make_machine, make_operation

MACHINE = make_machine()


def row(n, wall_s, **changes):
    cell = Cell(**vars(make_operation(n)), mode="hot")
    return {
        "run_id": "run1",
        "suite": "quick",
        "machine_id": MACHINE.machine_id,
        "cpu_model": MACHINE.cpu.model,
        "gpu_model": None,
        "device": "cpu",
        "workload": "elementwise",
        "cell_id": cell.cell_id,
        "cell_wall_s": wall_s,
        **changes,
    }


def test_without_earlier_runs_the_rule_tells():
    """Quick on a CPU: 0.05 s to 0.25 + 0.15 s, half-way 0.225 s; 0.1 s an operation, 0.7 s a
    worker: 10 x 0.325 + 0.7."""
    told = expected_time(additions(10))
    assert told.seconds == pytest.approx(3.95)
    assert (told.source, told.known_cells) == ("the suite's rule", 0)


def test_cells_timed_before_take_as_long_again_and_others_their_familys_mean():
    """Cells of 1 s and 3 s known, eight more at their mean of 2 s, one worker of 0.7 s."""
    earlier = earlier_times([row(1000, 1.0), row(2000, 3.0)], MACHINE, "quick")
    told = expected_time(additions(10), earlier)
    assert told.seconds == pytest.approx(1 + 3 + 8 * 2 + 0.7)
    assert (told.source, told.known_cells) == ("1 earlier run of this machine", 2)


def test_what_no_earlier_run_tells_comes_from_the_rule():
    earlier = earlier_times([row(1000, 1.0, workload="fft")], MACHINE, "quick")
    told = expected_time(additions(10), earlier)
    assert told.seconds == pytest.approx(1 + 9 * 0.325 + 0.7)
    assert told.source == "1 earlier run of this machine, 9 cells from the suite's rule"


def test_runs_of_this_machine_come_before_those_of_the_same_devices():
    other = row(1000, 9.0, machine_id="other", run_id="run2")
    assert earlier_times([other, row(1000, 1.0)], MACHINE, "quick").by_family == {
        ("elementwise", "cpu"): 1.0
    }
    alike = earlier_times([other], MACHINE, "quick")
    assert alike.source == "1 earlier run of the same processor or GPU"


@pytest.mark.parametrize(
    "changes",
    [
        {"suite": "full"},
        {"cell_wall_s": None},
        {"machine_id": "other", "cpu_model": "Other CPU"},
        {"machine_id": "other", "device": "cuda", "gpu_model": "Other GPU"},
    ],
)
def test_other_suites_and_other_devices_tell_nothing(changes):
    assert earlier_times([row(1000, 1.0, **changes)], MACHINE, "quick") is None


def test_places_without_runs_add_no_rows(tmp_path):
    assert read_earlier_rows([tmp_path, tmp_path / "none"]) == []
