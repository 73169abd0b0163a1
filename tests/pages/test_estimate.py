"""Estimate: times, speed-up, break-even size."""

from __future__ import annotations

import pytest

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
    assert small == "CPU is faster"
    assert large == "GPU is faster"


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
    assert any("does not fit" in text.value for text in app.text)


def test_without_a_gpu_the_page_says_what_to_add(open_page: OpenPage) -> None:
    """An element type or workload that no GPU measured leads to advice."""
    app = open_page("estimate", job_dtype_matmul="float64")
    assert not app.exception
    assert any("needs this workload" in info.value for info in app.info)
