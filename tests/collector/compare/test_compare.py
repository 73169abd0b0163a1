"""Whether B differs from A: few false calls, true ones found, and the report around them."""

import json
import math
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from collector.cells import Cell
from collector.commands.cli import main
from collector.compare.compare import Settings, compare_runs
from collector.compare.difference import add_scales, p_value, ratio_limits
from collector.compare.run_spread import CellTime, Scale
from collector.compare.runs import CellName, MeasuredRun, read_runs
from collector.dataset.read import RunInfo, read_dataset, write_run
from collector.errors import SelectionError
from tests.collector.doubles import make_operation, make_row

CELLS = 300


class Box:
    """A made-up machine: medians scatter between runs with heavy tails, whole runs shift."""

    def __init__(self, seed, machine="m1", scale=0.02, df=2.0, shift=0.03, cells=CELLS):
        self.rng = np.random.default_rng(seed)
        self.machine, self.shift, self.cells, self.runs = machine, shift, cells, 0
        self.centers = np.random.default_rng(99).normal(-8, 2, cells)
        self.spreads = scale * np.sqrt(df / self.rng.chisquare(df, cells))

    def measure(self, effects=0.0, versions=()):
        """A run; ``effects`` are added to the log medians."""
        self.runs += 1
        logs = (
            self.centers
            + effects
            + self.rng.normal(0, self.shift)
            + self.spreads * self.rng.normal(size=self.cells)
        )
        cells = {
            str(i): CellTime(float(log), 0.002, "cpu, one thread", f"f{i % 5} hot", False)
            for i, log in enumerate(logs)
        }
        names = {
            str(i): CellName(
                f"f{i % 5}", "add", (("n", i),), "float32", "ieee", "numpy", "cpu", 1, "hot"
            )
            for i in range(self.cells)
        }
        run_id = f"{self.machine}-{self.runs}"
        info = RunInfo(Path(run_id), run_id, {}, {}, self.cells, True)
        return MeasuredRun(run_id, self.machine, self.machine, versions, info, cells, names)


def test_runs_of_an_unchanged_machine_are_seldom_called_different():
    """The acceptance figure: at most 1 % of cells, here over 20 pairs with heavy tails.

    Repeats are two other runs of the machine; whole runs shift by 3 % on top.
    """
    called = []
    for seed in range(20):
        box = Box(seed)
        repeats = [box.measure() for _ in range(2)]
        result = compare_runs([box.measure()], [box.measure()], repeats, Settings())
        assert result.judged == CELLS
        called.append(len(result.different) / CELLS)
    assert np.mean(called) <= 0.01


def test_the_shipped_repeats_are_seldom_called_different():
    """Two runs after each other of each shipped machine, the spread told by the other runs."""
    runs = read_runs(read_dataset(Path(__file__).parents[3] / "data" / "runs"))
    runs.sort(key=lambda run: str(run.info.run.get("started_at")))
    alike = defaultdict(list)
    for run in runs:
        alike[run.machine_id, run.versions].append(run)
    for a, b, *_ in (found for found in alike.values() if len(found) > 1):
        result = compare_runs([a], [b], runs, Settings())
        assert len(result.different) <= 0.01 * len(result.cells)


def test_the_false_discovery_rate_is_kept_where_some_cells_differ():
    effects = np.zeros(CELLS)
    effects[:60] = math.log(3.0)
    wrong = right = 0
    for seed in range(20):
        box = Box(seed, df=4.0, shift=0.01)
        repeats = [box.measure() for _ in range(4)]
        result = compare_runs([box.measure()], [box.measure(effects)], repeats, Settings())
        true = sum(dict(cell.name.params)["n"] < 60 for cell in result.different)
        right, wrong = right + true, wrong + len(result.different) - true
    assert wrong <= 0.02 * (right + wrong)
    assert right >= 0.9 * 20 * 60


def test_several_runs_on_each_side_find_smaller_differences():
    effects = np.zeros(CELLS)
    effects[:60] = math.log(1.08)
    found = {}
    for runs in (2, 5):
        box = Box(3, df=4.0, shift=0.005)
        a = [box.measure() for _ in range(runs)]
        b = [box.measure(effects) for _ in range(runs)]
        result = compare_runs(a, b, [], Settings())
        assert "same machine" in result.spread_from
        true = [cell for cell in result.different if dict(cell.name.params)["n"] < 60]
        assert len(result.different) - len(true) <= 0.02 * len(result.different)
        found[runs] = len(true)
    assert found[5] > 2 * found[2]
    assert found[5] > 30


def test_intervals_cover_the_true_ratio():
    inside = []
    for seed in range(10):
        box = Box(seed, shift=0.0)
        repeats = [box.measure() for _ in range(2)]
        result = compare_runs([box.measure()], [box.measure(0.5)], repeats, Settings())
        inside += [c.ratio_low <= math.exp(0.5) <= c.ratio_high for c in result.cells]
    assert 0.92 <= np.mean(inside) <= 1.0


def test_a_machine_that_is_slower_as_a_whole_is_told_with_its_interval():
    box = Box(1, df=4.0, shift=0.005)
    repeats = [box.measure() for _ in range(4)]
    (shift,) = compare_runs([box.measure()], [box.measure(0.4)], repeats, Settings()).shifts
    assert shift.different
    assert shift.ratio_low < math.exp(0.4) < shift.ratio_high
    assert shift.cells == CELLS


def test_differences_below_the_smallest_effect_are_not_called():
    box = Box(1, scale=0.0001, df=50.0, shift=0.0)
    repeats = [box.measure() for _ in range(4)]
    a, b = box.measure(), box.measure(0.015)
    assert not compare_runs([a], [b], repeats, Settings(smallest_effect=0.02)).different
    assert len(compare_runs([a], [b], repeats, Settings(smallest_effect=0.005)).different) > 200


def test_without_repeats_ratios_are_shown_and_nothing_is_called():
    box = Box(1)
    result = compare_runs([box.measure()], [box.measure(1.0)], [], Settings())
    assert result.spread_from == ""
    assert (result.judged, result.different) == (0, ())
    assert result.cells[0].ratio_low is None
    assert result.families[-1].median_ratio == pytest.approx(math.e, rel=0.1)


def test_the_pair_compared_does_not_tell_its_own_spread():
    """Though both runs lie among the repeats, too."""
    box = Box(1)
    a, b = box.measure(), box.measure(3.0)
    assert compare_runs([a], [b], [a, b], Settings()).judged == 0
    others = [box.measure() for _ in range(2)]
    alone = compare_runs([a], [b], others, Settings())
    assert compare_runs([a], [b], [a, b, *others], Settings()).cells == alone.cells


def test_repeats_with_other_library_versions_are_no_repeats():
    box = Box(1)
    repeats = [box.measure(), box.measure(0.0, (("numpy", "1.0"),))]
    assert compare_runs([box.measure()], [box.measure()], repeats, Settings()).judged == 0


def test_repeats_of_other_machines_serve_where_there_are_no_own_ones():
    box, other = Box(1), Box(2, machine="m2")
    repeats = [other.measure() for _ in range(2)]
    sides = [box.measure()], [box.measure()]
    result = compare_runs(*sides, repeats, Settings())
    assert result.judged == CELLS
    assert "other machines" in result.spread_from
    own = compare_runs(*sides, [*repeats, box.measure(), box.measure()], Settings())
    assert own.spread_from == "2 runs of the same machine: m1"


def test_each_machine_is_judged_by_its_own_repeats_with_the_run_compared():
    box, other = Box(1), Box(2, machine="m2")
    a, b = box.measure(), other.measure(1.0)
    result = compare_runs([a], [b], [a, b, box.measure(), other.measure()], Settings())
    assert result.spread_from == "4 runs of the compared machines: m1, m2"
    assert result.judged == CELLS


def test_sides_that_cannot_be_compared_are_a_mistake():
    box = Box(1)
    a, b = box.measure(), box.measure()
    with pytest.raises(SelectionError, match="side A holds runs of several machines"):
        compare_runs([a, Box(2, machine="m2").measure()], [b], [], Settings())
    with pytest.raises(SelectionError, match="is on both sides"):
        compare_runs([a, b], [b], [], Settings())


def test_the_tests_distribution_is_students():
    """t with 4 degrees of freedom: 2.776 standard errors are passed with 5 % probability."""
    scale = Scale(0.01, 4.0)
    assert p_value(0.2776, scale, 0.0) == pytest.approx(0.05, abs=1e-4)
    assert p_value(0.2776, scale, 0.1) > 0.05
    low, high = ratio_limits(0.0, scale)
    assert (math.log(low), math.log(high)) == pytest.approx((-0.2776, 0.2776), abs=1e-4)
    assert ratio_limits(0.0, None) == (None, None)


def test_scales_add_up_after_satterthwaite():
    """(1 + 1)^2 / (1 / 2 + 1 / 2) = 4; a part without variance leaves the other as it is."""
    assert add_scales(Scale(1.0, 2.0), Scale(1.0, 2.0)) == Scale(2.0, 4.0)
    assert add_scales(Scale(1.0, 2.0), Scale(0.0, 9.0)) == Scale(1.0, 2.0)


def write(path, run_id, factor=1.0, machine="m1", cells=40, **changes):
    rng = np.random.default_rng(int(run_id, 16))
    rows = []
    for index in range(cells):
        median = 1e-3 * factor * math.exp(rng.normal(0, 0.01))
        cell = Cell(**vars(make_operation(1000 + index)), mode="hot")
        times = {"median_s": median, "ci95_low_s": median * 0.999, "ci95_high_s": median * 1.001}
        rows.append(make_row(cell, **{"run_id": run_id, "machine_id": machine, **times, **changes}))
    fingerprint = {"machine_id": machine, "machine_type_id": "type", "label": f"Box {machine}"}
    run = {"run_id": run_id, "suite": "quick", "started_at": "2026-01-01T00:00:00"}
    write_run(path, rows, fingerprint, run)
    return path


@pytest.fixture
def dataset(tmp_path):
    for run_id in ("1", "2", "3"):
        write(tmp_path / "repeats" / f"{run_id}.parquet", run_id)
    write(tmp_path / "a.parquet", "a")
    write(tmp_path / "b.parquet", "b", 5.0)
    return tmp_path


def compare(dataset, *arguments):
    files = [str(dataset / "a.parquet"), str(dataset / "b.parquet")]
    return main(["compare", *files, "--repeats", str(dataset / "repeats"), *arguments])


def test_the_report_names_sides_families_and_cells(dataset, capsys):
    assert compare(dataset) == 0
    told = capsys.readouterr().out
    assert "A  a  Box m1  quick  2026-01-01T00:00:00  40 cells" in told
    assert "\nthe same machine\n" in told
    assert "run-to-run spread from 3 runs of the same machine: Box m1" in told
    assert "elementwise add(n=1000) float32 numpy/cpu 1 threads hot" in told
    assert "verdict: 40 of 40 cells differ (100.0%): B is slower in 40, faster in 0" in told
    assert "  and 20 more (--all)" in told


def test_the_exit_code_tells_of_a_difference_only_if_asked(dataset):
    assert compare(dataset, "--fail-on-difference") == 1
    shutil.copy(dataset / "repeats" / "1.parquet", dataset / "b.parquet")
    assert compare(dataset, "--fail-on-difference") == 0


def test_json_holds_the_cells_called_different_or_all(dataset, capsys):
    compare(dataset, "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["cells_different"] == len(told["cells"]) == 40
    assert told["cells"][0]["ratio"] == pytest.approx(5.0, rel=0.1)
    assert told["cells"][0]["name"]["params"]["n"] in range(1000, 1040)
    assert told["same_machine"] is True
    compare(dataset, "--json", "--smallest-effect", "0.9")
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 40


def test_first_calls_anchors_and_failed_cells_are_left_out(tmp_path):
    write(tmp_path / "first.parquet", "1", mode="first_call")
    write(tmp_path / "anchor.parquet", "2", workload="anchor")
    write(tmp_path / "failed.parquet", "3", status="crashed", median_s=None)
    assert [len(run.cells) for run in read_runs(read_dataset(tmp_path))] == [0, 0, 0]


def test_cells_of_one_side_only_are_counted_by_family(dataset, capsys):
    write(dataset / "b.parquet", "b", cells=30)
    compare(dataset)
    assert "only in A: 10 cells (10 elementwise)" in capsys.readouterr().out


def test_two_machines_of_one_type_are_called_that(dataset, capsys):
    write(dataset / "b.parquet", "b", machine="m2")
    compare(dataset)
    told = capsys.readouterr().out
    assert "\ntwo machines of one type\n" in told
    assert "(between two machines of one type)" in told


def test_an_empty_side_is_a_mistake(dataset, capsys):
    (dataset / "none").mkdir()
    assert main(["compare", str(dataset / "none"), str(dataset / "a.parquet")]) == 2
    assert "holds no run that can be read" in capsys.readouterr().err
