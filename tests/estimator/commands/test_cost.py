"""``python -m estimator cost``: the answer first, then the table, then what it rests on."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from estimator.commands.cli import main
from estimator.cost.inputs import CostOptions, Job
from estimator.cost.instance_costs import instance_costs
from estimator.cost.table import compare_with
from estimator.cost.timings import instance_timings
from estimator.cost.words import answer_lines, table_lines
from estimator.model.fit import fit
from estimator.model.storage import write_model
from tests.estimator.priced_rows import instance, timings

ASKED = ["cost", "matmul", "--param", "n=1200", "--dtype", "float32"]


@pytest.fixture(scope="module")
def model_file(measurements, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.json"
    write_model(fit(measurements), path)
    return path


@pytest.fixture(scope="module")
def remembered():
    """Times of the instances by the model here: a question is timed once for all commands."""
    known = {}

    def timed(model, instances, question):
        key = (tuple(instances), json.dumps(question, sort_keys=True))
        if key not in known:
            known[key] = instance_timings(model, instances, question)
        return known[key].copy()

    return timed


@pytest.fixture
def cost(capsys, model_file, remembered, monkeypatch):
    """Runs the command; returns exit code, standard output and standard error."""
    monkeypatch.setattr("estimator.cost.timings.instance_timings", remembered)

    def run(*arguments, steps="1e6", asked=ASKED):
        given = [*asked, "--steps", steps, "--model", model_file, *arguments]
        code = main([str(argument) for argument in given])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_answer_comes_first_and_the_assumptions_last(cost):
    code, out, err = cost("--top", "5")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    operation = "1,000,000 x matmul square (batch=1, m=1,200, n=1,200, k=1,200)"
    assert lines[0].startswith(f"asked: {operation}; float32 (ieee); data on the")
    places = [out.index(word) for word in ("Cheapest:", "Fastest:", "How sure:", "What this rests")]
    assert places == sorted(places)
    assert "data sheets" in out
    assert max(map(len, lines)) <= 100
    assert "https://docs.lambda.ai/public-cloud/billing" in out


def test_the_cheapest_within_a_deadline_with_spot_allowed(cost):
    """The cheapest AWS instance for the job within 2 h, spot allowed."""
    code, out, _ = cost("--provider", "aws", "--deadline", "2h", "--spot-allowed", "--json")
    found = json.loads(out)
    assert code == 0
    rows = [row for row in found["rows"] if not row["excluded"]]
    assert {row["provider"] for row in rows} == {"aws"}
    assert {row["market"] for row in rows} == {"on-demand", "spot"}
    in_time = [row for row in rows if row["meets_deadline"] != "no"]
    best = min(in_time, key=lambda row: row["cost_usd_p50"])
    assert found["answer"]["cheapest_in_time"]["key"] == best["key"]
    # nobody knows the rate of interruptions, so nothing on spot is sure
    assert {row["meets_deadline"] for row in rows if row["market"] == "spot"} <= {"likely", "no"}
    assert found["answer"]["surely_in_time"]["market"] == "on-demand"


def test_json_has_every_row_with_its_reason_and_what_made_it(cost):
    _, out, _ = cost("--spot", "--json")
    found = json.loads(out)
    rows = found["rows"]
    priced = [row["cost_usd_p50"] for row in rows if not row["excluded"]]
    assert priced == sorted(priced)
    assert any("no spot price" in row["excluded"] for row in rows)
    bases = {row["basis"] for row in rows if not row["excluded"]}
    assert "from_specs" in bases
    assert not bases & {"measured", "interpolated", "extrapolated"}
    assert found["dataset_fingerprint"]
    assert found["estimator_version"]


def test_every_option_of_the_job_and_the_rental_counts(cost):
    base = ("--provider", "lambda", "--no-terms", "--json")

    def usd(*arguments, **more):
        found = json.loads(cost(*base, *arguments, **more)[1])
        return found["rows"][0]["total_usd_p50"]

    plain = usd()
    longer = [
        ("--start-up", "10m"),
        ("--set-up", "10m"),
        ("--transfer", "10m"),
        ("--increment", "1d"),
        ("--minimum", "2d"),
        ("--completion", "0.5"),
        ("--egress", "10", "--egress-price", "0.1"),
        ("--storage", "1000", "--storage-price", "0.2"),
    ]
    for options in longer:
        assert usd(*options) > plain
    assert usd(steps="2e6") > plain
    assert usd("--start-up", "5m") < usd("--start-up", "10m")


def test_spot_with_checkpoints_says_what_interruptions_cost(cost):
    spot = ("--spot", "--provider", "aws", "--interruptions", "0.5")
    code, out, _ = cost(*spot, "--checkpoint", "30s", "--checkpoint-interval", "auto", steps="1e9")
    assert code == 0
    assert "At 0.5 interruptions an hour (a checkpoint every" in " ".join(out.split())
    unknown = " ".join(cost("--spot", "--provider", "aws")[1].split())
    assert "the rate is not known; give --interruptions" in unknown


def test_a_baseline_and_the_sensitivity_are_shown(cost):
    code, out, _ = cost("--baseline", "g6.xlarge", "--sensitivity", "30", "--top", "0")
    assert code == 0
    assert "the baseline" in out
    assert "who wins then" in out
    assert max(map(len, out.splitlines())) <= 100


def test_jobs_are_spread_over_machines_for_a_deadline(cost):
    found = json.loads(cost("--jobs", "40", "--deadline", "10m", "--json", "--gpu-only")[1])
    assert any(row["machines"] and row["machines"] > 1 for row in found["rows"])
    alone = cost("--jobs", "40", "--deadline", "10m", "--most-machines", "1", "--json")[1]
    assert {row["machines"] for row in json.loads(alone)["rows"]} <= {1, None}


def test_a_machine_of_ones_own_is_compared_with_renting(cost):
    own = "RTX 4090,purchase=2500,years=3,utilisation=0.3,watts=500,usd_per_kwh=0.30,name=desk"
    code, out, _ = cost("--own", own, "--spot", "--top", "0")
    assert code == 0
    assert "own/desk" in out
    said = " ".join(out.split())
    assert re.search(
        r"Bought for \$2,500 only for these jobs, desk against renting \S+: .*jobs", said
    )


def test_no_figure_of_a_row_is_left_out_of_a_narrow_terminal():
    """Machines, interval and basis stay in the table; what does not fit stands below the row."""
    offer = [instance("standard_with_a_long_name", 1.0, 0.4), instance("fast", 20.0, 9.0, gpus=4)]
    how = CostOptions(
        interruptions_per_h=0.1, deadline_s=7200.0, budget_usd=500.0, most_machines=100
    )
    both = ("on-demand", "spot")
    rows = timings(offer, [1.0, 0.1])
    table = instance_costs(rows, offer, Job(3600, jobs=40), how, None, both)
    lines = table_lines(compare_with(table, offer[0].key, "on-demand"))
    for name in ("machines", "90 % interval", "time from", "time", "$/job"):
        assert name in lines[0]
    below = " ".join(lines[2:])
    for name in ("against it", "price of", "in budget", "in time", "market", "GPU"):
        assert name in lines[0] or below.count(f"{name}:") == len(table)
    assert max(map(len, lines)) <= 100
    slow = " ".join(
        answer_lines(instance_costs(rows[:1], offer, Job(3600, jobs=40), how, markets=("spot",)))
    )
    assert "in time with" in slow
    assert "the last done in" in slow


def test_what_is_unknown_or_borrowed_is_said(cost):
    """Only RunPod says what storage costs: the others count as much, and without terms 0."""
    terms = " ".join(cost("--storage", "500")[1].split())
    assert "storage 0.1 USD per GiB and month (not known; the longest or dearest" in terms
    bare = " ".join(cost("--storage", "500", "--no-terms")[1].split())
    assert "Not known and counted as 0: the price of storage of aws, azure" in bare
    rows = json.loads(cost("--storage", "500", "--json")[1])["rows"]
    assert all(row["storage_usd"] > 0.0 for row in rows if not row["excluded"])


def test_a_baseline_can_be_one_of_an_instance_s_prices(cost):
    """The page prints "KEY MARKET": the dearer price of the same instance can be the baseline."""
    both = ("--spot-allowed", "--provider", "aws", "--instance", "g6.xlarge", "--json")
    for market in ("spot", "on-demand"):
        key = f"aws/g6.xlarge/us-east-1 {market}"
        rows = json.loads(cost(*both, "--baseline", key)[1])["rows"]
        base = next(row for row in rows if row["verdict"] == "the baseline")
        assert (f"{base['key']} {base['market']}", base["cost_ratio"]) == (key, 1.0)


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_all_rows_are_written_with_dated_prices(cost, tmp_path, ending):
    path = tmp_path / f"costs.{ending}"
    code, out, _ = cost("--out", path, "--top", "3")
    assert code == 0
    assert out.endswith(f"rows -> {path}\n")
    readers = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    found = readers[ending](path)
    assert {"as_of", "source", "dataset_fingerprint", "estimator_version"} <= set(found.columns)
    assert len(found) > 50


def test_the_choice_of_instances_narrows_the_table(cost):
    def rows(*arguments):
        return json.loads(cost("--json", *arguments)[1])["rows"]

    assert {row["gpu"] for row in rows("--cpu-only", "--provider", "aws")} == {""}
    assert {row["gpu"] for row in rows("--gpu", "l4")} == {"L4"}
    assert {row["region"] for row in rows("--region", "us-east-1")} == {"us-east-1"}
    assert {row["instance"] for row in rows("--instance", "G6.xlarge")} == {"g6.xlarge"}


@pytest.mark.parametrize(
    ("steps", "arguments", "words"),
    [
        ("0", [], "steps is 0; a job has at least one"),
        ("-1", [], "steps is -1.0"),
        ("1e300", [], "steps is 1e+300; it must be a finite number, from 0 to 1e+15"),
        ("nan", [], "steps is nan"),
        ("many", [], "--steps many: write a number"),
        ("1e15", [], "no instance can do this job: it would take more than 100 years"),
        ("1", ["--jobs", "0"], "jobs is 0"),
        ("1", ["--jobs", "2.5"], "--jobs 2.5: write a whole number"),
        ("1", ["--backend", "nope"], "--backend nope: matmul was measured with"),
        ("1", ["--provider", "nope"], "choose from aws, azure, gcp, lambda, runpod"),
        ("1", ["--provider", "aws", "--region", "mars"], "choose from us-east-1"),
        ("1", ["--instance", "nope"], "--instance nope: there is none here"),
        ("1", ["--gpu", "T1000"], "--gpu T1000: there is none here"),
        ("1", ["--gpu-only", "--cpu-only"], "give one of them"),
        ("1", ["--spot", "--spot-allowed"], "give one of them"),
        ("1", ["--deadline", "soon"], "--deadline: 'soon' is no time"),
        ("1", ["--budget", "much"], "--budget much: write a number"),
        ("1", ["--checkpoint-interval", "auto"], "--checkpoint 30s"),
        ("1", ["--completion", "0"], "never completes"),
        ("1", ["--completion", "2"], "from 0 to 1"),
        ("1", ["--top", "-1"], "--top -1: write 0 (all) or more"),
        ("1", ["--sensitivity", "99.5"], "above 0, up to 99"),
        ("1", ["--baseline", "nope"], "--baseline nope: no priced instance"),
        ("1", ["--out", "costs.xlsx"], "must end in one of .csv, .json, .parquet"),
        ("1", ["--out", "/nowhere/costs.csv"], "cannot be written"),
        ("1", ["--own", "desk"], "lacks purchase"),
        ("1", ["--spot", "--provider", "lambda"], "no spot price is known"),
        ("1", ["--instances", "none.csv"], "none.csv"),
        ("1e9", ["--spot", "--interruptions", "1e9"], "shorten checkpoint_interval_s"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(cost, steps, arguments, words):
    code, out, err = cost(*arguments, steps=steps)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert words in err


def test_a_job_that_fits_no_memory_says_so(cost):
    code, _, err = cost(steps="1", asked=["cost", "matmul", "--param", "n=10000000"])
    assert code == 2
    assert "error: no instance can do this job: does not fit its memory" in err
