"""The seeds' two calculators: what their formulas give, and what any such rule must do."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import EstimateError
from estimator.catalogue.sheet_rates import RATES, sheet_rates
from estimator.dataset.measurements import empty_machines
from estimator.rules.gaps import rule_seconds
from estimator.rules.rules_of_thumb import (
    CLAIMED_SPEEDUPS,
    RULES,
    WORKED_EXAMPLES,
    ThroughputRule,
    advice,
    cost_ratio,
)

POSITIVE = st.floats(1e-6, 1e12)
CONVOLUTION, INPUTS = (rule for rule, *_ in WORKED_EXAMPLES.values())


def test_the_first_example_is_13_times_and_not_15():
    cpu_s, gpu_s, copies_s = CONVOLUTION.times
    assert gpu_s + copies_s == pytest.approx(0.053)
    # its 708 ms have the copies on both sides
    assert (cpu_s + copies_s) / (gpu_s + copies_s) == pytest.approx(708 / 53)
    assert CONVOLUTION.speedup == pytest.approx(700 / 53)


def test_the_second_example_is_38_times_and_not_46():
    assert sum(INPUTS.times[1:]) == pytest.approx(0.072)
    assert INPUTS.speedup == pytest.approx(2750 / 72)
    assert advice(INPUTS.speedup) == "significant"


def test_the_two_examples_do_not_imply_the_same_constants():
    assert INPUTS.cpu_ms / CONVOLUTION.cpu_ms == pytest.approx(2.6, abs=0.05)


def test_the_second_calculators_figures():
    assert cost_ratio(speedup=12.0, price_ratio=5.0) < 1.0
    # 20 TFLOP/s at 65 % are 13
    result = ThroughputRule(1300.0, 100.0, 20.0, overhead_s=0.4)
    assert result.times == pytest.approx((13.0, 0.1, 0.4))
    assert result.speedup == pytest.approx(26.0)


@pytest.mark.parametrize(
    ("speedup", "word"),
    [
        (5.01, "significant"),
        (5.0, "noticeable"),
        (2.0, "noticeable"),
        (1.99, "marginal"),
        (1.0, "marginal"),
        (0.99, "slower"),
    ],
)
def test_advice_bands(speedup, word):
    assert advice(speedup) == word


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_value_that_is_no_positive_number_is_refused(bad):
    with pytest.raises(EstimateError):
        advice(bad)
    with pytest.raises(EstimateError):
        ThroughputRule(bad, 1.0, 1.0)
    with pytest.raises(EstimateError):
        replace(INPUTS, data_size=bad)


def test_an_efficiency_above_the_peak_is_refused():
    with pytest.raises(EstimateError, match="at most 1"):
        ThroughputRule(1.0, 1.0, 20.0, 1.3)


@given(POSITIVE, POSITIVE, st.floats(1.0, 1e4))
def test_more_cores_are_never_slower_and_a_faster_cpu_never_helps_the_gpu(size, cores, times):
    few = replace(INPUTS, data_size=size, gpu_cores=cores, cpu_factor=1.0, transfer_ms=1.0)
    many = replace(few, gpu_cores=cores * times)
    fast = replace(few, cpu_factor=times)
    assert many.times[1] <= few.times[1]
    assert many.speedup >= few.speedup * (1 - 1e-12)
    assert fast.speedup <= few.speedup * (1 + 1e-12)


@given(POSITIVE, POSITIVE, POSITIVE, st.floats(0.01, 1.0), st.floats(0.0, 1e6))
def test_the_throughput_rule_scales_and_overhead_only_slows(gflop, cpu, gpu, share, overhead):
    plain = ThroughputRule(gflop, cpu, gpu, share)
    late = ThroughputRule(gflop, cpu, gpu, share, overhead)
    twice = ThroughputRule(2 * gflop, cpu, gpu, share)
    assert twice.times[1] == pytest.approx(2 * plain.times[1])
    assert twice.speedup == pytest.approx(plain.speedup)
    assert late.speedup <= plain.speedup * (1 + 1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_every_input_is_asked_for_with_what_it_means(rule):
    for name, ask in rule.asks().items():
        assert ask.label
        assert ask.help
        with pytest.raises(EstimateError, match=name):
            replace(RULES[rule], **{name: ask.least - 1.0})


def test_claims_are_ranges():
    assert all(low < high for low, high, _ in CLAIMED_SPEEDUPS.values())


FACTS = {"gpu_model": "NVIDIA H200", "cpu_model": "AMD EPYC 9R14", "physical_cores": 4}


@pytest.fixture
def cells():
    """A product with copies, one without, a copy, and a sum on a CPU."""
    table = pd.DataFrame(
        {
            "workload": ["matmul", "matmul", "transfer", "reduction"],
            "device": ["cuda", "cuda", "cuda", "cpu"],
            "flop_count": [2e12, 2e12, 0.0, 1e8],
            "bytes_read": [8e8, 8e8, 0.0, 4e8],
            "bytes_written": [4e8, 4e8, 0.0, 8.0],
            "h2d_bytes": [8e8, 0.0, 1e9, 0.0],
            "d2h_bytes": [4e8, 0.0, 0.0, 0.0],
        }
    )
    return table.assign(machine_id="made", threads=2, dtype="float32", math_mode="ieee")


def test_rules_answer_cells_from_data_sheets(cells):
    rates = sheet_rates(cells, empty_machines(["made"]).assign(**FACTS))
    assert list(rates.columns) == list(RATES)
    flop, memory, link = (rates[name].to_numpy() for name in RATES)
    seconds = rule_seconds(cells, rates)
    product = 2e12 / flop[1]
    assert seconds["cores"][1] == pytest.approx(product)
    assert seconds["throughput"][1] == pytest.approx(product / 0.65)
    assert seconds["cores"][0] == pytest.approx(product + 2 * 1.2e9 / memory[0])
    assert seconds["throughput"][0] == pytest.approx(product / 0.65 + 1.2e9 / link[0])
    assert seconds["throughput"][2] == pytest.approx(1e9 / link[2])
    assert seconds["cores"][3] == pytest.approx((4e8 + 8.0) / memory[3])
    assert seconds["throughput"][3] == pytest.approx(1e8 / flop[3])


def test_an_unknown_machine_has_no_rates_and_no_answer(cells):
    rates = sheet_rates(cells, empty_machines(["made"]))
    assert rates.isna().all().all()
    for seconds in rule_seconds(cells, rates).values():
        assert np.isnan(seconds).all()


def test_a_type_that_a_cpu_has_no_rate_for_is_not_guessed(cells):
    rates = sheet_rates(cells.assign(dtype="bfloat16"), empty_machines(["made"]).assign(**FACTS))
    assert np.isnan(rates["flop_per_s"].iloc[3])
    assert np.isfinite(rates["flop_per_s"].iloc[0])
