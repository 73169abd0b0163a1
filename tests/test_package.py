"""The project as a package: what a wheel holds, and that it works away from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The unpacked wheel, as ``pip install .`` lays it out."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed, *arguments):
    """A program on the installed package, from a directory that is no checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    environment.pop("BREAKEVEN_DATA", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_scripts_are_the_two_commands(installed):
    (entries,) = installed.glob("*.dist-info/entry_points.txt")
    scripts = dict(re.findall(r"(?m)^([\w-]+) = (\S+)$", entries.read_text()))
    assert set(scripts) == {"breakeven", "breakeven-collect"}
    for target in scripts.values():
        module, _, function = target.partition(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}(['--help']))"
        answer = run(installed, "-c", code)
        assert answer.returncode == 0, answer.stderr
        assert "COMMAND" in answer.stdout


def test_a_program_may_mark_its_steps(installed):
    """The mark does nothing where nobody traces."""
    code = "import breakeven\nwith breakeven.step():\n    print('stepped')"
    assert run(installed, "-c", code).stdout == "stepped\n"


def test_it_answers_from_the_runs_and_data_sheets_that_ship_in_it(installed):
    code = (
        "from estimator import load, match_gpu\n"
        "from estimator.commands.options import default_data\n"
        "print(match_gpu('NVIDIA H200').name, len(load(*default_data()).machines))"
    )
    answer = run(installed, "-c", code)
    assert answer.returncode == 0, answer.stderr
    name, count = answer.stdout.rsplit(maxsplit=1)
    assert name == "H200 SXM"
    assert int(count) > 0


def test_its_types_are_for_others_too(installed):
    assert (installed / "collector" / "py.typed").exists()
    assert (installed / "estimator" / "py.typed").exists()


def test_what_is_pinned_is_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    asked = {_name(line) for line in (*project["dependencies"], *extras)} - {"breakeven"}
    files = ("collector/requirements.txt", "requirements.txt", "requirements-gpu.txt")
    lines = [line for file in files for line in (ROOT / file).read_text().splitlines()]
    assert asked == {_name(line) for line in lines if "==" in line}


def _name(requirement: str) -> str:
    return re.split(r"[\[=<>~ ]", requirement, maxsplit=1)[0]
