"""The command line as people meet it: its output and its exit codes, in real processes.

What ends before anything is measured is asked without a process, once the process is proved.
"""

import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector import __version__
from collector.commands.cli import main
from collector.dataset.read import read_dataset, read_run, read_table, write_run
from collector.errors import SelectionError
from collector.machine.fingerprint import read_gpu
from collector.workloads import FAMILIES

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = ("run", "plan", "info", "list", "check", "compare", "merge")
SMALL = ("--suite", "quick", "--workload", "launch", "--backend", "numpy")
#: about 50 cells of a tenth of a second or more
LONG = ("--suite", "standard", "--workload", "elementwise", "--backend", "numpy")
#: 13 cells of a fraction of a second
MEDIUM = (
    *("--suite", "quick", "--backend", "numpy"),
    *("--workload", "launch", "--workload", "elementwise", "--workload", "reduction"),
    *("--workload", "fft"),
)


def collector(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "collector", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def command(*arguments):
    """The same without a process of its own, for what ends before anything is measured."""
    with contextlib.ExitStack() as stack:
        stdout = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stderr = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "collector", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def rows_of(path):
    return read_table(read_dataset(path)).to_pylist()


def journal_lines(directory):
    return sum(path.read_bytes().count(b"\n") for path in directory.rglob("*.journal"))


def wait_for_cells(directory, count, process, seconds=60.0):
    """Until the journal holds that many finished cells (and its header)."""
    end = time.monotonic() + seconds
    while journal_lines(directory) < count + 1:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no cell was finished"
        time.sleep(0.01)


def assert_one_clear_line(result, *words):
    """Exit code 2, and on standard error one line without a traceback that says these words."""
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--workload", "nonsense"), ("nonsense", *FAMILIES)),
        (("run", "--suite", "nonsense"), ("--suite nonsense", "quick, standard, full")),
        (("run", "--backend", "nonsense"), ("--backend nonsense", "numpy")),
        (("run", "--device", "tpu"), ("--device tpu", "cpu, cuda")),
        (("run", "--threads", "999"), ("nothing to measure", "--threads")),
        (("run", "--workload", "fft", "--backend", "python"), ("nothing to measure",)),
        (("run", "--time-budget", "soon"), ("--time-budget soon", "90s, 5m or 1h")),
        (("run", "--time-budget", "0s"), ("--time-budget 0s",)),
        (("plan", "--workload", "nonsense"), ("nonsense",)),
        (("plan", "--seed", "-1"), ("--seed -1", "0 or more")),
        (("run", *SMALL, "--label", "two\nlines"), ("--label", "not printable")),
        (("run", *SMALL, "--label", "bell\a"), ("--label", "not printable")),
    ],
    ids=lambda value: " ".join(value[:3]),
)
def test_a_mistake_is_answered_with_one_line_and_exit_code_2(tmp_path, arguments, words):
    out = ("--out", tmp_path / "runs") if arguments[0] == "run" else ()
    assert_one_clear_line(command(*arguments, *out), *words)
    assert not (tmp_path / "runs").exists()


def test_a_negative_seed_is_a_mistake(tmp_path):
    assert_one_clear_line(command("run", *SMALL, "--seed", "-1", "--out", tmp_path), "--seed")


def test_a_url_that_no_package_here_knows_is_a_mistake(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "collector", "run", *SMALL, "--out", "nonsense://bucket/runs"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_clear_line(result, "nonsense://bucket/runs", "not known")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_sent_to_a_url_and_checked_there(tmp_path):
    url = f"dir://deep/runs::file://{tmp_path}"
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    result = collector("run", *SMALL, "--out", url, env=environment)
    assert result.returncode == 0, result.stderr
    (file,) = (tmp_path / "deep" / "runs").rglob("*.parquet")
    assert result.stdout.strip() == f"{url}/{file.parent.name}/{file.name}"
    assert [path for path in (tmp_path / "state").rglob("*") if path.is_file()] == []
    checked = collector("check", url)
    assert checked.returncode == 0, checked.stdout
    assert "1 runs, 0 invalid" in checked.stdout
    again = collector("run", *SMALL, "--out", url, "--once", env=environment)
    assert again.returncode == 0
    assert "is measured in" in again.stderr


@pytest.mark.skipif(read_gpu() is not None, reason="there is a GPU here")
@pytest.mark.parametrize("name", ["run", "plan"])
def test_cuda_without_a_gpu_is_a_mistake(name):
    assert_one_clear_line(command(name, "--device", "cuda"), "no NVIDIA GPU is visible")


def test_a_directory_that_cannot_be_made_is_told_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    result = collector("run", *SMALL, "--out", tmp_path / "file" / "runs")
    assert result.returncode == 2
    assert result.stdout == ""
    banner, error = result.stderr.splitlines()
    assert "3 cells" in banner
    assert error.startswith(f"error: cannot write {tmp_path}")
    assert "--out" in error


def test_resuming_nothing_is_a_mistake(tmp_path):
    result = command("run", *SMALL, "--resume", "--out", tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "error: " in result.stderr
    assert "no unfinished run of this machine with this suite, seed, selection" in result.stderr
    assert "Traceback" not in result.stderr


def test_checking_a_missing_path_is_a_mistake(tmp_path):
    assert_one_clear_line(command("check", tmp_path / "none"), "no such file or directory")


def test_checking_an_empty_directory_is_a_mistake(tmp_path):
    assert_one_clear_line(command("check", tmp_path), "holds no run")


def test_checking_a_damaged_file_names_it(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense PAR1")
    result = command("check", tmp_path)
    assert (result.returncode, result.stderr) == (2, "")
    assert "invalid: bad.parquet: damaged" in result.stdout
    assert "0 runs, 1 invalid findings, 0 warnings" in result.stdout


def test_an_unknown_command_is_a_mistake():
    result = command("nonsense")
    assert result.returncode == 2
    assert "invalid choice: 'nonsense'" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    result = command(name, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: python -m collector {name}")


def test_the_main_help_names_every_command_and_imports_no_library():
    code = (
        "import sys\n"
        "from collector.commands.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'numpy', 'pyarrow', 'torch', 'numba', 'cupy', 'pynvml'} & set(sys.modules)\n"
        "sys.exit(code or sorted(heavy) or 0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert all(f"\n    {name} " in result.stdout for name in COMMANDS)


def test_the_version_is_that_of_the_package():
    assert command("--version").stdout.strip() == __version__


def test_list_names_every_family_and_case():
    result = collector("list")
    assert result.returncode == 0
    for workload in FAMILIES.values():
        assert f"{workload.name}: {workload.summary}" in result.stdout
        assert all(f"    {case}(" in result.stdout for case in workload.cases)
    assert "    empty_kernel() on cupy, numba\n" in result.stdout


def test_info_tells_this_machine():
    result = collector("info", "--json")
    machine = json.loads(result.stdout)
    assert machine["cpu"]["physical_cores"] >= 1
    assert machine["library_versions"]["numpy"]
    assert machine["machine_id"] in command("info").stdout


def test_plan_counts_the_cells_that_a_run_would_measure():
    plan = json.loads(collector("plan", *SMALL, "--json").stdout)
    assert plan["suite"] == "quick"
    assert plan["cells"] == 3
    assert plan["cells_by_workload"] == {"launch": 3}
    assert plan["cells_by_backend"] == {"numpy": 3}
    assert 0 < plan["sampling_s_low"] <= plan["sampling_s_high"]
    assert plan["expected_s"] > 0
    assert "suite's rule" in plan["expected_from"] or "earlier run" in plan["expected_from"]
    assert plan["largest_operation_bytes"] > 0
    told = command("plan", *SMALL).stdout
    assert told.startswith("suite quick: 3 cells in 3 operations, 1 worker processes\n")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("small")
    return out, collector("run", *SMALL, "--label", "My Box!", "--out", out)


def test_a_small_run_writes_one_valid_file_and_prints_its_path(small_run):
    out, result = small_run
    assert result.returncode == 0, result.stderr
    path = Path(result.stdout.strip())
    assert [file for file in out.rglob("*") if file.is_file()] == [path]
    assert path.parent.name.startswith("my-box-")
    rows = rows_of(path)
    assert [row["order_index"] for row in rows] == [0, 1, 2]
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["label"] for row in rows} == {"My Box!"}
    assert all(0 < row["min_s"] <= row["median_s"] <= row["p95_s"] for row in rows)
    assert all(row["relative_error"] is not None for row in rows)


def test_check_accepts_a_small_run(small_run):
    out, _ = small_run
    result = collector("check", out)
    assert (result.returncode, result.stderr) == (0, "")
    assert "My Box!  quick  3 ok: valid, " in result.stdout
    assert "1 runs, 0 invalid findings" in result.stdout


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=lambda stop: stop.name)
def test_an_interrupt_keeps_the_finished_cells_and_exits_with_130(tmp_path, stop):
    process = start("run", *LONG, "--out", tmp_path)
    wait_for_cells(tmp_path, 2, process)
    process.send_signal(stop)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "stopped early" in stderr
    rows = rows_of(Path(stdout.strip()))
    assert len(rows) >= 2
    assert all(row["status"] == "ok" for row in rows)
    assert list(tmp_path.rglob("*.journal")) == []


def test_an_interrupt_exits_with_130_under_a_time_budget_too(tmp_path):
    process = start("run", *LONG, "--time-budget", "1h", "--out", tmp_path)
    wait_for_cells(tmp_path, 1, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_spent_time_budget_keeps_the_finished_cells_and_is_no_failure(tmp_path):
    result = collector("run", *LONG, "--time-budget", "3s", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert "stopped early" in result.stderr
    assert 0 < len(rows_of(Path(result.stdout.strip()))) < 50


@pytest.fixture(scope="module")
def planned_cells():
    """How many cells MEDIUM has."""
    return json.loads(command("plan", *MEDIUM, "--json").stdout)["cells"]


def test_a_killed_run_leaves_its_cells_and_resume_measures_the_rest_once(tmp_path, planned_cells):
    process = start("run", *MEDIUM, "--out", tmp_path)
    wait_for_cells(tmp_path, 3, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    finished = journal_lines(tmp_path) - 1
    assert list(tmp_path.rglob("*.parquet")) == []
    kept = rows_of(tmp_path)
    assert len(kept) == finished >= 3
    told = command("check", tmp_path)
    assert told.returncode == 0
    assert f"unfinished run with {finished} cells" in told.stdout

    result = collector("run", *MEDIUM, "--out", tmp_path, "--resume")
    assert result.returncode == 0, result.stderr
    rows = rows_of(tmp_path)
    assert len({row["cell_id"] for row in rows}) == len(rows) == planned_cells
    assert {row["run_id"] for row in rows} == {kept[0]["run_id"]}
    assert rows[: len(kept)] == kept
    assert list(tmp_path.rglob("*.journal")) == []


def test_a_run_that_was_interrupted_and_then_killed_is_resumed_to_its_end(tmp_path, planned_cells):
    process = start("run", *MEDIUM, "--out", tmp_path)
    wait_for_cells(tmp_path, 2, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    kept = rows_of(tmp_path)
    told = command("check", tmp_path)
    assert f"ended early (interrupted) with {len(kept)} of" in told.stdout

    resume = ("run", *MEDIUM, "--out", tmp_path, "--resume", "--label", "Another name")
    process = start(*resume)
    wait_for_cells(tmp_path, len(kept) + 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    killed = rows_of(tmp_path)
    assert len({row["cell_id"] for row in killed}) == len(killed) >= len(kept) + 2
    assert killed[: len(kept)] == kept

    result = collector(*resume)
    assert result.returncode == 0, result.stderr
    rows = rows_of(tmp_path)
    assert len({row["cell_id"] for row in rows}) == len(rows) == planned_cells
    assert rows[: len(killed)] == killed
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".parquet"]


def test_a_run_that_is_still_going_on_is_not_resumed(tmp_path):
    process = start("run", *LONG, "--out", tmp_path)
    wait_for_cells(tmp_path, 1, process)
    result = collector("run", *LONG, "--out", tmp_path, "--resume")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    _, error = result.stderr.splitlines()  # the first names the machine
    assert error.startswith("error: ")
    assert error.endswith(".journal: another collector is writing this run")
    assert process.returncode == 130, stderr
    assert {row["status"] for row in rows_of(Path(stdout.strip()))} == {"ok"}


def test_a_full_disk_is_one_clear_line_and_the_finished_cells_are_kept(tmp_path):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = collector("run", *LONG, "--out", tmp_path, preexec_fn=limit_files)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "cannot write" in error
    assert "go on with --resume" in error
    kept = rows_of(tmp_path)
    assert kept
    assert all(row["status"] == "ok" for row in kept)


def test_the_same_seed_gives_the_same_order_and_another_one_another():
    from collector.machine.fingerprint import read_machine
    from collector.runs.plan import Selection, make_plan

    def order(seed):
        plan = make_plan(Selection("standard", backends=("numpy",), seed=seed), machine)
        return [task.operation for task in plan.tasks]

    machine = read_machine()
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert set(order(1)) == set(order(2))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h", 3600), ("1.5m", 90), ("7", 7)]
)
def test_durations_are_understood(text, seconds):
    from collector.commands.run import duration_s

    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 m", "5d", "-5m", "0", "1e3s", "inf", "nan", "5mm"])
def test_what_is_no_duration_is_not_guessed_at(text):
    from collector.commands.run import duration_s

    with pytest.raises(SelectionError, match="not a duration"):
        duration_s(text)


def test_a_machine_that_is_measured_already_is_not_measured_again_when_asked_for_once(small_run):
    out, _ = small_run
    result = command("run", *SMALL, "--once", "--out", out)
    assert result.returncode == 0
    assert "is measured in" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("change", "enough"),
    [({"suite": "full"}, True), ({"suite": "quick", "seed": 7}, True), ({"threads": [7]}, False)],
)
def test_only_a_run_of_as_much_counts_for_once(small_run, tmp_path, change, enough):
    from collector.runs.destination import _covers

    out, _ = small_run
    (source,) = out.rglob("*.parquet")
    wanted = read_run(source)[0].run["selection"]
    assert _covers({**wanted, **change}, wanted) is enough
    assert not _covers({**wanted, "suite": "quick"}, {**wanted, "suite": "standard"})


def test_the_runs_of_another_machine_do_not_count_for_once(small_run, tmp_path):
    out, _ = small_run
    (source,) = out.rglob("*.parquet")
    info, rows = read_run(source)
    other = {**info.machine, "machine_id": "0123456789abcdef"}
    write_run(tmp_path / "other" / source.name, rows, other, dict(info.run))
    result = collector("run", *SMALL, "--once", "--out", tmp_path)
    assert result.returncode == 0
    assert Path(result.stdout.strip()).exists()
