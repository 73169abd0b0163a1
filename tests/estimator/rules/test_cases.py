"""The rules beside the estimate and the measurement of one case, and over all pairs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError, SelectionError
from estimator.commands.cli import main
from estimator.dataset.measurements import empty_machines
from estimator.decide.places import PlaceQuestion
from estimator.rules.cases import rule_case
from estimator.rules.gaps import (
    LARGE_PRODUCT_FLOP,
    PAIR_COLUMNS,
    claim_table,
    gap_table,
    rule_pairs,
)
from estimator.rules.report import ANSWERS, answers, as_text, headline, off_by, worked_examples
from estimator.rules.rules_of_thumb import (
    CLAIMED_SPEEDUPS,
    COMPUTE_BOUND,
    RULES,
    CoresRule,
    ThroughputRule,
)
from tests.estimator.conftest import FACTS

PRODUCT = PlaceQuestion("matmul", "square", (("n", 1000),), "float32", gpu_mode="end_to_end")


@pytest.fixture(scope="module")
def known(model):
    """The made-up machine with the names that data sheets are found by."""
    machine = str(model.measured["machine_id"].iloc[0])
    return replace(model, machines=empty_machines([machine]).assign(**FACTS)), machine


@pytest.fixture(scope="module")
def case(known):
    model, machine = known
    return rule_case(model, PRODUCT, machine, machine)


def test_a_case_has_the_fastest_library_that_was_measured(known, case):
    model, _ = known
    cells = model.measured
    square = {"batch": 1, "m": 1000, "n": 1000, "k": 1000}
    sides = np.array([dict(params) == square for params in cells["params_key"]])
    cells = cells[sides & (cells["dtype"] == "float32") & (cells["math_mode"] == "ieee")]
    for side, mode in ((case.cpu, "hot"), (case.gpu, "end_to_end")):
        device = "cpu" if side is case.cpu else "cuda"
        same = cells[(cells["device"] == device) & (cells["mode"] == mode)]
        same = same[same["threads"] == side["threads"]]
        assert side["measured_s"] == pytest.approx(same["median_s"].min())
    assert case.measured_speedup == pytest.approx(case.cpu["measured_s"] / case.gpu["measured_s"])


def test_a_product_counts_its_arithmetic_and_its_copies(case):
    assert case.flop == 2 * 1000**3
    assert case.elements == 3 * 1000**2
    assert case.bus_bytes == 4 * 3 * 1000**2
    assert case.workload in COMPUTE_BOUND


def test_sheet_inputs_give_what_the_rules_say_over_all_pairs(known, case):
    model, _ = known
    pairs = rule_pairs(model, "end_to_end")
    pair = pairs[
        (pairs["case"] == "square")
        & (pairs["dtype"] == "float32")
        & (pairs["math_mode"] == "ieee")
        & (pairs["flop"] == case.flop)
    ].iloc[0]
    assert pair["measured"] == pytest.approx(case.measured_speedup)
    assert pair["estimate"] == pytest.approx(case.estimate.ratio_p50)
    for rule in RULES:
        assert rule.filled(case, {}).speedup == pytest.approx(pair[rule.name])


def test_copies_go_there_and_back_at_the_rate_of_the_memory(case):
    assert case.gpu["mode"] == "end_to_end"
    copies_s = case.bus_bytes / case.gpu["sheet_bytes_per_s"]
    assert CoresRule.filled(case, {}).times[2] == pytest.approx(2 * copies_s)


def test_a_machine_that_no_data_sheet_knows_has_no_sheet_inputs(model):
    machine = str(model.measured["machine_id"].iloc[0])
    case = rule_case(model, PRODUCT, machine, machine)
    assert [rule.filled(case, {}) for rule in RULES] == [None, None]


def test_what_is_typed_in_stands_for_what_is_not_known(model):
    machine = str(model.measured["machine_id"].iloc[0])
    case = rule_case(model, PRODUCT, machine, machine)
    unknown = [name for name, one in ThroughputRule.inputs(case).items() if one != one]
    rule = ThroughputRule.filled(case, dict.fromkeys(unknown, 2.0))
    assert rule.cpu_gflop_per_s == rule.gpu_peak_tflop_per_s == 2.0
    assert rule.work_gflop == pytest.approx(2.0)


def test_an_operation_without_arithmetic_has_no_throughput_rule(known):
    model, machine = known
    asked = PlaceQuestion("transfer", "h2d_pinned", (("bytes", 10**6),), "float32")
    with pytest.raises(EstimateError, match="no CPU and GPU"):
        rule_case(model, asked, machine, machine)


def test_pairs_are_the_fastest_of_each_side(known):
    model, _ = known
    pairs = rule_pairs(model, "resident")
    assert list(pairs.columns) == list(PAIR_COLUMNS)
    assert len(pairs) > 10
    key = ["gpu_machine", "workload", "case", "params_key", "dtype", "math_mode"]
    assert not pairs.duplicated(key).any()
    assert np.allclose(pairs["measured"], pairs["cpu_s"] / pairs["gpu_s"])
    assert set(pairs["workload"]) <= {"matmul", "elementwise", "python_loop"}


def test_a_cpu_of_another_machine_has_its_own_pairs(known):
    model, machine = known
    assert len(rule_pairs(model, "resident", machine)) == len(rule_pairs(model, "resident"))
    assert rule_pairs(model, "resident", "nobody").empty
    assert gap_table(rule_pairs(model, "resident", "nobody")).empty


def made_up_pairs(measured, factor):
    measured = np.asarray(measured, dtype=float)
    stated = dict.fromkeys(("cores", "throughput", "estimate"), measured * factor)
    return pd.DataFrame({"workload": "matmul", "flop": 1e12, "measured": measured, **stated})


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=20), st.floats(0.01, 100.0))
def test_a_rule_that_is_always_off_by_one_factor_is_said_to_be(measured, factor):
    gaps = gap_table(made_up_pairs(measured, factor))
    assert np.allclose(gaps["factor_p50"], max(factor, 1 / factor))
    assert np.allclose(gaps["factor_p90"], max(factor, 1 / factor))
    assert np.allclose(gaps["bias"], factor)
    assert set(gaps["workload"]) == {"matmul", "all"}


def test_a_statement_as_measured_is_right_everywhere():
    gaps = gap_table(made_up_pairs([0.5, 1.5, 3.0, 9.0], 1.0))
    assert (gaps["side_right"] == 1.0).all()
    assert (gaps["advice_right"] == 1.0).all()


@given(st.lists(st.floats(0.01, 1000.0), min_size=1, max_size=20))
def test_shares_of_a_claim_add_up(measured):
    table = claim_table(made_up_pairs(measured, 1.0))
    assert len(table) == len(CLAIMED_SPEEDUPS)
    row = table.iloc[0]
    assert row["below"] + row["inside"] + row["above"] == pytest.approx(1.0)
    assert table["pairs"].sum() == len(measured)


def test_small_products_are_not_large_ones():
    pairs = made_up_pairs([1.0, 20.0], 1.0).assign(flop=[LARGE_PRODUCT_FLOP / 2, 1e15])
    row = claim_table(pairs).iloc[0]
    assert (row["pairs"], row["inside"]) == (1, 1.0)


@pytest.mark.parametrize(
    ("stated", "measured", "text"),
    [
        (302.0, 1.09, "277x too high"),
        (1.0, 8.0, "8x too low"),
        (1.04, 1.0, "as measured"),
    ],
)
def test_how_far_off_in_words(stated, measured, text):
    assert off_by(stated, measured) == text


def test_worked_examples_show_what_the_formula_gives():
    table = worked_examples()
    assert table["printed"].tolist() == [15.2, 45.8]
    assert table["formula"].round(1).tolist() == [13.4, 38.2]


def test_answers_name_what_each_says(case):
    found = answers(case, [rule.filled(case, {}) for rule in RULES])
    assert list(found["source"]) == ["measured", "estimate", "cores", "throughput"]
    text = as_text(found, ANSWERS)
    assert "Measured" in text
    assert "Throughput rule" in text
    assert {"Measured", "Cores rule", "Throughput rule"} < set(headline(case, found))


def test_a_price_adds_what_the_job_costs(case):
    assert "cost" not in answers(case, [])
    found = answers(case, [], price_ratio=5.0)
    assert np.allclose(found["cost"] * found["speedup"], 5.0)


def test_the_command_prints_case_examples_and_gaps(dataset, capsys):
    arguments = ["rules", "matmul", "--param", "n=1000", "--dtype", "float32", "--all"]
    assert main([*arguments, "--data", str(dataset), "--price-ratio", "5"]) == 0
    text = capsys.readouterr().out
    for part in ("n=1,000", "\nMeasured: ", "13.4x", "38.2x", "10x  50x", "Cost ratio"):
        assert part in text


def test_the_bare_command_asks_for_the_page_s_first_case(dataset, capsys):
    assert main(["rules", "--data", str(dataset)]) == 0
    assert capsys.readouterr().out.startswith("asked: matmul square (n=3,000)")


def test_the_command_answers_in_json(dataset, capsys):
    arguments = ["rules", "matmul", "--param", "n=1000", "--dtype", "float32", "--json"]
    assert main([*arguments, "--data", str(dataset)]) == 0
    assert '"answers"' in capsys.readouterr().out


def test_the_command_refuses_an_efficiency_above_one(dataset, capsys):
    arguments = ["rules", "matmul", "--param", "n=1000", "--efficiency", "1.5"]
    assert main([*arguments, "--data", str(dataset)]) == 2
    assert "at most 1" in capsys.readouterr().err


def test_an_unknown_case_is_named(known):
    model, machine = known
    with pytest.raises(SelectionError, match="round"):
        rule_case(model, replace(PRODUCT, case="round"), machine, machine)
