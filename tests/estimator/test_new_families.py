"""Every family of the standard suite enters a fit and gets sensible answers from it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from collector.errors import EstimateError
from collector.workloads import FAMILIES
from estimator.cells.questions import operation
from estimator.dataset.measurements import load, measured_cells
from estimator.decide.breakeven import Place, breakeven_size
from estimator.fitting.corrections import NO_CORRECTIONS
from estimator.model.fit import fit
from estimator.validation.splits import BETWEEN, LARGER
from estimator.validation.validate import validate
from tests.estimator import made_up
from tests.estimator.conftest import FACTS

OUTLYING_S = 1e4  # what a first call and an anchor "take": it would spoil any fit
MEASURED = [name for name in FAMILIES if name != "anchor"]


@pytest.fixture(scope="module")
def every():
    return made_up.every_family()


@pytest.fixture(scope="module")
def left_out(every):
    return ((every["mode"] == "first_call") | (every["workload"] == "anchor")).to_numpy()


@pytest.fixture(scope="module")
def opened(every, left_out, tmp_path_factory):
    seconds = made_up.true_seconds(every, noise=0.01)
    seconds[left_out] = OUTLYING_S
    root = tmp_path_factory.mktemp("every")
    made_up.write_run(root / "r1.parquet", every, seconds, FACTS)
    return load(root)


@pytest.fixture(scope="module")
def fitted(opened):
    return fit(opened)


def test_first_calls_and_anchors_enter_no_fit(every, left_out, opened):
    assert left_out.any()
    cells = measured_cells(opened)
    assert len(cells) == len(every) - left_out.sum()
    assert "first_call" not in set(cells["mode"])
    assert "anchor" not in set(cells["workload"])
    assert (np.exp(cells["log_seconds"]) < OUTLYING_S).all()


def test_every_family_is_fitted_and_described(every, left_out, fitted):
    asked = every[~left_out]
    estimate = fitted.predict(asked)
    assert np.isfinite(estimate["seconds_p50"]).all()
    assert (estimate["basis"] == "measured").all()
    error = np.abs(estimate["seconds_p50"] / estimate["measured_median_s"] - 1.0)
    assert error.groupby(asked["workload"]).median().max() < 0.1


def test_validation_leaves_them_out_too(opened, monkeypatch):
    monkeypatch.setattr("estimator.validation.splits.BETWEEN_TURNS", 2)  # two fits for four
    table = validate(opened, (BETWEEN, LARGER))
    assert "anchor" not in set(table["family"])
    # few sizes of each were measured; truth has other widths and depths than priors expect
    mine = table[(table["predictor"] == "breakeven") & (table["n"] >= 5)]
    assert mine["median_ape"].max() < 60.0


@pytest.mark.parametrize("workload", MEASURED)
def test_larger_sizes_take_longer(every, left_out, fitted, workload):
    """Eight times the first parameter of each case: more time, but not much more than 8^3.

    A volume's transform takes 8^3 times a ratio of logarithms, which is 1.75 of the smallest.
    Where the start of a kernel takes all the time, sizes differ by noise alone: a measured cell
    stands for itself, and what was not measured is held against smaller versions of it.
    """
    rows = every[(every["workload"] == workload) & ~left_out]
    rows = rows[[bool(params) for params in rows["params"]]]
    rows = rows[~rows["case"].str.contains("_1000_|_2000_|_1e6_")].drop_duplicates(
        ["case", "backend", "device", "mode"]
    )
    signatures = [FAMILIES[workload].signatures[case] for case in rows["case"]]
    given = [
        {name: params[name] for name in signature if name in params}
        for params, signature in zip(rows["params"], signatures, strict=True)
    ]
    first = [next(iter(signature)) for signature in signatures]
    grown = [{**params, name: 8 * params[name]} for params, name in zip(given, first, strict=True)]
    larger = rows.assign(params=pd.Series(grown, rows.index, dtype=object))
    asked = pd.concat([rows, larger], ignore_index=True)
    formula = replace(fitted, fit=replace(fitted.fit, corrections=NO_CORRECTIONS))
    before, after = np.split(formula.predict(asked)["seconds_p50"].to_numpy(), 2)
    assert (after >= 0.99 * before).all()
    estimate = fitted.predict(asked)
    before, after = np.split(estimate["seconds_p50"].to_numpy(), 2)
    alone = np.isnan(estimate["measured_median_s"].to_numpy()[: len(rows)])
    assert (after[alone] >= 0.99 * before[alone]).all()
    at_most = estimate["seconds_p95"].to_numpy()[len(rows) :]
    assert (at_most >= before).all()
    assert (after <= 1000.0 * before).all()
    width = np.log(estimate["seconds_p95"] / estimate["seconds_p5"]).to_numpy()
    assert (width > 0).all()


def test_a_family_that_nobody_measured_is_one_clear_line(fitted):
    question = {"machine_id": "made", "workload": "spmm", "case": "csr_dense", "backend": "jax"}
    question |= {"params": {"rows": 100, "nonzeros_per_row": 3, "width": 8}, "dtype": "float32"}
    with pytest.raises(
        EstimateError, match=r"spmm was not measured with backend 'jax' \(cpu\); it has numpy"
    ):
        fitted.predict(pd.DataFrame([question | {"device": "cpu"}]))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (("launch", "empty_kernel", {}, "float32", "torch", "cuda"), "choose cupy or numba"),
        (("launch", "empty_kernel", {}, "float32", "torch", "cpu"), "no library has one on cpu"),
        (("attention", "causal", None, "float32", "numpy", "cpu"), "choose torch or jax"),
        (("matmul", "square", {"n": 64}, "int8", "torch", "cpu"), "takes no int8; choose bfloat16"),
        (("matmul", "int8_square", {"n": 64}, "float32", "torch", "cpu"), "no float32; choose"),
        (("anchor", "matmul_copy", {"repetition": 1}, "float32", "numpy", "cpu"), "drift"),
    ],
)
def test_what_a_library_has_no_form_of_is_refused(fitted, question, words):
    names = ("workload", "case", "params", "dtype", "backend", "device")
    asked = dict(zip(names, question, strict=True)) | {"machine_id": "made"}
    with pytest.raises(EstimateError, match=words):
        fitted.predict(pd.DataFrame([asked]))


def test_jax_on_a_gpu_is_answered_by_the_hosts_clock(fitted):
    asked = {"machine_id": "made", "workload": "matmul", "case": "square", "backend": "jax"}
    asked |= {"params": {"n": 700}, "dtype": "float32", "device": "cuda"}
    estimate = fitted.predict(pd.DataFrame([asked]))
    assert estimate["basis"].iloc[0] in ("interpolated", "extrapolated")
    with pytest.raises(EstimateError, match="no measurement of matmul answers mode 'hot'"):
        fitted.predict(pd.DataFrame([asked | {"mode": "hot"}]))


@pytest.mark.parametrize("workload", [name for name in MEASURED if name != "transfer"])
def test_break_even_has_an_answer(every, fitted, workload):
    rows = every[(every["workload"] == workload) & (every["mode"] == "end_to_end")]
    rows = rows[rows["backend"].isin(["torch", "jax"])]
    if rows.empty:
        rows = every[(every["workload"] == workload) & (every["mode"] == "resident")]
    row = rows.iloc[0]
    on_cpu = every[
        (every["workload"] == workload) & (every["device"] == "cpu") & (every["mode"] == "hot")
    ]
    assert len(on_cpu)
    same = on_cpu[(on_cpu["backend"] == row["backend"]) & (on_cpu["dtype"] == row["dtype"])]
    if len(same) and FAMILIES[workload].signatures[row["case"]]:
        crossing = breakeven_size(
            fitted,
            workload,
            row["case"],
            row["dtype"],
            Place("made", row["backend"]),
            Place("made", row["backend"], mode=row["mode"]),
            math_mode=row["math_mode"],
        )
        assert crossing.reason


@pytest.mark.parametrize(
    ("case", "kernel", "name"),
    [
        ("forward", 1, "forward 1x1"),
        ("forward", 3, "forward"),
        ("backward", 7, "backward"),
        ("depthwise", 3, "depthwise"),
    ],
)
def test_kernels_of_one_element_are_a_class_of_their_own(case, kernel, name):
    assert operation("conv2d", case, "torch", {"kernel": kernel}) == name
