"""Thinned cells still span what was measured; machines share the room."""

from types import SimpleNamespace

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.model.selection import (
    SERIES,
    Selection,
    cell_counts,
    fleet_selection,
    selected_cells,
    shared_out,
    thinned,
)

KEYS = ["machine_id", *SERIES]


def cells_of(machines, lengths):
    """Series of products with so many sizes, the same on each machine."""
    rows = [
        {
            **dict.fromkeys(SERIES, "x"),
            "workload": "matmul",
            "case": "square",
            "backend": f"b{series}",
            "threads": None,
            "machine_id": f"m{machine}",
            "params": (("n", 2 + place),),
        }
        for machine in range(machines)
        for series, length in enumerate(lengths)
        for place in range(length)
    ]
    return pd.DataFrame(rows)


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=8)


@settings(max_examples=20)  # hundreds of cells each
@given(lengths, st.integers(1, 60), st.randoms())
def test_each_machine_keeps_the_same_cells_spread_over_its_series(lengths, most, random):
    cells = cells_of(2, lengths)
    left = thinned(cells, most)
    assert left["machine_id"].value_counts().to_dict() == dict.fromkeys(
        ("m0", "m1"), min(most, sum(lengths))
    )
    one, other = (
        set(zip(g["backend"], g["params"], strict=True)) for _, g in left.groupby("machine_id")
    )
    assert one == other
    kept = left.groupby(["machine_id", "backend"]).size().unstack(fill_value=0).loc["m0"]
    if most >= len(lengths):
        assert len(kept) == len(lengths)
    # no series has two more than one that has cells left to give
    full = [kept.get(f"b{i}", 0) == length for i, length in enumerate(lengths)]
    partial = [kept.get(f"b{i}", 0) for i, done in enumerate(full) if not done]
    assert not partial or max(kept) - min(partial) <= 1
    order = list(range(len(cells)))
    random.shuffle(order)
    again = thinned(cells.iloc[order].reset_index(drop=True), most)
    assert set(map(str, again.to_dict("records"))) == set(map(str, left.to_dict("records")))


def test_the_ends_of_a_series_are_kept_first_then_the_middle():
    kept = thinned(cells_of(1, [9]), 3)["params"].tolist()
    assert [dict(params)["n"] for params in kept] == [2, 6, 10]


def test_what_fits_is_not_changed():
    cells = cells_of(2, [5, 7])
    assert thinned(cells, 12) is cells


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20), st.integers(20, 20_000))
def test_room_is_shared_and_used(counts, most):
    share = shared_out(counts, most)
    assert sum(min(count, share) for count in counts) <= most
    if sum(counts) > most:
        assert sum(min(count, share + 1) for count in counts) > most


def test_a_dataset_within_the_limits_is_not_thinned(measurements):
    assert fleet_selection(measurements) == Selection()
    every = selected_cells(measurements)
    assert len(every) == cell_counts(measurements)["cells"].sum()
    assert len(selected_cells(measurements, Selection(most_per_machine=10))) == 10


def test_each_type_of_a_large_fleet_has_a_representative(monkeypatch):
    """Ten types of twenty machines whose cells together are far beyond the limit."""
    ids = [f"{number:03d}" for number in range(200)]
    machines = pd.DataFrame({"machine_id": ids, "machine_type_id": [name[-1] for name in ids]})
    counts = pd.DataFrame(
        {"machine_id": ids, "cells": [1300 if n[-1] > "5" else 4400 for n in ids]}
    )
    monkeypatch.setattr("estimator.model.selection.cell_counts", lambda _: counts)
    chosen = fleet_selection(SimpleNamespace(machines=machines))
    assert {name[-1] for name in chosen.machines} == set("0123456789")
    assert len(chosen.machines) == 16
    assert chosen.most_per_machine == 1250
