"""One question has one answer: commands and pages, asked the same, say the same numbers."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from estimator.catalogue.instances import read_instances
from estimator.cells.defaults import DATA_PLACE, fastest_first
from estimator.commands.cli import main
from estimator.cost.timings import instance_timings
from estimator.decide.pairs import find_pair
from estimator.decide.places import PlaceQuestion, answer_places
from estimator.rules.cases import rule_case
from tests.pages.conftest import ROOT, OpenPage

SHIPPED = ROOT / "data" / "runs"
#: workload, case, parameters, element type
QUESTIONS = [
    ("matmul", "square", {"n": 3000}, "float32"),
    ("matmul", "square", {"n": 4096}, "float32"),
    ("sort", "sort", {"n": 1_000_000}, "float32"),
    ("fft", "fft2", {"n": 1024}, "complex64"),
    ("elementwise", "add", {"n": 10_000_000}, "float32"),
]
IDS = [f"{workload} {params['n']}" for workload, _, params, _ in QUESTIONS]
#: a box's id as names for people end with it
BOX = re.compile(r"\([0-9a-f]{8}\)")


def command(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    """What a command answers with ``--json`` on the shipped runs, without another option."""
    capsys.readouterr()
    assert main([*line, "--data", str(SHIPPED), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def opened_once(monkeypatch: pytest.MonkeyPatch, shipped_runs: Any, shipped_model: Any) -> None:
    """Commands take the shipped runs and their model as they are open already."""
    monkeypatch.setattr("estimator.dataset.measurements.load", lambda *paths: shipped_runs)
    monkeypatch.setattr("estimator.model.fit.fit_cached", lambda *asked: shipped_model)


def operation(workload: str, case: str, params: dict[str, int]) -> list[str]:
    """The operation alone, as a stranger types it: every default is the estimator's."""
    return [workload, "--case", case, *(f"--param={name}={v}" for name, v in params.items())]


@pytest.mark.usefixtures("opened_once")
@pytest.mark.parametrize(("workload", "case", "params", "dtype"), QUESTIONS, ids=IDS)
def test_all_commands_answer_a_bare_question_alike(
    capsys: pytest.CaptureFixture[str], workload: str, case: str, params: dict[str, int], dtype: str
) -> None:
    asked = operation(workload, case, params)
    pays = command(capsys, "pays", *asked)
    assert (pays["gpu"]["dtype"], pays["gpu"]["mode"]) == (dtype, DATA_PLACE)
    rules = command(capsys, "rules", *asked)["case"]
    predicted = command(capsys, "predict", *asked)
    instances = command(capsys, "cost", *asked, "--steps", "1000000", "--gpu", "H200")["rows"]
    for side, device in (("cpu", "cpu"), ("gpu", "cuda")):
        place = pays[side]
        same = [
            row
            for row in predicted
            if (row["machine_id"], row["device"]) == (place["machine_id"], device)
        ]
        assert len(same) == 1  # one row a machine type and device, whatever the boxes
        times = [place["seconds_p50"], same[0]["seconds_p50"], rules[side]["seconds"][1]]
        if device == "cuda":
            times += [
                row["seconds_p50"]
                for row in instances
                if row["seconds_p50"] and row["gpu"].startswith("H200")
            ]
            assert len(times) > 3
        assert times == pytest.approx([times[0]] * len(times), rel=1e-9)
        assert place["backend"] == same[0]["backend"] == rules[side]["backend"]
    said = pays["speedup"]["ratio_p50"]
    assert said == pytest.approx(pays["cpu"]["seconds_p50"] / pays["gpu"]["seconds_p50"])


@pytest.mark.parametrize(("workload", "case", "params", "dtype"), QUESTIONS, ids=IDS)
def test_the_functions_of_the_pages_answer_alike(
    shipped_model: Any, workload: str, case: str, params: dict[str, int], dtype: str
) -> None:
    model = shipped_model
    question = PlaceQuestion(workload, case, tuple(params.items()), dtype)
    pair = find_pair(model, question)
    table = answer_places(model, question).table
    spoken = fastest_first(table).drop_duplicates(["machine_id", "device"])
    assert not spoken.duplicated(["label", "device"]).any()
    of_rules = rule_case(model, question)
    assert of_rules.estimate == pair.speedup
    instance = next(one for one in read_instances() if one.hardware.startswith("H200"))
    asked = {"workload": workload, "case": case, "params": params, "dtype": dtype}
    timed = instance_timings(model, [instance], asked).iloc[0]
    assert timed["seconds_p50"] == pytest.approx(pair.gpu["seconds_p50"], rel=1e-9)
    assert timed["backend"] == pair.gpu["backend"]


def shown_speedup(app: AppTest) -> str:
    """The first speed-up in bold or in words on the page."""
    text = next(one.value for one in app.markdown if one.value.startswith(("**Yes", "**No", "**T")))
    found = re.search(r"([\d.,]+)x\*{0,2} as fast", text.replace("\\", ""))
    assert found is not None
    return found[1]


def words_of(app: AppTest) -> str:
    """Sentences, captions and tables in sight; not what a select offers when it is opened."""
    shown = [one.value for one in (*app.markdown, *app.caption)]
    return "\n".join([*shown, *(str(one.value.to_string()) for one in app.dataframe)])


def test_pages_say_what_the_command_says_and_show_types(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Estimate, Rules of thumb and Cost render the bare question with the command's numbers."""
    answer = command(capsys, "pays", "matmul", "--param", "n=3000")
    said = f"{answer['speedup']['ratio_p50']:,.3g}"
    estimate = open_page("estimate", SHIPPED, job_square_n=3000)
    assert shown_speedup(estimate) == said
    rules = open_page("rules-of-thumb", SHIPPED)
    assert shown_speedup(rules) == said
    cost = open_page("cost", SHIPPED, job_square_n=3000)
    openings = ("Yes, the GPU pays", "Too close to call", "No, the CPU is faster")
    for app in (estimate, rules, cost):
        assert not app.exception
        assert "float32 (ieee), " in words_of(app).replace("\\", "")
        assert "data on the device" in words_of(app)
        table = app.dataframe[0].value
        assert not BOX.search(table.to_string())
    for app in (estimate, rules):
        assert any(one.value.startswith(f"**{openings[0]}") for one in app.markdown)
    options = estimate.dataframe[0].value["Option"]
    on_h200 = options[options.str.startswith("torch cuda")]
    assert len(on_h200) == 1
    assert re.fullmatch(r"torch cuda · NVIDIA H200, .* \(\d+ boxes\)", on_h200.iloc[0])


def test_a_link_to_a_box_is_about_the_box(open_page: OpenPage) -> None:
    """What earlier versions wrote into links: the pair is of that box, with its own interval."""
    box = "torch cuda · NVIDIA H200, Intel Xeon 16 cores (b59b8e31)"
    app = open_page("estimate", SHIPPED, job_square_n=3000, estimate_gpu=box)
    text = next(one.value for one in app.markdown if one.value.startswith("**Yes"))
    assert "b59b8e31" in text
    assert "any machines of these types" not in text
    named = "NVIDIA H200, Intel Xeon 16 cores (b59b8e31)"
    rules = open_page("rules-of-thumb", SHIPPED, rules_machine=named)
    assert "b59b8e31" in next(one.value for one in rules.markdown if one.value.startswith("**Yes"))
