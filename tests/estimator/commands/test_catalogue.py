"""``python -m estimator catalogue``: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from estimator.catalogue.instances import INSTANCES_PATH, read_instances
from estimator.commands.cli import main
from tests.estimator.catalogue.test_importers import C7I, H100, SKYPILOT, table
from tests.estimator.catalogue.test_instances import CPU_ROW, GPU_ROW
from tests.estimator.catalogue.test_local import table as breakeven_table

ORIGIN = ["--provider", "aws", "--as-of", "2026-11-01", "--source", "a list"]


@pytest.fixture
def price_list(tmp_path: Path) -> Path:
    path = tmp_path / "vms.csv"
    path.write_bytes(table(SKYPILOT, C7I, H100, H100 | {"Price": "0", "Region": "eu"}))
    return path


def test_an_imported_list_is_written_for_cost_to_read(price_list, tmp_path, capsys):
    out = tmp_path / "prices.csv"
    assert main(["catalogue", "import", str(price_list), *ORIGIN, "-o", str(out)]) == 0
    assert [i.instance for i in read_instances(out)] == ["c7i.2xlarge", "p5.48xlarge"]
    printed = capsys.readouterr().out
    assert f"vms.csv: skypilot, 2 instances, written to {out}" in printed
    assert "1 line left out:" in printed
    assert "vms.csv row 4: aws/p5.48xlarge/eu: Price is 0; a price must be above 0" in printed


def test_an_import_as_json_has_the_instances_and_what_was_left_out(price_list, capsys):
    assert main(["catalogue", "import", str(price_list), *ORIGIN, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [i["on_demand_usd_per_h"] for i in answer["instances"]] == [0.357, 55.04]
    assert [row["row"] for row in answer["refused"]] == [4]


def test_columns_are_mapped_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("Type,Place,Cores,RAM,Cost\nbox,here,8,32,0.3\n")
    pairs = [
        "instance=Type",
        "region=Place",
        "vcpu=Cores",
        "memory_gib=RAM",
        "on_demand_usd_per_h=Cost",
    ]
    options = [part for pair in pairs for part in ("--column", pair)]
    assert main(["catalogue", "import", str(path), *ORIGIN, *options]) == 0
    assert "plain, 1 instance\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "it has no provider; say it (--provider aws)"),
        (["--provider", "aws", "--source", "x"], "it has no as_of; say it (--as-of"),
        (["--provider", "aws", "--as-of", "undated"], "it has no source; say it (--source TEXT)"),
        ([*ORIGIN, "--column", "instance"], "--column instance: write OURS=THEIRS"),
        ([*ORIGIN[:2], "--as-of", "soon", "--source", "x"], "no row of it can be used"),
    ],
)
def test_an_import_that_lacks_something_ends_with_one_line_and_code_2(
    price_list, options, reason, capsys
):
    assert main(["catalogue", "import", str(price_list), *options]) == 2
    assert reason in capsys.readouterr().err


def test_check_tells_every_problem_and_ends_with_1(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_bytes(breakeven_table(GPU_ROW, CPU_ROW | {"vcpu": "x"}, CPU_ROW | {"source": ""}))
    assert main(["catalogue", "check", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mine.csv: 1 row good"
    assert lines[1].startswith("row 3: aws/c7g.2xlarge/us-east-1: vcpu is 'x'")
    assert lines[2].startswith("row 4: aws/c7g.2xlarge/us-east-1: source is empty")


def test_the_shipped_catalogue_passes_its_check(capsys):
    assert main(["catalogue", "check", str(INSTANCES_PATH)]) == 0
    assert capsys.readouterr().out == "instances.csv: 120 rows good\n"


def test_list_shows_what_fits(capsys):
    assert main(["catalogue", "list", "--provider", "AWS", "--gpu", "h100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["instance", "region", "vCPU"]
    assert len(lines) == 5
    assert all("8 x H100" in line or "1 x H100" in line for line in lines[1:])
    assert main(["catalogue", "list", "--gpu", "none", "--json"]) == 0
    assert all(not i["gpu_count"] for i in json.loads(capsys.readouterr().out))


def test_list_of_nothing_names_the_providers(capsys):
    assert main(["catalogue", "list", "--provider", "oracle"]) == 2
    assert "the providers are aws, azure, gcp, lambda, runpod" in capsys.readouterr().err
