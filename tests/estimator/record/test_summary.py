"""What the command says of a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.jobs import read_job
from estimator.commands.cli import main


def test_the_command_says_where_the_time_went(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, job = tmp_path / "heat.py", tmp_path / "job.json"
    script.write_text(
        "import sys\n"
        "import numpy as np\n"
        "u = np.zeros((300, 300))\n"
        "for _ in range(int(sys.argv[1])):\n"
        "    u = np.exp(u) - 1\n"
        "    if u.max() > 5: break\n"
    )
    assert main(["record", "-o", str(job), "--", str(script), "30"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("heat.py: ")
    assert "in 91 array calls" in printed.splitlines()[0]
    rows = {line.split()[0]: line.split() for line in printed.splitlines() if line.strip()}
    assert rows["exp"][1] == "30"
    assert rows["exp"][-1] == "90,000"
    assert rows["heat.py:5"][1] == "60"
    assert "waited for and copied back: 30 times, 0.0 MiB, at heat.py:6 (30x)" in printed
    assert f"predict --job {job}" in printed
    assert read_job(job).recording is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a script"),
        (["--seconds", "0", "--", "a.py"], "--seconds above 0"),
        (["-p", "N", "a.py:f"], "write NAME=VALUE"),
        (["--", "none.py"], "no such file"),
    ],
)
def test_mistakes_are_told_in_a_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", *arguments]) == 2
    assert said in capsys.readouterr().err
