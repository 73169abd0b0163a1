"""Estimate: times, speed-up, break-even size."""

from __future__ import annotations

import shlex

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app_pages.estimate.verdict import faster_text
from app_pages.frame.text import escape
from estimator.commands.cli import main
from tests.pages.conftest import OpenPage
from tests.pages.made_up_runs import RACK, _cell, _true_seconds


def test_measured_cell_shows_both(open_page: OpenPage) -> None:
    """Where the very cell was measured, the measurement stands beside the estimate."""
    table = open_page("estimate", job_square_n=1024).dataframe[0].value
    row = table[table["Option"] == f"torch cuda · {RACK.label}"].iloc[0]
    cell = _cell(
        "matmul",
        "square",
        {"batch": 1, "m": 1024, "n": 1024, "k": 1024},
        device="cuda",
        backend="torch",
        mode="resident",
    )
    unit = next(name for name in table.columns if name.startswith("Measured"))
    factor = {"µs": 1e6, "ms": 1e3, "s": 1.0}[unit.split("(")[1].rstrip(")")]
    assert row[unit] == pytest.approx(factor * _true_seconds(RACK, cell), rel=0.03)
    assert row["Basis"] == "this cell was measured"


def test_verdict_turns_with_the_size(open_page: OpenPage) -> None:
    """A tiny product belongs on the CPU, a large one on the GPU."""
    small = open_page("estimate", job_square_n=16).metric[0].value
    large = open_page("estimate", job_square_n=4096).metric[0].value
    assert small == "No, the CPU is faster"
    assert large == "Yes, the GPU pays"


def test_transfers_make_the_gpu_slower(open_page: OpenPage) -> None:
    """Copying the operands shows as a part and lowers the speed-up."""

    def speedup(**query: object) -> float:
        app = open_page("estimate", job_workload="elementwise: " + _summary(), **query)
        return float(app.metric[1].value.rstrip("x").replace(",", ""))

    assert speedup(job_mode="in host memory, both ways") < speedup()


def _summary() -> str:
    from collector.workloads import FAMILIES

    return FAMILIES["elementwise"].summary


def test_impossible_job_is_refused_in_words(open_page: OpenPage) -> None:
    """A parameter out of range falls back or is refused; the page never breaks."""
    app = open_page("estimate", job_square_n=0)
    assert not app.exception


def test_large_job_is_an_extrapolation(open_page: OpenPage) -> None:
    """A size that fits the memory but was not reached says so."""
    app = open_page("estimate", job_square_n=20_000)
    assert not app.exception
    assert "beyond measured sizes" in set(app.dataframe[0].value["Basis"])


def test_absurdly_large_job_does_not_fit(open_page: OpenPage) -> None:
    """The largest parameter gets a reason and no time."""
    app = open_page("estimate", job_square_n=2**40)
    assert not app.exception
    assert app.dataframe[0].value["Reason"].str.startswith("does not fit").all()
    told = next(info.value for info in app.info if "No machine can answer this" in info.value)
    assert "needs about" in told


def sentence(app: AppTest) -> str:
    """The verdict in words."""
    openings = ("**Yes", "**No", "**Too close")
    return next(one.value for one in app.markdown if one.value.startswith(openings))


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_the_verdict_comes_as_a_sentence(open_page: OpenPage) -> None:
    """What was asked, both times, the interval, the probability, and the measurement."""
    app = open_page("estimate", job_square_n=1024, job_mode="in host memory, both ways")
    text = sentence(app)
    for part in ("transfers included", "90 % confidence", "probability of", "measured:"):
        assert part in text
    assert "over 99.9 %" in figures(app)["GPU is the faster one"]


def test_calls_that_share_a_transfer_favour_the_gpu(open_page: OpenPage) -> None:
    """Data used a thousand times on the device before it is copied back."""
    link = {"job_square_n": 1024, "job_mode": "in host memory, both ways"}
    alone = open_page("estimate", **link)
    shared = open_page("estimate", estimate_reuse=1000, **link)
    assert "one transfer for 1,000 calls" in sentence(shared)

    def speedup(app: AppTest) -> float:
        return float(figures(app)["Speed-up of the GPU"].rstrip("x").replace(",", ""))

    assert speedup(shared) > speedup(alone)


def test_reuse_is_not_asked_where_the_data_stays(open_page: OpenPage) -> None:
    """Without transfers there is nothing to share."""
    labels = {field.label for field in open_page("estimate").number_input}
    assert "Calls per transfer" not in labels


def test_any_machine_of_the_type_has_the_wider_interval(open_page: OpenPage) -> None:
    """It is the default; each box by itself is a choice, in the sentence and the intervals."""
    own = open_page("estimate", job_square_n=1024, estimate_about="this very machine")
    of_type = open_page("estimate", job_square_n=1024)
    assert "any machines of these types" not in sentence(own)
    assert "any machines of these types" in sentence(of_type)

    def width(app: AppTest) -> float:
        table = app.dataframe[0].value
        low, high = (table.filter(like=name).iloc[0, 0] for name in ("90 % from", "90 % to"))
        return float(high / low)

    assert width(of_type) > width(own)


def test_a_machine_by_its_data_sheet_is_one_more_place(open_page: OpenPage) -> None:
    """Its basis says so; a name that no data sheet has is left out."""
    app = open_page("estimate", job_square_n=1024, estimate_sheets="L4")
    assert not app.exception
    table = app.dataframe[0].value
    assert (table.loc[table["Option"].str.endswith("· L4"), "Basis"] == "from data sheets").all()
    assert table["Option"].str.endswith("· L4").any()
    assert not open_page("estimate", estimate_sheets="Nothing 9000").exception


def test_renting_the_same_machine_twice_is_told(open_page: OpenPage) -> None:
    """Both sides say by what factor two machines of their type differ."""
    app = open_page("estimate", job_square_n=1024)
    told = [one.value for one in app.markdown if "two machines of its type differ" in one.value]
    assert [text[:7] for text in told] == ["**CPU**", "**GPU**"]


def test_a_fleet_shows_its_fastest_places_first(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More places than fit are there on demand."""
    monkeypatch.setattr("app_pages.estimate.places.TOP_PLACES", 2)
    app = open_page("estimate", job_square_n=1024)
    assert len(app.dataframe[0].value) == 2
    every = next(one for one in app.toggle if one.label.startswith("Show all"))
    every.set_value(True).run()
    assert len(app.dataframe[0].value) > 2


def test_the_command_line_reproduces_the_view(open_page: OpenPage) -> None:
    """The pair, the mode and the options are in it."""
    app = open_page(
        "estimate", job_square_n=1024, job_mode="in host memory, both ways", estimate_reuse=1000
    )
    line = app.code[-1].value.splitlines()[0]
    assert line.startswith("python -m estimator pays matmul --case square --param n=1024")
    for part in ("--mode end_to_end", "--reuse 1000", "--cpu-backend", "--machine rack"):
        assert part in line


def test_values_of_a_forged_link_fall_back(open_page: OpenPage) -> None:
    """Nothing that a link can say breaks the page."""
    app = open_page(
        "estimate",
        estimate_reuse="-5",
        estimate_about="nonsense",
        estimate_threads="many",
        estimate_cpu="![x](http://evil.invalid/a.png)",
        estimate_cores="1e999",
    )
    assert not app.exception


def test_without_a_gpu_the_page_says_what_to_add(open_page: OpenPage) -> None:
    """An element type or workload that no GPU measured leads to advice."""
    app = open_page("estimate", job_dtype_matmul="float64")
    assert not app.exception
    assert any("needs this workload" in info.value for info in app.info)


def test_a_page_walked_to_is_the_page_of_its_link(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pair follows the job; the link and the printed command give the same verdict."""
    walked = open_page("estimate")
    walked.number_input(key="job_square_n").set_value(512).run()
    walked.button_group(key="job_mode").set_value("end_to_end").run()
    opened = open_page("estimate", job_square_n=512, job_mode="in host memory, both ways")
    assert sentence(walked) == sentence(opened)
    assert figures(walked) == figures(opened)
    line = walked.code[-1].value.splitlines()[0]
    assert line == opened.code[-1].value.splitlines()[0]
    capsys.readouterr()
    assert main(shlex.split(line)[3:]) == 0
    text = capsys.readouterr().out
    assert f"the GPU is {figures(walked)['Speed-up of the GPU']} as fast" in text
    assert f"break-even size: {figures(walked)['Break-even size']} " in text


def test_a_place_picked_by_hand_stays(open_page: OpenPage) -> None:
    """It is in the link, and the other side follows its machine."""
    app = open_page("estimate", job_square_n=1024)
    box = next(one for one in app.selectbox if one.label == "CPU")
    assert box.value == "Automatic"
    box.set_value(box.options[-1]).run()
    picked = next(one for one in app.selectbox if one.label == "CPU").value
    app.number_input(key="job_square_n").set_value(512).run()
    assert next(one for one in app.selectbox if one.label == "CPU").value == picked
    library = picked.split(" ")[0]
    machine = picked.split(" · ")[1]
    assert escape(f"{library} on the CPU of {machine}") in sentence(app)


def test_a_faster_place_that_is_less_well_known_is_told() -> None:
    """The verdict's GPU is not the first of the chart: the page says which is, and why not it."""
    table = pd.DataFrame(
        {
            "machine_id": ["a", "a", "b"],
            "machine": ["A", "A", "B"],
            "device": ["cuda", "cuda", "cpu"],
            "backend": ["cupy", "torch", "numpy"],
            "basis": ["extrapolated", "measured", "measured"],
            "seconds_p50": [0.020, 0.030, 0.1],
            "n_fit": [1, 5, 5],
        }
    )
    text = faster_text(table, (table.iloc[2], table.iloc[1]))
    assert text == (
        "By estimate another GPU place is faster: cupy on the same machine takes 20 ms, 1.5x as "
        "fast (beyond measured sizes; fitted to 1 measured cell)."
    )
    assert faster_text(table, (table.iloc[2], table.iloc[0])) == ""


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ({"job_batched_batch": 8, "job_batched_n": 128}, "batch=8 m=128 n=128 k=128"),
        (
            {"job_batched_batch": 8, "job_batched_m": 64, "job_batched_n": 64}
            | {"job_batched_k": 256},
            "batch=8 m=64 n=64 k=256",
        ),
    ],
)
def test_a_link_with_the_size_of_a_batch_alone_still_means_squares(
    open_page: OpenPage, query: dict[str, int], shape: str
) -> None:
    app = open_page("estimate", job_case="batched", **query)
    wanted = " ".join(f"--param {part}" for part in shape.split())
    assert any(wanted in block.value for block in app.code)
