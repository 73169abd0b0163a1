"""What must hold of the shipped dataset and of the documents that quote it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from collector.errors import SelectionError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(shipped_model):
    return shipped_model


def test_the_validation_report_is_of_the_shipped_runs(shipped_runs):
    text = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    found = re.search(r"fingerprint `([0-9a-f]{16})`", text)
    assert found, "the report names no fingerprint"
    assert shipped_runs.fingerprint.startswith(found[1]), "run: python -m estimator validate -o ..."


def seconds(model, workload, case, machine, sizes, **question):
    cells = pd.DataFrame(
        {
            **{"machine_id": machine, "workload": workload, "case": case, "backend": "torch"},
            **{"dtype": "float32", "device": "cuda", **question},
            "params": [{"n": int(n)} for n in sizes],
        }
    )
    return model.predict(cells)["seconds_p50"].to_numpy()


@pytest.mark.parametrize(
    ("workload", "case", "low", "high"),
    [
        ("matmul", "square", 64, 6000),
        ("elementwise", "add", 1e4, 4e7),
    ],
)
def test_copies_of_more_take_longer(model, workload, case, low, high):
    """Across the allocator's step at 32 MiB too, where copies become slow at once."""
    sizes = np.unique(np.geomspace(low, high, 120).astype(int))
    machines = model.machines.loc[model.machines["gpu_model"].notna(), "machine_id"].to_numpy()
    every = np.repeat(machines, len(sizes)), np.tile(sizes, len(machines))
    times = seconds(model, workload, case, *every, mode="end_to_end")
    times = times.reshape(len(machines), len(sizes))
    highest = np.maximum.accumulate(times, axis=1)
    assert (times >= 0.8 * highest).all()


def test_every_measured_cell_lies_in_its_interval(model):
    asked = model.measured.assign(params=model.measured["params_key"].map(dict))
    estimate = model.predict(asked.drop(columns=["params_key", "median_s"]))
    median = model.measured["median_s"].to_numpy()
    assert (estimate["seconds_p5"] <= median * (1 + 1e-9)).all()
    assert (estimate["seconds_p95"] >= median * (1 - 1e-9)).all()
    assert np.isfinite(estimate["seconds_p50"]).all()
    assert (estimate["seconds_p5"] > 0).all()


@pytest.mark.parametrize("threads", [0, -1, 2.5, np.inf, 10**6])
def test_threads_that_a_machine_has_not_are_refused(model, threads):
    machine = model.machines.loc[model.machines["gpu_model"].isna(), "machine_id"].iloc[0]
    with pytest.raises(SelectionError, match="threads"):
        seconds(model, "matmul", "square", machine, [512], device="cpu", threads=threads)


@pytest.mark.parametrize("name", ["machine_id", "backend", "dtype", "params"])
def test_a_question_with_nothing_in_a_column_is_refused(model, name):
    question = {
        **{"machine_id": model.machines["machine_id"].iloc[0], "workload": "matmul"},
        **{"case": "square", "params": {"n": 64}, "dtype": "float32", "backend": "numpy"},
        "device": "cpu",
    }
    with pytest.raises(SelectionError, match=name):
        model.predict(pd.DataFrame([question | {name: None}]))
