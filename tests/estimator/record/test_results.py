"""A recorded program does what it does alone, to the last bit."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.jobs import read_job
from tests.estimator.record.conftest import Recorder, calls
from tests.estimator.record.programs import BY_NAME, NEEDS


@pytest.mark.parametrize("name", BY_NAME)
def test_a_program_prints_what_it_prints_alone(
    name: str,
    recorded: Recorder,
    printed_plainly: Callable[[str], str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    for library in NEEDS.get(name, ()):
        pytest.importorskip(library)
    alone = printed_plainly(BY_NAME[name])
    capfd.readouterr()
    job = recorded(BY_NAME[name], show_output=True)
    assert capfd.readouterr().err == alone != ""
    assert job.recording is not None
    assert job.recording.complete
    assert job.recording.calls >= 10


_FILES = """
    import pickle
    import numpy as np
    a = np.random.default_rng(1).standard_normal((30, 4))
    np.save("a.npy", a)
    np.savetxt("a.txt", a * 2)
    np.savez("b.npz", a=a, b=a[0])
    pickle.dump({"a": a, "sum": a.sum()}, open("a.pickle", "wb"))
    open("text", "w").write(repr(a) + str(a.mean(axis=0)) + f"{a.max():.3f}")
    a.tofile("raw")
    print(np.load("a.npy").sum(), np.loadtxt("a.txt").shape)
"""


def test_its_files_are_those_of_a_run_alone(
    recorded: Recorder, printed_plainly: Callable[[str], str], tmp_path: Path
) -> None:
    def digests() -> dict[str, str]:
        names = ("a.npy", "a.txt", "a.pickle", "text", "raw")
        return {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names}

    printed_plainly(_FILES)
    alone = digests()
    for name in alone:
        (tmp_path / name).unlink()
    recorded(_FILES, keep_files=True)
    assert digests() == alone


def test_files_of_the_user_stay_as_they_were(recorded: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    recorded(_FILES.replace('a.tofile("raw")', ""))
    assert (tmp_path / "a.txt").read_text() == "old"
    assert {one.name for one in tmp_path.iterdir()} == {"a.txt", "program.py"}


def test_other_processes_run_unrecorded(
    recorded: Recorder, capfd: pytest.CaptureFixture[str]
) -> None:
    job = recorded(
        """
        import multiprocessing
        import numpy as np
        def work(n):
            return np.sort(np.arange(n)[::-1]).sum()
        if __name__ == "__main__":
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(work, [3, 4]), pool.map(np.sum, [np.ones(3)]))
            print(np.arange(5).sum())
        """,
        show_output=True,
    )
    assert (
        capfd.readouterr().err.split("\n")[0].startswith("[np.int64(3), np.int64(6)] [np.float64")
    )
    assert calls(job, "sort") == 0
    assert calls(job, "sum") == 1


def test_libraries_get_the_real_numpy(recorded: Recorder) -> None:
    pytest.importorskip("pandas")
    job = recorded(
        """
        import sys
        import numpy as np
        import pandas as pd
        assert sys.modules["numpy"] is not np and pd.DataFrame.__module__.startswith("pandas")
        frame = pd.DataFrame({"x": np.arange(10.0), "k": np.arange(10) % 3})
        print(frame.groupby("k")["x"].agg(np.mean), frame["x"].to_numpy().sum())
        y = np.asarray(frame["x"]) * 2
        assert frame.x.values.sum() * 2 == y.sum()
        """
    )
    assert calls(job, "arange") == 2
    assert calls(job, "multiply") == 1


def test_ctrl_c_leaves_what_there_is(tmp_path: Path) -> None:
    script, job = tmp_path / "program.py", tmp_path / "job.json"
    script.write_text(
        "import numpy as np\na = np.zeros(9)\nopen('started', 'w')\nwhile True: a = a + 1\n"
    )
    command = [sys.executable, "-m", "estimator", "record", "--keep-files", "-o", str(job)]
    kept = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background has none
    try:
        process = subprocess.Popen([*command, "--", str(script)], stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, kept)
    with process:
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    assert "note: interrupted" in printed
    assert calls(read_job(job), "add") > 100


def test_animations_are_driven_some_frames(recorded: Recorder) -> None:
    job = recorded(
        """
        import numpy as np
        import matplotlib.pyplot as plt
        from matplotlib.animation import FuncAnimation
        figure, axes = plt.subplots()
        u = np.zeros((8, 8))
        image = axes.imshow(u)
        def step(frame):
            image.set_data(np.cos(u))
            return [image]
        animation = FuncAnimation(figure, step, frames=1000)
        plt.show()
        """,
        frames=7,
    )
    assert calls(job, "cos") == 7
    assert "an animation was driven 7 frames" in job.notes
