import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from collector.errors import EstimateError, SelectionError
from estimator.decide.breakeven import Place, breakeven_size, ratio_of_times, speedup
from tests.estimator import made_up

CPU = Place("made", "torch")
GPU = Place("made", "torch", mode="end_to_end")


def true_ratio(params, case="square", dtype="float32"):
    """t_cpu / t_gpu end to end by the formula that made the measurements."""
    shared = {
        "workload": "matmul" if case == "square" else "elementwise",
        "case": case,
        "dtype": dtype,
        "math_mode": "ieee",
        "backend": "torch",
        "params": params,
        "machine_id": "made",
    }
    cells = pd.DataFrame(
        [
            {**shared, "device": "cpu", "mode": "hot", "threads": 2},
            {**shared, "device": "cuda", "mode": "end_to_end", "threads": 1},
        ]
    )
    seconds = made_up.true_seconds(cells, noise=1e-12)
    return seconds[0] / seconds[1]


def test_a_speed_up_is_the_quotient_with_an_interval(model):
    cpu = {
        "machine_id": "made",
        "workload": "matmul",
        "case": "square",
        "params": {"n": 2048},
        "dtype": "float32",
        "backend": "torch",
        "device": "cpu",
        "threads": 2,
    }
    gpu = {**cpu, "device": "cuda", "threads": 1, "mode": "end_to_end"}
    answer = speedup(model, cpu, gpu)
    assert answer.ratio_p5 < answer.ratio_p50 < answer.ratio_p95
    assert answer.ratio_p50 == pytest.approx(true_ratio({"n": 2048}), rel=0.1)
    assert answer.verdict == "gpu"


TIME = st.tuples(st.floats(1e-9, 1e6), st.floats(1.0, 10.0), st.floats(1.0, 10.0)).map(
    lambda t: (t[0] / t[1], t[0], t[0] * t[2])
)


@given(TIME, TIME)
def test_the_verdict_is_given_only_without_doubt(slow, fast):
    answer = ratio_of_times(slow, fast)
    assert answer.ratio_p5 <= answer.ratio_p50 * (1 + 1e-9)
    assert answer.ratio_p50 <= answer.ratio_p95 * (1 + 1e-9)
    expected = "gpu" if answer.ratio_p5 > 1 else "cpu" if answer.ratio_p95 < 1 else "unclear"
    assert answer.verdict == expected
    assert 0.0 <= answer.gpu_probability <= 1.0
    assert (answer.gpu_probability > 0.5) == (answer.ratio_p50 > 1.0) or answer.ratio_p50 == 1.0
    if answer.verdict == "gpu":
        assert answer.gpu_probability >= 0.95 - 1e-9


@given(TIME, TIME)
def test_comparing_the_other_way_round_is_the_inverse(first, second):
    there, back = ratio_of_times(first, second), ratio_of_times(second, first)
    assert there.ratio_p50 == pytest.approx(1 / back.ratio_p50)
    assert there.ratio_p5 == pytest.approx(1 / back.ratio_p95)
    assert there.gpu_probability == pytest.approx(1 - back.gpu_probability, abs=1e-6)


def test_the_breakeven_size_is_where_the_times_are_equal(model):
    answer = breakeven_size(model, "matmul", "square", "float32", CPU, GPU)
    assert answer.parameter == "n"
    assert answer.low < answer.size < answer.high
    exact = brentq(lambda n: np.log(true_ratio({"n": round(n)})), 16, 4000, xtol=1.0)
    assert answer.size == pytest.approx(exact, rel=0.15)


def test_reusing_the_operands_lowers_the_breakeven_size(model):
    sizes = [
        breakeven_size(model, "matmul", "square", "float32", CPU, GPU, reuse=reuse).size
        for reuse in (1, 10, 1000)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_never_changing_places_is_no_size_and_says_who_wins(model):
    slow = Place("made", "torch", threads=1)
    answer = breakeven_size(
        model,
        "matmul",
        "skinny",
        "float32",
        slow,
        Place("made", "torch", mode="resident"),
        params={"n": 4096, "k": 4096},
    )
    assert answer.size is None
    assert answer.reason.startswith("the GPU is faster at every one of sizes")


def test_the_other_parameters_stay(model):
    answer = breakeven_size(
        model,
        "matmul",
        "skinny",
        "float32",
        CPU,
        Place("made", "torch", mode="resident"),
        params={"n": 64, "m": 64},
        vary="k",
    )
    assert answer.parameter == "k"
    assert answer.size == round((answer.value * 64 * 64) ** (1 / 3))


@pytest.mark.parametrize(
    ("workload", "case", "options", "error"),
    [
        ("matmul", "square", {"reuse": 0.5}, SelectionError),
        ("matmul", "square", {"vary": "x"}, SelectionError),
        ("matmul", "cube", {}, SelectionError),
        ("fft", "fft2", {}, EstimateError),
    ],
)
def test_what_cannot_be_answered_is_an_error(model, workload, case, options, error):
    with pytest.raises(error):
        breakeven_size(model, workload, case, "float32", CPU, GPU, **options)


def test_the_truth_has_a_single_crossing():
    ratios = [true_ratio({"n": int(n)}) for n in np.geomspace(8, 8192, 16)]
    assert (np.diff(np.sign(np.log(ratios))) != 0).sum() == 1
