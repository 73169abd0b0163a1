"""``predict``, ``pays`` and ``cost`` take a job wherever they take an operation."""

from __future__ import annotations

import json
import re

import pytest

from collector.jobs import write_job
from estimator.commands.cli import main
from estimator.model.storage import write_model
from tests.estimator.made_up_job import make_job, operation, tensor, with_operation


@pytest.fixture(scope="module")
def model_file(shipped_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.json"
    write_model(shipped_model, path)
    return path


@pytest.fixture(scope="module")
def job_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("job") / "job.json"
    job = with_operation(make_job(), operation("frobnicate", (tensor(4096, 4096),), ()))
    write_job(job, path)
    return path


@pytest.fixture
def run(capsys, model_file):
    """Runs a command; exit code, standard output and standard error."""

    def run(*arguments):
        code = main([*map(str, arguments), "--model", str(model_file)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_coverage_is_said_first_then_each_machine_the_fastest_first(run, job_file):
    code, out, _ = run("predict", "--job", job_file)
    assert code == 0
    assert re.match(r"covered: \d+% of the estimated time", out)
    assert "known to nobody: frobnicate" in out.replace("\n  ", " ")
    assert "asked: one step of train.py (training, 64 samples a step, 640 tokens a step)" in out
    assert out.index("NVIDIA H200") < out.index("AMD EPYC")
    assert "bound by" in out
    assert "samples/s" in out.replace("\n  ", " ")
    assert "what takes most on NVIDIA H200" in out
    assert max(map(len, out.splitlines())) <= 100


def test_json_is_a_list_of_machines(run, job_file, shipped_model):
    found = json.loads(run("predict", "--job", job_file, "--json")[1])
    assert len(found) == len(shipped_model.types.types)
    times = [one["pipelined_seconds_p50"] for one in found]
    assert times == sorted(times)
    for one in found:
        assert one["seconds_p5"] <= one["seconds_p50"] <= one["seconds_p95"]
        assert one["fits"] is True
    alone = json.loads(run("predict", "--job", job_file, "--machine", "L4", "--json")[1])
    assert [one["machine_id"] for one in alone] == ["L4"]


@pytest.mark.parametrize("machine", ["T4", "EPYC 9654", "aws/g5.xlarge", "17dff829"])
def test_a_machine_is_named_as_for_an_operation(run, job_file, machine):
    code, out, err = run("predict", "--job", job_file, "--machine", machine, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)[0]["seconds_p50"] > 0.0


def test_a_device_that_does_not_fit_is_said(run, tmp_path):
    from collector.jobs import JobMemory

    write_job(make_job(memory=JobMemory(parameters_bytes=40 * 2**30)), tmp_path / "j.json")
    code, out, _ = run("predict", "--job", tmp_path / "j.json", "--machine", "L4")
    assert code == 0
    assert "does not fit, 24 GiB there" in out.replace("\n  ", " ")


def test_whether_a_gpu_pays_for_a_step(run, job_file):
    code, out, _ = run("pays", "--job", job_file)
    assert code == 0
    assert out.startswith("covered: ")
    assert re.search(r"(Yes, the GPU pays|Too close|No, the CPU is faster)", out)
    found = json.loads(run("pays", "--job", job_file, "--json")[1])
    cpu, gpu = (found[side]["pipelined_seconds_p50"] for side in ("cpu", "gpu"))
    assert found["speedup"]["ratio_p50"] == pytest.approx(cpu / gpu)
    assert found["gpu"]["machine_id"] == found["cpu"]["machine_id"]  # of one machine


def test_a_gpu_and_a_cpu_that_are_named_are_compared(run, job_file):
    found = json.loads(
        run("pays", "--job", job_file, "--machine", "L4", "--cpu-machine", "EPYC 9654", "--json")[1]
    )
    assert (found["gpu"]["label"], found["cpu"]["label"]) == ("L4", "EPYC 9654")


def test_the_cost_of_so_many_steps_and_of_the_job_s_units(run, job_file):
    code, out, _ = run("cost", "--job", job_file, "--steps", "1e6")
    assert code == 0
    assert out.startswith("covered: ")
    assert "1,000,000 steps of train.py" in out
    assert "an epoch" in out
    assert "a million tokens" in out
    rows = json.loads(run("cost", "--job", job_file, "--steps", "1e6", "--json")[1])["rows"]
    priced = [row for row in rows if not row["excluded"]]
    assert len(priced) > 50
    for row in priced:
        each = row["part_steps_usd"] / 1e6
        assert row["usd_per_epoch"] == pytest.approx(100 * each)
        assert row["usd_per_million_samples"] == pytest.approx(1e6 / 64 * each)
        assert row["usd_per_million_tokens"] == pytest.approx(1e6 / 640 * each)


@pytest.mark.parametrize(
    ("amount", "steps"),
    [(("--samples", "6400"), 100), (("--tokens", "641"), 2), (("--epochs", "3"), 300)],
)
def test_samples_tokens_and_epochs_are_whole_steps(run, job_file, amount, steps):
    found = json.loads(run("cost", "--job", job_file, *amount, "--json")[1])
    assert found["job"]["steps"] == steps


def test_an_instance_whose_memory_is_too_small_is_left_out(run, tmp_path):
    from collector.jobs import JobMemory

    write_job(make_job(memory=JobMemory(parameters_bytes=60 * 2**30)), tmp_path / "j.json")
    rows = json.loads(run("cost", "--job", tmp_path / "j.json", "--steps", "10", "--json")[1])[
        "rows"
    ]
    small = [row for row in rows if row["gpu"] in ("T4", "L4", "A10G")]
    assert small
    assert all("does not fit its memory" in row["excluded"] for row in small)
    assert any(row["gpu"].startswith("H200") and not row["excluded"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predict", "matmul", "--job", "{job}"), "give a family or a job"),
        (("predict", "--job", "{job}", "--dtype", "float16"), "--dtype and --job"),
        (("predict", "--job", "{job}", "--mode", "hot"), "--mode and --job"),
        (("predict", "--job", "{job}", "--threads", "4"), "--threads and --job"),
        (("predict", "--job", "{job}", "--backend", "cupy"), "a program for torch"),
        (("predict", "--job", "{job}", "--backend", "numpy"), "a program for torch"),
        (("predict", "--job", "{job}", "--machine", "nonesuch"), "'nonesuch' is not measured"),
        (
            ("predict", "--job", "{job}", "--machine", "L4", "--device", "cpu"),
            "it has no CPU that is known",
        ),
        (("predict", "--job", "/nowhere/job.json"), "/nowhere/job.json: cannot be read"),
        (("predict",), "name a family, such as matmul, or a job"),
        (("pays", "--job", "{job}", "--reuse", "3"), "--reuse and --job"),
        (("pays", "--job", "{job}", "--vary", "n"), "--vary and --job"),
        (("pays", "--job", "{job}", "--cpu-backend", "numpy"), "a program for torch"),
        (("cost", "--job", "{job}"), "one of --steps, --samples, --tokens, --epochs"),
        (("cost", "--job", "{job}", "--steps", "1", "--epochs", "2"), "say how long the job is"),
        (("cost", "--job", "{job}", "--epochs", "-1"), "--epochs -1: write a number above 0"),
        (("cost", "--job", "{job}", "--epochs", "many"), "--epochs many: write a number"),
        (("cost", "--job", "{job}", "--steps", "9", "--case", "x"), "--case and --job"),
        (("cost", "matmul", "--param", "n=9"), "say how long the job is: one of --steps"),
        (("cost", "matmul", "--steps", "9", "--tokens", "9"), "--tokens: only a job"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, job_file, arguments, words):
    code, out, err = run(*(word.format(job=job_file) for word in arguments))
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_job_that_does_not_say_its_tokens_is_asked_for_steps(run, tmp_path):
    write_job(make_job(tokens_per_step=0), tmp_path / "j.json")
    code, _, err = run("cost", "--job", tmp_path / "j.json", "--tokens", "1e9")
    assert code == 2
    assert "the job does not say how many tokens a step takes; give --steps" in err


def test_a_hostile_file_is_refused_in_one_line(run, tmp_path):
    path = tmp_path / "job.json"
    path.write_text('{"breakeven_job": 1, "operations": "\\u001b[31m"}')
    code, _, err = run("predict", "--job", path)
    assert code == 2
    assert err.count("\n") == 1
    assert "\x1b" not in err
