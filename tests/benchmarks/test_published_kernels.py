"""Published kernel times: the importer, the formula and the splits, on a made-up table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.published_experiments import OURS, larger, nearest_log_times, radius, same_machine
from benchmarks.published_form import Form, operands
from benchmarks.published_kernels import cells_of, gpu_of, roofline_seconds
from benchmarks.published_model import form_of
from benchmarks.published_report import report
from benchmarks.validate_published_kernels import second_path
from estimator.arrays import Array

COLUMNS = (
    *("gpu", "op", "dtype", "latency_s", "published_split", "rows", "cols", "batch", "m", "k"),
    *("n", "in_channels", "out_channels", "kernel_size", "size", "stride", "padding"),
)


def published(op: str, gpu: str = "Tesla T4", **changes: object) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(COLUMNS, np.nan) | {
        "gpu": gpu,
        "op": op,
        "dtype": "float32",
    }
    return row | {"latency_s": 1e-3, "published_split": "train"} | changes


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return cells_of(pd.DataFrame(list(rows), columns=list(COLUMNS)))


def random_products(gpu: str, count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(16), np.log(1024), (count, 3))).astype(int)
    batches = rng.integers(1, 200, count)
    rows = [
        published("bmm", gpu, batch=batch, m=m, n=n, k=k)
        for batch, (m, n, k) in zip(batches, sides, strict=True)
    ]
    return table(*rows)


def true_theta(form: Form) -> Array:
    theta = form.priors("centre")
    theta[[parameter.name for parameter in form.parameters].index("compute_share")] = np.log(0.7)
    return theta


def timed(cells: pd.DataFrame, form: Form, theta: Array) -> pd.DataFrame:
    """The cells with times that the formula itself gives for ``theta``."""
    gpu = gpu_of(cells["gpu"].iloc[0])
    return cells.assign(median_s=np.exp(form.predict(theta, operands(cells, gpu))))


def test_work_of_a_batch_of_products() -> None:
    """4 x (2 x 3) (3 x 5): 2 * 4 * 2 * 3 * 5 = 240 FLOP, 4 * 4 * (6 + 15 + 10) = 496 bytes."""
    cells = table(published("bmm", batch=4, m=2, k=3, n=5))
    assert cells["flop"].tolist() == [240.0]
    assert cells["bytes"].tolist() == [496.0]
    assert cells["params"].tolist() == [{"batch": 4, "m": 2, "n": 5, "k": 3}]
    assert cells[["workload", "case", "mode"]].iloc[0].tolist() == ["matmul", "batched", "resident"]


def test_a_convolution_is_an_implicit_product() -> None:
    """Batch 2, 3 to 7 channels, 5 x 5 pixels, 3 x 3 kernel, padding 1: 50 x 27 x 7.

    The image is read once: 4 * (2 * 3 * 25 + 27 * 7 + 50 * 7) = 2756 bytes.
    """
    row = published("conv2d", batch=2, stride=1, padding=1, in_channels=3, out_channels=7)
    cells = table(row | {"kernel_size": 3, "size": 5})
    assert cells[["batch", "m", "n", "k"]].iloc[0].tolist() == [1.0, 50.0, 7.0, 27.0]
    assert cells["flop"].tolist() == [2.0 * 50 * 27 * 7]
    assert cells["bytes"].tolist() == [2756.0]


def test_operands_of_elementwise_cases() -> None:
    cells = table(published("add", rows=10, cols=3), published("tanh", rows=10, cols=3))
    assert cells["operation"].tolist() == ["elementwise"] * 2
    assert cells["bytes"].tolist() == [360.0, 240.0]
    assert cells["case_index"].nunique() == 2


def test_layer_norm_is_a_reduction() -> None:
    (row,) = table(published("ln", rows=10, cols=3)).to_dict("records")
    assert (row["operation"], row["workload"], row["case"]) == (
        "layer_norm",
        "reduction",
        "layer_norm",
    )


def test_data_sheets_of_all_published_gpus() -> None:
    names = ("Tesla P4", "Tesla P100-PCIE-16GB", "Tesla V100-PCIE-32GB", "Tesla T4")
    for name in (*names, "NVIDIA A100-PCIE-40GB", "NVIDIA H100 80GB HBM3"):
        gpu = gpu_of(name)
        assert min(gpu.flop_per_s, gpu.bytes_per_s, gpu.multiprocessors, gpu.cache_bytes) > 0.0
    with pytest.raises(ValueError, match="no complete row"):
        gpu_of("no such GPU")


def test_roofline_is_the_longer_of_two() -> None:
    """T4: 8.1 TFLOP/s and 320 GB/s."""
    cells = table(
        published("linear", batch=1, m=4096, k=4096, n=4096), published("add", rows=1000, cols=1000)
    )
    seconds = roofline_seconds(cells, gpu_of("Tesla T4"))
    assert seconds == pytest.approx([2 * 4096**3 / 8.1e12, 12e6 / 320e9])


def test_times_are_finite_and_grow_with_the_work() -> None:
    gpu, form = gpu_of("Tesla V100-PCIE-32GB"), form_of("linear")
    rows = [published("linear", batch=1, m=n, k=n, n=n) for n in (1, 64, 512, 4096, 65536)]
    times = form.predict(form.priors("centre"), operands(table(*rows), gpu))
    assert np.isfinite(times).all()
    assert (np.diff(times) > 0.0).all()
    # never faster than the arithmetic of the data sheet
    assert times[-1] > np.log(2 * 65536.0**3 / gpu.flop_per_s)


@pytest.mark.parametrize("operation", ["bmm", "linear", "conv2d"])
def test_slopes_by_tile_are_those_of_the_formula(operation: str) -> None:
    form, rows = form_of(operation), operands(random_products("Tesla T4", 30), gpu_of("Tesla T4"))
    theta = np.broadcast_to(form.priors("centre"), (30, len(form.parameters)))
    numeric = Form(form.parameters, form.log_seconds)
    slopes, expected = form.with_slopes(theta, rows)[1], numeric.with_slopes(theta, rows)[1]
    assert slopes == pytest.approx(expected, abs=1e-3)


def test_a_fit_finds_the_times_of_its_own_formula() -> None:
    form, gpu = form_of("bmm"), gpu_of("Tesla T4")
    cells = timed(random_products("Tesla T4", 300), form, true_theta(form))
    train, test = cells[:200], cells[200:]
    centre, spread = form.priors("centre"), form.priors("spread")
    times = np.log(train["median_s"].to_numpy())
    theta = form.fit(operands(train, gpu), times, centre, spread, 0.05).theta[0]
    error = form.predict(theta, operands(test, gpu)) - np.log(test["median_s"].to_numpy())
    assert np.abs(error).max() < 0.03


def test_splits_do_not_train_on_what_they_test() -> None:
    """Times of the larger half are broken: the structured model must not have seen them."""
    form, gpu = form_of("bmm"), gpu_of("Tesla T4")
    cells = timed(random_products("Tesla T4", 400), form, true_theta(form))
    above = cells["flop"] > cells["flop"].median()
    broken = cells.assign(median_s=cells["median_s"].where(~above, 10.0 * cells["median_s"]))
    result = larger({"Tesla T4": broken}, {"Tesla T4": gpu}, 100)
    ours = result[result["method"] == OURS]
    assert np.median(ours["error"]) == pytest.approx(-np.log(10.0), abs=0.1)
    assert ours["inside"].mean() < 0.1


def test_same_machine_covers_about_what_it_says() -> None:
    form, gpu = form_of("bmm"), gpu_of("Tesla T4")
    cells = timed(random_products("Tesla T4", 500), form, true_theta(form))
    noise = np.exp(np.random.default_rng(3).normal(0.0, 0.05, len(cells)))
    result = same_machine(cells.assign(median_s=cells["median_s"] * noise), gpu, 300, 120)
    ours = result[result["method"] == OURS]
    assert np.abs(ours["error"]).mean() < 0.08
    assert ours["inside"].mean() > 0.8


def test_the_nearest_shape_of_the_same_case() -> None:
    known = table(
        published("add", rows=10, cols=10, latency_s=1.0),
        published("tanh", rows=100, cols=100, latency_s=2.0),
    )
    times, position = nearest_log_times(known, table(published("add", rows=99, cols=99)))
    assert position.tolist() == [0]
    assert times == pytest.approx([0.0])


def test_radius_is_conformal() -> None:
    assert radius(np.arange(1.0, 101.0)) == 91.0
    assert radius(np.array([1.0])) == 1.0


def test_rows_of_the_other_library_path() -> None:
    cells = table(
        published("linear", "Tesla P4", batch=1, m=2, k=2, n=2, published_split="test"),
        published("linear", "Tesla P4", batch=1, m=2, k=2, n=2),
        published("bmm", "Tesla P4", batch=1, m=2, k=2, n=2, published_split="test"),
    )
    assert second_path(cells).tolist() == [True, False, False]


def test_the_report_says_what_was_missed() -> None:
    rows = {
        "operation": "bmm",
        "split": "same machine",
        "gpu": "made up",
        "method": [OURS, "roofline", "nearest"],
        "error": np.log([1.5, 3.0, 2.0]),
        "inside": [1.0, np.nan, np.nan],
    }
    text = report(pd.DataFrame(rows))
    assert "| bmm | same machine | 50.0 | 5.0 | no | 4.3 |  | 200.0 | 100.0 |" in text
    assert "- bmm, same machine: 50.0 % (target 5 %)." in text
    assert "No simple method" in text
    assert "nan" not in text
