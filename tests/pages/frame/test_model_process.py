"""The model in a process of its own: started, killed, idle, refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st

from app_pages.frame import shared
from app_pages.frame.model_process import LocalModel, ModelProcess, RemoteModel
from collector.errors import DatasetError, SelectionError, WorkerError
from estimator.dataset.measurements import load
from estimator.model.fit import fit_cached
from estimator.model.worker import groups, name_of, resolve
from tests.pages.conftest import PAGES, ROOT, OpenPage
from tests.pages.made_up_runs import RACK, make_rows, write_run


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder of fitted models for all tests here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "models"))


@pytest.fixture(scope="module")
def process() -> Iterator[ModelProcess]:
    one = ModelProcess()
    yield one
    one.stop()


@pytest.fixture
def remote(process: ModelProcess, dataset: Path) -> RemoteModel:
    return RemoteModel(process, (dataset,), load(dataset).fingerprint)


def gone(pid: int, limit_s: float = 10.0) -> bool:
    """Whether the process ends within the limit."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_answers_as_the_model_itself(remote: RemoteModel, dataset: Path, tmp_path: Path) -> None:
    """The same fit, the same answers, whichever process gives them."""
    measurements = load(dataset)
    local = LocalModel(fit_cached(measurements, tmp_path), measurements)
    assert remote.fingerprint == local.fingerprint
    assert remote.labels == local.labels
    assert list(remote.groups["workload"]) == list(local.groups["workload"])
    asked = local.measured.iloc[:3]
    cells = asked.drop(columns="params_key").assign(params=[dict(k) for k in asked["params_key"]])
    ours, theirs = local.predict(cells), remote.predict(cells, strict=True)
    assert list(theirs["seconds_p50"]) == pytest.approx(list(ours["seconds_p50"]), rel=1e-6)
    assert len(remote.apply(groups)) == len(local.apply(groups))
    assert len(
        remote.apply_to_measurements("estimator.dataset.measurements:measured_cells")
    ) == len(local.apply_to_measurements("estimator.dataset.measurements:measured_cells"))


def test_says_what_it_does_meanwhile(remote: RemoteModel, process: ModelProcess) -> None:
    """The first question of a process hears of every phase, the next of none."""
    process.stop()
    phases: list[str] = []
    remote.prepare(phases.append)
    assert phases == ["Reading the dataset", "Fitting the model to the measurements"]
    RemoteModel(process, remote._paths, remote._stamp).prepare(phases.append)
    assert len(phases) == 2


def test_killed_process_is_started_again(remote: RemoteModel, process: ModelProcess) -> None:
    """Whoever kills it (a kernel short of memory), the next question is answered."""
    before = len(remote.apply(groups))
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert len(remote.apply(groups)) == before
    assert process.pid not in (None, first)


def test_sessions_ask_one_after_the_other(remote: RemoteModel) -> None:
    """Questions of several threads do not get each other's answers."""
    cells = remote.apply_to_measurements("estimator.dataset.measurements:measured_cells")

    def ask(count: int) -> int:
        return len(remote.predict(cells.head(count)))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(1, 13))) == list(range(1, 13))


def test_refusals_come_through(remote: RemoteModel, process: ModelProcess) -> None:
    """An error that is meant for people is raised here as it was there; the process stays."""
    cells = remote.groups.head(1).assign(machine_id="nobody", params=[{"n": 8}])
    before = process.pid
    with pytest.raises(SelectionError, match="nobody"):
        remote.predict(cells)
    assert process.pid == before


def test_answers_are_of_the_state_that_was_asked_for(
    process: ModelProcess, dataset: Path, tmp_path: Path
) -> None:
    """A dataset that changed between opening it and asking is refused, then known by its name."""
    runs = shutil.copytree(dataset, tmp_path / "runs")
    earlier = RemoteModel(process, (runs,), load(runs).fingerprint)
    write_run(runs, RACK, make_rows(RACK, "later", seed=9))
    for _ in range(2):
        with pytest.raises(DatasetError, match=r"changed meanwhile; reload the page$"):
            earlier.prepare()
    later = RemoteModel(process, (runs,), load(runs).fingerprint)
    phases: list[str] = []
    assert later.prepare(phases.append).fingerprint == load(runs).fingerprint
    assert phases == ["Fitting the model to the measurements"]
    with pytest.raises(DatasetError, match="changed meanwhile"):
        earlier.apply_to_measurements("estimator.dataset.measurements:measured_cells")


@pytest.mark.parametrize(
    "message", [b"cno_such_module\nthing\n.", b"cestimator.dataset\nno_such\n.", b"no pickle"]
)
def test_question_that_cannot_be_loaded_ends_the_process(message: bytes) -> None:
    """It does not stay, alive and silent, with all who ask behind it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "estimator.model.worker", "600"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(message)
    process.stdin.flush()
    try:
        assert process.wait(timeout=30) == 1
    finally:
        process.kill()
        _, log = process.communicate()
    assert b"a question could not be read" in log


def test_other_errors_are_one_sentence(
    remote: RemoteModel, process: ModelProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw goes to the server's log with its traceback."""
    process.stop()  # the next one writes to the log of this test
    with pytest.raises(WorkerError, match=r"predict: AttributeError.*log"):
        remote.predict("no table")  # type: ignore[arg-type]
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        *("os:system", "builtins:eval", "estimator:fit", "estimator.model.fit:"),
        *("estimator.dataset.measurements:Measurements", "estimator.model.fit:hashlib"),
        "estimator.model.worker:Worker.answer",
    ],
)
def test_only_functions_of_the_estimator_are_asked(name: str) -> None:
    with pytest.raises(SelectionError, match="only module-level functions"):
        resolve(name)


def test_local_functions_are_not_asked() -> None:
    with pytest.raises(SelectionError, match="only module-level functions"):
        name_of(lambda model: model)


def test_page_with_a_process_that_is_killed(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page asks the process, and asks a new one where that is gone."""
    monkeypatch.setattr("app_pages.frame.shared.wanted", lambda: True)
    st.cache_data.clear()
    app = open_page("estimate")
    first = shared._model_process().pid
    assert first is not None
    assert not app.exception
    assert not app.error
    os.kill(first, signal.SIGKILL)
    st.cache_data.clear()
    app = open_page("estimate", job_workload="elementwise")
    assert not app.exception
    assert not app.error
    assert app.get("vega_lite_chart")
    assert shared._model_process().pid not in (None, first)
    shared._model_process().stop()


def test_page_says_to_how_much_the_model_was_fitted(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large fleet is fitted to some of its machines; the page says to how many."""
    monkeypatch.setattr(
        "estimator.model.selection.coverage", lambda model: "fitted to 12 of 200 machines"
    )
    st.cache_resource.clear()
    app = open_page("estimate")
    assert any("The model is fitted to 12 of 200 machines" in text.value for text in app.caption)
    st.cache_resource.clear()


def test_server_stays_small(dataset: Path) -> None:
    """No page makes the server import what only a fit needs."""
    script = (
        "import sys\n"
        "from tests.pages.conftest import page_app\n"
        "for page in sys.argv[1:]:\n"
        "    app = page_app(page, 120).run()\n"
        "    assert not app.exception, (page, app.exception)\n"
        "heavy = ('scipy', 'torch', 'jax', 'numba', 'vl_convert', 'estimator.fitting.fit')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, *PAGES],
        cwd=ROOT,
        env={**os.environ, "BREAKEVEN_MODEL_PROCESS": "1", "BREAKEVEN_DATA": str(dataset)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.splitlines()[-1:] == ["[]"], answer.stderr[-2000:]


def test_ends_after_a_time_without_questions(dataset: Path) -> None:
    """Its memory comes back; the next question starts it anew."""
    process = ModelProcess(idle_s=0.5)
    model = RemoteModel(process, (dataset,), load(dataset).fingerprint)
    model.apply_to_measurements("estimator.dataset.measurements:measured_cells")
    pid = process.pid
    assert pid is not None
    assert gone(pid)
    assert len(model.apply_to_measurements("estimator.dataset.measurements:measured_cells")) > 0
    process.stop()


def test_too_long_a_question_is_ended(dataset: Path) -> None:
    process = ModelProcess(limit_s=0.01)
    with pytest.raises(WorkerError, match="took over"):
        RemoteModel(process, (dataset,), "s").prepare()
    assert process.pid is None


def test_ends_with_the_server(dataset: Path) -> None:
    """Also where the server is killed and can say nothing."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from app_pages.frame.model_process import ModelProcess, RemoteModel\n"
        "from estimator.dataset.measurements import load\n"
        "path = Path(sys.argv[1]); stamp = load(path).fingerprint\n"
        "process = ModelProcess(); model = RemoteModel(process, (path,), stamp)\n"
        "model.apply_to_measurements('estimator.dataset.measurements:measured_cells')\n"
        "print(process.pid, flush=True); time.sleep(60)\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", script, str(dataset)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    server.kill()
    server.wait()
    server.stdout.close()
    assert gone(pid)
