"""Cost: which instance finishes a job cheapest and fastest, how sure that is, and why."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app_pages.cost.tables import Filters, looked_at
from estimator.catalogue.instances import read_instances
from estimator.commands.cli import main
from estimator.cost.inputs import CostOptions, Job
from estimator.cost.instance_costs import MARKETS, instance_costs
from estimator.cost.table import cheapest_in_time
from tests.estimator.priced_rows import instance, timings
from tests.pages.conftest import OpenPage, chart_spec

#: The job of all tests that do not say another: large enough for seconds, not microseconds.
STEPS = 10**7
BARE = {"cost_start_up": "0", "cost_increment": "0.001", "cost_minimum": "0"}


def instances(app: AppTest) -> pd.DataFrame:
    """The table of instances."""
    table: pd.DataFrame = next(
        frame.value for frame in app.dataframe if "Cost per job" in frame.value
    )
    return table


def texts(app: AppTest) -> str:
    """Everything that is written on the page outside tables."""
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return "\n".join(element.value for element in elements).replace("\\", "")


def chart_rows(app: AppTest, index: int) -> list[dict[str, Any]]:
    """The rows of all tables of a chart."""
    found: list[dict[str, Any]] = []
    for dataset in app.get("vega_lite_chart")[index].proto.datasets:
        with pa.ipc.open_stream(dataset.data.data) as reader:
            found += reader.read_all().to_pylist()
    return found


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label.replace("\\", ""): metric.value.replace("\\", "") for metric in app.metric}


def test_cost_is_price_times_time(open_page: OpenPage) -> None:
    """Without start-up, rounding and minimum, cost = price per hour x time / 3600."""
    table = instances(open_page("cost", cost_steps=STEPS, cost_all=True, **BARE))
    expected = table["Price per hour"] * table["Time (s)"] / 3600
    assert list(table["Cost per job"]) == pytest.approx(list(expected), rel=1e-3)
    assert list(table["Cost per job"]) == sorted(table["Cost per job"])
    assert (table["90 % from"] <= table["Cost per job"]).all()
    assert (table["Cost per job"] <= table["90 % to"]).all()


def test_every_price_has_a_date_and_a_source(open_page: OpenPage) -> None:
    """No price without its source; the caption says from when the prices are."""
    app = open_page("cost", cost_all=True)
    table = instances(app)
    assert (table["Price of"] != "").all()
    assert (table["Price source"] != "").all()
    assert "prices" in texts(app)


def test_the_answer_comes_first_and_in_one_sentence(open_page: OpenPage) -> None:
    """Cheapest, interval, time and how it is rented; at most four figures; why, and how sure."""
    app = open_page("cost", cost_steps=STEPS)
    sentence = next(one.value for one in app.markdown if "is the cheapest" in one.value)
    for part in ("90 %", "done in", "on demand"):
        assert part in sentence
    assert 2 <= len(app.metric) <= 4
    assert {"Cheapest", "Fastest"} <= set(figures(app))
    assert "Why:" in texts(app)
    cheapest = instances(app).iloc[0]
    assert cheapest["Instance"] in sentence.replace("\\", "")


def test_twice_the_steps_cost_twice(open_page: OpenPage) -> None:
    """Cost grows with the steps."""
    one, two = (
        instances(open_page("cost", cost_steps=steps, **BARE))["Cost per job"].iloc[0]
        for steps in (STEPS, 2 * STEPS)
    )
    assert two == pytest.approx(2 * one, rel=0.01)


def test_spot_is_cheaper_and_says_what_interruptions_were_assumed(open_page: OpenPage) -> None:
    """Spot prices lower the cheapest cost; the answer names the rate, or that it is unknown."""
    demand = instances(open_page("cost", cost_steps=STEPS))["Cost per job"].iloc[0]
    app = open_page("cost", cost_steps=STEPS, cost_market="spot")
    assert instances(app)["Cost per job"].iloc[0] < demand
    assert "interruptions" in next(
        one.value for one in app.markdown if "is the cheapest" in one.value
    )


def test_interruptions_make_spot_dearer(open_page: OpenPage) -> None:
    """More of them cost more, and checkpoints cost less than to start over."""

    def cheapest(**query: Any) -> float:
        spot = {"cost_market": "spot", "cost_steps": STEPS, **BARE}
        return float(instances(open_page("cost", **spot, **query))["Cost per job"].iloc[0])

    calm, rough = cheapest(cost_interruptions=0.0), cheapest(cost_interruptions=0.5)
    saved = cheapest(cost_interruptions=0.5, cost_checkpoint="5 s")
    assert calm < saved < rough


def test_whichever_is_cheaper_is_never_dearer_than_either(open_page: OpenPage) -> None:
    """Both prices are looked at, and each row says which it is."""
    costs = {
        market: instances(open_page("cost", cost_steps=STEPS, cost_market=market))
        for market in ("on demand", "spot", "whichever is cheaper")
    }
    both = costs["whichever is cheaper"]
    assert set(both["Price"]) <= {"on demand", "spot"}
    assert both["Cost per job"].iloc[0] == pytest.approx(
        min(costs[one]["Cost per job"].iloc[0] for one in ("on demand", "spot"))
    )


def test_a_deadline_chooses_among_what_is_in_time(open_page: OpenPage) -> None:
    """The cheapest in time is another one than the cheapest, and is called so."""
    free = open_page("cost", cost_steps=10**9, cost_all=True)
    table = instances(free)
    limit = float(table["Time (s)"].iloc[0]) * 0.9
    app = open_page("cost", cost_steps=10**9, cost_all=True, cost_deadline=f"{limit:.0f} s")
    in_time = instances(app)[lambda rows: rows["In time"] != "no"]
    assert len(in_time)
    sentence = next(one.value for one in app.markdown if "is the cheapest" in one.value)
    assert in_time.iloc[0]["Instance"] in sentence.replace("\\", "")
    assert any(label.startswith("Cheapest within") for label in figures(app))
    assert "Cheapest at any time" in figures(app)


def test_one_row_for_each_instance_keeps_the_price_that_is_in_time() -> None:
    """1.5 h of work: on demand 1.50 USD; on spot, taken away every second hour, 0.67 USD in 2.2 h.

    Within 2 h only the price on demand will do, and another instance would cost more.
    """
    offer = [instance("first", 1.0, spot=0.3), instance("second", 1.4)]
    how = CostOptions(interruptions_per_h=0.5, deadline_s=7200.0)
    rows = instance_costs(timings(offer, [1.0, 1.0]), offer, Job(5400), how, None, MARKETS)
    looked = looked_at(0, rows, Filters(), offer)
    best = cheapest_in_time(looked.priced)
    assert best is not None
    assert (best["instance"], best["market"]) == ("first", "on-demand")
    assert best["cost_usd_p50"] == pytest.approx(1.5)
    lowest = looked.priced.iloc[0]
    assert (lowest["instance"], lowest["market"]) == ("first", "spot")
    assert lowest["cost_usd_p50"] == pytest.approx(0.67, abs=0.005)
    assert list(looked.names) == [
        "aws/first/here spot",
        "aws/first/here on-demand",
        "aws/second/here on-demand",
    ]


def test_impossible_deadline_is_said(open_page: OpenPage) -> None:
    """If nothing is done in time, the page says so, and what to relax, and shows all the same."""
    app = open_page("cost", cost_deadline="0.001 s")
    assert any("Relax the deadline" in warning.value for warning in app.warning)
    assert set(instances(app)["In time"]) == {"no"}


@pytest.mark.parametrize(
    "text", ["soon", "-2h", "1e99 d", "2 parsecs", "![x](http://evil.invalid)"]
)
def test_a_deadline_that_is_none_is_refused_in_a_line(open_page: OpenPage, text: str) -> None:
    """The page stays up and counts it as not given."""
    app = open_page("cost", cost_deadline=text)
    assert not app.exception
    assert "is no time" in app.error[0].value or "ten years" in app.error[0].value
    assert "![x](" not in app.error[0].value
    assert "In time" not in instances(app)


def test_budget(open_page: OpenPage) -> None:
    """Rows above the budget say so."""
    table = instances(open_page("cost", cost_steps=10**9, cost_all=True))
    budget = float(table["Cost per job"].median())
    marked = instances(open_page("cost", cost_steps=10**9, cost_all=True, cost_budget=budget))
    assert {"no", "yes"} <= set(marked["In budget"])


def test_excluded_instances_have_a_reason(open_page: OpenPage) -> None:
    """Nothing is dropped silently."""
    app = open_page("cost")
    box = next(one for one in app.expander if "excluded" in one.label)
    assert int(box.label.split()[0]) > 0
    app.session_state["cost_excluded"] = True
    excluded = next(frame.value for frame in app.run().dataframe if "Reason" in frame.value)
    assert (excluded["Reason"].str.len() > 10).all()


def test_provider_filter(open_page: OpenPage) -> None:
    """A link can narrow the table to one provider."""
    table = instances(open_page("cost", cost_provider="GCP"))
    assert table["Instance"].str.startswith("GCP ").all()


def test_processor_filter(open_page: OpenPage) -> None:
    """CPUs only, or one GPU only."""
    assert set(instances(open_page("cost", cost_processor="CPU only"))["GPU"]) == {"none"}
    table = instances(open_page("cost", cost_processor="H100 SXM"))
    assert table["GPU"].str.contains("H100").all()


def test_baseline_gives_every_row_its_ratio(open_page: OpenPage) -> None:
    """The baseline itself is 1.00 in both, and rows say how many times as much they take."""
    app = open_page("cost", cost_steps=STEPS)
    name = app.selectbox(key="cost_baseline").options[3]
    table = instances(open_page("cost", cost_steps=STEPS, cost_baseline=name))
    ratio = table["Cost, x baseline"]
    base = table[table["Against the baseline"] == "the baseline"].iloc[0]
    assert base["Cost, x baseline"] == base["Time, x baseline"] == pytest.approx(1)
    assert list(ratio) == pytest.approx(list(table["Cost per job"] / base["Cost per job"]))


def test_own_machine_is_a_row_like_any_other(open_page: OpenPage) -> None:
    """Its price per hour is purchase / hours at work + electricity, and it has a break-even."""
    app = open_page(
        "cost",
        cost_steps=STEPS,
        cost_all=True,
        cost_own="true",
        cost_own_purchase=17532,
        cost_own_years=2.0,
        cost_own_utilisation=50,
        cost_own_watts=1000.0,
        cost_own_kwh=0.5,
    )
    assert not app.exception
    mine = instances(app)[lambda rows: rows["Instance"].str.startswith("your own ")]
    # 17,532 USD over 2 x 8,766 h, half of them at work: 2 USD; 1 kW at 0.50 USD: 0.50 USD
    assert list(mine["Price per hour"]) == [pytest.approx(2.5)]
    assert "your own" in str(app.selectbox(key="cost_this").value) or "own/" in str(
        app.selectbox(key="cost_this").value
    )
    spot = open_page("cost", cost_own="true", cost_market="spot", cost_all=True)
    assert instances(spot)["Instance"].str.startswith("your own ").any()


def test_link_brings_back_what_was_set(open_page: OpenPage) -> None:
    """Each control of the form reads its value from the address."""
    app = open_page(
        "cost", cost_steps=123, cost_jobs=7, cost_deadline="90 min", cost_provider="AWS"
    )
    assert app.number_input(key="cost_steps").value == 123
    assert app.number_input(key="cost_jobs").value == 7
    assert app.text_input(key="cost_deadline").value == "90 min"
    assert app.selectbox(key="cost_provider").value == "aws"


@pytest.mark.parametrize(
    "query",
    [
        {"cost_provider": "no such cloud"},
        {"cost_region": "atlantis-1"},
        {"cost_processor": "H9000"},
        {"cost_steps": -4},
        {"cost_jobs": "many"},
        {"cost_interruptions": 1e9},
        {"cost_baseline": "=1+1"},
        {"cost_market": "stolen"},
        {"job_workload": "no such family"},
        {"job_case": "no such case"},
        {"cost_own": "true", "cost_own_hardware": "abacus"},
    ],
)
def test_values_that_do_not_exist_fall_back(open_page: OpenPage, query: dict[str, Any]) -> None:
    """An old or forged link opens the page with the default in that place."""
    app = open_page("cost", **query)
    assert not app.exception
    assert not app.error
    assert len(instances(app))


def printed_command(app: AppTest) -> list[str]:
    """The words after "python -m estimator" of what the page tells to run."""
    words = shlex.split(app.code[-1].value)
    assert words[:3] == ["python", "-m", "estimator"]
    return words[3:]


def said_by(capsys: pytest.CaptureFixture[str], words: list[str]) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_break_even_of_buying_is_that_of_the_command_line(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    """One comparison partner, one verdict, in the same words."""
    app = open_page(
        "cost",
        cost_steps=10**9,
        cost_own="true",
        cost_own_purchase=2000,
        cost_own_watts=500.0,
        cost_deadline="30 d",
        cost_start_up="600",
    )
    assert any(one.value == "Break-even" for one in app.subheader)
    capsys.readouterr()
    assert main(printed_command(app)) == 0
    out = " ".join(capsys.readouterr().out.split())
    said = re.search(r"only for these jobs, .*? against renting (\S+): (.*?)\.", out)
    assert said is not None
    partner = said[1].partition("/")[2]
    sentence = next(one.value for one in app.markdown if " against " in one.value)
    sentence = sentence.replace("\\", "")
    assert partner in sentence
    assert f": {said[2]}" in sentence


def test_break_even_counts_a_whole_round_for_one_job(open_page: OpenPage) -> None:
    """Where the chart begins, at one job, each of the two costs what the table says for one."""
    app = open_page("cost", cost_steps=10**9, cost_all=True, cost_processor="any GPU", **BARE)
    table = instances(app)
    eight = next(row for row in table.to_dict("records") if row["GPU"].startswith("8x"))
    names = app.selectbox(key="cost_this").options
    name = next(one for one in names if one.startswith(f"{eight['Instance']}, {eight['Region']}"))
    app = app.selectbox(key="cost_this").select(name).run()
    assert not app.exception
    drawn = [
        row
        for index in range(len(app.get("vega_lite_chart")))
        for row in chart_rows(app, index)
        if row.get("jobs") == 1 and row.get("option") == name
    ]
    assert [row["total_usd"] for row in drawn] == [pytest.approx(eight["Cost per job"], rel=1e-3)]
    sentence = next(one.value for one in app.markdown if " against " in one.value)
    assert "always cheaper" not in sentence


@pytest.mark.parametrize("change", ["10 %", "50 %"])
def test_sensitivity_says_whether_the_winner_changes(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    """The sentence is that of the rows that the command line gives; a bar for each input."""
    app = open_page("cost", cost_steps=STEPS, cost_one_each="false", cost_change=change)
    found = said_by(capsys, printed_command(app))["sensitivity"]
    text = texts(app)
    changes = any(row["changes"] for row in found)
    assert ("another one is the cheapest" in text) == changes
    assert ("stays the cheapest" in text) == (not changes)
    specs = [chart_spec(app, index) for index in range(len(app.get("vega_lite_chart")))]
    assert any("Price per hour" in json.dumps(spec) for spec in specs)


def test_the_page_as_it_opens_agrees_with_the_command_line_at_a_rate_of_interruptions(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row for each instance, several machines, spot allowed: the same answer and figures."""
    app = open_page(
        "cost",
        cost_steps=STEPS,
        cost_jobs=8,
        cost_market="whichever is cheaper",
        cost_interruptions=0.2,
        cost_checkpoint="30 s",
        cost_deadline="1 d",
    )
    said = said_by(capsys, printed_command(app))
    rows = {
        (row["instance"], row["region"], row["market"].replace("-", " ")): row
        for row in said["rows"]
        if not row["excluded"]
    }
    table = instances(app)
    for shown in table.to_dict("records"):
        name = shown["Instance"].partition(" ")[2]
        row = rows[name, shown["Region"], shown["Price"]]
        assert shown["Cost per job"] == pytest.approx(row["cost_usd_p50"], rel=1e-4)
        assert shown["Time (s)"] == pytest.approx(row["wall_s_p50"], rel=1e-4)
        assert shown["In time"] == row["meets_deadline"]
    best = said["answer"]["cheapest_in_time"]
    sentence = next(one.value for one in app.markdown if "is the cheapest" in one.value)
    assert best["key"].split("/")[1] in sentence.replace("\\", "")


def test_the_baseline_of_the_command_line_has_its_market(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dearer price of an instance that has two is the baseline in both."""
    both = {"cost_steps": STEPS, "cost_market": "whichever is cheaper", "cost_one_each": "false"}
    names = open_page("cost", **both).selectbox(key="cost_baseline").options
    first = next(name for name in names if name.endswith(", spot"))
    dearer = first.replace(", spot", ", on demand")
    assert dearer in names
    app = open_page("cost", cost_baseline=dearer, **both)
    said = said_by(capsys, printed_command(app))["rows"]
    base = next(row for row in said if row["verdict"] == "the baseline")
    assert base["market"] == "on-demand"
    table = instances(app)
    mine = table[table["Against the baseline"] == "the baseline"].iloc[0]
    assert mine["Cost per job"] == pytest.approx(base["cost_usd_p50"], rel=1e-4)


def test_a_download_has_every_row_of_the_filters(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each region and the excluded too, whatever is shown: as many as the command line's."""
    offered: dict[str, Any] = {}

    def button(label: str, data: Any, **_: Any) -> bool:
        offered[label] = data
        return False

    monkeypatch.setattr(st, "download_button", button)
    app = open_page("cost", cost_steps=STEPS, cost_provider="AWS")
    found = pd.read_csv(io.BytesIO(offered["Table as CSV"]()))
    said = said_by(capsys, printed_command(app))["rows"]
    assert len(found) == len(said) > len(instances(app))
    assert found["excluded"].notna().any()


def test_the_same_rented_twice(open_page: OpenPage) -> None:
    """A sentence says what two machines of one type differ by."""
    assert "Rented twice" in texts(open_page("cost"))


def test_no_row_passes_the_filters(open_page: OpenPage) -> None:
    """An empty state names the filters to relax."""
    app = open_page("cost", cost_provider="Lambda", cost_processor="CPU only")
    assert not app.exception
    if not any("Cost per job" in frame.value for frame in app.dataframe):
        assert "Relax" in app.info[0].value or "Choose" in app.info[0].value


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"cost_market": "spot", "cost_provider": "AWS", "cost_deadline": "2h"},
        {"cost_market": "whichever is cheaper", "cost_jobs": 5, "cost_checkpoint": "30 s"},
        {"cost_own": "true", "cost_increment": "1h", "cost_set_up": "5 min", "cost_egress": 3.0},
    ],
)
def test_the_command_line_gives_the_same_numbers(
    open_page: OpenPage, capsys: pytest.CaptureFixture[str], query: dict[str, Any]
) -> None:
    """What the page tells to run prints what the page shows."""
    app = open_page("cost", cost_steps=STEPS, cost_all=True, cost_one_each="false", **query)
    assert not app.exception
    shown = instances(app)
    words = shlex.split(app.code[-1].value)
    assert words[:3] == ["python", "-m", "estimator"]
    capsys.readouterr()
    assert main([*words[3:], "--json"]) == 0
    said = [row for row in json.loads(capsys.readouterr().out)["rows"] if not row["excluded"]]
    # the last digit of a time may tip the billed time into the next second
    cost, wall = list(shown["Cost per job"]), list(shown["Time (s)"])
    assert [row["cost_usd_p50"] for row in said] == pytest.approx(cost, rel=1e-4)
    assert [row["wall_s_p50"] for row in said] == pytest.approx(wall, rel=1e-4)


def edit_prices(monkeypatch: pytest.MonkeyPatch, **prices: float | None) -> None:
    """As if somebody had typed over the prices of the first row."""

    def typed(frame: pd.DataFrame, **_: Any) -> pd.DataFrame:
        changed = frame.copy()
        for name, value in prices.items():
            changed.loc[0, name.replace("_", " ").capitalize()] = value
        return changed

    monkeypatch.setattr(st, "data_editor", typed)


FIRST = read_instances()[0]
EVERY_ROW = {"cost_steps": STEPS, "cost_all": True, "cost_one_each": "false", **BARE}


def is_first(table: pd.DataFrame) -> pd.Series[bool]:
    """Which row is of the first instance of the catalogue."""
    named = table["Instance"].str.endswith(f" {FIRST.instance}")
    return named & (table["Region"] == FIRST.region)


def test_a_typed_price_changes_its_row_and_is_marked(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cost follows the price; source and basis say that it was typed in; the others stay."""
    before = instances(open_page("cost", **EVERY_ROW))
    edit_prices(monkeypatch, on_demand=2 * FIRST.on_demand_usd_per_h)
    app = open_page("cost", **EVERY_ROW)
    after = instances(app)
    old, new = before[is_first(before)].iloc[0], after[is_first(after)].iloc[0]
    assert new["Price per hour"] == 2 * FIRST.on_demand_usd_per_h
    assert new["Cost per job"] == pytest.approx(2 * old["Cost per job"])
    assert new["Price source"] == "price typed in"
    assert new["Basis"].endswith("price typed in")
    others = [list(table.loc[~is_first(table), "Cost per job"]) for table in (before, after)]
    assert others[0] == others[1]
    assert "--instances my-prices.csv" in app.code[-1].value


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        ({"on_demand": 0.0}, "above 0"),
        ({"on_demand": -3.0}, "above 0"),
        ({"on_demand": 1e6}, "plausible"),
        ({"spot": 1.2 * FIRST.on_demand_usd_per_h}, "above on_demand"),
        ({"on_demand": None}, "empty"),
    ],
)
def test_a_bad_price_is_refused_and_the_rest_stays(
    open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
    prices: dict[str, float | None],
    reason: str,
) -> None:
    """Row and reason are named, and the row keeps the price of the catalogue."""
    edit_prices(monkeypatch, **prices)
    app = open_page("cost", **EVERY_ROW)
    warning = app.warning[0].value.replace("\\", "")
    assert FIRST.instance in warning
    assert reason in warning
    table = instances(app)
    assert table[is_first(table)].iloc[0]["Price per hour"] == FIRST.on_demand_usd_per_h
    assert "--instances" not in app.code[-1].value


HEADING = (
    "provider,instance,region,vcpu,memory_gib,gpu,gpu_count,gpu_memory_gib,on_demand_usd_per_h,"
    "spot_usd_per_h,as_of,source,hardware"
)
GOOD = "mycloud,big-1,here-1,16,128,H100-SXM,1,80,2.5,1.0,2026-01-02,offer 17,"


def upload(app: AppTest, text: str | bytes, name: str = "prices.csv") -> AppTest:
    data = text if isinstance(text, bytes) else text.encode()
    return app.get("file_uploader")[-1].upload(name, data).run()


def test_an_uploaded_catalogue_is_priced_instead(open_page: OpenPage) -> None:
    """Its rows are the table; the provider is offered; nothing of the shipped one is left."""
    app = upload(open_page("cost", cost_steps=STEPS), f"{HEADING}\n{GOOD}\n")
    assert not app.exception
    table = instances(app)
    assert list(table["Instance"]) == ["mycloud big-1"]
    assert list(table["Price source"]) == ["offer 17"]
    assert list(app.selectbox(key="cost_provider").options) == ["all providers", "mycloud"]


def test_bad_rows_of_an_uploaded_catalogue_are_named_and_the_rest_is_used(
    open_page: OpenPage,
) -> None:
    """A zero price, a spot price above on demand, text for a number, an unknown GPU."""
    bad = [
        GOOD.replace("big-1", "free").replace(",2.5,", ",0,"),
        GOOD.replace("big-1", "odd").replace(",1.0,", ",3.0,"),
        GOOD.replace("big-1", "word").replace(",2.5,", ",cheap,"),
        GOOD.replace("big-1", "alien").replace("H100-SXM", "X9000"),
    ]
    app = upload(open_page("cost"), "\n".join([HEADING, GOOD, *bad, ""]))
    assert not app.exception
    assert list(instances(app)["Instance"]) == ["mycloud big-1"]
    assert app.warning[0].value.startswith("4 rows")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a,b,c\n1,2,3\n",
        b"\x00\xff\xfe\x00" * 1000,
        ("x" * 100_000).encode(),
        (",".join(f"c{i}" for i in range(10_000)) + "\n").encode(),
        HEADING.encode(),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_and_the_page_stays(
    open_page: OpenPage, data: bytes
) -> None:
    """One clear line, and the shipped catalogue is priced."""
    app = upload(open_page("cost"), data)
    assert not app.exception
    assert "catalogue is not used" in app.error[0].value
    assert len(app.error[0].value) < 600
    assert "AWS" in " ".join(instances(app)["Instance"])


def test_a_hostile_catalogue_stays_text(open_page: OpenPage) -> None:
    """Mark-up and formulas of names and sources are shown as themselves."""
    name = "![x](http://evil.invalid/a.png)"
    row = GOOD.replace("big-1", name).replace("offer 17", "=HYPERLINK(1)")
    app = upload(open_page("cost", cost_steps=STEPS), f"{HEADING}\n{row}\n")
    assert not app.exception
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.metric]
    for element in elements:
        assert "![x](" not in str(element.value)
        assert "http://evil" not in str(element.value)
    sources = instances(app)["Price source"] if len(instances(app)) else []
    assert not any(str(source).startswith("=") for source in sources)


def test_cheapest_aws_instance_for_training_within_two_hours_takes_four_steps(
    open_page: OpenPage, every_family: Path
) -> None:
    """Workload, deadline, provider, price: the answer is a sentence that a manager understands."""
    app = open_page("cost", every_family)
    app.selectbox(key="job_workload").set_value("training_step").run()
    app.text_input(key="cost_deadline").set_value("2h").run()
    app.selectbox(key="cost_provider").set_value("aws").run()
    app.button_group(key="cost_market").set_value("cheaper").run()
    assert not app.exception
    assert app.number_input(key="cost_steps").value == 10_000
    sentence = next(one.value for one in app.markdown if "is the cheapest" in one.value)
    assert sentence.startswith("**AWS ")
    assert "that finishes within 2 h" in sentence
    assert instances(app)["Instance"].str.startswith("AWS ").all()


def test_energy_stands_where_it_was_measured(open_page: OpenPage, every_family: Path) -> None:
    """Only on instances with the GPU that measured this very cell: joules x steps / 3.6e6."""
    small = {"job_workload": "training_step", "job_case": "simple_net_adam"}
    app = open_page("cost", every_family, cost_all=True, **small)
    assert not app.exception
    table = instances(app)
    known = table[table["Energy (kWh)"].notna()]
    assert len(known)
    assert known["GPU"].str.contains("H200").all()
    assert (known["Energy (kWh)"] > 0).all()
