"""``collector show``: the measured cells of a family, as the page Measurements has them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from collector.commands.cli import main
from collector.dataset.shown_cells import TIMED
from tests.pages.made_up_runs import DESK, FORMULA_BACKEND, HOSTILE, RACK, make_rows, write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk that was measured twice and a machine with a GPU."""
    root = tmp_path_factory.mktemp("runs")
    write_run(root / "a", DESK)
    again = make_rows(DESK, "again", seed=1)
    for row in again:
        if row["median_s"]:
            row.update({name: 3 * row[name] for name in ("median_s", "ci95_low_s", "ci95_high_s")})
    write_run(root / "b", DESK, again)
    write_run(root, RACK)
    return root


def show(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, list[dict[str, object]]]:
    code = main(["show", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_cell_of_two_runs_is_one_row(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Median over the runs, the widest interval, samples together."""
    narrow = ("--dtype", "float32", "--backend", "numpy", "--machine", "desk")
    code, cells = show(capsys, runs, "--workload", "matmul", *narrow)
    assert code == 0
    both = [cell for cell in cells if cell["runs"] == 2]
    assert both
    for cell in both:
        assert cell["n"] == 30
        assert cell["ci95_low_s"] < cell["median_s"] < cell["ci95_high_s"]  # type: ignore[operator]
        assert cell["ci95_high_s"] > 2 * cell["ci95_low_s"]  # type: ignore[operator]
    assert len({(str(c["params"]), c["threads"], c["mode"]) for c in cells}) == len(cells)


@pytest.mark.parametrize("timed", ["alone", "resident", "transfers"])
def test_what_is_timed_has_one_mode_for_each_device(
    runs: Path, capsys: pytest.CaptureFixture[str], timed: str
) -> None:
    """As on the page: a CPU's calls beside a GPU's modes."""
    _, cells = show(capsys, runs, "--workload", "matmul", "--timed", timed)
    assert {(cell["device"], cell["mode"]) for cell in cells} == {
        ("cpu", TIMED[timed][0]),
        ("cuda", TIMED[timed][1]),
    }


def test_tf32_is_an_element_type(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """float32 operands on tensor cores are told apart from float32."""
    _, cells = show(capsys, runs, "--workload", "matmul", "--dtype", "tf32")
    assert {cell["dtype"] for cell in cells} == {"tf32"}


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--case", "round", "square"),
        ("--dtype", "float128", "float32"),
        ("--machine", "nobody", "desk"),
        ("--backend", "cupy", "numpy"),
    ],
)
def test_option_that_fits_nothing_says_what_there_is(
    runs: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, told: str
) -> None:
    """One line that names the option and the choices; exit code 2."""
    assert main(["show", str(runs), "--workload", "matmul", option, value]) == 2
    error = capsys.readouterr().err
    assert f"{option} {value}" in error
    assert told in error
    assert error.count("\n") == 1


def test_options_that_fit_nothing_together(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is known, but no cell has both."""
    arguments = ["--workload", "matmul", "--device", "cuda", "--machine", "desk"]
    assert main(["show", str(runs), *arguments]) == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_family_that_was_not_measured(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The families of the dataset are listed."""
    assert main(["show", str(runs), "--workload", "fft"]) == 2
    assert "elementwise, matmul" in capsys.readouterr().err


def test_csv_carries_no_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text of a dataset that a spreadsheet would run is quoted."""
    rows = [row | {"backend": FORMULA_BACKEND} for row in make_rows(HOSTILE, "r")]
    write_run(tmp_path, HOSTILE, rows)
    assert main(["show", str(tmp_path), "--workload", "matmul", "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert lines
    assert {line["backend"] for line in lines} == {f"'{FORMULA_BACKEND}"}


def test_table_names_machine_library_and_interval(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people: one line a cell, times with units, no control characters."""
    assert main(["show", str(runs), "--workload", "transfer"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["machine", "library"]
    assert len(lines) == 8
    assert all("rack (rack0002)" in line and "torch/cuda" in line for line in lines)
