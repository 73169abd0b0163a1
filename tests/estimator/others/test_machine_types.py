"""Boxes of one type answer as the type; a box that is asked for answers for itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import SelectionError
from estimator.cells.defaults import fastest_first
from estimator.dataset.measurements import empty_machines
from estimator.model.ask import ask, pooled
from estimator.others.machine_types import MachineTypes

PARTS = ("launch_s", "compute_s", "memory_s", "transfer_s")
TIMES = st.tuples(st.floats(1e-9, 1e3), st.floats(1.001, 5.0), st.floats(1.001, 5.0))


def answers(times, basis="interpolated", measured=None):
    middle = np.array([time[0] for time in times])
    shares = dict.fromkeys(PARTS, middle / 4)
    return pd.DataFrame(
        {
            "seconds_p5": [time[0] / time[1] for time in times],
            "seconds_p50": middle,
            "seconds_p95": [time[0] * time[2] for time in times],
            **shares,
            "basis": basis,
            "measured_median_s": np.nan if measured is None else measured,
            "measured_n": 0 if measured is None else 3,
            "n_fit": 2,
        }
    )


@given(st.lists(TIMES, min_size=1, max_size=6))
def test_a_type_is_no_faster_and_no_slower_than_all_its_boxes(times):
    """Nor is an end of its interval beyond theirs: what none of them exceeds, the type does not."""
    table = answers(times)
    row = pooled(table, np.zeros(len(table), dtype=int), 1).iloc[0]
    for name in ("seconds_p5", "seconds_p50", "seconds_p95"):
        low, high = table[name].min(), table[name].max()
        assert low * (1 - 1e-9) <= row[name] <= high * (1 + 1e-9)
    assert row["seconds_p5"] < row["seconds_p50"] < row["seconds_p95"]
    assert sum(row[part] for part in PARTS) == pytest.approx(row["seconds_p50"])
    assert row["boxes"] == len(times)


def test_the_better_known_box_weighs_more():
    table = answers([(1.0, 1.1, 1.1), (2.0, 3.0, 3.0)])
    assert pooled(table, np.zeros(2, dtype=int), 1)["seconds_p50"].iloc[0] < 1.1


def test_boxes_that_measured_such_sizes_speak_alone():
    table = answers([(1.0, 1.5, 1.5), (5.0, 1.5, 1.5)], ["extrapolated", "interpolated"])
    row = pooled(table, np.zeros(2, dtype=int), 1).iloc[0]
    assert (row["seconds_p50"], row["basis"], row["boxes"]) == (
        pytest.approx(5.0),
        "interpolated",
        1,
    )


def test_a_type_without_any_answer_has_none():
    table = answers([(np.nan, 1.5, 1.5)])
    assert np.isnan(pooled(table, np.zeros(1, dtype=int), 1)["seconds_p50"].iloc[0])


def test_the_measured_median_is_that_of_the_boxes():
    table = answers([(1.0, 1.5, 1.5)] * 3, "measured", [0.9, 1.0, 7.0])
    row = pooled(table, np.zeros(3, dtype=int), 1).iloc[0]
    assert row["measured_median_s"] == pytest.approx(1.0)
    assert row["measured_n"] == 9


@pytest.fixture(scope="module")
def fleet(model):
    """The made-up machine as two boxes of a type, and a third of another one by name."""
    machines = empty_machines(["made", "twin", "other"]).assign(
        label=["made up", "made up", "lonely"], machine_type_id=["aaaa1111", "aaaa1111", "bbbb"]
    )
    return replace(model, machines=machines)


def test_names_stand_for_types_and_ids_for_boxes(fleet):
    types = MachineTypes(fleet.donors)
    assert types.find("made up") == ["aaaa1111"]
    assert types.find("aaaa") == ["aaaa1111"]
    assert types.find("twin") == ["twin"]
    assert types.find("lone") == ["bbbb"]
    assert types.find("L4") == ["L4"]
    assert types.label("aaaa1111") == "made up"
    assert types.label("twin") == "made up (twin)"
    with pytest.raises(SelectionError):
        types.find("nobody")


def test_a_type_is_asked_through_the_boxes_that_measured(fleet):
    cell = {
        **{"workload": "matmul", "case": "square", "params": {"n": 1000}, "dtype": "float32"},
        **{"backend": "torch", "device": "cuda"},
    }
    cells = pd.DataFrame([{**cell, "machine_id": name} for name in ("aaaa1111", "made")])
    both = ask(fleet, cells)
    assert both["seconds_p50"].iloc[0] == pytest.approx(both["seconds_p50"].iloc[1])
    assert both["seconds_p95"].iloc[0] > both["seconds_p95"].iloc[1]  # of any machine of the type
    assert fleet.types.boxes_of("aaaa1111", "cuda", "matmul") == ("made",)


def test_the_library_that_speaks_measured_such_sizes():
    table = pd.DataFrame(
        {
            "device": "cuda",
            "backend": ["cupy", "torch", "jax", "cupy", "torch"],
            "basis": ["extrapolated", "measured", "interpolated", "from_specs", "from_specs"],
            "seconds_p50": [0.1, 1.0, 0.98, 0.2, 3.0],
        }
    )
    order = fastest_first(table)
    # jax is faster by less than two estimates can be told apart; cupy only beyond its sizes
    assert order["backend"].tolist() == ["torch", "jax", "torch", "cupy", "cupy"]
    assert order["guessed"].tolist() == [0, 0, 1, 2, 2]
