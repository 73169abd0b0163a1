import numpy as np
import pandas as pd
import pytest

from collector.errors import SelectionError
from estimator.dataset.measurements import load
from estimator.validation.goals import BEATEN, COVERAGE, MAPE, Goal, verdicts
from estimator.validation.report import document, terminal_report, validation_object
from estimator.validation.scores import (
    COLUMNS,
    PREDICTORS,
    clocks,
    compare,
    coverage,
    decisions,
    floor_of,
    floors,
    run_cells,
    run_pairs,
    summarise,
    totals,
    with_clock,
)
from estimator.validation.splits import ANOTHER_RUN, BETWEEN, LARGER
from estimator.validation.validate import held_out, validate
from tests.estimator import made_up

NO_FLOORS = floors(pd.DataFrame({"clock": [], "workload": [], "difference": []}))


@pytest.fixture(scope="module")
def results(table):
    return held_out(table, splits=(BETWEEN, LARGER))


@pytest.fixture(scope="module")
def summary(results):
    return summarise(results, NO_FLOORS)


def a_result(**columns):
    """Held-out cells of one question, one row per value given."""
    count = max(len(value) for value in columns.values() if isinstance(value, list))
    defaults = {
        "machine_id": "made",
        "machine_type": "type",
        "device": "cpu",
        "clock": "cpu",
        "backend": "numpy",
        "threads": 1,
        "workload": "matmul",
        "operation": "square",
        "dtype": "float32",
        "math_mode": "ieee",
        "mode": "hot",
        "params_key": "n",
        "split": BETWEEN,
        "turn": "0",
        "predictor": "breakeven",
        "row": range(count),
        "inside": np.nan,
        "width": np.nan,
    }
    return pd.DataFrame({**defaults, **columns}, index=range(count))


def test_the_table_has_the_columns_of_the_contract(summary):
    assert tuple(summary.columns) == COLUMNS
    assert set(summary["split"]) == {BETWEEN, LARGER}
    assert tuple(summary["predictor"].iloc[: len(PREDICTORS)]) == PREDICTORS


def test_the_model_beats_the_roofline_and_the_neighbour_between_sizes(results):
    for other in ("roofline", "nearest"):
        table = compare(results, other)
        between = table[table["split"] == BETWEEN]
        # where a neighbour is as near as the noise of the times lets it be, so is the model
        assert ((between["ours"] < between["theirs"]) | (between["ours"] < 3.0)).all()


def test_sizes_between_are_estimated_to_within_a_few_percent(summary):
    chosen = summary[(summary["predictor"] == "breakeven") & (summary["split"] == BETWEEN)]
    many = chosen[chosen["n"] >= 20]
    assert (many["median_ape"] < 8.0).all()


def test_only_the_model_gives_intervals(summary, results):
    others = summary["predictor"] != "breakeven"
    assert summary.loc[others, "coverage90"].isna().all()
    assert summary.loc[~others, "coverage90"].between(0, 1).all()
    assert (coverage(results)["width"] > 1.0).all()


def test_errors_are_in_percent_and_signed():
    results = a_result(
        measured_s=[1.0, 1.0, 1.0, 1.0],
        predicted_s=[0.9, 1.1, 1.2, np.nan],
        inside=[1.0, 1.0, 0.0, np.nan],
    )
    row = summarise(results, NO_FLOORS).iloc[0]
    assert (row["asked"], row["n"]) == (4, 3)
    assert row["mape"] == pytest.approx(40 / 3)
    assert row["median_ape"] == pytest.approx(10.0)
    assert row["bias"] == pytest.approx(20 / 3)
    assert row["coverage90"] == pytest.approx(2 / 3)
    assert totals(results)["mape"].iloc[0] == pytest.approx(40 / 3)


def test_a_predictor_without_an_answer_shows_in_n():
    results = a_result(measured_s=[1.0, 2.0], predicted_s=[np.nan, np.nan])
    row = summarise(results, NO_FLOORS).iloc[0]
    assert (row["asked"], row["n"]) == (2, 0)
    assert np.isnan(row["mape"])


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [([2.0, 3.0, 9.0, 10.0], 1.0), ([4.0, 3.0, 2.0, 1.0], -1.0), ([1.0, 1.0, 1.0, 1.0], 0.0)],
)
def test_rank_correlation_orders_the_cells_of_one_machine(predicted, expected):
    results = a_result(measured_s=[1.0, 2.0, 3.0, 4.0], predicted_s=predicted)
    value = summarise(results, NO_FLOORS)["rank_correlation"].iloc[0]
    assert value == pytest.approx(expected)


def test_regret_is_what_the_chosen_library_costs():
    libraries = a_result(backend=["numpy", "torch"], measured_s=[1.0, 1.5], predicted_s=[2.0, 1.9])
    row = summarise(libraries, NO_FLOORS).iloc[0]
    assert (row["regret"], row["choices"]) == (pytest.approx(50.0), 1)
    choice = decisions(libraries).iloc[0]
    assert (choice["kind"], choice["clear"], choice["right"]) == ("library", 1, 0.0)


def test_the_gpu_is_chosen_with_its_copies():
    results = a_result(
        device=["cpu", "cuda", "cuda"],
        clock=["cpu", "gpu", "gpu"],
        mode=["hot", "hot", "end_to_end"],
        measured_s=[1.0, 0.01, 2.0],
        predicted_s=[1.1, 0.01, 0.9],
    )
    choice = decisions(results).set_index("kind").loc["CPU or GPU"]
    assert (choice["n"], choice["right"]) == (1, 0.0)
    assert choice["regret"] == pytest.approx(100.0)


def test_close_calls_are_no_clear_choices():
    results = a_result(backend=["numpy", "torch"], measured_s=[1.0, 1.1], predicted_s=[2.0, 1.0])
    choice = decisions(results).iloc[0]
    assert (choice["clear"], choice["regret"]) == (0, pytest.approx(10.0))
    assert np.isnan(choice["right"])


def test_goals_are_judged_by_the_floor_where_the_host_keeps_time(monkeypatch):
    monkeypatch.setattr("estimator.validation.goals.GOALS", (Goal(BETWEEN, MAPE, 5.0),))
    pairs = pd.DataFrame({"clock": "cpu", "workload": "matmul", "difference": [9.0] * 6})
    slow = a_result(
        measured_s=[1.0, 1.0],
        predicted_s=[1.08, 1.08],
        device=["cpu", "cuda"],
        clock=["cpu", "gpu"],
    )
    beside = {name: compare(slow, name) for name in PREDICTORS[1:]}
    found = verdicts(slow, coverage(slow), decisions(slow), beside, floors(pairs))
    host, gpu = (next(one for one in found if clock in one.scope) for clock in (", cpu", ", gpu"))
    assert (host.met, host.target) == (True, "<= 9.0 floor")
    assert (gpu.met, gpu.target) == (False, "<= 5")


def test_a_goal_needs_answers(monkeypatch):
    monkeypatch.setattr("estimator.validation.goals.GOALS", (Goal(BETWEEN, MAPE, 5.0),))
    few = a_result(measured_s=[1.0, 1.0, 1.0], predicted_s=[1.0, np.nan, np.nan])
    beside = {name: compare(few, name) for name in PREDICTORS[1:]}
    (found,) = (
        one
        for one in verdicts(few, coverage(few), decisions(few), beside, NO_FLOORS)
        if one.statistic == MAPE
    )
    assert (found.n, found.asked, found.met) == (1, 3, False)


def test_coverage_is_judged_where_there_are_100_cells():
    many = a_result(measured_s=[1.0] * 100, predicted_s=[1.0] * 100, inside=[1.0] * 90 + [0.0] * 10)
    beside = {name: compare(many, name) for name in PREDICTORS[1:]}
    found = verdicts(many, coverage(many), decisions(many), beside, NO_FLOORS)
    covered = [one for one in found if one.statistic == COVERAGE]
    assert [one.met for one in covered] == [True]
    assert not [one for one in found if one.statistic == BEATEN]


def test_floors_are_differences_between_runs_of_one_machine(measurements):
    runs = run_cells(measurements)
    assert runs["run_id"].nunique() == 2
    pairs = run_pairs(runs.assign(clock="cpu"))
    assert len(pairs) == len(runs) / 2
    found = floors(pairs)
    # two medians, each off by a deviation of 2 %
    assert 1.0 < floor_of(found, "cpu", ["matmul"])["mean"] < 4.0
    assert floor_of(found, "cpu", ["none"]) == floor_of(found, "cpu", ["*"])
    assert np.isnan(floor_of(found, "gpu", ["matmul"])["mean"])


def test_clocks_tell_cells_that_wait_for_the_host(table):
    clock = clocks(table)
    assert (clock[table["device"] == "cpu"] == "cpu").all()
    assert (clock[table["mode"] == "hot"] != "gpu host").all()
    square = table[(table["dtype"] == "float16") & (table["mode"] == "resident")]
    by_size = clock[square.sort_values("amount").index]
    assert by_size.iloc[0] == "gpu host"
    assert by_size.iloc[-1] == "gpu"
    assert set(with_clock(table.assign(run_id="r"), table)["clock"]) == set(clock)


def test_a_dataset_is_validated_with_its_runs_combined(validation):
    between = validation.table[
        (validation.table["split"] == BETWEEN) & (validation.table["predictor"] == "breakeven")
    ]
    cells = made_up.make_cells((("numpy", "cpu"),), ("elementwise",))
    assert 0 < between["n"].sum() < len(cells)
    assert ANOTHER_RUN in set(validation.table["split"])
    assert len(validation.floors)
    assert validation.machines["runs"].sum() == 2


def test_an_unknown_split_is_refused(small_dataset):
    with pytest.raises(SelectionError, match="choose from"):
        validate(load(small_dataset), ("sideways",))


def test_the_terminal_table_is_narrow_and_says_whether_goals_are_met(validation):
    text = terminal_report(validation)
    assert max(map(len, text.splitlines())) <= 100
    assert "MAPE" in text.splitlines()[2]
    for split in set(validation.table["split"]):
        assert f"\n{split}\n" in text


def test_the_document_names_what_it_rests_on(validation):
    text = document(validation, "python -m estimator validate -o x.md", "2030-01-02")
    assert "Date: 2030-01-02. Regenerate with `python -m estimator validate -o x.md`" in text
    assert validation.fingerprint[:16] in text
    for title in ("Goals", "Where a simple method is nearer", "What is not covered"):
        assert f"## {title}\n" in text
    assert "numpy " in text
    assert "nan" not in text


def test_the_object_has_every_table(validation):
    found = validation_object(validation)
    assert {"goals", "errors", "coverage", "choices", "floors"} < set(found)
    assert {"met", "figure", "target"} < set(found["goals"][0])
