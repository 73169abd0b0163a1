import json
import subprocess
import sys

import pytest

from estimator.commands.cli import main
from estimator.model.storage import read_model
from estimator.validation import validate as validation_module
from estimator.validation.splits import BETWEEN

SQUARE = ["matmul", "--param", "n=1200", "--dtype", "float32"]


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_names_every_command_and_imports_no_library():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['estimator', '--help']\n"
        "try: runpy.run_module('estimator', run_name='__main__')\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'duckdb', 'pyarrow', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(code or sorted(heavy) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "validate" in done.stdout


def test_predict_names_time_parts_and_basis(capsys, dataset):
    code, out, err = run(capsys, "predict", *SQUARE, "--data", dataset)
    assert code == 0
    assert "90 % interval" in out
    assert "basis: model of this machine, between measured sizes" in out
    assert "broken.parquet" in err
    assert max(map(len, out.splitlines())) <= 100


def test_predict_as_json(capsys, dataset):
    code, out, _ = run(
        capsys,
        "predict",
        *SQUARE,
        "--device",
        "cuda",
        "--mode",
        "end_to_end",
        "--machine",
        "made",
        "--data",
        dataset,
        "--json",
    )
    answer = json.loads(out)
    assert code == 0
    assert answer["bound"] == "transfer"
    assert answer["seconds_p5"] < answer["seconds_p50"] < answer["seconds_p95"]
    assert answer["params"] == {"batch": 1, "k": 1200, "m": 1200, "n": 1200}


def test_predict_shows_the_measurement(capsys, dataset):
    _, out, _ = run(capsys, "predict", "matmul", "--param", "n=1000", "--data", dataset)
    assert "measured: " in out


def test_predict_on_a_gpu_known_by_its_data_sheet(capsys, dataset):
    code, out, _ = run(
        capsys, "predict", *SQUARE, "--device", "cuda", "--machine", "L4", "--data", dataset
    )
    assert code == 0
    assert "on the GPU of L4, data on the device, float32 (ieee):" in out
    assert "basis: from specs" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "matmull"], "unknown workload"),
        (["predict", "matmul", "--case", "cube"], "unknown case"),
        (["predict", "matmul"], "'n' is missing"),
        (["predict", "matmul", "--param", "n"], "NAME=VALUE"),
        (["predict", "matmul", "--param", "n=1.5"], "whole number"),
        (["predict", "matmul", "--param", "n=inf"], "whole number"),
        (["predict", *SQUARE, "--dtype", "int3"], "unknown dtype"),
        (["predict", *SQUARE, "--machine", "elsewhere"], "choose one of made"),
        (["predict", *SQUARE, "--backend", "cupy", "--device", "cpu"], "it has"),
        (
            ["predict", "launch", "--case", "empty_kernel"],
            "no form of launch empty_kernel",
        ),
        (["predict", "matmul", "--param", "n=8", "--dtype", "int8"], "takes no int8"),
        (["cost", *SQUARE, "--steps", "nan"], "steps"),
        (["cost", *SQUARE, "--steps", "1", "--instances", "none.csv"], "none.csv"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, small_dataset, arguments, words):
    code, out, err = run(capsys, *arguments, "--data", small_dataset)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert words in err


def test_a_missing_dataset_is_one_line(capsys, tmp_path):
    code, _, err = run(capsys, "validate", "--data", tmp_path / "none")
    assert code == 2
    assert len(err.splitlines()) == 1


def test_validate_prints_a_narrow_table(capsys, small_dataset):
    code, out, _ = run(capsys, "validate", "--data", small_dataset, "--split", "larger")
    assert code == 0
    assert "roofline" in out
    assert max(map(len, out.splitlines())) <= 100


def test_validate_as_json_with_a_report(capsys, small_dataset, tmp_path):
    report = tmp_path / "validation.md"
    asked = ("validate", "--data", small_dataset, "--split", "between", "--json", "-o", report)
    _, out, _ = run(capsys, *asked)
    found = json.loads(out)
    assert {"breakeven", "roofline", "nearest"} < {row["predictor"] for row in found["errors"]}
    assert {row["split"] for row in found["errors"]} == {"between"}
    text = report.read_text(encoding="utf-8")
    assert f"python -m estimator validate --data {small_dataset} --split 'between' -o" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--split", "sideways"], "choose from"), (["-o", "."], "cannot be written")],
)
def test_a_validation_that_cannot_be_is_one_line(
    capsys, small_dataset, validation, monkeypatch, arguments, words
):
    whole = validation_module.run_validation

    def validated(measurements, splits, *others):
        return validation if splits == (BETWEEN,) else whole(measurements, splits, *others)

    monkeypatch.setattr(validation_module, "run_validation", validated)
    asked = ["--data", small_dataset, *arguments]
    split = [] if "--split" in arguments else ["--split", "between"]
    code, _, err = run(capsys, "validate", *asked, *split)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert words in err


def test_a_saved_model_answers_without_its_dataset(capsys, small_dataset, tmp_path):
    path = tmp_path / "model.json"
    assert run(capsys, "fit", "-o", path, "--data", small_dataset)[0] == 0
    asked = ("predict", "elementwise", "--param", "n=123456", "--backend", "numpy")
    fitted = run(capsys, *asked, "--data", small_dataset)
    assert run(capsys, *asked, "--model", path) == fitted
    code, _, err = run(capsys, *asked, "--model", tmp_path / "none.json")
    assert code == 2
    assert len(err.splitlines()) == 1


def test_predict_refuses_what_does_not_fit_the_machine(capsys, dataset):
    code, out, err = run(capsys, "predict", "matmul", "--param", "n=10000000", "--data", dataset)
    assert (code, out) == (2, "")
    assert "does not fit" in err


def test_fit_saves_a_model(capsys, small_dataset, tmp_path):

    code, out, _ = run(capsys, "fit", "--data", small_dataset, "--out", tmp_path / "model.json")
    assert code == 0
    assert "groups" in out
    assert len(read_model(tmp_path / "model.json").groups)
